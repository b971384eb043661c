#include "policy/nft_rows.h"

#include <algorithm>

namespace causeway::policy::nft {

using namespace nftables;

namespace {

constexpr size_t kMaxComment = 127;

uint32_t tagged(ClassId peer) { return peer == ClassId::None ? 0 : kClassTag | static_cast<uint32_t>(peer); }

policy::Verdict at(const Compiler& rules, SetId set, ClassId peer, PortAtom port) {
  policy::Verdict all;
  const auto take = [&](ClassId one, PortAtom atom) {
    if (const auto* row = rules.verdicts.find({set, one, atom})) all.take(*row);
  };
  take(ClassId::None, 0);
  if (peer != ClassId::None) take(peer, 0);
  if (port != 0) take(ClassId::None, port);
  if (peer != ClassId::None && port != 0) take(peer, port);
  return all;
}

SetId set_of(const Subject& subject, Direction direction) {
  return direction == Direction::Ingress ? subject.ingress : subject.egress;
}

}  // namespace

void Suspects::merge(const Suspects& other) {
  all |= other.all;
  own.insert(other.own.begin(), other.own.end());
  peers.insert(other.peers.begin(), other.peers.end());
  blocks.insert(other.blocks.begin(), other.blocks.end());
  gone.insert(other.gone.begin(), other.gone.end());
  left.insert(other.left.begin(), other.left.end());
}

// ---- elements

void NftRows::put(const std::string& set, const Tuple& key, std::optional<Value> value) {
  Elements& elements = section_.elements[set];
  const auto old = elements.find(key);
  before_[set].try_emplace(key, old == elements.end() ? std::nullopt : std::optional(old->second));
  if (value)
    elements.insert_or_assign(key, std::move(*value));
  else if (old != elements.end())
    elements.erase(old);
}

Transaction NftRows::take() {
  Transaction remove, add;
  for (const auto& [name, keys] : before_) {
    const nftables::Set& set = section_.sets.at(name);
    const Elements& elements = section_.elements.at(name);
    Elements gone, come;
    for (const auto& [key, was] : keys) {
      const auto now = elements.find(key);
      const bool there = now != elements.end();
      if (there ? was && *was == now->second : !was) continue;
      if (was) gone.emplace(key, *was);
      if (there) come.insert(*now);
    }
    if (!gone.empty()) remove.push_back(DeleteElements{name, set, std::move(gone)});
    if (!come.empty()) add.push_back(AddElements{name, set, std::move(come)});
  }
  before_.clear();
  std::ranges::move(add, std::back_inserter(remove));
  return remove;
}

// ---- outcomes

NftRows::Outcome NftRows::outcome_of(const Compiler& rules, SetId id, PortsId ports, ClassId peer) {
  Outcome out{.otherwise = decide(at(rules, id, peer, 0), id).allowed, .others = {}};
  const PortRanges* ranges = ports == PortsId::None ? nullptr : rules.ports.find(ports);
  if (!ranges) return out;
  for (PortRange range : *ranges) {
    if (decide(at(rules, id, peer, range.atom), id).allowed == out.otherwise) continue;
    range.atom = 0;
    if (!out.others.empty() && out.others.back().protocol == range.protocol && range.first &&
        out.others.back().last == range.first - 1)
      out.others.back().last = range.last;
    else
      out.others.push_back(range);
  }
  return out;
}

void NftRows::put_outcome(Number number, const Outcome& outcome, bool there) {
  const auto put_verdict = [&](const char* set, const Tuple& key, std::optional<Tuple> last,
                               nftables::Verdict verdict) {
    put(set, key, there ? std::optional(Value{.last = std::move(last), .data = std::move(verdict)}) : std::nullopt);
  };
  const auto say = [](bool allowed) { return allowed ? returns() : go(kDrop); };
  const uint32_t tag = kOutcomeTag | number;
  put_verdict(kOutcomes, Tuple().number(tag), std::nullopt,
              outcome.others.empty() ? say(outcome.otherwise) : go(outcome.otherwise ? kElseAllow : kElseDrop));
  for (const PortRange& range : outcome.others) {
    const auto key = [&](uint16_t port) {
      return Tuple().number(tag).protocol(static_cast<uint8_t>(range.protocol)).port(port);
    };
    if (range.first == range.last)
      put_verdict(kPorts, key(range.first), std::nullopt, say(!outcome.otherwise));
    else
      put_verdict(kRanges, key(range.first), key(range.last), say(!outcome.otherwise));
  }
}

NftRows::Number NftRows::acquire(const Outcome& outcome) {
  auto [known, fresh] = outcomes_.try_emplace(outcome);
  if (fresh) {
    do known->second.number = next_++ & kMaxNumber;
    while (known->second.number == 0 || outcome_of_.contains(known->second.number));
    outcome_of_.emplace(known->second.number, &known->first);
    put_outcome(known->second.number, outcome, true);
  }
  ++known->second.uses;
  return known->second.number;
}

void NftRows::release(Number number) {
  const auto of = outcome_of_.find(number);
  const auto known = outcomes_.find(*of->second);
  if (--known->second.uses > 0) return;
  put_outcome(number, known->first, false);
  outcome_of_.erase(of);
  outcomes_.erase(known);
}

// ---- sets

void NftRows::put_class(const Ip& ip, Direction direction, ClassId peer, std::optional<Number> outcome) {
  put(class_map(ip.family(), direction), Tuple().number(tagged(peer)).ip(ip),
      outcome ? std::optional(Value{.data = Tuple().number(kOutcomeTag | *outcome)}) : std::nullopt);
}

// `peers`: those whose rows changed; nullptr: all of it.
void NftRows::refresh(SetId id, const Compiler& rules, const std::set<ClassId>* peers) {
  const auto* row = rules.sets.find(id);
  SetState& state = sets_[id];
  state.direction = row->direction;
  std::map<ClassId, std::optional<Number>> now;  // to be this; none: as the class None
  const auto none = [&] {
    const auto known = state.outcomes.find(ClassId::None);
    return known == state.outcomes.end() ? nullptr : outcome_of_.at(known->second);
  };
  std::set<ClassId> which;
  if (!peers || !none()) {
    for (auto verdict = rules.verdicts.rows().lower_bound({id, ClassId::None, 0});
         verdict != rules.verdicts.rows().end() && verdict->first.set == id; ++verdict)
      which.insert(verdict->first.peer);
    for (const auto& [peer, number] : state.outcomes) which.insert(peer);
    which.erase(ClassId::None);
    peers = &which;
    now[ClassId::None] = acquire(outcome_of(rules, id, row->ports, ClassId::None));
  }
  const Outcome everybody = now.empty() ? *none() : *outcome_of_.at(*now[ClassId::None]);
  for (ClassId peer : *peers) {
    const Outcome outcome = outcome_of(rules, id, row->ports, peer);
    now[peer] = outcome == everybody ? std::nullopt : std::optional(acquire(outcome));
  }
  bool changed = false;
  for (const auto& [peer, number] : now) {
    const auto known = state.outcomes.find(peer);
    const std::optional<Number> old = known == state.outcomes.end() ? std::nullopt : std::optional(known->second);
    if (old != number) {
      changed = true;
      for (const Ip& ip : state.users) put_class(ip, state.direction, peer, number);
    }
    if (number)
      state.outcomes[peer] = *number;
    else if (old)
      state.outcomes.erase(known);
    if (old) release(*old);
  }
  if (changed) suspects_.own.insert(state.users.begin(), state.users.end());
}

void NftRows::drop_set(SetId id) {
  const auto state = sets_.find(id);
  if (state == sets_.end()) return;
  for (const auto& [peer, number] : state->second.outcomes) release(number);
  sets_.erase(state);
}

// ---- Pods of this node

void NftRows::put_direction(const Ip& ip, Direction direction, SetId was, bool had, SetId now, bool has,
                            const std::string& name) {
  const bool judged = has && now != SetId::Open;
  if (had && was != SetId::Open && !(has && now == was)) {
    SetState& state = sets_[was];
    for (const auto& [peer, number] : state.outcomes) put_class(ip, direction, peer, std::nullopt);
    state.users.erase(ip);
    --judged_;
  }
  if (judged && !(had && was == now)) {
    SetState& state = sets_[now];
    for (const auto& [peer, number] : state.outcomes) put_class(ip, direction, peer, number);
    state.users.insert(ip);
    ++judged_;
  }
  std::optional<Value> value;
  if (has)
    value = Value{.data = judged ? go(judge_chain(ip.family(), direction)) : returns(),
                  .comment = name.substr(0, kMaxComment)};
  put(subject_map(ip.family(), direction), Tuple().ip(ip), std::move(value));
}

void NftRows::set_local(const Ip& ip, std::optional<Local> now) {
  const auto known = locals_.find(ip);
  const bool had = known != locals_.end();
  const Local was = had ? known->second : Local{};
  if (had == now.has_value() && (!now || *now == was)) return;
  const Local is = now.value_or(Local{});
  for (const Direction direction : {Direction::Ingress, Direction::Egress})
    put_direction(ip, direction, set_of(was.subject, direction), had, set_of(is.subject, direction), now.has_value(),
                  is.name);
  put(own_set(ip.family()), Tuple().ip(ip).ip(ip), now ? std::optional(Value{}) : std::nullopt);
  if (had && !now) suspects_.left.insert(ip);
  if (had && now && was.subject != is.subject) suspects_.own.insert(ip);
  if (now)
    locals_.insert_or_assign(ip, std::move(*now));
  else
    locals_.erase(known);
}

// ---- classes

void NftRows::set_address(const Ip& ip, const Address* row) {
  const ClassId now = row ? row->peer : ClassId::None;
  const auto known = addresses_.find(ip);
  const ClassId was = known == addresses_.end() ? ClassId::None : known->second;
  if (was != now) {
    if (!row)
      suspects_.gone.insert(ip);
    else if (was != ClassId::None || denying_)
      suspects_.peers.insert(ip);
    put(address_map(ip.family()), Tuple().ip(ip),
        now == ClassId::None ? std::nullopt : std::optional(Value{.data = Tuple().number(tagged(now))}));
  }
  if (now == ClassId::None) {
    if (known != addresses_.end()) addresses_.erase(known);
  } else {
    addresses_.insert_or_assign(ip, now);
  }
}

void NftRows::set_dns(const Ip& ip, const DnsPeer* row) {
  const auto known = dns_.find(ip);
  if (known == dns_.end() ? !row : row && row->peer == known->second) return;
  suspects_.peers.insert(ip);
  // The class None is said too: none of the other maps is to be asked.
  for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp})
    put(dns_map(ip.family()), Tuple().ip(ip).protocol(static_cast<uint8_t>(protocol)).port(53),
        row ? std::optional(Value{.data = Tuple().number(kClassTag | static_cast<uint32_t>(row->peer))})
            : std::nullopt);
  if (row)
    dns_.insert_or_assign(ip, row->peer);
  else
    dns_.erase(known);
}

