// A copy of all objects of one kind, kept up to date by list and watch.
//
//   Cache<Pod> pods(api, {.field_selector = "spec.nodeName=node-1"});
//   pods.on_change([&](const Pod* old, const Pod* now) { ... });   // old null: new object; now null: it is gone
//   pods.on_sync([&] { ... });                                     // the first list is complete
//   pods.start();
//
// Consumers see every change in the order of the API server, and after a break of the connection the difference
// between what they knew and what is. Handlers run on the loop; they may read the cache, not start or destroy it.
#pragma once

#include <map>

#include "kube/client/reflector.h"

namespace causeway::kube {

template <class T>
class Cache final : private ObjectSink {
 public:
  using OnChange = std::move_only_function<void(const T* old, const T* now)>;
  using OnSync = std::move_only_function<void()>;

  explicit Cache(Client& api, CacheOptions options = {})
      : reflector_(api, T::kKind, std::move(options), static_cast<ObjectSink&>(*this)) {}

  // Before start().
  void on_change(OnChange handler) { on_change_.push_back(std::move(handler)); }
  void on_sync(OnSync handler) { on_sync_.push_back(std::move(handler)); }
  // Drops what nobody reads, to save memory; runs on each object before it is stored or compared.
  void transform(std::move_only_function<void(T&)> transform) { transform_ = std::move(transform); }
  void start() { reflector_.start(); }

  // The first list is complete; stays true.
  bool synced() const { return reflector_.health().synced; }
  Task<Status> wait_synced() { return reflector_.wait_synced(); }
  const Health& health() const { return reflector_.health(); }
  // How long ago the server was last heard of; zero or little while the watch is alive.
  Duration staleness() const { return reflector_.staleness(); }

  size_t size() const { return entries_.size(); }
  // Valid until the next change.
  const T* find(const Ref& ref) const {
    auto found = entries_.find(ref);
    return found == entries_.end() ? nullptr : &found->second.object;
  }
  template <class F>
  void for_each(F visit) const {
    for (const auto& [ref, entry] : entries_) visit(entry.object);
  }

 private:
  struct Entry {
    T object;
    uint64_t seen = 0;  // the list that named it last
  };
  using Entries = std::map<Ref, Entry>;

  void begin_list() override { ++list_; }
  Status put_json(std::string_view json) override {
    auto object = TRY(decode<T>(json));
    put(std::move(object));
    return ok();
  }
  void end_list() override {
    for (auto at = entries_.begin(); at != entries_.end();) at = at->second.seen == list_ ? std::next(at) : erase(at);
  }
  Result<Seen> event_json(std::string_view json) override {
    auto event = TRY(decode_watch_event<T>(json));
    Seen seen{event.type, event.object.metadata.resource_version, event.initial_events_end, std::move(event.error)};
    switch (event.type) {
      case WatchType::Added:
      case WatchType::Modified: put(std::move(event.object)); break;
      case WatchType::Deleted:
        if (auto at = entries_.find(ref_of(event.object.metadata)); at != entries_.end()) erase(at);
        break;
      case WatchType::Bookmark:
      case WatchType::Error: break;
    }
    return seen;
  }
  Result<ListMeta> parse_envelope(std::string json) override {
    return decode_list_items<T>(std::move(json), [](T&&) {});
  }
  void synced_first() override {
    for (auto& handler : on_sync_) handler();
  }

  void put(T object) {
    if (transform_) transform_(object);
    auto [at, fresh] = entries_.try_emplace(ref_of(object.metadata));
    auto& entry = at->second;
    entry.seen = list_;
    if (fresh) {
      entry.object = std::move(object);
      return notify(nullptr, &entry.object);
    }
    const auto& before = entry.object.metadata;
    if (before.uid == object.metadata.uid && before.resource_version == object.metadata.resource_version) return;
    const bool replaced = before.uid != object.metadata.uid;
    const T old = std::exchange(entry.object, std::move(object));
    if (!replaced) return notify(&old, &entry.object);
    // Deleted and made again while we did not look: two objects of one name.
    notify(&old, nullptr);
    notify(nullptr, &entry.object);
  }

  typename Entries::iterator erase(typename Entries::iterator at) {
    auto next = std::next(at);
    auto gone = entries_.extract(at);
    notify(&gone.mapped().object, nullptr);
    return next;
  }

  void notify(const T* old, const T* now) {
    for (auto& handler : on_change_) handler(old, now);
  }

  Entries entries_;
  uint64_t list_ = 0;
  std::vector<OnChange> on_change_;
  std::vector<OnSync> on_sync_;
  std::move_only_function<void(T&)> transform_;
  Reflector reflector_;  // last: its task writes the above
};

}  // namespace causeway::kube
