// The token of a list that has more: the revision that all pages share, and the last object of the page before.
#pragma once

#include <string>
#include <string_view>

#include "apiserver/object.h"
#include "base/result.h"

namespace causeway::apiserver {

struct ContinueToken {
  Revision revision = 0;  // -1: the newest, for a token given with an expired one
  Key after;
};

std::string encode_token(const ContinueToken& token);
// Errors: Invalid.
Result<ContinueToken> decode_token(std::string_view text);

}  // namespace causeway::apiserver