void NftRows::put_ranges() {
  for (const Ip& first : blocks_.take_dirty()) {
    const auto range = blocks_.ranges().find(first);
    std::optional<Value> value;
    if (range != blocks_.ranges().end() && range->second.peer != ClassId::None)
      value = Value{.last = range->second.last == first ? std::nullopt : std::optional(Tuple().ip(range->second.last)),
                    .data = Tuple().number(tagged(range->second.peer))};
    put(block_map(first.family()), Tuple().ip(first), std::move(value));
  }
}

// ---- all of it

void NftRows::rebuild(const Compiler& rules, const std::map<Ip, Local>& locals) {
  std::map<Ip, std::optional<Local>> changed;
  for (const auto& [ip, local] : locals_) changed[ip] = std::nullopt;
  for (const auto& [ip, local] : locals) changed[ip] = local;
  std::set<SetId> gone;
  for (const auto& [id, state] : sets_) gone.insert(id);
  for (const auto& [id, set] : rules.sets.rows()) {
    refresh(id, rules, nullptr);
    gone.erase(id);
  }
  for (auto& [ip, local] : changed) set_local(ip, std::move(local));
  for (SetId id : gone) drop_set(id);
  std::set<Ip> addresses;
  for (const auto& [ip, peer] : addresses_) addresses.insert(ip);
  for (const auto& [ip, row] : rules.addresses.rows()) addresses.insert(ip);
  for (const Ip& ip : addresses) set_address(ip, rules.addresses.find(ip));
  std::set<Ip> dns;
  for (const auto& [ip, peer] : dns_) dns.insert(ip);
  for (const auto& [ip, row] : rules.dns.rows()) dns.insert(ip);
  for (const Ip& ip : dns) set_dns(ip, rules.dns.find(ip));
  blocks_ = {};
  section_.elements[block_map(Family::V4)].clear();
  section_.elements[block_map(Family::V6)].clear();
  for (const auto& [block, peer] : rules.blocks.rows()) blocks_.set(block, peer);
  put_ranges();
  before_.clear();
  denying_ =
      std::ranges::any_of(rules.rules.rows(), [](const auto& row) { return row.second.action != Action::Accept; });
}

