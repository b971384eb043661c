#include "apiserver/watch.h"

#include <algorithm>

#include "apiserver/list.h"
#include "apiserver/watch_encoder.h"

namespace causeway::apiserver {

namespace {

constexpr size_t kChunk = 128 << 10;
constexpr Duration kLagCheck = 5s;

Failure too_old(const Store& store, Revision since) {
  if (since > store.revision())
    return expired(fmt::format("resource version {} is not of this server's store, which is at {}: list again", since,
                               store.revision()))
        .error();
  return expired(fmt::format("too old resource version: {} ({})", since, store.compacted())).error();
}

// What a watch's task and its timers share.
struct Watching {
  Loop& loop;
  Store& store;
  const Kind& kind;
  WatchPlan plan;
  WatchLimits limits;
  http::ResponseWriter& writer;
  Shelf& shelf;
  Shelf::Subscription bell;
  WatchEncoder encoder;
  uint64_t position = 0;
  TimePoint ends{};
  TimePoint next_bookmark{};
  OneShot<Status> done;
};

// Appends changes until the chunk is full or none is left. False: the history that is needed is gone.
bool append_changes(Watching& watch, std::string& chunk) {
  const WallTime now = watch.loop.wall_now();
  while (watch.position < watch.shelf.end_position() && chunk.size() < kChunk) {
    const Event* event = watch.shelf.event(watch.position);
    if (!event) return false;
    watch.encoder.append(chunk, *event, now);
    ++watch.position;
  }
  return true;
}

Task<Status> send_initial(Watching& watch) {
  // In one step: the objects, and the position of the changes that follow them.
  watch.position = watch.shelf.end_position();
  std::vector<ObjectPtr> objects;
  for (auto it = watch.shelf.current().lower_bound({watch.plan.filter.ns(), ""}); it != watch.shelf.current().end();
       ++it) {
    if (!watch.plan.filter.ns().empty() && it->first.ns != watch.plan.filter.ns()) break;
    if (watch.plan.filter.matches(*it->second)) objects.push_back(it->second);
  }
  const Revision revision = watch.store.revision();
  std::string chunk;
  for (const ObjectPtr& object : objects) {
    watch.encoder.append_added(chunk, *object, watch.loop.wall_now());
    if (chunk.size() >= kChunk) CO_TRY(co_await watch.writer.write(std::exchange(chunk, {})));
  }
  if (watch.plan.mark_initial) watch.encoder.append_bookmark(chunk, revision, true);
  if (!chunk.empty()) CO_TRY(co_await watch.writer.write(std::move(chunk)));
  co_return ok();
}

Task<Status> pump(Watching& watch) {
  if (watch.plan.initial) CO_TRY(co_await send_initial(watch));
  while (true) {
    std::string chunk;
    const bool complete = append_changes(watch, chunk);
    const bool over = watch.loop.now() >= watch.ends;
    if (!complete) {
      WatchEncoder::append_error(chunk, too_old(watch.store, watch.plan.since));
    } else if (watch.position == watch.shelf.end_position() && watch.plan.bookmarks &&
               (over || watch.loop.now() >= watch.next_bookmark)) {
      watch.encoder.append_bookmark(chunk, watch.store.revision(), false);
      watch.next_bookmark = watch.loop.now() + watch.limits.bookmark;
    }
    if (!chunk.empty()) CO_TRY(co_await watch.writer.write(std::move(chunk)));
    if (!complete || over) co_return ok();
    if (watch.position < watch.shelf.end_position()) continue;
    CO_TRY(co_await watch.bell.wait());
  }
}

Task<void> run_pump(Watching& watch) { watch.done.set(co_await pump(watch)); }

// Wakes the watch for its bookmarks and its end, and ends it when the client is too slow.
Task<void> tick(Watching& watch) {
  while (true) {
    const TimePoint next = std::min({watch.ends, watch.next_bookmark, watch.loop.now() + kLagCheck});
    if (!co_await watch.loop.sleep(std::max<Duration>(next - watch.loop.now(), 1ms))) co_return;
    if (watch.shelf.end_position() - watch.position > watch.limits.behind_at_most)
      watch.done.set(fail(Errc::Timeout, "watch of {}: the client is more than {} changes behind; it is disconnected",
                          watch.kind.info.plural, watch.limits.behind_at_most));
    if (watch.loop.now() >= watch.ends || watch.loop.now() >= watch.next_bookmark) watch.bell.ring();
    if (!watch.plan.bookmarks && watch.loop.now() >= watch.next_bookmark)
      watch.next_bookmark = watch.loop.now() + watch.limits.bookmark;
  }
}

}  // namespace

ApiResult<WatchPlan> plan_watch(const Store& store, const Call& call, const Accepted& accepted,
                                const WatchLimits& limits, uint64_t jitter) {
  WatchPlan plan;
  plan.filter = TRY(Filter::parse(call));
  plan.include = TRY(include_option(call));
  plan.accepted = accepted;
  plan.bookmarks = TRY(bool_option(call.target, "allowWatchBookmarks"));
  plan.since = TRY(revision_option(call));
  const std::string_view match = call.option("resourceVersionMatch");
  const bool streaming = TRY(bool_option(call.target, "sendInitialEvents"));
  auto wrong_option = [](std::string_view option, std::string why) {
    static constexpr kube::KindInfo kListOptions{"meta.k8s.io", "v1", "ListOptions", "listoptions", false};
    return invalid(kListOptions, "",
                   {cause("FieldValueForbidden", std::string(option), "Forbidden: " + std::move(why))});
  };
  if (call.target.has("sendInitialEvents")) {
    if (match != "NotOlderThan")
      return wrong_option("resourceVersionMatch",
                          "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  } else if (!match.empty()) {
    return wrong_option("resourceVersionMatch",
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  }
  if (!call.option("continue").empty()) return wrong_option("continue", "continue is forbidden for watch");

  if (streaming) {
    if (plan.since > store.revision()) return too_large_resource_version(plan.since, store.revision());
    plan.initial = true;
    plan.mark_initial = plan.bookmarks;
  } else if (call.target.has("sendInitialEvents")) {
    if (plan.since == 0) plan.since = store.revision();
  } else {
    plan.initial = plan.since == 0;
  }
  // A revision of the future is one of another store (the data directory was replaced): the client must list again.
  if (!plan.initial && (plan.since < store.compacted() || plan.since > store.revision())) {
    plan.too_old = true;
    plan.error_message = too_old(store, plan.since).status.message;
  }

  const int64_t seconds = TRY(int_option(call.target, "timeoutSeconds"));
  plan.timeout = seconds > 0 ? Duration(std::chrono::seconds(std::min<int64_t>(seconds, 86'400)))
                             : limits.timeout + Duration(jitter % static_cast<uint64_t>(limits.timeout.count()));
  return plan;
}

Task<Status> serve_watch(Loop& loop, Store& store, const Kind& kind, WatchPlan plan, WatchLimits limits,
                         http::ResponseWriter& writer) {
  CO_TRY(co_await writer.begin(200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-cache, private"}}));
  if (plan.too_old) {
    std::string line;
    WatchEncoder::append_error(line, expired(plan.error_message).error());
    co_return co_await writer.write(std::move(line));
  }
  Shelf& shelf = store.shelf(storage_of(kind));
  Watching watch{.loop = loop,
                 .store = store,
                 .kind = kind,
                 .plan = std::move(plan),
                 .limits = limits,
                 .writer = writer,
                 .shelf = shelf,
                 .bell = Shelf::Subscription(shelf, loop),
                 .encoder = WatchEncoder(kind, watch.plan.filter, watch.plan.accepted, watch.plan.include),
                 .done = OneShot<Status>(loop)};
  watch.position = shelf.position_after(watch.plan.since);
  watch.ends = loop.now() + watch.plan.timeout;
  watch.next_bookmark = loop.now() + limits.bookmark;
  Scope scope(loop);
  scope.spawn("watch", run_pump(watch));
  scope.spawn("watch: tick", tick(watch));
  auto ended = co_await watch.done.get();
  if (!ended) co_return fail(std::move(ended.error()));
  co_return std::move(*ended);
}

}  // namespace causeway::apiserver
