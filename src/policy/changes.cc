// What a change of policies opens and closes, for Pods and for addresses outside. Pods that both sides treat alike are
// told once.
#include <algorithm>
#include <set>

#include "policy/reach.h"

namespace causeway::policy {

namespace {

struct Side {
  const cluster::Model& model;
  const Tables& tables;
};
// One that stands for all that are treated alike: by its two parties, one in each model.
struct Kind {
  std::vector<std::string> names;
  std::vector<std::pair<Party, Party>> members;  // at most two: a pair of its own members needs a second
};

Ip last_of(const Cidr& cidr) {
  auto bytes = std::vector<uint8_t>(cidr.address().bytes().begin(), cidr.address().bytes().end());
  for (size_t bit = static_cast<size_t>(cidr.prefix()); bit < bytes.size() * 8; ++bit)
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | 0x80 >> bit % 8);
  return bytes.size() == 4 ? Ip::v4(std::span<const uint8_t, 4>(bytes)) : Ip::v6(std::span<const uint8_t, 16>(bytes));
}

// How one side treats a party, as text.
std::string signature(const Side& side, const Party& party) {
  std::string text = party.judged() ? "pod" : "other";
  if (party.judged())
    if (auto subject = side.tables.subjects.find(party.pod->key); subject != side.tables.subjects.end())
      text += fmt::format(" {} {}", subject->second.ingress, subject->second.egress);
  for (const Ip& ip : party.addresses) text += fmt::format(" {}={}", ip.family(), class_of(side.tables, ip));
  return text;
}

// An address of each part that prefixes of either side cut the outside into, and one of the rest.
std::vector<Party> outside(const Side& before, const Side& after) {
  std::set<Cidr> prefixes;
  for (const Side* side : {&before, &after})
    for (const auto& [cidr, peer] : side->tables.blocks) prefixes.insert(cidr);
  const auto is_pod = [&](const Ip& ip) {
    return before.tables.addresses.contains(ip) || after.tables.addresses.contains(ip);
  };
  std::vector<Party> out;
  const auto add = [&](const Cidr& cidr, const std::string& name) {
    std::vector<Ip> tries{cidr.address(), cidr.address().plus(1), last_of(cidr)};
    std::vector<Cidr> inner;
    for (auto at = prefixes.upper_bound(cidr); at != prefixes.end() && cidr.contains(*at); ++at) {
      inner.push_back(*at);
      tries.push_back(last_of(*at).plus(1));
    }
    for (const Ip& ip : tries)
      if (cidr.contains(ip) && !is_pod(ip) &&
          std::ranges::none_of(inner, [&](const Cidr& one) { return one.contains(ip); })) {
        out.push_back({.name = name, .addresses = {ip}});
        return;
      }
  };
  for (const Cidr& cidr : prefixes) {
    std::string name = fmt::format("outside {}", cidr);
    if (cidr.prefix() == cidr.address().bits())
      for (const auto& [node, object] : after.model.nodes())
        if (cluster::has_address(object, cidr.address())) name = fmt::format("Node {} ({})", node, cidr.address());
    add(cidr, name);
  }
  for (std::string_view text : {"0.0.0.0/0", "::/0"}) {
    const Cidr all = *Cidr::parse(text);
    // Where it is a block itself it was told already.
    if (!prefixes.contains(all)) add(all, fmt::format("anywhere else ({})", all.family()));
  }
  return out;
}

std::string name_of(const Kind& kind) {
  return kind.names.size() == 1 ? kind.names[0]
                                : fmt::format("{} (and {} alike)", kind.names[0], kind.names.size() - 1);
}

}  // namespace

std::vector<Change> changes(const cluster::Model& before_model, const Tables& before, const cluster::Model& after_model,
                            const Tables& after) {
  const Side old{before_model, before}, now{after_model, after};
  std::map<std::string, Kind> kinds;
  const auto add = [&](const Party& was, const Party& is) {
    Kind& kind = kinds[signature(old, was) + " | " + signature(now, is) + (was.judged() ? "" : " " + was.name)];
    kind.names.push_back(was.name);
    if (kind.members.size() < 2) kind.members.emplace_back(was, is);
  };
  for (const auto& [key, pod] : before_model.pods()) {
    auto same = after_model.pods().find(key);
    if (pod.host_network || pod.finished || pod.addresses.empty() || same == after_model.pods().end()) continue;
    add(party_of(pod), party_of(same->second));
  }
  for (const Party& party : outside(old, now)) add(party, party);

  Reach reach_before(before_model, before), reach_after(after_model, after);
  std::vector<Change> out;
  for (const auto& [from_key, from] : kinds)
    for (const auto& [to_key, to] : kinds) {
      const bool own = &from == &to;
      if (own && to.members.size() < 2) continue;
      const auto& [from_was, from_is] = from.members[0];
      const auto& [to_was, to_is] = to.members[own ? 1 : 0];
      if (!from_was.judged() && !to_was.judged()) continue;
      const auto families = shared_families(from_was, to_was);
      for (bool opens : {true, false}) {
        std::vector<std::pair<Family, Openings>> each;
        for (Family family : families) {
          const Openings &was = reach_before.between(from_was, to_was, family),
                         &is = reach_after.between(from_is, to_is, family);
          each.emplace_back(family, opens ? without(is, was) : without(was, is));
        }
        const bool alike = std::ranges::all_of(each, [&](const auto& one) { return one.second == each[0].second; });
        for (const auto& [family, what] : each) {
          if (what.nothing()) continue;
          out.push_back({.opens = opens,
                         .from = name_of(from),
                         .to = name_of(to),
                         .what = what,
                         .family = alike ? std::nullopt : std::optional(family)});
          if (alike) break;
        }
      }
    }
  std::ranges::sort(
      out, {}, [](const Change& change) { return std::tuple(!change.opens, change.from, change.to, change.family); });
  return out;
}

std::string to_string(const Change& change) {
  return fmt::format("{} {} -> {}: {}{}", change.opens ? "opens " : "closes", change.from, change.to,
                     to_string(change.what), change.family ? fmt::format(" ({})", *change.family) : "");
}

}  // namespace causeway::policy
