#include "service/iptables_rules.h"

#include <algorithm>

#include "kernel/netlink/messages.h"
#include "service/iptables_chains.h"

namespace causeway::service {
namespace {

// The sides of the world, as the sets and chains are named.
struct SideName {
  bool inside;
  const char* set;    // causeway-inside4
  const char* chain;  // CAUSEWAY-INSIDE
};
constexpr SideName kSides[] = {{true, "inside", "INSIDE"}, {false, "outside", "OUTSIDE"}};

std::string set_name(std::string_view what, Family family) {
  return fmt::format("{}{}{}", kSetPrefix, what, family == Family::V4 ? "4" : "6");
}
std::string chain_name(std::string_view what) { return std::string(kChainPrefix) + std::string(what); }

const Side& side_of(const Frontend& frontend, bool inside) { return inside ? frontend.inside : frontend.outside; }

ipset::Element element(const FrontendKey& key) {
  return {.net = host_cidr(key.ip), .protocol = uint8_t(key.protocol), .port = key.port, .other = {}};
}

// A set holds no prefix of length 0: both halves of the world.
std::vector<Cidr> storable(const Cidr& cidr) {
  if (cidr.prefix() > 0) return {cidr};
  std::array<uint8_t, 16> upper{0x80};
  const Ip high = cidr.family() == Family::V4 ? Ip::v4(0x80000000) : Ip::v6(upper);
  return {Cidr(cidr.address(), 1), Cidr(high, 1)};
}

class Builder {
 public:
  Builder(const Tables& tables, XtBackend backend) : tables_(tables), ipvs_(backend == XtBackend::Ipvs) {}

  XtRules build() {
    for (const Family family : {Family::V4, Family::V6}) declare(family);
    frontends();
    others();
    for (const Family family : {Family::V4, Family::V6}) {
      nat(family);
      filter(family);
      if (ipvs_) mangle(family);
    }
    return std::move(out_);
  }

 private:
  ipset::Elements& set(std::string_view what, Family family) { return out_.sets.at(set_name(what, family)).elements; }

  void declare(Family family) {
    const auto make = [&](std::string_view what, ipset::Type type) {
      out_.sets[set_name(what, family)].set = {type, family};
    };
    for (const char* what : {"inside", "outside", "masq-inside", "masq-outside", "reject-inside", "reject-outside",
                             "drop-inside", "drop-outside", "guarded", "backends"})
      make(what, ipset::Type::IpPort);
    if (ipvs_)
      for (const char* what : {"rules-inside", "rules-outside"}) make(what, ipset::Type::IpPort);
    make("sources", ipset::Type::IpPortNet);
    make("hairpin", ipset::Type::IpPortIp);
    make("addresses", ipset::Type::Ip);
    if (ipvs_) make("bound", ipset::Type::Ip);
    make("nodes", ipset::Type::Ip);
    make("ranges", ipset::Type::Net);
  }

  void frontends() {
    const auto all = addressed(tables_);
    for (const auto& [key, frontend] : all) {
      const Family family = key.ip.family();
      for (const SideName& name : kSides) {
        const Side& side = side_of(*frontend, name.inside);
        switch (side.verdict) {
          case Verdict::Balance:
            set(name.set, family).insert(element(key));
            if (side.masquerade) set(fmt::format("masq-{}", name.set), family).insert(element(key));
            if (ipvs_ && !by_ipvs(key, *frontend, name.inside))
              set(fmt::format("rules-{}", name.set), family).insert(element(key));
            break;
          case Verdict::Reject: set(fmt::format("reject-{}", name.set), family).insert(element(key)); break;
          case Verdict::Drop: set(fmt::format("drop-{}", name.set), family).insert(element(key)); break;
        }
      }
      // What IPVS answers on is local to the node: whoever listens there on all addresses must not be reached.
      if (ipvs_ && !tables_.node_addresses.contains(key.ip)) set("bound", family).insert({host_cidr(key.ip)});
      if (frontend->sources.empty()) continue;
      set("guarded", family).insert(element(key));
      for (const Cidr& source : frontend->sources)
        for (const Cidr& half : storable(source)) {
          auto allowed = element(key);
          allowed.other = half;
          set("sources", family).insert(allowed);
        }
    }
  }

  void others() {
    for (const auto& [id, port] : tables_.ports)
      for (const Backend& backend : port.backends) {
        ipset::Element at{host_cidr(backend.at.ip), uint8_t(port.protocol), backend.at.port, {}};
        set("backends", id.family).insert(at);
        if (!backend.local) continue;
        at.other = at.net;
        set("hairpin", id.family).insert(at);
      }
    for (const auto& [ip, service] : tables_.addresses) set("addresses", ip.family()).insert({host_cidr(ip)});
    for (const auto& [range, present] : tables_.ranges)
      for (const Cidr& half : storable(range)) set("ranges", range.family()).insert({half});
    for (const auto& [ip, address] : tables_.node_addresses)
      // From ::1 nothing leaves the node: whoever listens there answers.
      if (address.node_ports && !(ip.is_v6() && ip.is_loopback())) set("nodes", ip.family()).insert({host_cidr(ip)});
  }

