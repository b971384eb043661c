// The order of a list after a strategic merge: what the patch names stands in the patch's order, what only the server
// has keeps its place among it (strategicpatch.go, normalizeElementOrder).
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string_view>

namespace causeway::apiserver {

// What identifies an element: the member `merge_key` of an object, or the scalar itself when the key is empty.
boost::json::value element_key(const boost::json::value& element, std::string_view merge_key);

// `order` holds elements, or objects with only the key; `before` is the list as it was on the server.
boost::json::array order_elements(boost::json::array merged, const boost::json::array& order,
                                  const boost::json::array& before, std::string_view merge_key);

}  // namespace causeway::apiserver
