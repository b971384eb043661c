#include "service/iptables_chains.h"

#include <algorithm>

namespace causeway::service {
namespace {

// More branches: more rules that a packet passes at a fork; fewer: more forks.
constexpr size_t kBranches = 16;
constexpr int kBitsAtFork = 4;

std::string rule(const Lead& lead) {
  return fmt::format("{}-p {} -m comment --comment \"{}\" -m {} --dport {} -j {}",
                     lead.ip ? fmt::format("-d {} ", host_cidr(*lead.ip)) : "", protocol_of(lead.protocol),
                     lead.comment, protocol_of(lead.protocol), lead.port, lead.to);
}

int common_bits(const Ip& a, const Ip& b) {
  int bits = 0;
  while (bits < a.bits() && (a.bytes()[size_t(bits / 8)] ^ b.bytes()[size_t(bits / 8)]) >> (7 - bits % 8) == 0) ++bits;
  return bits;
}

class Tree {
 public:
  Tree(Chains& chains, Names& names, std::string root) : chains_(chains), names_(names), root_(std::move(root)) {}

  // Leads with addresses, in order.
  void addresses(const std::string& chain, std::span<const Lead> leads) {
    auto& rules = chains_[chain];
    const int common = common_bits(*leads.front().ip, *leads.back().ip);
    if (leads.size() <= kBranches || common == leads.front().ip->bits()) {
      for (const Lead& lead : leads) rules.push_back(rule(lead));
      return;
    }
    const int bits = common / kBitsAtFork * kBitsAtFork + kBitsAtFork;
    for (size_t at = 0; at < leads.size();) {
      const Cidr branch(*leads[at].ip, bits);
      size_t end = at;
      while (end < leads.size() && branch.contains(*leads[end].ip)) ++end;
      const std::string to = names_.of(kChainPrefix, root_ + " " + to_string(branch));
      chains_[chain].push_back(fmt::format("-d {} -j {}", branch, to));
      addresses(to, leads.subspan(at, end - at));
      at = end;
    }
  }

  // Leads of one protocol without addresses, in order.
  void ports(const std::string& chain, std::span<const Lead> leads) {
    if (leads.size() <= kBranches) {
      for (const Lead& lead : leads) chains_[chain].push_back(rule(lead));
      return;
    }
    size_t width = kBranches;
    while (width * kBranches < leads.size()) width *= kBranches;
    for (size_t at = 0; at < leads.size(); at += width) {
      const auto branch = leads.subspan(at, std::min(width, leads.size() - at));
      const auto protocol = protocol_of(leads.front().protocol);
      const std::string range = fmt::format("{}:{}", branch.front().port, branch.back().port);
      const std::string to = names_.of(kChainPrefix, fmt::format("{} {} {}", root_, protocol, range));
      chains_[chain].push_back(fmt::format("-p {} -m {} --dport {} -j {}", protocol, protocol, range, to));
      ports(to, branch);
    }
  }

 private:
  Chains& chains_;
  Names& names_;
  std::string root_;
};

bool in_pool(const Backend& backend, Pool pool) {
  return pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool;
}

// So that in the end each has its share: the first of n gets 1/n, the next 1/(n-1) of what is left ...
std::string by_chance(uint64_t weight, uint64_t left) {
  if (weight == left) return "";
  return fmt::format("-m statistic --mode random --probability {:.10f} ", double(weight) / double(left));
}

}  // namespace

std::string short_name(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : text) hash = (hash ^ uint8_t(c)) * 0x100000001b3;
  std::string out;
  for (int i = 0; i < 13; ++i, hash >>= 5) out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[hash & 31];
  return out;
}

std::string_view protocol_of(Protocol protocol) { return to_string(protocol); }

std::string Names::of(std::string_view prefix, const std::string& text) {
  // Names of objects are chosen by users: two with one hash must not share a chain.
  for (int attempt = 0;; ++attempt) {
    std::string name = std::string(prefix) + short_name(attempt ? fmt::format("{}#{}", text, attempt) : text);
    if (text_of_.try_emplace(name, text).first->second == text) return name;
  }
}

void write_tree(Chains& chains, Names& names, const std::string& root, std::vector<Lead> leads,
                const std::string& nodes) {
  chains[root];
  std::ranges::sort(leads, {}, [](const Lead& l) { return std::tuple(!l.ip, l.ip, l.protocol, l.port); });
  const auto any = std::ranges::find_if(leads, [](const Lead& lead) { return !lead.ip; });
  const std::span own(leads.begin(), any), of_node(any, leads.end());
  Tree tree(chains, names, root);
  // A row of one address wins over one of all: it comes first, and it ends in DNAT.
  if (!own.empty()) tree.addresses(root, own);
  if (of_node.empty()) return;
  const std::string ports = names.of(kChainPrefix, root + " node ports");
  chains[root].push_back(fmt::format("-m set --match-set {} dst -j {}", nodes, ports));
  chains[ports];
  for (auto at = of_node.begin(); at != of_node.end();) {
    const auto end = std::find_if(at, of_node.end(), [&](const Lead& lead) { return lead.protocol != at->protocol; });
    const std::string of_protocol =
        names.of(kChainPrefix, fmt::format("{} node ports {}", root, protocol_of(at->protocol)));
    chains[ports].push_back(fmt::format("-p {} -j {}", protocol_of(at->protocol), of_protocol));
    tree.ports(of_protocol, std::span(at, end));
    at = end;
  }
}

std::string write_pool(Chains& chains, std::map<std::string, IpSetRow>& sets, Names& names, const PortId& id,
                       const Port& port, Pool pool) {
  const std::string whose = to_string(id);
  const std::string chain = names.of(
      kChainPrefix, fmt::format("{} {} {}", pool == Pool::Cluster ? "cluster" : "local", port.protocol, whose));
  if (chains.contains(chain)) return chain;
  xtables::Rules stay, choose;
  uint64_t left = 0;
  for (const Backend& backend : port.backends)
    if (in_pool(backend, pool)) left += backend.weight;
  for (const Backend& backend : port.backends) {
    if (!in_pool(backend, pool)) continue;
    const std::string chance = by_chance(backend.weight, left);
    left -= backend.weight;
    const std::string to = fmt::format("-j DNAT --to-destination {}", backend.at);
    const std::string match = fmt::format("-p {} -m comment --comment \"{}\"", protocol_of(port.protocol), whose);
    if (!port.affinity) {
      choose.push_back(fmt::format("{} {}{}", match, chance, to));
      continue;
    }
    // A client that was here in the last seconds comes back; the set forgets it later. Another timeout is another set.
    const std::string text = fmt::format("{} {} {} {}", to_string(port.protocol), whose, backend.at, port.affinity);
    const std::string endpoint = names.of(kChainPrefix, "endpoint " + text);
    const std::string clients =
        fmt::format("{}clients{}-{}", kSetPrefix, id.family == Family::V4 ? 4 : 6, short_name(endpoint));
    sets[clients] = {{ipset::Type::Ip, id.family, port.affinity}, {}};
    stay.push_back(fmt::format("-m set --match-set {} src -j {}", clients, endpoint));
    choose.push_back(fmt::format("{}-j {}", chance, endpoint));
    chains[endpoint] = {fmt::format("-j SET --add-set {} src --exist --timeout {}", clients, port.affinity),
                        fmt::format("{} {}", match, to)};
  }
  auto& rules = chains[chain];
  rules = std::move(stay);
  rules.insert(rules.end(), choose.begin(), choose.end());
  return chain;
}

}  // namespace causeway::service
