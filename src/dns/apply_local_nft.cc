#include "dns/apply_local_nft.h"

#include <netinet/in.h>

#include "kernel/netlink/messages.h"
#include "kernel/nftables/diff.h"

namespace causeway::dns {

using namespace nftables;

namespace nft {

namespace {

std::string named(std::string_view what, Family family) {
  return fmt::format("{}-{}{}", kSection, what, family == Family::V4 ? "4" : "6");
}
std::string all_set(Family family) { return named("addresses", family); }
std::string here_set(Family family) { return named("here", family); }

Match port(Field field) { return match(field, Tuple().port(kDnsPort)); }
Lookup plain_or_stream() { return Lookup{{Field::L4Proto}, "dns-protocols"}; }

}  // namespace

Section section(const std::vector<Ip>& addresses, const std::set<Ip>& here) {
  Section section{.name = kSection};
  section.sets["dns-protocols"] = {.key = {Type::Protocol}};
  for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP})
    section.elements["dns-protocols"].emplace(Tuple().protocol(protocol), Value{});
  for (const Family family : {Family::V4, Family::V6})
    for (const std::string& set : {all_set(family), here_set(family)}) {
      section.sets[set] = {.key = {type_of(family)}};
      section.elements[set];
    }
  for (const Ip& ip : addresses) section.elements[all_set(ip.family())].emplace(Tuple().ip(ip), Value{});
  for (const Ip& ip : here) section.elements[here_set(ip.family())].emplace(Tuple().ip(ip), Value{});

  Chain& in = section.chains["dns-prerouting"];
  in.base = Base{ChainType::Filter, Hook::Prerouting, kRaw};
  Chain& out = section.chains["dns-output"];
  out.base = Base{ChainType::Filter, Hook::Output, kRaw};
  const Match not_pods = differs(Field::IifGroup, Tuple().number(netlink::kPodGroup));
  const Match not_own = differs(Field::IifName, Tuple().name("lo"));
  for (const Family family : {Family::V4, Family::V6}) {
    in.rules.push_back(
        {{causeway::nftables::in(daddr_of(family), all_set(family)), not_pods, not_own, Counter{}, drop()},
         "cluster DNS is for the node's own"});
    Rule asked{{causeway::nftables::in(daddr_of(family), here_set(family)), plain_or_stream(), port(Field::ThDport),
                Notrack{}},
               {}};
    in.rules.push_back(asked);
    // A connected IPv6 socket of the node keeps the way to another node that it once had: it stays with that.
    asked.statements.insert(asked.statements.begin(), match(Field::OifName, Tuple().name("lo")));
    out.rules.push_back(asked);
    // Also when the address has just gone: else conntrack would take a late reply for the first packet of a flow, and
    // the next question for a reply to it.
    out.rules.push_back({{causeway::nftables::in(saddr_of(family), all_set(family)), plain_or_stream(),
                          port(Field::ThSport), Notrack{}},
                         {}});
  }
  return section;
}

}  // namespace nft

Status NftLocal::answer(const std::set<Ip>& here) {
  const Transaction change = diff(TRY(nft_.observe(nft::kSection)), nft::section(addresses_, here));
  return change.empty() ? ok() : nft_.apply(change);
}

Result<std::set<Ip>> NftLocal::answering() {
  std::set<Ip> out;
  const Observed actual = TRY(nft_.observe(nft::kSection));
  for (const Ip& ip : addresses_)
    if (const auto set = actual.sets.find(nft::here_set(ip.family()));
        set != actual.sets.end() && set->second.elements.contains(Tuple().ip(ip)))
      out.insert(ip);
  // Rules that are not ours to the letter (none yet, another agent's, flushed) are written with the next answer().
  if (diff(actual, nft::section(addresses_, out)).empty()) return out;
  TRY(nft_.apply(diff(actual, nft::section(addresses_, out))), "table inet causeway");
  return out;
}

}  // namespace causeway::dns
