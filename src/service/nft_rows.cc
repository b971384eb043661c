#include "service/nft_rows.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace causeway::service::nft {

using namespace nftables;

namespace {

constexpr size_t kMaxComment = 127;
constexpr uint32_t kNumbersAtOnce = 1024;

// Prefixes nest or have nothing in common: the outermost ones.
std::set<Cidr> outermost(const std::set<Cidr>& all) {
  std::set<Cidr> out;
  for (const Cidr& cidr : all)
    if (std::ranges::none_of(all, [&](const Cidr& other) { return other != cidr && other.contains(cidr); }))
      out.insert(cidr);
  return out;
}

// From what was to what shall be, element by element.
void compare(const std::map<std::string, Elements>& before, const std::map<std::string, Elements>& after,
             const std::map<std::string, Set>& sets, Transaction& remove, Transaction& add) {
  static const Elements kNone;
  const auto of = [](const auto& all, const std::string& set) -> const Elements& {
    const auto found = all.find(set);
    return found == all.end() ? kNone : found->second;
  };
  const auto missing = [](const Elements& from, const Elements& in) {
    Elements out;
    for (const auto& element : from)
      if (const auto same = in.find(element.first); same == in.end() || same->second != element.second)
        out.insert(element);
    return out;
  };
  for (const auto& [name, set] : sets) {
    if (auto gone = missing(of(before, name), of(after, name)); !gone.empty())
      remove.push_back(DeleteElements{name, set, std::move(gone)});
    if (auto come = missing(of(after, name), of(before, name)); !come.empty())
      add.push_back(AddElements{name, set, std::move(come)});
  }
}

const std::map<std::string, Set>& declarations() {
  static const auto sets = skeleton().sets;
  return sets;
}

}  // namespace

std::vector<Endpoint> slots_of(const Port& port, Pool pool) {
  std::vector<const Backend*> members;
  uint32_t divisor = 0;
  uint64_t sum = 0;
  for (const Backend& backend : port.backends) {
    if (!(pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool)) continue;
    members.push_back(&backend);
    divisor = std::gcd(divisor, uint32_t{backend.weight});
    sum += backend.weight;
  }
  std::vector<Endpoint> slots;
  if (members.empty()) return slots;
  const uint64_t most = std::max<uint64_t>(kMaxWeighted, members.size());
  for (const Backend* member : members) {
    uint64_t times = std::max<uint32_t>(member->weight / std::max(divisor, 1u), 1);
    if (sum / std::max(divisor, 1u) > most) times = std::max<uint64_t>(member->weight * most / sum, 1);
    slots.insert(slots.end(), times, member->at);
  }
  return slots;
}

// ---- rows

uint32_t NftRows::new_number() {
  if (next_number_ >= given_) given_ = next_number_ + kNumbersAtOnce;
  while (numbers_.contains(next_number_) || (next_number_ & ~kNumberTagMask) == 0)
    next_number_ = kNumberTag | ((next_number_ + 1) & ~kNumberTagMask);
  const uint32_t number = next_number_;
  next_number_ = kNumberTag | ((number + 1) & ~kNumberTagMask);
  return number;
}

std::set<Pool> NftRows::pools_in_use(const PortId& id) const {
  std::set<Pool> used;
  if (const auto of = frontends_of_.find(id); of != frontends_of_.end())
    for (const FrontendKey& key : of->second) {
      const Frontend& frontend = frontends_.at(key);
      for (const Side* side : {&frontend.inside, &frontend.outside})
        if (side->verdict == service::Verdict::Balance) used.insert(side->pool);
    }
  return used;
}

NftRows::PortState NftRows::state_of(const PortId& id, const Port& port, const PortState* old, const Desired& desired) {
  PortState now{.affinity = port.affinity,
                .cluster = slots_of(port, Pool::Cluster),
                .local = slots_of(port, Pool::Local),
                .numbers = {},
                .here = {}};
  for (const Backend& backend : port.backends)
    if (backend.local && !desired.node_addresses.find(backend.at.ip)) now.here.insert(backend.at.ip);
  if (!now.affinity) return now;
  for (const Pool pool : pools_in_use(id))
    for (const Endpoint& endpoint : now.slots(pool)) {
      if (now.numbers.contains(endpoint)) continue;
      const bool again = old && old->numbers.contains(endpoint);
      const uint32_t number = again ? old->numbers.at(endpoint) : new_number();
      now.numbers[endpoint] = number;
      numbers_.insert(number);
    }
  return now;
}

