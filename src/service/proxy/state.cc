#include "service/proxy/state.h"

#include <algorithm>

namespace causeway::service::proxy {

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::Bpf: return "bpf";
    case Mode::Nftables: return "nftables";
    case Mode::Iptables: return "iptables";
    case Mode::Ipvs: return "ipvs";
  }
  return "";
}

std::string_view name_of(Family family) { return family == Family::V4 ? "IPv4" : "IPv6"; }

void State::Waiting::add(const Change& later, WallTime when) {
  if (!since || when < *since) since = when;
  change.services += later.services;
  change.endpoints += later.endpoints;
  change.triggers.insert(change.triggers.end(), later.triggers.begin(), later.triggers.end());
}

void State::queued(const Change& change, WallTime now) {
  services_ += change.services;
  endpoints_ += change.endpoints;
  last_queued_ = now;
  Change kept = change;
  // A slice of before our start says nothing of how quick we are.
  std::erase_if(kept.triggers, [&](const auto& trigger) { return trigger.second < started_; });
  waiting_.add(kept, now);
}

void State::begin() {
  if (!waiting_.since) return;
  applying_.add(waiting_.change, *waiting_.since);
  waiting_ = {};
}

void State::applied(Duration took, bool whole, WallTime now) {
  const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
  took_.observe(seconds(took));
  (whole ? took_whole_ : took_part_).observe(seconds(took));
  for (const auto& [family, trigger] : applying_.change.triggers)
    programming_.try_emplace(family, programming_bounds()).first->second.observe(std::max(0.0, seconds(now - trigger)));
  applying_ = {};
  updated_ = now;
}

void State::failed() { ++failures_; }

Health State::health(WallTime now) const {
  Health out{.updated = updated_, .families = families_, .now = now};
  if (!updated_) return out;
  for (const Waiting* waiting : {&waiting_, &applying_})
    if (waiting->since && now - *waiting->since >= patience_) out.healthy = false;
  return out;
}

}  // namespace causeway::service::proxy
