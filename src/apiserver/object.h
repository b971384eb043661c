// One stored state of one API object, immutable and shared: the cache, the history and the watches of a server hold
// the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace causeway::apiserver {

// The one counter of the store: every change of any object gets the next value. On the wire it is the
// resourceVersion. 0 is no revision.
using Revision = int64_t;

// Where an object stands within its resource. Lists are ordered by it.
struct Key {
  std::string ns;  // empty for cluster kinds
  std::string name;
  auto operator<=>(const Key&) const = default;
};
// "shop/web-1", or "node-1".
std::string to_string(const Key& key);

using Strings = std::map<std::string, std::string, std::less<>>;

// What selectors look at, taken from the JSON once, when it is written or loaded.
struct Index {
  std::string uid;
  Strings labels;
  Strings fields;  // by path: "spec.nodeName"
};

struct Object {
  std::string resource;  // "pods", "deployments.apps"
  Key key;
  Revision revision = 0;
  std::string json;  // compact; its metadata.resourceVersion is `revision`
  Index index;
};
using ObjectPtr = std::shared_ptr<const Object>;

// One change, as watches see it. A deletion's `object` is the last state, with the deletion's revision.
struct Event {
  ObjectPtr object;
  ObjectPtr previous;  // null: created
  bool deleted = false;
};

}  // namespace causeway::apiserver