void NftRows::set_port(const PortId& id, const Desired& desired) {
  const auto old = ports_.find(id);
  if (old != ports_.end())
    for (const Ip& ip : old->second.here)
      if (--here_[ip] == 0) here_.erase(ip);
  std::optional<PortState> now;
  if (const auto* row = desired.ports.find(id))
    now = state_of(id, row->value, old == ports_.end() ? nullptr : &old->second, desired);
  if (old != ports_.end())
    for (const auto& [endpoint, number] : old->second.numbers)
      if (!now || !now->numbers.contains(endpoint)) numbers_.erase(number);
  if (!now) {
    ports_.erase(id);
    return;
  }
  for (const Ip& ip : now->here) ++here_[ip];
  ports_.insert_or_assign(id, std::move(*now));
}

void NftRows::set_frontend(const FrontendKey& key, const Desired& desired) {
  if (const auto old = frontends_.find(key); old != frontends_.end()) {
    const auto of = frontends_of_.find(old->second.port);
    of->second.erase(key);
    if (of->second.empty()) frontends_of_.erase(of);
    frontends_.erase(old);
  }
  const auto* row = desired.frontends.find(key);
  if (!row || row->value.kind == Kind::HostPort) return;  // src/pod/hostport has those
  frontends_of_[row->value.port].insert(key);
  frontends_.emplace(key, row->value);
}

namespace {

template <class Rows, class Set>
void keys_into(const Rows& rows, Set& set) {
  set.clear();
  for (const auto& [key, row] : rows.rows()) set.insert(key);
}

std::set<Ip> node_port_addresses(const Desired& desired) {
  std::set<Ip> out;
  for (const auto& [ip, row] : desired.node_addresses.rows())
    // From ::1 the kernel carries nothing over a link.
    if (row.value.node_ports && !(ip.is_v6() && ip.is_loopback())) out.insert(ip);
  return out;
}

}  // namespace

void NftRows::adopt_numbers(const Desired& desired, const Observed& actual) {
  const auto elements_of = [&](const std::string& map) -> const Elements* {
    const auto set = actual.sets.find(map);
    return set == actual.sets.end() ? nullptr : &set->second.elements;
  };
  const auto number_in = [](const Value& value) -> uint32_t {
    const auto* data = std::get_if<Tuple>(&value.data);
    uint32_t number = 0;
    if (data && data->bytes().size() == sizeof number) std::memcpy(&number, data->bytes().data(), sizeof number);
    return (number & kNumberTagMask) == kNumberTag ? number : 0;
  };
  if (const auto* given = elements_of(kNumbers); given && !given->empty())
    if (const uint32_t number = number_in(given->begin()->second)) given_ = next_number_ = number;
  for (const auto& [key, row] : desired.frontends.rows()) {
    const auto* port = desired.ports.find(row.value.port);
    if (!port || !port->value.affinity) continue;
    const Family family = key.ip.family();
    for (const Pool pool : {Pool::Cluster, Pool::Local}) {
      const auto* sticky = elements_of(sticky_map(family, where_of(key), pool));
      const auto* members = elements_of(member_map(family, pool));
      if (!sticky || !members) continue;
      std::map<Tuple, uint32_t> numbers;  // of endpoints in a former life
      for (uint32_t slot = 0;; ++slot) {
        const auto element = sticky->find(key_of(key, where_of(key)).number(slot));
        if (element == sticky->end()) break;
        const uint32_t number = number_in(element->second);
        const auto member = members->find(Tuple().number(number));
        const auto* data = member == members->end() ? nullptr : std::get_if<Tuple>(&member->second.data);
        if (data) numbers.emplace(*data, number);
      }
      for (const Endpoint& endpoint : slots_of(port->value, pool))
        if (const auto known = numbers.find(Tuple().ip(endpoint.ip).port(endpoint.port)); known != numbers.end()) {
          ports_[row.value.port].numbers.emplace(endpoint, known->second);
          numbers_.insert(known->second);
        }
    }
  }
}

void NftRows::rebuild(const Desired& desired, const Observed& actual) {
  // Numbers that are known here stay those; after a restart what the kernel holds tells them.
  const bool first = ports_.empty() && given_ == 0;
  if (first) adopt_numbers(desired, actual);
  frontends_.clear();
  frontends_of_.clear();
  for (const auto& [key, row] : desired.frontends.rows()) set_frontend(key, desired);
  std::set<PortId> ports;
  for (const auto& [id, state] : ports_) ports.insert(id);
  for (const auto& [id, row] : desired.ports.rows()) ports.insert(id);
  for (const PortId& id : ports) set_port(id, desired);
  picks_.clear();
  All nothing;
  for (const auto& [key, frontend] : frontends_) put_frontend(key, nothing, picks_);
  keys_into(desired.addresses, addresses_);
  keys_into(desired.ranges, ranges_);
  nodes_ = node_port_addresses(desired);
}

