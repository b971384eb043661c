#include "kube/client/events.h"

#include "base/log.h"

namespace causeway::kube {
namespace {

constexpr size_t kQueue = 1000;
constexpr Duration kCountUp = 10min;  // a repetition within this counts the Event up
constexpr int kTries = 6;
constexpr Duration kRetry = 5s;
// As client-go's spam filter: so many Events for an object at once, then one each five minutes.
constexpr double kBurst = 25;
constexpr double kPerSecond = 1.0 / 300;
constexpr size_t kRemembered = 4096;

std::string_view to_string(EventType type) {
  switch (type) {
    case EventType::Normal: return "Normal";
    case EventType::Warning: return "Warning";
  }
  return "?";
}

Time whole_microseconds(WallTime time) { return std::chrono::floor<std::chrono::microseconds>(time); }

}  // namespace

EventRecorder::EventRecorder(Client& api, std::string component, std::string host)
    : api_(api),
      loop_(api.loop()),
      component_(std::move(component)),
      host_(std::move(host)),
      queue_(loop_),
      scope_(loop_) {
  scope_.spawn("record Events", run());
}

void EventRecorder::record(ObjectReference about, EventType type, std::string reason, std::string message) {
  enqueue({std::move(about), type, std::move(reason), std::move(message), whole_microseconds(loop_.wall_now()), ""});
}

void EventRecorder::record_once(std::string id, ObjectReference about, EventType type, std::string reason,
                                std::string message) {
  enqueue({std::move(about), type, std::move(reason), std::move(message), whole_microseconds(loop_.wall_now()),
           std::move(id)});
}

void EventRecorder::enqueue(Occurrence occurrence) {
  if (queue_.size() >= kQueue || !admit(occurrence.about)) {
    ++dropped_;
    return;
  }
  if (occurrence.message.size() > 1024) occurrence.message.resize(1024);  // the API's limit
  queue_.push(std::move(occurrence));
}

bool EventRecorder::admit(const ObjectReference& about) {
  const auto now = loop_.now();
  auto [at, fresh] = buckets_.try_emplace({about.kind, about.ns + "/" + about.name});
  auto& bucket = at->second;
  if (fresh)
    bucket.tokens = kBurst;
  else
    bucket.tokens =
        std::min(kBurst, bucket.tokens + std::chrono::duration<double>(now - bucket.last).count() * kPerSecond);
  bucket.last = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

Task<void> EventRecorder::run() {
  for (;;) {
    auto next = co_await queue_.next();
    if (!next) co_return;
    for (int tries = 1;; ++tries) {
      auto status = co_await write(*next);
      if (status) break;
      const auto code = status.error().code();
      if (code == Errc::Cancelled) co_return;
      const bool again = (code == Errc::Unavailable || code == Errc::Timeout) && tries < kTries;
      if (!again) {
        ++dropped_;
        // Events are worth no noise, but a right that we lack should be known: once.
        if (code == Errc::Denied && !std::exchange(told_denied_, true))
          log::warning("Events cannot be written: {}", status.error().message());
        log::debug("Event {} about {} {}/{}: {}", next->reason, next->about.kind, next->about.ns, next->about.name,
                   status.error().message());
        break;
      }
      if (!co_await loop_.sleep(kRetry)) co_return;
    }
    forget_old();
  }
}

Task<Status> EventRecorder::write(Occurrence occurrence) {
  const auto& about = occurrence.about;
  const Key key{about.kind, about.ns + "/" + about.name + "/" + about.uid, std::string(to_string(occurrence.type)),
                occurrence.reason, occurrence.message};
  if (auto known = written_.find(key); known != written_.end() && loop_.now() - known->second.last < kCountUp) {
    const auto count = known->second.count + 1;
    auto patched = co_await api_.patch<Event>(
        known->second.ref, PatchType::Merge,
        fmt::format(R"({{"count":{},"lastTimestamp":"{}"}})", count, format_time(occurrence.at)));
    known = written_.find(key);
    if (patched && known != written_.end()) {
      known->second.count = count;
      known->second.last = loop_.now();
      co_return ok();
    }
    if (!patched && patched.error().code() != Errc::NotFound) co_return fail(std::move(patched.error()));
    // It expired: write a new one.
  }
  Event event;
  event.metadata.ns = about.ns.empty() ? "default" : about.ns;
  const auto stamp = static_cast<uint64_t>(occurrence.at.time_since_epoch().count()) * 1000 + sequence_++ % 1000;
  const bool once = !occurrence.id.empty();
  event.metadata.name = about.name.substr(0, 200) + "." + (once ? occurrence.id : fmt::format("{:x}", stamp));
  event.involved_object = about;
  event.reason = occurrence.reason;
  event.message = occurrence.message;
  event.type = std::string(to_string(occurrence.type));
  event.source = {component_, host_};
  event.reporting_component = component_;
  event.reporting_instance = host_;
  event.first_timestamp = event.last_timestamp = occurrence.at;
  event.count = 1;
  Written written{{event.metadata.ns, event.metadata.name}, 1, loop_.now()};
  auto created = co_await api_.create<Event>(std::move(event));
  if (!created && once && created.error().code() == Errc::AlreadyExists) co_return ok();  // somebody else told it
  if (!created) co_return fail(std::move(created.error()));
  written_.insert_or_assign(key, std::move(written));
  co_return ok();
}

void EventRecorder::forget_old() {
  const auto now = loop_.now();
  if (written_.size() > kRemembered)
    std::erase_if(written_, [&](const auto& pair) { return now - pair.second.last > kCountUp; });
  if (written_.size() > 2 * kRemembered) written_.clear();  // costs new Events instead of counted ones
  if (buckets_.size() > kRemembered)
    std::erase_if(buckets_, [&](const auto& pair) { return now - pair.second.last > 1h; });
}

}  // namespace causeway::kube
