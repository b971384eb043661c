// Policies and the Pods that they judge: subject selectors, and the sets that Pods share.
#include <algorithm>

#include "policy/compile.h"

namespace causeway::policy {

namespace {

// The host's network is never judged (networking/v1), and what has ended sends nothing.
bool counts(const cluster::Pod& pod) { return !pod.host_network && !pod.finished; }

void mix(size_t& hash, size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29); }

}  // namespace

size_t Compiler::Hash::operator()(const Atoms& atoms) const {
  size_t hash = atoms.size();
  for (AtomId atom : atoms) mix(hash, static_cast<uint32_t>(atom));
  return hash;
}

size_t Compiler::Hash::operator()(const SetKey& key) const {
  size_t hash = (*this)(key.subjects);
  mix(hash, static_cast<size_t>(key.direction));
  for (const NamedPort& port : key.named) mix(hash, std::hash<std::string>()(port.name) + port.port);
  return hash;
}

void Compiler::count_policy(SubjectState& subject, PolicyState& place, const cluster::Policy& policy, bool add) {
  const auto count = [add](uint32_t& number) { add ? ++number : --number; };
  if (add)
    subject.policies.push_back(&place);
  else
    subject.policies.erase(std::ranges::find(subject.policies, &place));
  if (policy.concerns_ingress) count(subject.ingress);
  if (policy.concerns_egress) count(subject.egress);
  for (const cluster::PolicyRule& rule : policy.ingress)
    for (const cluster::PolicyPort& port : rule.ports) {
      if (port.name.empty()) continue;
      auto at = std::ranges::lower_bound(subject.port_names, port.name, {}, &PortName::name);
      if (at == subject.port_names.end() || at->name != port.name)
        at = subject.port_names.insert(at, {.name = port.name, .uses = 0});
      count(at->uses);
      if (at->uses == 0) subject.port_names.erase(at);
    }
}

// What decides in which sets its Pods are.
Compiler::Asked Compiler::asked_of(AtomId subject) const {
  Asked out;
  auto at = subjects_.find(subject);
  if (at == subjects_.end()) return out;
  out.ingress = at->second.ingress > 0;
  out.egress = at->second.egress > 0;
  for (const PortName& name : at->second.port_names) out.names.push_back(name.name);
  return out;
}

void Compiler::forget_subject(AtomId atom) {
  auto at = subjects_.find(atom);
  if (at != subjects_.end() && at->second.policies.empty() && at->second.sets.empty()) subjects_.erase(at);
}

// A rule that stays as and where it is keeps its number: connections remember it.
void Compiler::number_rules(PolicyState& now, PolicyState& before) {
  for (Direction direction : {Direction::Ingress, Direction::Egress}) {
    const auto& rules = now.policy->rules(direction);
    auto& ids = now.side(direction).ids;
    const auto& old = before.side(direction).ids;
    ids.reserve(rules.size());
    for (size_t i = 0; i < rules.size(); ++i) {
      const bool same =
          i < old.size() && before.policy->tier == now.policy->tier && before.policy->rules(direction)[i] == rules[i];
      ids.push_back(same ? old[i] : RuleId{next_rule_++});
    }
  }
}

void Compiler::start(const cluster::Model& model) {
  for (const auto& [key, policy] : model.policies()) {
    PolicyState& state = policies_.try_emplace(key).first->second;
    state.policy = policy;
    bool fresh = false;
    state.subject = selectors_.acquire(policy->subject, Role::Subject, fresh);
    PolicyState none;
    number_rules(state, none);
    count_policy(subjects_[state.subject], state, *policy, true);
    order_.insert_unranked(state);
    if (!policy->problem.empty()) problems.put(key, policy->problem);
  }
  order_.number_all();
  pods_.start(model);
}