Transaction NftRows::update(const Compiler& rules, const std::map<Ip, std::optional<Local>>& locals) {
  if (!rules.rules.dirty().empty())
    denying_ =
        std::ranges::any_of(rules.rules.rows(), [](const auto& row) { return row.second.action != Action::Accept; });
  std::map<SetId, std::set<ClassId>> peers;
  for (const VerdictKey& key : rules.verdicts.dirty()) peers[key.set].insert(key.peer);
  for (SetId id : rules.sets.dirty()) peers[id].insert(ClassId::None);
  for (const auto& [id, which] : peers)
    if (rules.sets.find(id)) refresh(id, rules, which.contains(ClassId::None) ? nullptr : &which);
  for (const auto& [ip, local] : locals) set_local(ip, local);
  for (const auto& [id, which] : peers)
    if (!rules.sets.find(id)) drop_set(id);
  for (const Ip& ip : rules.addresses.dirty()) set_address(ip, rules.addresses.find(ip));
  for (const Ip& ip : rules.dns.dirty()) set_dns(ip, rules.dns.find(ip));
  for (const Cidr& block : rules.blocks.dirty()) {
    const ClassId* peer = rules.blocks.find(block);
    blocks_.set(block, peer ? std::optional(*peer) : std::nullopt);
    suspects_.blocks.insert(block);
  }
  put_ranges();
  return take();
}

