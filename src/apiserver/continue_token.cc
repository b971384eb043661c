#include "apiserver/continue_token.h"

#include <boost/json.hpp>

#include "apiserver/encoding.h"
#include "apiserver/json_tree.h"

namespace causeway::apiserver {

std::string encode_token(const ContinueToken& token) {
  const json::object tree{{"v", 1}, {"rv", token.revision}, {"ns", token.after.ns}, {"name", token.after.name}};
  return base64_url(json::serialize(tree));
}

Result<ContinueToken> decode_token(std::string_view text) {
  auto bytes = from_base64_url(text);
  auto tree = bytes ? parse_object(*bytes) : Result<json::object>(fail(bytes.error()));
  if (!tree || int_at(*tree, "v") != 1 || int_at(*tree, "rv") == 0 || int_at(*tree, "rv") < -1)
    return fail(Errc::Invalid, "the continue token is not one of this server");
  return ContinueToken{int_at(*tree, "rv"), {std::string(text_at(*tree, "ns")), std::string(text_at(*tree, "name"))}};
}

}  // namespace causeway::apiserver
