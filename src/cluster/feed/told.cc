#include "cluster/feed/told.h"

#include <algorithm>

namespace causeway::cluster {

namespace {
uint64_t hash(std::string_view text, uint64_t seed = 0xcbf29ce484222325) {  // FNV-1a
  for (const char c : text) seed = (seed ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return seed;
}
}  // namespace

bool Told::due(const std::string& object, const std::string& reason, bool shared, const Model& model, TimePoint now) {
  auto [told, fresh] = told_.try_emplace(object);
  Entry& entry = told->second;
  if (fresh || entry.reason != reason) {
    entry.reason = reason;
    const size_t before = shared ? reporters_before(model.facts().name, model.nodes(), object) : 0;
    entry.due = before < kReporters ? TimePoint(now + before * kNext) : TimePoint::max();
  }
  if (entry.due > now) return false;
  entry.due = now + kAgain;
  return true;
}

void Told::again(const std::string& object, TimePoint then) {
  if (auto told = told_.find(object); told != told_.end()) told->second.due = then;
}

size_t reporters_before(const std::string& node, const std::map<std::string, Node>& nodes, const std::string& object) {
  const uint64_t of_object = hash(object);
  const auto rank = [&](const std::string& name) { return std::pair(hash(name, of_object), std::string_view(name)); };
  const auto ours = rank(node);
  return static_cast<size_t>(
      std::ranges::count_if(nodes, [&](const auto& other) { return other.first != node && rank(other.first) < ours; }));
}

std::string event_id(const std::string& uid, const std::string& reason, WallTime now) {
  const auto hour = now.time_since_epoch() / Told::kAgain;
  return fmt::format("{:016x}", hash(reason, hash(uid)) + static_cast<uint64_t>(hour));
}

std::string shortened(std::string reason, const std::string& more) {
  constexpr size_t kMost = 900;
  if (reason.size() <= kMost) return reason;
  const auto end = reason.rfind("; ", kMost);
  reason.resize(end == reason.npos ? kMost : end);
  return fmt::format("{}; and more, {}", reason, more);
}

}  // namespace causeway::cluster
