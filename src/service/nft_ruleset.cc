#include "service/nft_ruleset.h"

#include <netinet/in.h>

// Behind netinet/in.h, whose names it repeats.
#include <linux/netfilter.h>

#include "kernel/netlink/messages.h"

namespace causeway::service::nft {

using namespace nftables;

namespace {

// Before kube-proxy's chains of the same hooks, so that new connections are ours while both are there; host ports of
// Pods come after both.
constexpr int32_t kBeforeOthers = -5;

std::string named(std::string_view what, Family family) {
  return fmt::format("services-{}{}", what, family == Family::V4 ? "4" : "6");
}
std::string text(Pool pool) { return pool == Pool::Cluster ? "cluster" : "local"; }
std::string text(Where where) { return where == Where::Address ? "" : "port-"; }
std::string side_chain(From from, Family family) {
  return named(from == From::Inside ? "from-inside" : "from-outside", family);
}

std::vector<Type> types(Family family, Where where) {
  if (where == Where::Port) return {Type::Protocol, Type::Port};
  return {type_of(family), Type::Protocol, Type::Port};
}
std::vector<Type> with(std::vector<Type> types, Type more) {
  types.push_back(more);
  return types;
}

void declare(Section& section, Family family) {
  const Type address = type_of(family);
  const std::vector<Type> endpoint{address, Type::Port};
  for (const Where where : {Where::Address, Where::Port}) {
    const auto key = types(family, where);
    for (const From from : {From::Inside, From::Outside})
      section.sets[verdict_map(family, where, from)] = {.key = key, .verdicts = true};
    for (const Pool pool : {Pool::Cluster, Pool::Local}) {
      section.sets[slot_map(family, where, pool)] = {.key = with(key, Type::Mark), .data = endpoint};
      section.sets[sticky_map(family, where, pool)] = {.key = with(key, Type::Mark), .data = {Type::ClassId}};
    }
  }
  for (const Pool pool : {Pool::Cluster, Pool::Local})
    section.sets[member_map(family, pool)] = {.key = {Type::ClassId}, .data = endpoint};
  const auto key = types(family, Where::Address);
  section.sets[kept_map(family)] = {
      .key = with(key, address), .data = {Type::ClassId}, .dynamic = true, .has_timeout = true, .size = kMaxKept};
  section.sets[fenced_set(family)] = {.key = key};
  section.sets[source_set(family)] = {.key = with(key, address), .interval = true};
  section.sets[hairpin_set(family)] = {.key = {address, address}};
  section.sets[address_set(family)] = {.key = {address}};
  section.sets[range_set(family)] = {.key = {address}, .interval = true};
  section.sets[node_set(family)] = {.key = {address}};
}

// All that concerns a first packet of one family: the order of the rules is the order of precedence.
void decide(Section& section, Family family, From from) {
  const auto key = packet_key(family, Where::Address);
  const Field to = daddr_of(family);
  const std::string fence = named("fence", family);
  auto& rules = section.chains[side_chain(from, family)].rules;
  rules.push_back({{Lookup{key, fenced_set(family)}, jump(fence)}, {}});
  rules.push_back({{VerdictMap{key, verdict_map(family, Where::Address, from)}}, {}});
  rules.push_back(
      {{in(to, node_set(family)), VerdictMap{packet_key(family, Where::Port), verdict_map(family, Where::Port, from)}},
       {}});
  if (from == From::Inside)
    rules.push_back({{in(to, address_set(family)), go(kReject)}, "a Service has no such port"});
  else
    rules.push_back({{in(to, address_set(family)), Counter{}, drop()}, "addresses of Services are for the inside"});
}

void fence(Section& section, Family family) {
  auto key = packet_key(family, Where::Address);
  key.push_back(saddr_of(family));
  section.chains[named("fence", family)].rules = {{{Lookup{key, source_set(family)}, returns()}, {}},
                                                  {{Counter{}, drop()}, "loadBalancerSourceRanges"}};
}

// Behind everybody's DNAT: an address may be of a Service that another proxy serves (service-proxy-name).
void drop_nobodys(Chain& chain) {
  for (const Family family : {Family::V4, Family::V6})
    chain.rules.push_back(
        {{any_of(Field::CtState, kStateNew), in(daddr_of(family), range_set(family)), Counter{}, drop()},
         "nobody's address"});
}

Rule lead(Family family, From from, std::optional<Match> where) {
  Rule rule{{match(Field::NfProto, family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6)}, {}};
  if (where) rule.statements.push_back(std::move(*where));
  rule.statements.push_back(go(side_chain(from, family)));
  return rule;
}

Chain prerouting() {
  Chain chain{Base{ChainType::Nat, Hook::Prerouting, kDstnat + kBeforeOthers}, {}};
  for (const Family family : {Family::V4, Family::V6}) {
    chain.rules.push_back(lead(family, From::Inside, match(Field::IifGroup, netlink::kPodGroup)));
    chain.rules.push_back(lead(family, From::Inside, match(Field::IifName, Tuple().name("lo"))));
    chain.rules.push_back(lead(family, From::Outside, std::nullopt));
  }
  return chain;
}

Chain output() {
  Chain chain{Base{ChainType::Nat, Hook::Output, kDstnat + kBeforeOthers}, {}};
  for (const Family family : {Family::V4, Family::V6}) chain.rules.push_back(lead(family, From::Inside, std::nullopt));
  return chain;
}

// Ports by chance, as the fabric's masquerade.
Chain postrouting() {
  Chain chain{Base{ChainType::Nat, Hook::Postrouting, kSrcnat + kBeforeOthers}, {}};
  const Masquerade by_chance{.fully_random = true};
  chain.rules.push_back({{masked(Field::Priority, kNumberTagMask, kNumberTag),
                          SetMark{.target = SetMark::Target::Priority, .to = uint32_t{0}}},
                         {}});
  // The mark would go on to the packet around it, when this one is wrapped.
  chain.rules.push_back({{masked(Field::Mark, kMasqueradeMark, kMasqueradeMark),
                          SetMark{.to = Field::Mark, .keep = ~kMasqueradeMark}, by_chance},
                         {}});
  for (const Family family : {Family::V4, Family::V6})
    chain.rules.push_back({{any_of(Field::CtStatus, kStatusDnat),
                            Lookup{{saddr_of(family), daddr_of(family)}, hairpin_set(family)}, by_chance},
                           "to itself"});
  // Where a kube-proxy in mode ipvs has made it the node's own, the node asks a Service from the Service's own address:
  // of another node no answer would find back.
  for (const Family family : {Family::V4, Family::V6})
    chain.rules.push_back({{any_of(Field::CtStatus, kStatusDnat), in(saddr_of(family), range_set(family)), by_chance},
                           "from a Service's address"});
  // From 127.0.0.1 nothing would come back.
  chain.rules.push_back(
      {{any_of(Field::CtStatus, kStatusDnat), match(Field::IpSaddr, Cidr::parse("127.0.0.0/8").value()),
        differs(Field::OifName, Tuple().name("lo")), by_chance},
       "node ports of localhost"});
  return chain;
}

}  // namespace

std::string verdict_map(Family family, Where where, From from) {
  return named(text(where) + (from == From::Inside ? "inside" : "outside"), family);
}
std::string slot_map(Family family, Where where, Pool pool) { return named(text(where) + text(pool), family); }
std::string sticky_map(Family family, Where where, Pool pool) {
  return named(text(where) + "sticky-" + text(pool), family);
}
std::string member_map(Family family, Pool pool) { return named("members-" + text(pool), family); }
std::string kept_map(Family family) { return named("kept", family); }
std::string fenced_set(Family family) { return named("fenced", family); }
std::string source_set(Family family) { return named("sources", family); }
std::string hairpin_set(Family family) { return named("hairpin", family); }
std::string address_set(Family family) { return named("addresses", family); }
std::string range_set(Family family) { return named("ranges", family); }
std::string node_set(Family family) { return named("nodes", family); }

std::vector<Selector> packet_key(Family family, Where where) {
  if (where == Where::Port) return {Field::L4Proto, Field::ThDport};
  return {daddr_of(family), Field::L4Proto, Field::ThDport};
}

Where where_of(const FrontendKey& key) { return key.ip.is_unspecified() ? Where::Port : Where::Address; }

Tuple key_of(const FrontendKey& key, Where where) {
  Tuple tuple;
  if (where == Where::Address) tuple.ip(key.ip);
  return tuple.protocol(uint8_t(key.protocol)).port(key.port);
}

std::optional<FrontendKey> frontend_of(const Tuple& element, Family family, Where where) {
  const std::string& bytes = element.bytes();
  const size_t ip_bytes = where == Where::Port ? 0 : family == Family::V4 ? 4 : 16;
  if (bytes.size() != ip_bytes + 8) return std::nullopt;
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  FrontendKey key{.ip = family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{}),
                  .port = uint16_t(data[ip_bytes + 4] << 8 | data[ip_bytes + 5]),
                  .protocol = Protocol(data[ip_bytes])};
  if (ip_bytes == 4) key.ip = Ip::v4(std::span<const uint8_t, 4>(data, 4));
  if (ip_bytes == 16) key.ip = Ip::v6(std::span<const uint8_t, 16>(data, 16));
  return key;
}

