// The parts that every API object shares: metadata, conditions, times, references, raw JSON.
//
// Decoding rules of all types in this folder: unknown fields are ignored; null is the same as absent; a plain
// std::string, vector or map is used where Kubernetes itself treats empty as absent, std::optional where it does not.
// Encoding leaves out empty plain members and keeps whatever an optional holds, be it empty.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kube/api/kind.h"

namespace causeway::kube {

using StringMap = std::map<std::string, std::string, std::less<>>;

// A metav1.Time (whole seconds) or MicroTime on the wire, UTC.
using Time = std::chrono::sys_time<std::chrono::microseconds>;

// A subtree kept as its JSON text, for what we hand on without understanding it (Pod templates).
struct RawJson {
  std::string text;  // empty: absent
  bool operator==(const RawJson&) const = default;
};

// A port or a percentage: an int32 or a string.
using IntOrString = std::variant<int32_t, std::string>;
std::string to_string(const IntOrString& value);

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  std::optional<bool> controller;
  std::optional<bool> block_owner_deletion;
  bool operator==(const OwnerReference&) const = default;
};

struct ObjectMeta {
  std::string name;
  std::string generate_name;
  std::string ns;  // "namespace" on the wire; empty for cluster kinds
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  std::optional<Time> creation_timestamp;
  std::optional<Time> deletion_timestamp;
  std::optional<int64_t> deletion_grace_period_seconds;
  StringMap labels;
  StringMap annotations;
  std::vector<OwnerReference> owner_references;
  std::vector<std::string> finalizers;
  bool operator==(const ObjectMeta&) const = default;
};

// "shop/web-1", or "node-1" for a cluster kind.
std::string full_name(const ObjectMeta& meta);
// The reference with controller: true, or null.
const OwnerReference* controller_of(const ObjectMeta& meta);

struct LabelSelectorRequirement {
  std::string key;
  std::string op;  // "operator": In, NotIn, Exists, DoesNotExist
  std::vector<std::string> values;
  bool operator==(const LabelSelectorRequirement&) const = default;
};

// An empty selector selects everything; an absent one (std::optional at its use) nothing.
struct LabelSelector {
  StringMap match_labels;
  std::vector<LabelSelectorRequirement> match_expressions;
  bool operator==(const LabelSelector&) const = default;
};

// The common denominator of Pod, Node, Deployment and ReplicaSet conditions.
struct Condition {
  std::string type;
  std::string status;  // True, False, Unknown
  std::string reason;
  std::string message;
  std::optional<int64_t> observed_generation;
  std::optional<Time> last_probe_time;
  std::optional<Time> last_heartbeat_time;
  std::optional<Time> last_update_time;
  std::optional<Time> last_transition_time;
  bool operator==(const Condition&) const = default;
};
// The condition of this type, or null.
const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type);

struct ObjectReference {
  std::string kind;
  std::string ns;
  std::string name;
  std::string uid;
  std::string api_version;
  std::string resource_version;
  std::string field_path;
  bool operator==(const ObjectReference&) const = default;
};

struct ListMeta {
  std::string resource_version;
  std::string continue_token;  // "continue" on the wire
  std::optional<int64_t> remaining_item_count;
  bool operator==(const ListMeta&) const = default;
};

// Any object, seen by its metadata alone.
struct PartialObject {
  std::string api_version;
  std::string kind;
  ObjectMeta metadata;
  bool operator==(const PartialObject&) const = default;
};

// The answer of the API to a request that failed (and to some that did not).
struct StatusCause {
  std::string reason;
  std::string message;
  std::string field;
  bool operator==(const StatusCause&) const = default;
};
struct StatusDetails {
  std::string name;
  std::string group;
  std::string kind;
  std::string uid;
  std::vector<StatusCause> causes;
  int32_t retry_after_seconds = 0;
  bool operator==(const StatusDetails&) const = default;
};
struct ApiStatus {
  static constexpr KindInfo kKind{"", "v1", "Status", "status", false};
  ListMeta metadata;
  std::string status;  // Success, Failure
  std::string message;
  std::string reason;  // NotFound, AlreadyExists, Conflict, Expired, Invalid, ...
  std::optional<StatusDetails> details;
  int32_t code = 0;
  bool operator==(const ApiStatus&) const = default;
};

}  // namespace causeway::kube
