// Strategic merge patch (apimachinery/pkg/util/strategicpatch): a merge patch that knows which lists have keys, by the
// schema, with the directives $patch, $retainKeys, $deleteFromPrimitiveList/F and $setElementOrder/F. Pure.
#pragma once

#include <boost/json/object.hpp>

#include "base/result.h"
#include "kube/api/schema.h"

namespace causeway::apiserver {

// `target` is only changed on success. Errors: Invalid, naming the path and what is wrong with the patch there.
Status apply_strategic_patch(boost::json::object& target, const boost::json::object& patch,
                             const kube::TypeSchema& type);

}  // namespace causeway::apiserver