Section skeleton() {
  Section section{.name = kSection};
  section.sets[kNumbers] = {.key = {Type::Mark}, .data = {Type::ClassId}};
  for (const Family family : {Family::V4, Family::V6}) {
    declare(section, family);
    fence(section, family);
    for (const From from : {From::Inside, From::Outside}) decide(section, family, from);
  }
  section.chains["services-prerouting"] = prerouting();
  section.chains["services-output"] = output();
  section.chains["services-postrouting"] = postrouting();
  // A reset is certain; of ICMP errors the kernel sends few a second.
  section.chains[kReject].rules = {{{match(Field::L4Proto, IPPROTO_TCP), Reject{Reject::With::TcpReset}}, {}},
                                   {{Reject{}}, {}}};
  // What conntrack calls invalid is not translated: an endpoint's stray segment would reach the client under the
  // endpoint's own address, and its reset would end the connection (kubernetes#74839).
  section.chains["services-forward"] = {Base{ChainType::Filter, Hook::Forward, kFilter},
                                        {{{any_of(Field::CtState, kStateInvalid), Counter{}, drop()}, {}}}};
  drop_nobodys(section.chains["services-forward"]);
  section.chains["services-filter-output"] = {Base{ChainType::Filter, Hook::Output, kFilter}, {}};
  drop_nobodys(section.chains["services-filter-output"]);
  section.chains["services-input"] = {
      Base{ChainType::Filter, Hook::Input, kFilter},
      {{{match(Field::IifGroup, netlink::kPodGroup), any_of(Field::CtState, kStateInvalid), Counter{}, drop()}, {}}}};
  return section;
}

}  // namespace causeway::service::nft
