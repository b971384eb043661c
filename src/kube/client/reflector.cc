#include "kube/client/reflector.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "kube/client/stream_splitter.h"

namespace causeway::kube {
namespace {

constexpr Duration kIdle = 90s;
constexpr Duration kListIdle = 60s;
// A watch that lived so long was healthy: the next failure is a first one.
constexpr Duration kHealthy = 10s;
// A watch that ends sooner and said nothing is a failure, or we would ask again without a pause.
constexpr Duration kTooShort = 1s;

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Idle: return "idle";
    case Phase::Listing: return "listing";
    case Phase::Watching: return "watching";
    case Phase::Waiting: return "waiting";
  }
  return "?";
}

Reflector::Reflector(Client& api, KindInfo kind, CacheOptions options, ObjectSink& sink)
    : api_(api),
      loop_(api.loop()),
      kind_(kind),
      options_(std::move(options)),
      sink_(sink),
      random_(options_.seed ? options_.seed : std::random_device()()),
      scope_(loop_) {}

void Reflector::start() {
  health_.last_contact = loop_.now();
  scope_.spawn("watch " + group_resource(kind_), run());
}

Duration Reflector::staleness() const { return loop_.now() - health_.last_contact; }

Task<Status> Reflector::wait_synced() {
  if (health_.synced) co_return ok();
  OneShot<bool> synced(loop_);
  waiting_.push_back(synced);
  CO_TRY(co_await synced.get());
  co_return ok();
}

Task<void> Reflector::run() {
  for (;;) {
    const auto status = co_await step();
    if (status) continue;
    const auto& error = status.error();
    if (error.code() == Errc::Cancelled) co_return;
    if (error.code() == Errc::Gone) {
      // Too old a version: list again, at once if all was well so far.
      list_done_ = false;
      if (failures_++ == 0) continue;
    }
    const auto message =
        fmt::format("{} {}: {}", list_done_ ? "watch" : "list", group_resource(kind_), error.message());
    if (health_.error != message) log::warning("{}", message);
    health_.error = message;
    // As the API server says it: a certificate that is not trusted is denied too, but is no right.
    health_.forbidden = error.code() == Errc::Denied && message.find(" is forbidden: ") != std::string::npos;
    health_.phase = Phase::Waiting;
    if (!co_await loop_.sleep(backoff())) co_return;
  }
}

// One list, or one watch.
Task<Status> Reflector::step() {
  if (list_done_) co_return co_await watch_stream(false);
  health_.phase = Phase::Listing;
  ++health_.lists;
  if (!options_.streaming_list || streaming_refused_) co_return co_await list_pages();
  auto status = co_await watch_stream(true);
  if (status || list_done_) co_return status;
  const auto code = status.error().code();
  // 4xx: the server does not stream lists. Timeout: it took the request for a plain watch and never ends the list.
  if (code != Errc::Invalid && code != Errc::Unsupported && code != Errc::Timeout) co_return status;
  streaming_refused_ = true;
  co_return co_await list_pages();
}

Task<Status> Reflector::list_pages() {
  auto status = co_await list_from_start(options_.page);
  // The snapshot of the first page was compacted before we reached the last: ask for all of it in one answer.
  if (!status && status.error().code() == Errc::Gone) co_return co_await list_from_start(0);
  co_return status;
}

Task<Status> Reflector::list_from_start(int64_t page) {
  sink_.begin_list();
  ListOptions list{options_.ns, options_.label_selector, options_.field_selector};
  list.limit = page;
  for (;;) {
    ListSplitter splitter;
    OnText on_item = [this](std::string_view item) { return sink_.put_json(item); };
    auto on_data = [this, &splitter, &on_item](std::string_view data) {
      heard();
      return splitter.feed(data, on_item);
    };
    CO_TRY(co_await api_.stream(list_target(kind_, list), std::move(on_data), kListIdle));
    const auto meta = CO_TRY(sink_.parse_envelope(CO_TRY(splitter.envelope())));
    list.continue_token = meta.continue_token;
    if (!meta.continue_token.empty()) continue;
    end_list(meta.resource_version);
    co_return ok();
  }
}

void Reflector::end_list(std::string resource_version) {
  health_.resource_version = std::move(resource_version);
  list_done_ = true;
  sink_.end_list();
  if (std::exchange(health_.synced, true)) return;
  sink_.synced_first();
  for (auto& waiter : std::exchange(waiting_, {})) waiter.set(true);
}

Task<Status> Reflector::watch_stream(bool initial) {
  WatchOptions watch{options_.ns, options_.label_selector, options_.field_selector};
  watch.send_initial_events = initial;
  if (!initial) watch.resource_version = health_.resource_version;
  watch.timeout = std::chrono::seconds(std::uniform_int_distribution(300, 600)(random_));
  watch.idle = kIdle;
  if (initial)
    sink_.begin_list();
  else
    health_.phase = Phase::Watching;
  ++health_.watches;
  const auto begun = loop_.now();
  const auto events = health_.events;
  auto on_line = [this, &initial](std::string_view line) { return take_event(line, initial); };
  auto status = co_await api_.stream_lines(watch_target(kind_, watch), std::move(on_line), watch.idle);
  const auto lived = loop_.now() - begun;
  if (lived >= kHealthy && list_done_) failures_ = 0;
  if (!status) co_return status;
  heard();
  if (initial) co_return fail(Errc::Unavailable, "the streaming list ended before it was complete");
  if (lived < kTooShort && health_.events == events) co_return fail(Errc::Unavailable, "the watch ended at once");
  co_return ok();
}

Status Reflector::take_event(std::string_view line, bool& initial) {
  heard();
  auto seen = TRY(sink_.event_json(line));
  ++health_.events;
  if (seen.type == WatchType::Error) return fail(error_of(seen.error, "the server ended the watch"));
  if (initial) {
    // The objects of a streaming list come in any order: only its end names a version to go on from.
    if (!seen.initial_events_end) return ok();
    initial = false;
    end_list(std::move(seen.resource_version));
    health_.phase = Phase::Watching;
  } else if (!seen.resource_version.empty()) {
    health_.resource_version = std::move(seen.resource_version);
    failures_ = 0;
  }
  if (!health_.error.empty()) log::info("watch {}: works again", group_resource(kind_));
  health_.error.clear();
  health_.forbidden = false;
  return ok();
}

void Reflector::heard() { health_.last_contact = loop_.now(); }

// Between half of a step and the whole, so that a hundred nodes do not come back in one moment.
Duration Reflector::backoff() {
  const auto step =
      std::min<double>(static_cast<double>(options_.backoff_first.count()) * std::exp2(std::min(failures_, 30)),
                       static_cast<double>(options_.backoff_last.count()));
  ++failures_;
  return Duration(static_cast<int64_t>(step * std::uniform_real_distribution(0.5, 1.0)(random_)));
}

}  // namespace causeway::kube
