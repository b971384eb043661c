#include "datapath/rows.h"
#include "service/bpf_maps_pass.h"
#include "service/slots.h"

namespace causeway::service {

namespace {
// Of many endpoints one changes soon: then every slot needs a row.
constexpr size_t kLongestRun = 128;
}  // namespace

// Dirty rows of `services` go to the ports that have them now.
void BpfMaps::Pass::assign() {
  for (const FrontendKey& key : self.desired_.frontends.dirty()) {
    const auto* row = self.desired_.frontends.find(key);
    if (row ? !may(row->value.port) : !complete) continue;
    auto before = self.port_of_.find(key);
    PortState* was = before == self.port_of_.end() ? nullptr : before->port;
    PortState* now = row ? &self.state_of(row->value.port) : nullptr;
    if (now) work(*now).rows.push_back(key);
    if (was && was != now) {
      was->frontends.erase(std::ranges::find(was->frontends, key));
      if (now) work(*was).heirs.push_back(&work(*now));
    }
    if (now) {
      auto at = std::ranges::lower_bound(now->frontends, key);
      if (at == now->frontends.end() || *at != key) now->frontends.insert(at, key);
      if (was != now) {
        if (was) self.port_of_.erase(before);
        self.port_of_.insert({key, now});
      }
    } else {
      if (was) self.port_of_.erase(before);
      removed.emplace_back(key, was ? &work(*was) : nullptr);
    }
  }
  for (const PortId& id : self.desired_.ports.dirty())
    if (auto port = self.ports_.find(id); port != self.ports_.end() && may(id)) work(port->second);
}

void BpfMaps::Pass::plan(Work& work) {
  PortState& port = *work.port;
  if (!port.header.id) self.adopt(port);
  static const Port kNone;
  const auto* row = self.desired_.ports.find(*port.id);
  const Port& wanted = row && !port.frontends.empty() ? row->value : kNone;

  bool uses_cluster = false, uses_local = false;
  std::set<abi::source_key> wanted_sources;
  for (const FrontendKey& key : port.frontends) {
    const auto* frontend = self.desired_.frontends.find(key);
    if (!frontend) continue;
    for (const Side& side : {frontend->value.inside, frontend->value.outside})
      if (side.verdict == Verdict::Balance) (side.pool == Pool::Cluster ? uses_cluster : uses_local) = true;
    for (const Cidr& source : frontend->value.sources) wanted_sources.insert(encode_source(port.header.id, source));
  }

  const std::vector<Member> members = plan_members(work, wanted);
  PortHeader header{.id = port.header.id,
                    .algorithm = wanted.algorithm,
                    .affinity = wanted.affinity,
                    .retry = wanted.retry,
                    .cluster = plan_pool(work, wanted, members, Pool::Cluster, uses_cluster),
                    .local = plan_pool(work, wanted, members, Pool::Local, uses_local)};
  if (!port.flipped || !(header == port.header)) work.rows.assign(port.frontends.begin(), port.frontends.end());
  port.header = header;
  port.flipped = true;
  plan_sources(work, wanted_sources);
}

// All that serve, sorted by address; what they are is written later.
std::vector<BpfMaps::Member> BpfMaps::Pass::plan_members(Work& work, const Port& wanted) {
  PortState& port = *work.port;
  std::vector<const Backend*> sorted;
  for (const Backend& backend : wanted.backends) sorted.push_back(&backend);
  std::ranges::sort(sorted, {}, &Backend::at);
  std::vector<Member> members;
  std::vector<Member> known;
  for (const uint32_t number : port.members) known.push_back({self.at(number), number});
  auto end = [&](const Member& member) {
    work.lower.emplace_back(member.number, gone(self.numbers_.row(member.number)));
    work.released.push_back(member.number);
  };
  auto old = known.begin();
  for (const Backend* backend : sorted) {
    if (!members.empty() && members.back().at == backend->at) continue;
    for (; old != known.end() && old->at < backend->at; ++old) end(*old);
    bool keep = old != known.end() && old->at == backend->at;
    if (keep && self.numbers_.row(old->number).proto != static_cast<uint8_t>(wanted.protocol)) {
      end(*old++);
      keep = false;
    }
    if (keep) {
      const abi::backend_value& is = self.numbers_.row(old->number);
      const auto value = encode(*backend, wanted.protocol, port.header.id, is.generation);
      if (is.state & abi::BACKEND_ELIGIBLE & ~value.state)  // it leaves a pool
        work.lower.emplace_back(old->number, value);
      else if (!(value == is))
        backends.add(&work, old->number, value);
      members.push_back(*old++);
      for (; old != known.end() && old->at == backend->at; ++old) end(*old);
    } else {
      const uint32_t number = self.numbers_.take();
      backends.add(&work, number, encode(*backend, wanted.protocol, port.header.id, self.numbers_.generation(number)));
      if (self.numbers_.used_before(number)) connections.add(&work, number, 0);
      members.push_back({backend->at, number});
    }
  }
  for (; old != known.end(); ++old) end(*old);
  port.members.clear();
  port.members.reserve(members.size());
  for (const Member& member : members) port.members.push_back(member.number);
  return members;
}

PoolHeader BpfMaps::Pass::plan_pool(Work& work, const Port& wanted, const std::vector<Member>& members, Pool pool,
                                    bool used) {
  PortState& port = *work.port;
  std::vector<Share> shares;
  for (const Backend& backend : wanted.backends) {
    if (!used || !(pool == Pool::Cluster ? backend.cluster_pool : backend.local_pool)) continue;
    const auto member = std::ranges::lower_bound(members, backend.at, {}, &Member::at);
    shares.push_back({.at = backend.at, .backend = member->number, .weight = backend.weight});
  }
  const PoolHeader before = port.header.pool(pool);
  const std::vector<uint32_t> now = port.slots_now(pool);
  SlotPlan plan = plan_slots(wanted.algorithm, shares, now);
  if (plan.changed.empty() && plan.slots.size() == now.size()) return before;

  const uint32_t number = pool_number(port.header.id, pool);
  PoolHeader header{.epoch = before.epoch, .slots = static_cast<uint32_t>(plan.slots.size())};
  uint32_t first_old = header.slots;
  // Rows of slots are not made where the row of the Service can say it all, nor are they left for that.
  const bool run =
      plan.slots.size() <= kLongestRun && follow_one_another(plan.slots) && (before.is_run() || !plan.in_place);
  if (run) {
    header.epoch = abi::SLOTS_RUN | plan.slots.front();
    plan.changed.clear();
    first_old = 0;
  } else if (!plan.in_place || before.is_run()) {
    header.epoch = ++port.epoch(pool);
    plan.changed.resize(plan.slots.size());
    for (uint32_t i = 0; i < plan.changed.size(); ++i) plan.changed[i] = i;
    plan.in_place = false;
    first_old = 0;
  }
  for (uint32_t i : plan.changed) {
    const abi::slot_key key{.pool = number, .epoch = header.epoch, .index = i};
    const bool back = !self.retired_.empty() && self.retired_.erase(key);  // it is there still
    if (!back && (!plan.in_place || i >= now.size())) ++new_slots;
    slots.add(&work, key, plan.slots[i]);
  }
  if (!before.is_run())
    for (uint32_t i = first_old; i < now.size(); ++i)
      work.old_slots.push_back({.pool = number, .epoch = before.epoch, .index = i});
  port.slots(pool) = run ? std::vector<uint32_t>{} : std::move(plan.slots);
  return header.slots ? header : PoolHeader{};
}

void BpfMaps::Pass::plan_sources(Work& work, const std::set<abi::source_key>& wanted) {
  auto known = self.sources_.find(work.port->header.id);
  if (wanted.empty() && known == self.sources_.end()) return;
  std::set<abi::source_key>& now = self.sources_[work.port->header.id];
  for (const abi::source_key& key : wanted)
    if (!now.contains(key)) sources.add(&work, key, 1);
  for (const abi::source_key& key : now)
    if (!wanted.contains(key)) work.old_sources.push_back(key);
}

namespace {

// Rows that shall be and rows that shall go, each once: what the kernel holds and should not is dirty.
template <class K, class V>
size_t rows_at_most(const Rows<K, V>& rows) {
  size_t count = rows.rows().size();
  for (const K& key : rows.dirty()) count += rows.find(key) == nullptr;
  return count;
}

}  // namespace

void BpfMaps::Pass::make_room() {
  if (!self.doors_.reserve) return;
  const size_t services = rows_at_most(self.desired_.frontends) + rows_at_most(self.desired_.addresses);
  const MapRoom room{.services = static_cast<uint32_t>(services),
                     .slots = static_cast<uint32_t>(self.slot_rows_ + new_slots),
                     .backends = self.numbers_.end(),
                     .source_ranges = static_cast<uint32_t>(self.source_rows_ + sources.rows.size())};
  // What does not fit is named when it is written, by its port.
  auto made = self.doors_.reserve(room);
  if (made) return;
  if (self.doors_.programs_behind && self.doors_.programs_behind())
    fail_object("self", std::move(made.error()));
  else
    no_room = std::move(made.error());
}

}  // namespace causeway::service
