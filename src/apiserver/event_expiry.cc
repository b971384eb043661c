#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/background.h"
#include "base/log.h"
#include "kube/api/codec.h"
#include "kube/api/event.h"

namespace causeway::apiserver {

namespace {

constexpr Duration kLookEvery = 60s;

WallTime last_seen(const json::object& event) {
  kube::Time last{};
  for (std::string_view field : {"metadata.creationTimestamp", "eventTime", "lastTimestamp", "series.lastObservedTime"})
    if (auto time = kube::parse_time(text_at(event, field))) last = std::max(last, *time);
  return WallTime(last.time_since_epoch());
}

}  // namespace

Task<Status> expire_events(Context context, Duration lifetime) {
  const Kind& kind = kind_of(kube::Event::kKind);
  while (true) {
    CO_TRY(co_await context.loop.sleep(kLookEvery));
    std::vector<Key> old;
    for (const auto& [key, object] : context.store.shelf(storage_of(kind)).current())
      if (auto tree = parse_object(object->json); tree && last_seen(*tree) + lifetime <= context.loop.wall_now())
        old.push_back(key);
    for (const Key& key : old) {
      Call call{.verb = Verb::Delete, .kind = &kind, .ns = key.ns, .name = key.name};
      auto deleted = co_await delete_object(context, std::move(call), {});
      if (!deleted && deleted.error().status.code != 404)
        log::warning("expire event {}: {}", to_string(key), deleted.error().status.message);
    }
  }
}

}  // namespace causeway::apiserver
