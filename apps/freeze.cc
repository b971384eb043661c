#include "apps/freeze.h"

#include <netinet/in.h>

#include "base/log.h"
#include "kernel/nftables/diff.h"

namespace causeway::apps {

namespace {

using namespace nftables;

constexpr const char* kSection = "handover";
constexpr const char* kFrozen = "handover-frozen";  // protocols; its element ends by itself
constexpr uint64_t kAtMostMs = 3000;

// Not a SYN among SYN, ACK and RST.
Match opens_nothing() {
  return Match{.what = Raw{.base = Raw::Base::Transport, .offset = 13, .length = 1},
               .value = Tuple::from_bytes("\x02"),
               .mask = Tuple::from_bytes("\x16"),
               .negated = true};
}

// Before conntrack.
void leave_untracked(Section& section, const Freeze::Answering& answering) {
  for (const auto& [protocol, source] : answering) {
    const bool v4 = source.ip.is_v4();
    const std::string set = v4 ? "handover-answering4" : "handover-answering6";
    if (section.elements[set].empty()) {
      section.sets[set] = {.key = {v4 ? Type::Ipv4 : Type::Ipv6, Type::Protocol, Type::Port}};
      Chain& chain = section.chains["handover-untracked"];
      chain.base = Base{ChainType::Filter, Hook::Prerouting, kRaw};
      chain.rules.push_back(
          {{Lookup{{saddr_of(source.ip.family()), Field::L4Proto, Field::ThSport}, set}, Notrack{}}, {}});
    }
    section.elements[set].insert({Tuple().ip(source.ip).protocol(protocol).port(source.port), {}});
  }
}

Section section_of(Freeze::What what, const Freeze::Answering& untracked) {
  Section section{.name = kSection};
  leave_untracked(section, untracked);
  // Asks conntrack, so that it works, and translates what that knows.
  section.chains["handover-nat"] = Chain{Base{ChainType::Nat, Hook::Output, kDstnat},
                                         {Rule{{any_of(Field::CtState, kStateInvalid), Counter{}}, {}}}};
  if (what == Freeze::What::Nothing) return section;
  section.sets[kFrozen] = {.key = {Type::Protocol}, .timeout_ms = kAtMostMs, .has_timeout = true};
  section.elements[kFrozen].insert({Tuple().protocol(IPPROTO_TCP), {}});
  // An answer to a SYN that netfilter has not seen is invalid, not new: it would leave untranslated.
  const bool continuing = what == Freeze::What::Continuing;
  const uint32_t unknown = continuing ? kStateNew | kStateInvalid : kStateNew;
  Rule rule{{any_of(Field::CtState, unknown), Lookup{{Field::L4Proto}, kFrozen}}, "a node changes hands"};
  if (continuing) rule.statements.push_back(opens_nothing());
  rule.statements.push_back(drop());
  // Behind conntrack, which tells what is known, and before every translation.
  for (const auto& [name, hook] :
       {std::pair{"handover-prerouting", Hook::Prerouting}, {"handover-output", Hook::Output}})
    section.chains[name] = Chain{Base{ChainType::Filter, hook, kMangle}, {rule}};
  return section;
}

}  // namespace

Result<Freeze> Freeze::begin(Nftables& nft, What what, const Answering& untracked) {
  Freeze freeze(nft);
  TRY(freeze.become(what, untracked));
  return freeze;
}

Status Freeze::become(What what, const Answering& untracked) {
  if (!nft_) return fail(Errc::Internal, "hold connections: it has ended");
  TRY(nft_->apply(diff(TRY(nft_->observe(kSection)), section_of(what, untracked))), "hold connections");
  return ok();
}

Status Freeze::end() {
  auto* nft = std::exchange(nft_, nullptr);
  return nft ? remove_freeze(*nft) : ok();
}

Freeze::~Freeze() {
  if (!nft_) return;
  if (const Status removed = remove_freeze(*nft_); !removed)
    log::error("chains handover-* of table inet causeway could not be removed; they end in {} s: {}", kAtMostMs / 1000,
               removed.error().message());
}

Status remove_freeze(Nftables& nft) {
  const auto removal = nftables::removal(TRY(nft.observe(kSection)));
  return removal.empty() ? ok() : nft.apply(removal);
}

}  // namespace causeway::apps
