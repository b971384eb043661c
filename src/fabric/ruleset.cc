#include "fabric/ruleset.h"

#include <netinet/in.h>

#include "fabric/ruleset_rows.h"
#include "kernel/netlink/messages.h"

namespace causeway::fabric {

using namespace nftables;

namespace {

constexpr size_t kMaxComment = 127;
constexpr uint32_t kRouterAdvertisement = 134, kRedirect = 137;  // RFC 4861

Cidr prefix(std::string_view text) { return Cidr::parse(text).value(); }

// Raw, before conntrack: a flood with forged sources costs no entries there. Fails closed: a Pod whose address is not
// in the set yet is not heard.
Chain check_sources() {
  Chain chain{.base = Base{ChainType::Filter, Hook::Prerouting, kRaw}, .rules = {}};
  chain.rules = {
      {{differs(Field::IifGroup, Tuple().number(netlink::kPodGroup)), returns()}, {}},
      {{match(Field::Icmp6Type, kRouterAdvertisement), drop()}, "a Pod is no router"},
      {{match(Field::Icmp6Type, kRedirect), drop()}, "a Pod is no router"},
      {{Lookup{{Field::IifName, Field::IpSaddr}, set_name("sources", Family::V4)}, returns()}, {}},
      {{Lookup{{Field::IifName, Field::Ip6Saddr}, set_name("sources", Family::V6)}, returns()}, {}},
  };
  // Duplicate address detection, MLD and neighbour discovery: on the link only.
  for (const char* from : {"::/128", "fe80::/10"})
    for (const char* to : {"fe80::/10", "ff00::/8"})
      chain.rules.push_back(
          {{match(Field::Ip6Saddr, prefix(from)), match(Field::Ip6Daddr, prefix(to)), returns()}, {}});
  chain.rules.push_back({{Counter{}, drop()}, "not an address of this Pod"});
  return chain;
}

// Whoever can send UDP to this node could otherwise put packets into its Pods. VXLAN of another number is not ours.
Chain check_peers(const Options& options) {
  Chain chain{.base = Base{ChainType::Filter, Hook::Input, kRaw}, .rules = {}};
  std::string vni(4, '\0');
  for (int i = 0; i < 3; ++i) vni[static_cast<size_t>(i)] = static_cast<char>(options.vni >> (16 - 8 * i));
  const Raw number{.base = Raw::Base::Transport, .offset = 12, .length = 3};  // behind UDP's 8 bytes and 4 of flags
  for (Family family : {Family::V4, Family::V6})
    chain.rules.push_back({{match(Field::L4Proto, IPPROTO_UDP), match(Field::ThDport, Tuple().port(options.vxlan_port)),
                            match(number, Tuple::from_bytes(vni)), not_in(saddr_of(family), set_name("peers", family)),
                            Counter{}, drop()},
                           "VXLAN of an unknown node"});
  return chain;
}

// Ports by chance: two Pods that ask one server at once then rarely want the same port (a lost packet each time).
Chain masquerade() {
  Chain chain{.base = Base{ChainType::Nat, Hook::Postrouting, kSrcnat}, .rules = {}};
  auto rule = [](Family family, std::vector<const char*> never) {
    Rule rule{{in(saddr_of(family), set_name("pods", family)), not_in(daddr_of(family), set_name("inside", family))},
              {}};
    for (const char* to : never) rule.statements.push_back(differs(daddr_of(family), prefix(to)));
    rule.statements.push_back(Masquerade{.fully_random = true});
    return rule;
  };
  chain.rules = {rule(Family::V4, {"224.0.0.0/4", "169.254.0.0/16"}), rule(Family::V6, {"ff00::/8", "fe80::/10"})};
  return chain;
}

}  // namespace

std::string set_name(std::string_view what, Family family) {
  return fmt::format("fabric-{}{}", what, family == Family::V4 ? "4" : "6");
}

Elements::value_type element_of(const Ip& ip) { return {Tuple().ip(ip), {}}; }
Elements::value_type element_of(const Cidr& prefix) { return range(prefix); }
Elements::value_type element_of(const Ip& ip, const PodRow& row) {
  return {Tuple().name(row.device).ip(ip), Value{.comment = to_string(row.pod).substr(0, kMaxComment)}};
}

Section section_of(const Tables& tables, const Options& options) {
  Section section{.name = "fabric"};
  section.chains["fabric-prerouting"] = check_sources();
  const bool overlay = options.mode != Mode::HostGw;
  if (overlay) section.chains["fabric-input"] = check_peers(options);
  if (options.masquerade) section.chains["fabric-postrouting"] = masquerade();
  for (Family family : {Family::V4, Family::V6}) {
    const Type address = type_of(family);
    auto declare = [&](std::string_view what, Set set) {
      section.sets[set_name(what, family)] = std::move(set);
      section.elements[set_name(what, family)];
    };
    declare("sources", {.key = {Type::Ifname, address}});
    if (overlay) declare("peers", {.key = {address}});
    if (options.masquerade) declare("pods", {.key = {address}, .interval = true});
    if (options.masquerade) declare("inside", {.key = {address}, .interval = true});
  }
  auto put = [&](std::string_view what, Family family, Elements::value_type element) {
    auto set = section.elements.find(set_name(what, family));
    if (set != section.elements.end()) set->second.insert(std::move(element));
  };
  for (const auto& [ip, row] : tables.pods) put("sources", ip.family(), element_of(ip, row));
  for (const auto& [ip, node] : tables.peers) put("peers", ip.family(), element_of(ip));
  for (const auto& [from, present] : tables.masquerade_from) put("pods", from.family(), element_of(from));
  for (const auto& [to, present] : tables.masquerade_except_to) put("inside", to.family(), element_of(to));
  return section;
}

}  // namespace causeway::fabric