// ---- judgement

const Local* NftRows::local(const Ip& ip) const {
  const auto known = locals_.find(ip);
  return known == locals_.end() ? nullptr : &known->second;
}

bool NftRows::allows(Direction direction, const Ip& own, const Ip& other, std::optional<Protocol> protocol,
                     uint16_t port) const {
  const Local* pod = local(own);
  if (!pod) return false;
  const SetId id = set_of(pod->subject, direction);
  if (id == SetId::Open || own == other) return true;
  const auto state = sets_.find(id);
  if (state == sets_.end()) return false;
  const auto address = addresses_.find(other);
  const auto dns = may_be_dns(direction, protocol, port) ? dns_.find(other) : dns_.end();
  const ClassId peer = dns != dns_.end()             ? dns->second
                       : address == addresses_.end() ? blocks_.at(other)
                                                     : address->second;
  auto number = state->second.outcomes.find(peer);
  if (number == state->second.outcomes.end()) number = state->second.outcomes.find(ClassId::None);
  if (number == state->second.outcomes.end()) return false;
  const Outcome& outcome = *outcome_of_.at(number->second);
  const bool named = protocol && std::ranges::any_of(outcome.others, [&](const PortRange& range) {
                       return range.protocol == *protocol && range.first <= port && port <= range.last;
                     });
  return named ? !outcome.otherwise : outcome.otherwise;
}

}  // namespace causeway::policy::nft