  // Which rules, by their own tree, lead this side's packets.
  std::vector<Lead> leads(Family family, bool inside, Chains& chains, Names& names) {
    std::vector<Lead> leads;
    const auto add = [&](const FrontendKey& key, std::optional<Ip> ip, const Frontend& frontend) {
      const Side& side = side_of(frontend, inside);
      const auto port = tables_.ports.find(frontend.port);
      if (side.verdict != Verdict::Balance || port == tables_.ports.end()) return;
      leads.push_back({ip, key.protocol, key.port,
                       write_pool(chains, out_.sets, names, frontend.port, port->second, side.pool),
                       fmt::format("{} {}", frontend.port, frontend.kind)});
    };
    if (ipvs_) {
      for (const auto& [key, frontend] : addressed(tables_))
        if (key.ip.family() == family && !by_ipvs(key, *frontend, inside)) add(key, key.ip, *frontend);
    } else {
      for (const auto& [key, frontend] : tables_.frontends)
        if (key.ip.family() == family)
          add(key, key.ip.is_unspecified() ? std::nullopt : std::optional(key.ip), frontend);
    }
    return leads;
  }

  void nat(Family family) {
    XtTable& table = out_.tables[{family, "nat"}];
    Chains& chains = table.chains;
    Names names;
    const std::string guarded = set_name("guarded", family), sources = set_name("sources", family);
    for (const SideName& side : kSides) {
      const std::string tree = chain_name(fmt::format("{}-TREE", side.chain));
      const std::string gate = ipvs_ ? fmt::format("rules-{}", side.set) : side.set;
      chains[chain_name(side.chain)] = {
          fmt::format("-m set --match-set {} dst,dst -m set ! --match-set {} dst,dst,src -j RETURN", guarded, sources),
          fmt::format("-m set --match-set {} dst,dst -j MARK --set-xmark {:#x}/{:#x}",
                      set_name(fmt::format("masq-{}", side.set), family), kMasqueradeMark, kMasqueradeMark),
          fmt::format("-m set --match-set {} dst,dst -j {}", set_name(gate, family), tree)};
      write_tree(chains, names, tree, leads(family, side.inside, chains, names), set_name("nodes", family));
    }
    // Our Pods' devices are told by their group; the node's own packets come by OUTPUT.
    chains[chain_name("PREROUTING")] = {
        fmt::format("-m devgroup --src-group {:#x} -g {}", netlink::kPodGroup, chain_name("INSIDE")),
        fmt::format("-j {}", chain_name("OUTSIDE"))};
    auto& postrouting = chains[chain_name("POSTROUTING")];
    const std::string mark = fmt::format("{:#x}/{:#x}", kMasqueradeMark, kMasqueradeMark);
    // The mark is cleared first: a packet that passes once more (IPsec, a tunnel) has had its turn.
    postrouting = {
        fmt::format("-m set --match-set {} dst,dst,src -j {}", set_name("hairpin", family), chain_name("MASQUERADE")),
        fmt::format("-m mark --mark {} -j {}", mark, chain_name("MASQUERADE"))};
    // The node asks from the Service's own address where a kube-proxy in mode ipvs has made it the node's: of another
    // node no answer would find back. IPVS binds addresses with another source.
    if (!ipvs_)
      postrouting.push_back(fmt::format("-m set --match-set {} src -m conntrack --ctstate DNAT -j {}",
                                        set_name("ranges", family), chain_name("MASQUERADE")));
    // A Pod cannot answer 127.0.0.1 (route_localnet lets the packet out).
    if (family == Family::V4)
      postrouting.push_back(
          fmt::format("-s 127.0.0.0/8 ! -o lo -m conntrack --ctstate DNAT -j {}", chain_name("MASQUERADE")));
    chains[chain_name("MASQUERADE")] = {fmt::format("-j MARK --set-xmark 0x0/{:#x}", kMasqueradeMark),
                                        "-j MASQUERADE --random-fully"};
    table.jumps = {{"PREROUTING", chain_name("PREROUTING"), ""},
                   {"OUTPUT", chain_name("INSIDE"), ""},
                   {"POSTROUTING", chain_name("POSTROUTING"), ""}};
  }

