#include "policy/nft_ruleset.h"

#include <netinet/in.h>

#include "kernel/netlink/messages.h"

namespace causeway::policy::nft {

using namespace nftables;
using nftables::Rule;
using nftables::Set;
using nftables::Verdict;

namespace {

// Behind IPVS, which takes what is for a virtual server at the input hook out of it at 98 and 99.
constexpr int32_t kBehindIpvs = kSrcnat + 10;

constexpr const char* kFromPod = "policy-from-pod";
constexpr const char* kToPod = "policy-to-pod";
constexpr const char* kNeighbours = "policy-neighbours";
constexpr const char* kPassed = "policy-passed";
constexpr const char* kWithPorts = "policy-with-ports";

constexpr Family kFamilies[] = {Family::V4, Family::V6};
constexpr Direction kDirections[] = {Direction::Ingress, Direction::Egress};

std::string named(std::string_view what, Family family) {
  return fmt::format("{}-{}{}", kSection, what, family == Family::V4 ? "4" : "6");
}
std::string_view text(Direction direction) { return direction == Direction::Ingress ? "ingress" : "egress"; }

Rule established() { return {{any_of(Field::CtState, kStateEstablished | kStateRelated), accept()}, {}}; }
Rule wipe() {
  return {
      {masked(Field::Priority, kScratch, kScratch), SetMark{.target = SetMark::Target::Priority, .to = uint32_t{0}}},
      {}};
}
// A first packet, for those who tell of flows. Where the set is full the packet goes on untold.
Rule remember(Family family, const std::string& set) {
  return {{Lookup{{Field::L4Proto}, kWithPorts},
           Update{{saddr_of(family), Field::L4Proto, Field::ThSport, daddr_of(family), Field::ThDport}, set}},
          {}};
}
Rule pod_group(Field field, const char* chain) { return {{match(field, netlink::kPodGroup), jump(chain)}, {}}; }

void declare(Section& section) {
  const auto set = [&](const std::string& name, Set set) {
    section.sets[name] = std::move(set);
    section.elements[name];
  };
  for (const Family family : kFamilies) {
    const Type ip = type_of(family);
    set(address_map(family), {.key = {ip}, .data = {Type::ClassId}});
    set(dns_map(family), {.key = {ip, Type::Protocol, Type::Port}, .data = {Type::ClassId}});
    set(block_map(family), {.key = {ip}, .data = {Type::ClassId}, .interval = true});
    for (const Direction direction : kDirections) {
      set(subject_map(family, direction), {.key = {ip}, .verdicts = true});
      set(class_map(family, direction), {.key = {Type::ClassId, ip}, .data = {Type::ClassId}});
    }
    set(own_set(family), {.key = {ip, ip}});
    set(cut_set(family), {.key = {ip, Type::Protocol, Type::Port, ip, Type::Port},
                          .dynamic = true,
                          .timeout_ms = kCutFor,
                          .has_timeout = true,
                          .size = kMaxCut});
    for (const std::string& name : {passed_set(family), denied_set(family)})
      set(name, {.key = {ip, Type::Protocol, Type::Port, ip, Type::Port},
                 .dynamic = true,
                 .timeout_ms = kToldFor,
                 .has_timeout = true,
                 .size = kMaxTold});
  }
  set(kOutcomes, {.key = {Type::ClassId}, .verdicts = true});
  set(kPorts, {.key = {Type::ClassId, Type::Protocol, Type::Port}, .verdicts = true});
  set(kRanges, {.key = {Type::ClassId, Type::Protocol, Type::Port}, .verdicts = true, .interval = true});
  set(kWithPorts, {.key = {Type::Protocol}});
  for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP})
    section.elements[kWithPorts].emplace(Tuple().protocol(protocol), Value{});
  // Multicast listeners and neighbour discovery (RFC 2710, 3810, 4861): between a Pod and its node, outside of policy.
  set(kNeighbours, {.key = {Type::Icmp6Type}});
  for (const uint8_t type : {130, 131, 132, 133, 134, 135, 136, 137, 143})
    section.elements[kNeighbours].emplace(Tuple().protocol(type), Value{});
}

// The Pod's own address leads to whether anything judges it.
Chain ask_subject(Direction direction) {
  Chain chain;
  for (const Family family : kFamilies) {
    const Field own = direction == Direction::Egress ? saddr_of(family) : daddr_of(family);
    chain.rules.push_back({{VerdictMap{{own}, subject_map(family, direction)}}, {}});
  }
  chain.rules.push_back({{Counter{}, drop()}, "policies of this Pod are not known yet"});
  return chain;
}

Chain judge(Family family, Direction direction) {
  const bool egress = direction == Direction::Egress;
  const Field own = egress ? saddr_of(family) : daddr_of(family), other = egress ? daddr_of(family) : saddr_of(family);
  const auto set = [](auto to) { return SetMark{.target = SetMark::Target::Priority, .to = std::move(to)}; };
  const FromMap outcome{{Field::Priority, own}, class_map(family, direction)};
  Chain chain;
  chain.rules = {
      {{set(uint32_t{0})}, {}},
      {{match(Field::Priority, 0), set(FromMap{{other}, address_map(family)})}, {}},
      {{match(Field::Priority, 0), set(FromMap{{other}, block_map(family)})}, {}},
      {{set(outcome)}, {}},
      // This set says nothing of the class.
      {{masked(Field::Priority, kTagMask, kClassTag), set(uint32_t{0})}, {}},
      {{match(Field::Priority, 0), set(outcome)}, {}},
      {{VerdictMap{{Field::Priority}, kOutcomes}}, {}},
      {{go(kDrop)}, {}},
  };
  if (egress)
    chain.rules.insert(chain.rules.begin() + 1,
                       {{set(FromMap{{other, Field::L4Proto, Field::ThDport}, dns_map(family)})}, {}});
  return chain;
}