void Compiler::take_policy(const PolicyKey& key, const cluster::Model& model) {
  auto in_model = model.policies().find(key);
  const auto now = in_model == model.policies().end() ? nullptr : in_model->second;
  auto known = policies_.find(key);
  const bool was = known != policies_.end();
  if (!was && !now) return;
  if (was && now && (known->second.policy == now || *known->second.policy == *now)) return;
  if (!was) known = policies_.try_emplace(key).first;
  PolicyState& place = known->second;

  // What is new is acquired before what was is released, so that what both use does not come and go.
  bool fresh = false;
  const AtomId subject = now ? selectors_.acquire(now->subject, Role::Subject, fresh) : AtomId{};
  if (was) order_.erase(place);
  PolicyState old = std::exchange(place, PolicyState{.policy = now, .subject = subject, .rank = place.rank});
  const Asked old_asked = was ? asked_of(old.subject) : Asked{}, now_asked = now ? asked_of(subject) : Asked{};
  if (now) number_rules(place, old);
  const auto each_set = [&](AtomId of, const cluster::Policy& policy, auto act) {
    if (auto at = subjects_.find(of); at != subjects_.end())
      for (SetId id : CompactVector(at->second.sets))
        if (policy.concerns(set(id).first.direction)) act(set(id));
  };
  std::vector<Direction> held;
  if (now)
    for (Direction direction : {Direction::Ingress, Direction::Egress})
      if (old.side(direction).sets && now->concerns(direction)) {
        acquire_side(place, direction);
        held.push_back(direction);
      }
  if (was) {
    each_set(old.subject, *old.policy, [&](KnownSet& set) { take_from_set(set, old, &place); });
    count_policy(subjects_.at(old.subject), place, *old.policy, false);
    selectors_.release(old.subject, Role::Subject);
  }
  if (now) {
    std::set<SetId> moved;
    order_.insert(place, [&](PolicyState& other) {
      if (auto at = subjects_.find(other.subject); at != subjects_.end())
        moved.insert(at->second.sets.begin(), at->second.sets.end());
    });
    for (SetId id : moved) reorder_set(set(id));
    count_policy(subjects_[subject], place, *now, true);
    each_set(subject, *now, [&](KnownSet& set) { add_to_set(set, place); });
    for (Direction direction : held) release_side(place, direction, nullptr);
    if (fresh || asked_of(subject) != now_asked) mark_subject(now->subject, model);
  }
  if (was) {
    if (asked_of(old.subject) != old_asked) mark_subject(old.policy->subject, model);
    forget_subject(old.subject);
  }
  if (now && !now->problem.empty())
    problems.put(key, now->problem);
  else
    problems.erase(key);
  if (!now) policies_.erase(key);
}

void Compiler::mark_subject(const cluster::PodPeer& peer, const cluster::Model& model) {
  if (work_.all) return;
  const auto mark = [&](const cluster::Pod& pod) {
    if (options_.is_local(pod)) work_.pods.insert(pod.key);
  };
  each_pod(peer, model, mark);
}

void Compiler::drop_subject(const PodKey& key) {
  const Subject* row = subjects.find(key);
  if (!row) return;
  const Subject old = *row;
  subjects.erase(key);
  release_set(old.ingress);
  release_set(old.egress);
}

void Compiler::place_subject(const cluster::Pod& pod, const cluster::Model& model) {
  if (!counts(pod) || !options_.is_local(pod)) return drop_subject(pod.key);
  const Subject* before = subjects.find(pod.key);
  const Subject old = before ? *before : Subject{};
  SetKey in{.direction = Direction::Ingress, .subjects = {}, .named = {}},
      out{.direction = Direction::Egress, .subjects = {}, .named = {}};
  for (AtomId atom : selectors_.matching(pod, labels_of(model, pod.key.ns), Role::Subject)) {
    const SubjectState& subject = subjects_.at(atom);
    if (subject.ingress) in.subjects.push_back(atom);
    if (subject.egress) out.subjects.push_back(atom);
    for (const PortName& asked : subject.port_names)
      for (const NamedPort& port : pod.ports)
        if (asked.name == port.name) in.named.push_back(port);
  }
  std::ranges::sort(in.named);
  in.named.erase(std::ranges::unique(in.named).begin(), in.named.end());
  subjects.put(pod.key, {.ingress = acquire_set(std::move(in)), .egress = acquire_set(std::move(out))});
  release_set(old.ingress);
  release_set(old.egress);
}

SetId Compiler::acquire_set(SetKey key) {
  if (key.subjects.empty()) return SetId::Open;
  auto [known, fresh] = known_sets_.try_emplace(std::move(key));
  SetState& state = known->second;
  if (fresh) {
    do state.id = SetId{next_set_++};
    while (state.id == SetId::Open || sets_.contains(state.id));
    sets_.emplace(state.id, &*known);
    for (AtomId atom : known->first.subjects) {
      auto& of = subjects_.at(atom).sets;
      of.insert(std::ranges::lower_bound(of, state.id), state.id);
    }
    Unfinished& work = work_.sets[state.id];
    work.fresh = work.whole = true;
  }
  ++state.uses;
  return state.id;
}

void Compiler::release_set(SetId id) {
  if (id == SetId::Open) return;
  KnownSet& known = set(id);
  if (--known.second.uses > 0) return;
  for (AtomId atom : known.first.subjects) {
    auto& of = subjects_.at(atom).sets;
    of.erase(std::ranges::lower_bound(of, id));
    forget_subject(atom);
  }
  clear_set(known);
  use_names(known);
  use_ports(id, {});
  std::vector<VerdictKey> rows;
  for (auto row = verdicts.rows().lower_bound({id, ClassId::None, 0});
       row != verdicts.rows().end() && row->first.set == id; ++row)
    rows.push_back(row->first);
  for (const VerdictKey& row : rows) verdicts.erase(row);
  sets.erase(id);
  work_.sets.erase(id);
  sets_.erase(id);
  known_sets_.erase(known_sets_.find(known.first));
}

}  // namespace causeway::policy