  void filter(Family family) {
    XtTable& table = out_.tables[{family, "filter"}];
    Chains& chains = table.chains;
    for (const SideName& side : kSides) {
      auto& rules = chains[chain_name(fmt::format("REFUSE-{}", side.chain))];
      rules = {fmt::format("-m set --match-set {} dst,dst -m set ! --match-set {} dst,dst,src -j DROP",
                           set_name("guarded", family), set_name("sources", family)),
               // Balanced: what still has the Service's address here goes to IPVS.
               fmt::format("-m set --match-set {} dst,dst -j RETURN", set_name(side.set, family)),
               fmt::format("-m set --match-set {} dst,dst -j {}", set_name(fmt::format("reject-{}", side.set), family),
                           chain_name("REJECT")),
               fmt::format("-m set --match-set {} dst,dst -j DROP", set_name(fmt::format("drop-{}", side.set), family)),
               // A port that a Service lacks. To the outside its address is nobody's.
               fmt::format("-m set --match-set {} dst -j {}", set_name("addresses", family),
                           side.inside ? chain_name("REJECT") : "DROP")};
      if (ipvs_)
        rules.push_back(
            fmt::format("-m set --match-set {} dst -j {}", set_name("bound", family), chain_name("REJECT")));
      rules.push_back(fmt::format("-m set --match-set {} dst -j DROP", set_name("ranges", family)));
    }
    chains[chain_name("REJECT")] = {
        "-p tcp -j REJECT --reject-with tcp-reset",
        fmt::format("-j REJECT --reject-with {}",
                    family == Family::V4 ? "icmp-port-unreachable" : "icmp6-port-unreachable")};
    chains[chain_name("REFUSE")] = {
        fmt::format("-m devgroup --src-group {:#x} -g {}", netlink::kPodGroup, chain_name("REFUSE-INSIDE")),
        fmt::format("-j {}", chain_name("REFUSE-OUTSIDE"))};
    // What conntrack takes for no part of a connection would leave with the endpoint's own address, and the client
    // would answer with a reset.
    chains[chain_name("FORWARD")] = {
        fmt::format("-p tcp -m conntrack --ctstate INVALID -m set --match-set {} src,src -j DROP",
                    set_name("backends", family)),
        fmt::format("-m conntrack --ctstate NEW -j {}", chain_name("REFUSE"))};
    table.jumps = {{"INPUT", chain_name("REFUSE"), "-m conntrack --ctstate NEW "},
                   {"FORWARD", chain_name("FORWARD"), ""},
                   {"OUTPUT", chain_name("REFUSE-INSIDE"), "-m conntrack --ctstate NEW "}};
  }

  // On its way out a packet meets IPVS before the filter table.
  void mangle(Family family) {
    XtTable& table = out_.tables[{family, "mangle"}];
    table.chains[chain_name("GUARD")] = {
        fmt::format("-m set --match-set {} dst,dst -m set ! --match-set {} dst,dst,src -j DROP",
                    set_name("guarded", family), set_name("sources", family))};
    table.jumps = {{"OUTPUT", chain_name("GUARD"), "-m conntrack --ctstate NEW "}};
  }

  const Tables& tables_;
  bool ipvs_;
  XtRules out_;
};

}  // namespace

std::map<FrontendKey, const Frontend*> addressed(const Tables& tables) {
  std::map<FrontendKey, const Frontend*> all;
  for (const auto& [key, frontend] : tables.frontends)
    if (!key.ip.is_unspecified()) all.emplace(key, &frontend);
  for (const auto& [key, frontend] : tables.frontends) {
    if (!key.ip.is_unspecified()) continue;
    for (const auto& [ip, address] : tables.node_addresses) {
      // From ::1 nothing leaves the node.
      if (ip.family() != key.ip.family() || !address.node_ports || (ip.is_v6() && ip.is_loopback())) continue;
      all.emplace(FrontendKey{ip, key.port, key.protocol}, &frontend);  // a row of this very address was there first
    }
  }
  return all;
}

bool by_ipvs(const FrontendKey& key, const Frontend& frontend, bool inside) {
  if (key.ip.is_loopback()) return false;
  const Side &in = frontend.inside, &out = frontend.outside;
  const Side& side = inside ? in : out;
  if (side.verdict != Verdict::Balance) return false;
  // The node's own packets meet IPVS before anything could refuse them, so what refuses the inside is not IPVS's at
  // all.
  if (in.verdict != Verdict::Balance) return false;
  return !inside || out.verdict != Verdict::Balance || in.pool == out.pool;
}

XtRules iptables_rules(const Tables& tables, XtBackend backend) { return Builder(tables, backend).build(); }

std::set<std::string> range_sets() { return {set_name("ranges", Family::V4), set_name("ranges", Family::V6)}; }

std::string render(const XtRules& rules) {
  std::string out;
  for (const auto& [name, row] : rules.sets) {
    if (row.elements.empty() && !row.set.timeout) continue;  // there, and empty
    out += fmt::format("set {} {}{}\n", name, row.set.type,
                       row.set.timeout ? fmt::format(" timeout {}", row.set.timeout) : "");
    for (const auto& element : row.elements) out += fmt::format("  {}\n", element);
  }
  for (const auto& [key, table] : rules.tables) {
    out += fmt::format("*{} {}\n", key.table, key.family);
    for (const Jump& jump : table.jumps) out += fmt::format("-A {} {}-j {}\n", jump.from, jump.match, jump.to);
    for (const auto& [chain, body] : table.chains)
      for (const auto& rule : body) out += fmt::format("-A {} {}\n", chain, rule);
  }
  return out;
}

}  // namespace causeway::service
