// JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) on JSON trees. Pure.
#pragma once

#include <boost/json/value.hpp>

#include "base/result.h"

namespace causeway::apiserver {

// Applies all operations or none: `target` is only changed on success. Errors: Invalid (the patch is malformed or has
// more than 10,000 operations), Conflict (a path that does not exist, a failed test): each names the operation.
Status apply_json_patch(boost::json::value& target, const boost::json::value& patch);

// null removes a member; objects merge; all else replaces.
void apply_merge_patch(boost::json::value& target, const boost::json::value& patch);

}  // namespace causeway::apiserver
