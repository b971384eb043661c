// What changed in the model since a consumer looked last. Coalesces: many updates of one object are one change, and
// an object that is back at its old value is none, so a slow consumer stays bounded by the size of the cluster.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "cluster/model/objects.h"

namespace causeway::cluster {

// Counts the changes of the model; 0 is the empty model.
enum class Generation : uint64_t {};
inline std::string to_string(Generation generation) { return std::to_string(static_cast<uint64_t>(generation)); }

// Where objects come from. Nothing that depends on a source is deleted before the source is complete.
enum class Source : uint8_t { Nodes, Pods, Namespaces, Attachments };
std::string_view to_string(Source source);

// Key -> the value before the change (nullopt: it did not exist). The value after it is in the model.
template <class Key, class Value>
using Before = std::map<Key, std::optional<Value>>;

struct ChangeSet {
  Generation generation{};  // of the model after these changes
  Before<std::string, Node> nodes;
  Before<PodKey, Pod> pods;
  Before<std::string, Namespace> namespaces;
  Before<AttachmentKey, Attachment> attachments;
  bool facts = false;   // node facts changed: compile everything
  bool synced = false;  // a source became complete: deletions may be due

  bool empty() const {
    return nodes.empty() && pods.empty() && namespaces.empty() && attachments.empty() && !facts && !synced;
  }
  // Adds what happened after this set.
  void merge(const ChangeSet& later);
};

}  // namespace causeway::cluster
