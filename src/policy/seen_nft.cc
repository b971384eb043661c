#include "policy/seen_nft.h"

#include <netinet/in.h>

namespace causeway::policy {

using nftables::Tuple;

namespace {

constexpr Duration kLookEvery = 500ms;

std::optional<Protocol> protocol_of(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return Protocol::Tcp;
    case IPPROTO_UDP: return Protocol::Udp;
    case IPPROTO_SCTP: return Protocol::Sctp;
    default: return std::nullopt;
  }
}

// {ip . protocol . port . ip . port}, each field padded to four bytes.
Seen from_key(const Tuple& key, Family family) {
  const size_t size = family == Family::V4 ? 4 : 16;
  const auto* bytes = reinterpret_cast<const uint8_t*>(key.bytes().data());
  const auto ip = [&](size_t at) {
    return family == Family::V4 ? Ip::v4(std::span<const uint8_t, 4>(bytes + at, 4))
                                : Ip::v6(std::span<const uint8_t, 16>(bytes + at, 16));
  };
  const auto port = [&](size_t at) { return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]); };
  return {.source = ip(0),
          .target = ip(size + 8),
          .source_port = port(size + 4),
          .target_port = port(size + 8 + size),
          .protocol = bytes[size]};
}

// As policy::judge(), by the rows of the compiler themselves; absent: nothing judges that end here.
std::optional<Decision> decide_at(const Desired& desired, Direction direction, const Ip& own, const Packet& packet) {
  const LocalPod* local = desired.locals.find(own);
  if (!local) return std::nullopt;
  const SetId set = direction == Direction::Ingress ? local->subject.ingress : local->subject.egress;
  const Set* known = desired.rules.sets.find(set);
  if (!known) return std::nullopt;
  ClassId peer = ClassId::None;
  if (const Address* address = desired.rules.addresses.find(packet.peer)) {
    peer = address->peer;
  } else {
    const ClassId* block = nullptr;
    for (int length = packet.peer.bits(); length >= 0 && !block; --length)
      block = desired.rules.blocks.find(Cidr(packet.peer, length));
    if (block) peer = *block;
  }
  PortAtom atom = 0;
  if (const PortRanges* ranges = desired.rules.ports.find(known->ports); ranges && packet.protocol)
    for (const PortRange& range : *ranges)
      if (range.protocol == *packet.protocol && range.first <= packet.port && packet.port <= range.last)
        atom = range.atom;
  Verdict verdict;
  for (const ClassId one : {ClassId::None, peer})
    for (const PortAtom port : {PortAtom{0}, atom})
      if (const Verdict* row = desired.rules.verdicts.find({set, one, port})) verdict.take(*row);
  return decide(verdict, set);
}

void judge_ends(const Desired& desired, Seen& seen) {
  const auto protocol = protocol_of(seen.protocol);
  const auto egress = decide_at(desired, Direction::Egress, seen.source, {seen.target, protocol, seen.target_port});
  const auto ingress = decide_at(desired, Direction::Ingress, seen.target, {seen.source, protocol, seen.target_port});
  if (egress) seen.egress = egress->rule;
  if (ingress) seen.ingress = ingress->rule;
  if (seen.fate == Fate::Allowed) return;
  if (egress && !egress->allowed)
    seen.denied = Direction::Egress;
  else if (ingress && !ingress->allowed)
    seen.denied = Direction::Ingress;
  else
    seen.trouble = "by policies that have changed since";
}

}  // namespace

NftFlows::NftFlows(Loop& loop, NftApplier& applier, List list)
    : loop_(loop), applier_(applier), list_(std::move(list)) {}

Status NftFlows::read(const std::function<void(const Seen&)>& each) {
  if (!applier_.enforced() || loop_.now() < next_) return ok();
  next_ = loop_.now() + kLookEvery;
  const WallTime now = loop_.wall_now();
  const auto tell = [&](Seen seen, Fate fate) {
    seen.time = now;
    seen.fate = fate;
    judge_ends(applier_.desired(), seen);
    each(seen);
  };
  for (const Family family : {Family::V4, Family::V6})
    for (const auto& [name, fate] :
         {std::pair{nft::passed_set(family), Fate::Allowed}, {nft::denied_set(family), Fate::Dropped}}) {
      const nftables::Elements elements = TRY(list_(name, applier_.section().sets.at(name)), "list {}", name);
      std::set<Tuple>& known = known_[name];
      std::set<Tuple> present;
      for (const auto& [key, value] : elements) {
        present.insert(key);
        if (!known.contains(key)) tell(from_key(key, family), fate);
      }
      known = std::move(present);
      lost_ += elements.size() >= nft::kMaxTold;
    }
  for (const conntrack::Flow& flow : applier_.take_cut())
    tell({.source = flow.original.source.ip,
          .target = flow.reply.source.ip,
          .source_port = flow.original.source.port,
          .target_port = flow.reply.source.port,
          .protocol = flow.protocol},
         Fate::Cut);
  return ok();
}

}  // namespace causeway::policy
