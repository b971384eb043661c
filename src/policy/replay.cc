#include "policy/replay.h"

#include <algorithm>
#include <iterator>

#include "policy/explain.h"

namespace causeway::policy {

namespace {

// Who an end is in a model; absent: a Pod that is no more, or has no address of the family.
std::optional<Party> party_at(const cluster::Model& model, const std::string& name, const Ip& ip) {
  if (name.empty()) return Party{.name = to_string(ip), .addresses = {ip}};
  const auto slash = name.find('/');
  if (slash == name.npos) return std::nullopt;
  const auto pod = model.pods().find(PodKey{name.substr(0, slash), name.substr(slash + 1)});
  if (pod == model.pods().end() || pod->second.finished) return std::nullopt;
  Party party = party_of(pod->second);
  return party.address(ip.family()) ? std::optional(std::move(party)) : std::nullopt;
}

struct Key {
  std::string from, to;
  Family family{};
  std::optional<Protocol> protocol;
  uint16_t port = 0;
  auto operator<=>(const Key&) const = default;
};

std::string with_port(const std::string& name, const Port& port) {
  if (!port.protocol) return name + " icmp";
  return name.find(':') == name.npos ? fmt::format("{}:{}", name, port) : fmt::format("[{}]:{}", name, port);
}

}  // namespace

std::string to_string(const Replayed& one) {
  return fmt::format("would {}: {} -> {}{}{}", one.opens ? "open" : "cut", one.from, with_port(one.to, one.port),
                     one.times > 1 ? fmt::format(" ({} times)", one.times) : "",
                     one.by.empty() ? "" : (one.opens ? ", denied now by " : ", denied by ") + one.by);
}

Replay replay(const cluster::Model& before_model, const Tables& before, const cluster::Model& after_model,
              const Tables& after, const std::vector<Recorded>& recorded) {
  std::map<Key, Recorded> distinct;
  for (const Recorded& one : recorded) {
    const Key key{one.source_pod.empty() ? to_string(one.source) : one.source_pod,
                  one.target_pod.empty() ? to_string(one.target) : one.target_pod, one.target.family(),
                  one.port.protocol, one.port.port};
    const auto [at, fresh] = distinct.try_emplace(key, one);
    if (!fresh) at->second.times += one.times;
  }
  Replay out;
  std::vector<Replayed> cut, opened;
  for (const auto& [key, one] : distinct) {
    const auto judge = [&](const cluster::Model& model, const Tables& tables) -> std::optional<FlowVerdict> {
      const auto from = party_at(model, one.source_pod, one.source), to = party_at(model, one.target_pod, one.target);
      if (!from || !to) return std::nullopt;
      return judge_flow(model, tables, *from, *to, key.family, one.port);
    };
    const auto was = judge(before_model, before), is = judge(after_model, after);
    if (!was || !is) {
      ++out.gone;
      continue;
    }
    ++out.connections;
    if (was->allowed() == is->allowed()) continue;
    (is->allowed() ? opened : cut)
        .push_back({.opens = is->allowed(),
                    .from = key.from,
                    .to = key.to,
                    .port = one.port,
                    .times = one.times,
                    .by = is->allowed() ? denied_by(before, *was) : denied_by(after, *is)});
  }
  out.differences = std::move(cut);
  std::ranges::move(opened, std::back_inserter(out.differences));
  return out;
}

}  // namespace causeway::policy
