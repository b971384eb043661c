// Event (core/v1) and Lease.
#pragma once

#include "kube/api/meta.h"

namespace causeway::kube {

struct EventSource {
  std::string component;
  std::string host;
  bool operator==(const EventSource&) const = default;
};
struct EventSeries {
  int32_t count = 0;
  std::optional<Time> last_observed_time;  // MicroTime
  bool operator==(const EventSeries&) const = default;
};
struct Event {
  static constexpr KindInfo kKind{"", "v1", "Event", "events", true};
  ObjectMeta metadata;
  ObjectReference involved_object;
  std::string reason;
  std::string message;
  EventSource source;
  std::optional<Time> first_timestamp;
  std::optional<Time> last_timestamp;
  int32_t count = 0;
  std::string type;                // Normal, Warning
  std::optional<Time> event_time;  // MicroTime
  std::optional<EventSeries> series;
  std::string action;
  std::optional<ObjectReference> related;
  std::string reporting_component;
  std::string reporting_instance;
  bool operator==(const Event&) const = default;
};

struct LeaseSpec {
  std::optional<std::string> holder_identity;
  std::optional<int32_t> lease_duration_seconds;
  std::optional<Time> acquire_time;  // MicroTime
  std::optional<Time> renew_time;    // MicroTime
  std::optional<int32_t> lease_transitions;
  bool operator==(const LeaseSpec&) const = default;
};
struct Lease {
  static constexpr KindInfo kKind{"coordination.k8s.io", "v1", "Lease", "leases", true};
  ObjectMeta metadata;
  LeaseSpec spec;
  bool operator==(const Lease&) const = default;
};

}  // namespace causeway::kube
