#include "policy/compile.h"

namespace causeway::policy {

const cluster::Labels& labels_of(const cluster::Model& model, const std::string& ns) {
  static const cluster::Labels none;
  auto at = model.namespaces().find(ns);
  return at == model.namespaces().end() ? none : at->second.labels;
}

void Compiler::update(const cluster::ChangeSet& changes, const cluster::Model& model) {
  // So many changes at once are cheaper as a look at everything than one by one.
  constexpr size_t kMany = 1000;
  work_ = {.all = !started_ || changes.policies.size() + changes.namespaces.size() > kMany};
  if (started_) {
    for (const auto& [key, before] : changes.policies) take_policy(key, model);
    for (const auto& [key, before] : changes.pods) work_.pods.insert(key);
    for (const auto& [name, before] : changes.namespaces)
      for (auto pod = model.pods().lower_bound({name, ""}); pod != model.pods().end() && pod->first.ns == name; ++pod)
        work_.pods.insert(pod->first);
  } else {
    started_ = true;
    for (const auto& [key, policy] : model.policies()) take_policy(key, model);
  }
  if (work_.all) {
    for (const auto& [key, pod] : model.pods()) work_.pods.insert(key);
    for (const auto& [key, addresses] : claims_) work_.pods.insert(key);
    for (const auto& [key, subject] : subjects.rows()) work_.pods.insert(key);
  }

  // Who is judged by what.
  for (const PodKey& pod : work_.pods) place_subject(pod, model);
  for (SetId set : work_.prepare) prepare_set(set);

  // What that means for the memberships of others.
  if (!work_.all)
    for (const cluster::PodPeer& peer : changed_peers_) mark_members(peer, model);
  if (!work_.all) mark_names(changed_names_, model);
  for (const cluster::PolicyBlock& block : changed_blocks_) mark_block(block);
  changed_peers_.clear();
  changed_names_.clear();
  changed_blocks_.clear();
  for (const Cidr& prefix : work_.prefixes) place_prefix(prefix);
  // Placing one may hand an address back to another, which joins the queue.
  while (!work_.pods.empty()) {
    auto pods = std::exchange(work_.pods, {});
    for (const PodKey& pod : pods) place_addresses(pod, model);
  }

  // Verdicts: whole sets, and of the others the classes that are new.
  for (SetId set : work_.finish) finish_set(set);
  for (ClassId peer : work_.fresh_classes) {
    auto state = classes_.find(peer);
    if (state == classes_.end()) continue;  // came and went
    std::set<SetId> concerned;
    for (AtomId atom : *state->second.members) {
      if (auto users = sets_of_atom_.find(atom); users != sets_of_atom_.end())
        concerned.insert(users->second.begin(), users->second.end());
      if (kind_of(atom) == AtomKind::Port)
        if (auto users = sets_of_name_.find(value_of_.at(atom)->name); users != sets_of_name_.end())
          concerned.insert(users->second.begin(), users->second.end());
    }
    for (SetId set : concerned)
      if (!work_.finish.contains(set))
        put_rows(set, peer, sets_.at(set).program->rows(*state->second.members, [&](AtomId atom) -> const NamedPort& {
          return *value_of_.at(atom);
        }));
  }
  work_ = {};
}

void Compiler::clean() {
  subjects.clean();
  addresses.clean();
  blocks.clean();
  ports.clean();
  sets.clean();
  verdicts.clean();
  rules.clean();
  problems.clean();
}

Tables Compiler::tables() const {
  Tables out{.subjects = subjects.rows(),
             .addresses = addresses.rows(),
             .blocks = blocks.rows(),
             .ports = ports.rows(),
             .sets = sets.rows(),
             .verdicts = verdicts.rows(),
             .rules = rules.rows(),
             .problems = problems.rows()};
  for (const auto& [id, state] : classes_) {
    std::vector<std::string>& members = out.classes[id].members;
    for (AtomId atom : *state.members) switch (kind_of(atom)) {
        case AtomKind::Selector: members.push_back(to_string(peer_selectors_.peer(atom))); break;
        case AtomKind::Block: members.push_back(to_string(peer_blocks_.block(atom))); break;
        case AtomKind::Port: {
          const NamedPort& port = *value_of_.at(atom);
          members.push_back(fmt::format("port {}={}/{}", port.name, port.port, port.protocol));
          break;
        }
      }
    std::ranges::sort(members);
  }
  return out;
}

Tables compile(const cluster::Model& model, Options options) {
  Compiler compiler(std::move(options));
  compiler.update({}, model);
  return compiler.tables();
}

}  // namespace causeway::policy
