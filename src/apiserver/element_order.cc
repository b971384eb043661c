#include "apiserver/element_order.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <utility>
#include <vector>

namespace causeway::apiserver {

namespace json = boost::json;

namespace {

constexpr size_t kAbsent = static_cast<size_t>(-1);

size_t position(const json::array& list, const json::value& key, std::string_view merge_key) {
  for (size_t i = 0; i < list.size(); ++i)
    if (element_key(list[i], merge_key) == key) return i;
  return kAbsent;
}

struct Placed {
  json::value element;
  size_t in_order;   // kAbsent: only the server has it
  size_t in_before;  // kAbsent: new
  size_t in_merged;  // breaks ties
};

}  // namespace

json::value element_key(const json::value& element, std::string_view merge_key) {
  if (merge_key.empty()) return element;
  const json::object* object = element.if_object();
  const json::value* key = object ? object->if_contains(merge_key) : nullptr;
  return key ? *key : json::value();
}

json::array order_elements(json::array merged, const json::array& order, const json::array& before,
                           std::string_view merge_key) {
  std::vector<Placed> named;
  std::vector<Placed> others;
  for (size_t i = 0; i < merged.size(); ++i) {
    const json::value key = element_key(merged[i], merge_key);
    Placed placed{{}, position(order, key, merge_key), position(before, key, merge_key), i};
    placed.element = std::move(merged[i]);
    (placed.in_order == kAbsent ? others : named).push_back(std::move(placed));
  }
  auto by = [](size_t Placed::* place) {
    return [place](const Placed& a, const Placed& b) {
      return std::pair(a.*place, a.in_merged) < std::pair(b.*place, b.in_merged);
    };
  };
  std::sort(named.begin(), named.end(), by(&Placed::in_order));
  std::sort(others.begin(), others.end(), by(&Placed::in_before));

  json::array result(merged.storage());
  auto other = others.begin();
  for (Placed& next : named) {
    // What stood before it on the server still does.
    while (other != others.end() && other->in_before != kAbsent && next.in_before != kAbsent &&
           other->in_before < next.in_before)
      result.push_back(std::move((other++)->element));
    result.push_back(std::move(next.element));
  }
  for (; other != others.end(); ++other) result.push_back(std::move(other->element));
  return result;
}

}  // namespace causeway::apiserver