// ---- elements

nftables::Verdict NftRows::verdict_of(const Side& side, const PortState& port, Family family,
                                      std::map<Pick, int>& picks) const {
  switch (side.verdict) {
    case service::Verdict::Drop: return drop();
    case service::Verdict::Reject: return go(kReject);
    case service::Verdict::Balance: break;
  }
  const auto slots = uint32_t(port.slots(side.pool).size());
  if (slots == 0) return go(kReject);
  const Pick pick{family, side.pool, slots, port.affinity, side.masquerade};
  ++picks[pick];
  if (const auto plain = leans_on(pick)) ++picks[*plain];
  return go(chain_of(pick));
}

void NftRows::put_frontend(const FrontendKey& key, All& into, std::map<Pick, int>& picks) const {
  static const PortState kNoPort;
  const Frontend& frontend = frontends_.at(key);
  const auto found = ports_.find(frontend.port);
  const PortState& port = found == ports_.end() ? kNoPort : found->second;
  const Family family = key.ip.family();
  const Where where = where_of(key);
  const Tuple packet = key_of(key, where);
  const std::string name = to_string(frontend.port).substr(0, kMaxComment);
  std::set<Pool> used;
  for (const From from : {From::Inside, From::Outside}) {
    const Side& side = from == From::Inside ? frontend.inside : frontend.outside;
    // What comes from outside to an address of Services is dropped anyway.
    if (from == From::Outside && side.verdict == service::Verdict::Drop && frontend.kind == Kind::ClusterIp) continue;
    into[verdict_map(family, where, from)].emplace(
        packet, Value{.data = verdict_of(side, port, family, picks), .comment = name});
    if (side.verdict == service::Verdict::Balance) used.insert(side.pool);
  }
  for (const Pool pool : used) {
    const auto& slots = port.slots(pool);
    if (slots.empty()) continue;
    Elements& elements = into[port.affinity ? sticky_map(family, where, pool) : slot_map(family, where, pool)];
    for (uint32_t slot = 0; slot < slots.size(); ++slot) {
      Tuple data = port.affinity ? Tuple().number(port.numbers.at(slots[slot]))
                                 : Tuple().ip(slots[slot].ip).port(slots[slot].port);
      elements.emplace(Tuple(packet).number(slot), Value{.data = std::move(data)});
    }
  }
  if (frontend.sources.empty() || where == Where::Port) return;
  into[fenced_set(family)].emplace(packet, Value{});
  for (const Cidr& source : outermost({frontend.sources.begin(), frontend.sources.end()})) {
    if (source.family() != family) continue;
    const auto [first, value] = range(source);
    const Tuple from = Tuple::from_bytes(packet.bytes() + first.bytes());
    const Tuple last = Tuple::from_bytes(packet.bytes() + value.last.value_or(first).bytes());
    into[source_set(family)].emplace(from, Value{.last = last == from ? std::nullopt : std::optional(last)});
  }
}

void NftRows::put_port(const PortId& id, All& into) const {
  const auto found = ports_.find(id);
  if (found == ports_.end()) return;
  if (!found->second.affinity) return;
  for (const Pool pool : pools_in_use(id))
    for (const Endpoint& endpoint : found->second.slots(pool))
      into[member_map(id.family, pool)].emplace(Tuple().number(found->second.numbers.at(endpoint)),
                                                Value{.data = Tuple().ip(endpoint.ip).port(endpoint.port)});
}

// What belongs to no single row. Few, or sets that are quick to compare.
void NftRows::put_globals(All& into) const {
  if (given_) into[kNumbers].emplace(Tuple().number(0), Value{.data = Tuple().number(given_)});
  for (const Cidr& cidr : outermost(ranges_)) into[range_set(cidr.family())].insert(range(cidr));
  for (const Ip& ip : nodes_) into[node_set(ip.family())].emplace(Tuple().ip(ip), Value{});
}

