// All objects of one kind, by list and watch, for somebody who keeps what he needs of them himself: nothing is stored
// here, so 30,000 Services cost no memory twice. What Cache<T> is to whoever wants the objects.
//
//   Follower<Service> services(api, {.on_put = [&](const Service& now) { ... },
//                                    .on_remove = [&](const Ref& gone) { ... },
//                                    .on_list = [&](const std::set<Ref>& all) { ... }});  // whatever else is known is
//                                    gone
//   services.start();
//
// The same object may be put again unchanged; one that was deleted and made again while nobody looked is put once.
#pragma once

#include <set>

#include "kube/client/reflector.h"

namespace causeway::kube {

template <class T>
class Follower final : private ObjectSink {
 public:
  struct Handlers {
    std::move_only_function<void(const T& now)> on_put;
    std::move_only_function<void(const Ref& gone)> on_remove;
    // A list is complete, the first one and each after a break of the watch.
    std::move_only_function<void(const std::set<Ref>& all)> on_list;
  };

  Follower(Client& api, Handlers handlers, CacheOptions options = {})
      : handlers_(std::move(handlers)),
        reflector_(api, T::kKind, std::move(options), static_cast<ObjectSink&>(*this)) {}

  void start() { reflector_.start(); }
  const Health& health() const { return reflector_.health(); }

 private:
  void begin_list() override {
    listed_.clear();
    listing_ = true;
  }
  Status put_json(std::string_view json) override {
    put(TRY(decode<T>(json)));
    return ok();
  }
  void end_list() override {
    handlers_.on_list(listed_);
    listed_.clear();
    listing_ = false;
  }
  Result<Seen> event_json(std::string_view json) override {
    auto event = TRY(decode_watch_event<T>(json));
    Seen seen{event.type, event.object.metadata.resource_version, event.initial_events_end, std::move(event.error)};
    switch (event.type) {
      case WatchType::Added:
      case WatchType::Modified: put(event.object); break;
      case WatchType::Deleted: {
        const Ref gone = ref_of(event.object.metadata);
        if (listing_) listed_.erase(gone);
        handlers_.on_remove(gone);
        break;
      }
      case WatchType::Bookmark:
      case WatchType::Error: break;
    }
    return seen;
  }
  Result<ListMeta> parse_envelope(std::string json) override {
    return decode_list_items<T>(std::move(json), [](T&&) {});
  }
  void synced_first() override {}

  void put(const T& object) {
    if (listing_) listed_.insert(ref_of(object.metadata));
    handlers_.on_put(object);
  }

  Handlers handlers_;
  bool listing_ = false;
  std::set<Ref> listed_;  // of the list under way
  Reflector reflector_;   // last: its task calls the above
};

}  // namespace causeway::kube
