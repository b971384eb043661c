// Tells people what happened to an object: Events, as `kubectl describe` shows them. Never waits and never fails the
// caller; what repeats is counted instead of stored again, and a flood is dropped.
#pragma once

#include <map>

#include "async/scope.h"
#include "kube/client/client.h"

namespace causeway::kube {

enum class EventType { Normal, Warning };

template <class T>
ObjectReference reference_to(const T& object) {
  ObjectReference reference;
  reference.kind = std::string(T::kKind.kind);
  reference.api_version = api_version(T::kKind);
  reference.ns = object.metadata.ns;
  reference.name = object.metadata.name;
  reference.uid = object.metadata.uid;
  reference.resource_version = object.metadata.resource_version;
  return reference;
}

class EventRecorder {
 public:
  // `component` ("causeway-agent") and `host` are the Events' source.
  EventRecorder(Client& api, std::string component, std::string host);

  void record(ObjectReference about, EventType type, std::string reason, std::string message);
  template <class T>
  void record(const T& object, EventType type, std::string reason, std::string message) {
    record(reference_to(object), type, std::move(reason), std::move(message));
  }
  // As record(), but of all that have this id in common one Event is written, whoever is first: what 1,000 nodes find
  // alike is told once. `id`: 1-16 characters of a DNS label.
  void record_once(std::string id, ObjectReference about, EventType type, std::string reason, std::string message);
  // Not yet written.
  size_t queued() const { return queue_.size(); }
  uint64_t dropped() const { return dropped_; }

 private:
  struct Occurrence {
    ObjectReference about;
    EventType type;
    std::string reason, message;
    Time at;
    std::string id;  // record_once()
  };
  struct Written {  // an Event that may be counted up
    Ref ref;
    int32_t count = 1;
    TimePoint last{};
  };
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string>;
  struct Bucket {  // of one object: so many Events at once, then slowly
    double tokens = 0;
    TimePoint last{};
  };

  void enqueue(Occurrence occurrence);
  Task<void> run();
  Task<Status> write(Occurrence occurrence);
  bool admit(const ObjectReference& about);
  void forget_old();

  Client& api_;
  Loop& loop_;
  std::string component_, host_;
  Channel<Occurrence> queue_;
  std::map<Key, Written> written_;
  std::map<std::pair<std::string, std::string>, Bucket> buckets_;
  uint64_t sequence_ = 0;
  uint64_t dropped_ = 0;
  bool told_denied_ = false;
  Scope scope_;  // last
};

}  // namespace causeway::kube