Section NftRows::section() const {
  Section section = skeleton();
  std::map<Pick, int> picks;
  for (const auto& [key, frontend] : frontends_) put_frontend(key, section.elements, picks);
  for (const auto& [id, port] : ports_) put_port(id, section.elements);
  put_globals(section.elements);
  for (const Ip& ip : addresses_) section.elements[address_set(ip.family())].emplace(Tuple().ip(ip), Value{});
  for (const auto& [ip, ports] : here_)
    section.elements[hairpin_set(ip.family())].emplace(Tuple().ip(ip).ip(ip), Value{});
  for (const auto& [pick, users] : picks) section.chains[chain_of(pick)].rules = rules_of(pick);
  return section;
}

Transaction NftRows::update(const Desired& desired) {
  std::set<FrontendKey> frontends(desired.frontends.dirty().begin(), desired.frontends.dirty().end());
  std::set<PortId> ports(desired.ports.dirty().begin(), desired.ports.dirty().end());
  // Whether a Pod's address is the node's decides about its hairpin.
  if (!desired.node_addresses.dirty().empty())
    for (const auto& [id, state] : ports_) ports.insert(id);
  // A port's endpoints have numbers where one of its frontends asks for them.
  for (const FrontendKey& key : desired.frontends.dirty()) {
    if (const auto old = frontends_.find(key); old != frontends_.end()) ports.insert(old->second.port);
    if (const auto* row = desired.frontends.find(key)) ports.insert(row->value.port);
  }
  for (const PortId& id : ports)
    if (const auto of = frontends_of_.find(id); of != frontends_of_.end())
      frontends.insert(of->second.begin(), of->second.end());

  std::map<Ip, int> here;  // by how many ports more have it
  const auto count_here = [&](int by) {
    for (const PortId& id : ports)
      if (const auto port = ports_.find(id); port != ports_.end())
        for (const Ip& ip : port->second.here) here[ip] += by;
  };
  All before, after;
  std::map<Pick, int> picks_before, picks_after;
  put_globals(before);
  count_here(-1);
  for (const PortId& id : ports) put_port(id, before);
  for (const FrontendKey& key : frontends)
    if (frontends_.contains(key)) put_frontend(key, before, picks_before);

  for (const FrontendKey& key : frontends) set_frontend(key, desired);
  for (const PortId& id : ports) set_port(id, desired);
  // Addresses and ranges are kept by their rows' keys.
  for (const Ip& ip : desired.addresses.dirty()) {
    const bool is = desired.addresses.find(ip) != nullptr, was = addresses_.contains(ip);
    if (is) addresses_.insert(ip);
    if (!is) addresses_.erase(ip);
    if (is != was) (is ? after : before)[address_set(ip.family())].emplace(Tuple().ip(ip), Value{});
  }
  if (!desired.ranges.dirty().empty()) keys_into(desired.ranges, ranges_);
  if (!desired.node_addresses.dirty().empty()) nodes_ = node_port_addresses(desired);

  put_globals(after);
  count_here(1);
  for (const auto& [ip, more] : here) {
    const auto now = here_.find(ip);
    const int is = now == here_.end() ? 0 : now->second, was = is - more;
    if ((is > 0) != (was > 0)) (is ? after : before)[hairpin_set(ip.family())].emplace(Tuple().ip(ip).ip(ip), Value{});
  }
  for (const PortId& id : ports) put_port(id, after);
  for (const FrontendKey& key : frontends)
    if (frontends_.contains(key)) put_frontend(key, after, picks_after);
  std::map<Pick, int> touched = picks_after;
  for (const auto& [pick, users] : picks_before) touched[pick] -= users;
  Transaction chains, removed, added, rules, flushes, deletes;
  for (const auto& [pick, more] : touched) {
    const int was = picks_.contains(pick) ? picks_[pick] : 0, is = was + more;
    if (is)
      picks_[pick] = is;
    else
      picks_.erase(pick);
    if (!was && is) {
      chains.push_back(AddChain{chain_of(pick), std::nullopt});
      for (const Rule& rule : rules_of(pick)) rules.push_back(AddRule{chain_of(pick), rule});
    } else if (was && !is) {
      flushes.push_back(FlushChain{chain_of(pick)});
      deletes.push_back(DeleteChain{chain_of(pick)});
    }
  }
  compare(before, after, declarations(), removed, added);
  Transaction all;
  for (Transaction* part : {&chains, &rules, &removed, &added, &flushes, &deletes})
    all.insert(all.end(), std::make_move_iterator(part->begin()), std::make_move_iterator(part->end()));
  return all;
}

}  // namespace causeway::service::nft
