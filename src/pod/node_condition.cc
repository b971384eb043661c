#include "pod/node_condition.h"

#include <random>

#include "base/log.h"

namespace causeway::pod {

namespace {

constexpr std::string_view kType = "NetworkUnavailable";
constexpr Duration kRetryFirst = 1s;
constexpr Duration kRetryLast = 60s;

// Strategic: conditions merge by their type, so that kubelet's stay as they are.
std::string patch_of(const NodeCondition& condition, const kube::Condition* before, kube::Time now) {
  const std::string status = condition.unavailable ? "True" : "False";
  const bool same = before && before->status == status && before->last_transition_time;
  return fmt::format(
      R"({{"status":{{"conditions":[{{"type":"{}","status":"{}","reason":{},"message":{},"lastHeartbeatTime":"{}","lastTransitionTime":"{}"}}]}}}})",
      kType, status, kube::json_quote(condition.reason), kube::json_quote(condition.message), kube::format_time(now),
      kube::format_time(same ? *before->last_transition_time : now));
}

// A hundred nodes that lost their API server together come back one by one.
Duration jittered(Duration delay) {
  thread_local std::mt19937_64 random{std::random_device()()};
  return Duration(
      static_cast<int64_t>(static_cast<double>(delay.count()) * std::uniform_real_distribution(0.5, 1.0)(random)));
}

}  // namespace

NodeConditionWriter::NodeConditionWriter(kube::Client& api, std::string node)
    : api_(api), loop_(api.loop()), node_(std::move(node)), wake_(loop_), scope_(loop_) {
  scope_.spawn("Node condition", run());
}

void NodeConditionWriter::want(NodeCondition condition, int64_t life) {
  if (life == life_ && condition == wanted_) return;  // it is written, or will be
  if (life != life_) written_.reset();
  life_ = life;
  wanted_ = std::move(condition);
  if (written_ != wanted_) wake();
}

Task<Status> NodeConditionWriter::run() {
  for (Duration delay = kRetryFirst;;) {
    std::unique_ptr<Timer> again;
    if (error_) {
      again = loop_.call_after(jittered(delay), [this] { wake(); });
      delay = std::min<Duration>(delay * 2, kRetryLast);
    }
    CO_TRY(co_await wake_.next());
    while (written_ != wanted_) {
      const NodeCondition now = wanted_;
      const int64_t life = life_;
      auto done = co_await write(now);
      if (!done) {
        if (done.error().code() == Errc::Cancelled) co_return done;
        if (!error_ || error_->message() != done.error().message()) log::warning("{}", done.error().message());
        error_ = std::move(done.error());
        break;
      }
      if (error_) log::info("the condition {} of Node {} is written again", kType, node_);
      error_.reset();
      delay = kRetryFirst;
      if (life == life_) written_ = now;
    }
  }
}

std::string NodeConditionWriter::trouble() const {
  if (!error_ || error_->code() == Errc::Unavailable || error_->code() == Errc::Timeout) return "";
  return error_->message();
}

void NodeConditionWriter::wake() {
  if (wake_.size() == 0) wake_.push(true);
}

Task<Status> NodeConditionWriter::write(NodeCondition condition) {
  auto node = CO_TRY(co_await api_.get<kube::Node>({.name = node_}), "condition {}", kType);
  const kube::Condition* before = kube::find_condition(node.status.conditions, kType);
  if (before && before->status == (condition.unavailable ? "True" : "False") && before->reason == condition.reason &&
      before->message == condition.message)
    co_return ok();
  const auto now = std::chrono::floor<std::chrono::seconds>(loop_.wall_now());
  CO_TRY(co_await api_.patch<kube::Node>({.name = node_}, kube::PatchType::StrategicMerge,
                                         patch_of(condition, before, now), "status"),
         "condition {}", kType);
  co_return ok();
}

}  // namespace causeway::pod
