// Policies and the Pods that they judge: subject selectors, and the sets that Pods share.
#include "policy/compile.h"

namespace causeway::policy {

namespace {
// The host's network is never judged (networking/v1), and what has ended sends nothing.
bool counts(const cluster::Pod& pod) { return !pod.host_network && !pod.finished; }
}  // namespace

void Compiler::count_policy(SubjectState& subject, const cluster::Policy& policy, bool add) {
  const auto count = [add](size_t& number) { add ? ++number : --number; };
  if (add)
    subject.policies.insert(policy.key);
  else
    subject.policies.erase(policy.key);
  if (policy.concerns_ingress) count(subject.ingress);
  if (policy.concerns_egress) count(subject.egress);
  for (const cluster::PolicyRule& rule : policy.ingress)
    for (const cluster::PolicyPort& port : rule.ports)
      if (!port.name.empty()) {
        size_t& number = subject.port_names[port.name];
        count(number);
        if (number == 0) subject.port_names.erase(port.name);
      }
}

void Compiler::take_policy(const PolicyKey& key, const cluster::Model& model) {
  auto in_model = model.policies().find(key);
  const auto now = in_model == model.policies().end() ? nullptr : in_model->second;
  auto known = policies_.find(key);
  const PolicyState old = known == policies_.end() ? PolicyState{} : known->second;
  if (old.policy == now || (old.policy && now && *old.policy == *now)) return;

  bool fresh = false;
  const AtomId selector = now ? subject_selectors_.acquire(now->subject, fresh) : AtomId{};
  if (old.policy) {
    SubjectState& subject = subjects_[old.subject];
    count_policy(subject, *old.policy, false);
    for (SetId set : subject.sets) work_.prepare.insert(set);
    mark_subject(old.policy->subject, model);
    // What sets still know of it is let go when their Pods are placed.
    if (subject_selectors_.release(old.subject) && subject.sets.empty()) subjects_.erase(old.subject);
  }
  if (now) {
    PolicyState state{.policy = now, .subject = selector};
    // A rule that stays as and where it is keeps its number: connections remember it.
    const auto number = [&](Direction direction, const std::vector<RuleId>& before, std::vector<RuleId>& ids) {
      const auto& rules = now->rules(direction);
      for (size_t i = 0; i < rules.size(); ++i) {
        const bool same =
            i < before.size() && old.policy->tier == now->tier && old.policy->rules(direction)[i] == rules[i];
        ids.push_back(same ? before[i] : RuleId{next_rule_++});
      }
    };
    number(Direction::Ingress, old.ingress, state.ingress);
    number(Direction::Egress, old.egress, state.egress);
    count_policy(subjects_[state.subject], *now, true);
    for (SetId set : subjects_[state.subject].sets) work_.prepare.insert(set);
    mark_subject(now->subject, model);
    policies_[key] = std::move(state);
  } else {
    policies_.erase(key);
  }
  if (now && !now->problem.empty())
    problems.put(key, now->problem);
  else
    problems.erase(key);
}

void Compiler::mark_subject(const cluster::PodPeer& peer, const cluster::Model& model) {
  if (work_.all) return;
  const auto look = [&](const cluster::Pod& pod) {
    if (options_.is_local(pod) && peer.covers(pod.key.ns, labels_of(model, pod.key.ns)) &&
        peer.pods.matches(pod.labels))
      work_.pods.insert(pod.key);
  };
  if (peer.ns.empty()) {
    for (const auto& [key, pod] : model.pods()) look(pod);
    return;
  }
  const std::string ns(peer.ns);
  for (auto pod = model.pods().lower_bound({ns, ""}); pod != model.pods().end() && pod->first.ns == ns; ++pod)
    look(pod->second);
}

void Compiler::place_subject(const PodKey& key, const cluster::Model& model) {
  const Subject* before = subjects.find(key);
  const Subject old = before ? *before : Subject{};
  auto pod = model.pods().find(key);
  if (pod == model.pods().end() || !counts(pod->second) || !options_.is_local(pod->second)) {
    if (!before) return;
    subjects.erase(key);
  } else {
    SetKey in{.direction = Direction::Ingress}, out{.direction = Direction::Egress};
    std::set<NamedPort> named;
    for (AtomId atom : subject_selectors_.matching(pod->second, labels_of(model, key.ns))) {
      const SubjectState& subject = subjects_.at(atom);
      if (subject.ingress) in.subjects.push_back(atom);
      if (subject.egress) out.subjects.push_back(atom);
      if (!subject.port_names.empty())
        for (const NamedPort& port : pod->second.ports)
          if (subject.port_names.contains(Name(port.name))) named.insert(port);
    }
    in.named.assign(named.begin(), named.end());
    subjects.put(key, {.ingress = acquire_set(std::move(in)), .egress = acquire_set(std::move(out))});
  }
  release_set(old.ingress);
  release_set(old.egress);
}

SetId Compiler::acquire_set(SetKey key) {
  if (key.subjects.empty()) return SetId::Open;
  auto [known, fresh] = set_ids_.try_emplace(std::move(key));
  if (fresh) {
    do known->second = SetId{next_set_++};
    while (known->second == SetId::Open || sets_.contains(known->second));
    sets_[known->second].key = &known->first;
    for (AtomId atom : known->first.subjects) subjects_.at(atom).sets.insert(known->second);
    work_.prepare.insert(known->second);
  }
  ++sets_.at(known->second).uses;
  return known->second;
}

void Compiler::release_set(SetId id) {
  if (id == SetId::Open) return;
  auto at = sets_.find(id);
  if (--at->second.uses > 0) return;
  for (AtomId atom : at->second.key->subjects)
    if (auto subject = subjects_.find(atom); subject != subjects_.end()) {
      subject->second.sets.erase(id);
      if (subject->second.sets.empty() && !subject_selectors_.has(atom)) subjects_.erase(subject);
    }
  drop_program(at->second);
  use_ports(id, {});
  std::vector<VerdictKey> rows;
  for (auto row = verdicts.rows().lower_bound({id, ClassId::None, 0});
       row != verdicts.rows().end() && row->first.set == id; ++row)
    rows.push_back(row->first);
  for (const VerdictKey& row : rows) verdicts.erase(row);
  sets.erase(id);
  work_.prepare.erase(id);
  work_.finish.erase(id);
  set_ids_.erase(set_ids_.find(*at->second.key));
  sets_.erase(at);
}

}  // namespace causeway::policy