Chain ask_ports(Verdict otherwise) {
  const std::vector<Selector> key{Field::Priority, Field::L4Proto, Field::ThDport};
  return {{}, {{{VerdictMap{key, kPorts}}, {}}, {{VerdictMap{key, kRanges}}, {}}, {{std::move(otherwise)}, {}}}};
}

Chain forward() {
  Chain chain{Base{ChainType::Filter, Hook::Forward, kFilter}, {established()}};
  // conntrack takes a flow up in the middle, in whichever direction the next packet goes.
  for (const Family family : kFamilies)
    chain.rules.push_back(
        {{Lookup{{saddr_of(family), Field::L4Proto, Field::ThSport, daddr_of(family), Field::ThDport}, cut_set(family)},
          Counter{}, drop()},
         "of a flow that was cut"});
  chain.rules.push_back(pod_group(Field::IifGroup, kFromPod));
  chain.rules.push_back(pod_group(Field::OifGroup, kToPod));
  chain.rules.push_back(pod_group(Field::IifGroup, kPassed));
  chain.rules.push_back(pod_group(Field::OifGroup, kPassed));
  chain.rules.push_back(wipe());
  return chain;
}

// What Pods send to their own node, but for what is of the link alone.
Chain input() {
  const Cidr link_local = Cidr::parse("fe80::/10").value();
  return {Base{ChainType::Filter, Hook::Input, kBehindIpvs},
          {{{differs(Field::IifGroup, Tuple().number(netlink::kPodGroup)), accept()}, {}},
           established(),
           {{Lookup{{Field::Icmp6Type}, kNeighbours}, accept()}, {}},
           {{match(Field::Ip6Saddr, link_local), accept()}, {}},
           {{match(Field::Ip6Daddr, link_local), accept()}, {}},
           {{jump(kFromPod)}, {}},
           {{jump(kPassed)}, {}},
           wipe()}};
}

// Where IPVS has sent it, a packet that came in goes the way of the node's own: told by marks, for addresses can be
// forged.
void follow_ipvs(Section& section) {
  const auto mark = [](uint32_t bits) { return SetMark{.to = Field::Mark, .keep = ~bits, .add = bits}; };
  section.chains["policy-before-ipvs"] = {
      Base{ChainType::Filter, Hook::Input, kFilter},
      {{{differs(Field::IifName, Tuple().name("lo")), mark(kCameInMark)}, {}},
       {{match(Field::IifGroup, netlink::kPodGroup), mark(kCameInMark | kFromPodMark)}, {}}}};
  section.chains["policy-output"] = {Base{ChainType::Filter, Hook::Output, kFilter},
                                     {{{masked(Field::Mark, kCameInMark, 0), accept()}, "of this node"},
                                      established(),
                                      {{masked(Field::Mark, kFromPodMark, kFromPodMark), jump(kFromPod)}, {}},
                                      pod_group(Field::OifGroup, kToPod),
                                      wipe()}};
  // Before the packet is wrapped into one of the node's own.
  section.chains["policy-postrouting"] = {Base{ChainType::Filter, Hook::Postrouting, kSrcnat - 10},
                                          {{{masked(Field::Mark, kCameInMark, kCameInMark),
                                             SetMark{.to = Field::Mark, .keep = ~(kCameInMark | kFromPodMark)}},
                                            {}}}};
}

}  // namespace

std::string address_map(Family family) { return named("addresses", family); }
std::string dns_map(Family family) { return named("dns", family); }
std::string block_map(Family family) { return named("blocks", family); }
std::string subject_map(Family family, Direction direction) { return named(text(direction), family); }
std::string class_map(Family family, Direction direction) {
  return named(fmt::format("{}-classes", text(direction)), family);
}
std::string own_set(Family family) { return named("own", family); }
std::string cut_set(Family family) { return named("cut", family); }
std::string passed_set(Family family) { return named("passed", family); }
std::string denied_set(Family family) { return named("denied", family); }
std::string judge_chain(Family family, Direction direction) {
  return named(fmt::format("judge-{}", text(direction)), family);
}

Section skeleton(bool ipvs) {
  Section section{.name = kSection};
  declare(section);
  for (const Family family : kFamilies)
    for (const Direction direction : kDirections)
      section.chains[judge_chain(family, direction)] = judge(family, direction);
  section.chains[kFromPod] = ask_subject(Direction::Egress);
  section.chains[kToPod] = ask_subject(Direction::Ingress);
  section.chains[kElseDrop] = ask_ports(go(kDrop));
  section.chains[kElseAllow] = ask_ports(returns());
  Chain& denied = section.chains[kDrop];
  for (const Family family : kFamilies)
    denied.rules.push_back(
        {{Lookup{{saddr_of(family), daddr_of(family)}, own_set(family)}, accept()}, "a Pod reaches itself"});
  for (const Family family : kFamilies) {
    denied.rules.push_back(remember(family, denied_set(family)));
    section.chains[kPassed].rules.push_back(remember(family, passed_set(family)));
  }
  denied.rules.push_back({{Counter{}, drop()}, "denied by policies"});
  section.chains["policy-forward"] = forward();
  section.chains["policy-input"] = input();
  if (ipvs) follow_ipvs(section);
  return section;
}

}  // namespace causeway::policy::nft
