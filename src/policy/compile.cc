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
  const bool first = !std::exchange(started_, true);
  work_ = {.all = first || changes.policies.size() + changes.namespaces.size() > kMany};
  if (first) start(model);
  if (!first) {
    for (const auto& [key, before] : changes.pods) {
      auto now = model.pods().find(key);
      pods_.change(key, before ? &*before : nullptr, now == model.pods().end() ? nullptr : &now->second);
    }
    for (const auto& [key, before] : changes.pods) work_.pods.insert(key);
    // By the selectors that there were: one that goes in this update, too, tells who was in it.
    for (const auto& [name, before] : changes.namespaces) {
      if (work_.all || selectors_.same_for(before ? before->labels : cluster::Labels(), labels_of(model, name)))
        continue;
      for (auto pod = model.pods().lower_bound({name, ""}); pod != model.pods().end() && pod->first.ns == name; ++pod)
        work_.pods.insert(pod->first);
    }
    for (const auto& [key, before] : changes.policies) take_policy(key, model);
  }

  // Who is judged by what.
  if (work_.all)
    for (const auto& [key, pod] : model.pods()) place_subject(pod, model);
  for (const PodKey& key : work_.pods) {
    auto pod = model.pods().find(key);
    if (pod == model.pods().end())
      drop_subject(key);
    else if (!work_.all)
      place_subject(pod->second, model);
  }
  for (auto& [id, work] : work_.sets) {
    KnownSet& of = set(id);
    if (work.fresh) build_set(of);
    if (work.whole) use_names(of);
  }

  // What that means for the memberships of others.
  const bool place_dns = first || work_.all || is_about_dns(changes, model);
  peer_blocks_.settle();
  mark_nodes(changes, model);
  if (!work_.all) {
    for (const cluster::PodPeer& peer : changed_peers_) mark_members(peer, model);
    mark_names(changed_names_, model);
  }
  for (AtomId id : fresh_blocks_)
    if (peer_blocks_.knows(id)) mark_blocks(peer_blocks_.list(id));
  for (const BlockList& list : gone_blocks_) mark_blocks(list);
  changed_peers_.clear();
  changed_names_.clear();
  fresh_blocks_.clear();
  gone_blocks_.clear();
  place_prefixes();
  const auto place = [&](const PodKey& key) {
    const cluster::Pod* before = nullptr;
    if (auto change = changes.pods.find(key); !first && change != changes.pods.end() && change->second)
      before = &*change->second;
    place_addresses(key, before, model);
  };
  if (work_.all)
    for (const auto& [key, pod] : model.pods()) place(key);
  // Placing one may hand an address back to another, which joins the queue.
  while (!work_.pods.empty()) {
    auto pods = std::exchange(work_.pods, {});
    for (const PodKey& pod : pods) place(pod);
  }

  if (place_dns) this->place_dns(model);

  // Verdicts: of the sets that changed, and of the others the classes that are new.
  for (const auto& [id, work] : work_.sets) finish_set(id, work);
  for (ClassId peer : work_.fresh_classes) {
    const Atoms& members = classes_.at(peer)->first;
    for (SetId id : sets_of(members)) {
      auto finished = work_.sets.find(id);
      if (finished == work_.sets.end() || !finished->second.whole) put_rows(id, peer, rows_of(set(id).second, members));
    }
  }
  work_ = {};
}

void Compiler::clean() {
  subjects.clean();
  addresses.clean();
  dns.clean();
  blocks.clean();
  ports.clean();
  sets.clean();
  verdicts.clean();
  rules.clean();
  problems.clean();
}

Tables Compiler::tables() const {
  Tables out{.subjects = subjects.values(),
             .addresses = addresses.values(),
             .dns = dns.values(),
             .dns_pod = dns_pod_,
             .blocks = blocks.values(),
             .ports = ports.values(),
             .sets = sets.values(),
             .verdicts = verdicts.values(),
             .rules = rules.values(),
             .problems = problems.values()};
  for (const auto& [id, known] : classes_) {
    std::vector<std::string>& members = out.classes[id].members;
    for (AtomId atom : known->first) switch (kind_of(atom)) {
        case AtomKind::Selector: members.push_back(to_string(selectors_.peer(atom))); break;
        case AtomKind::Block: members.push_back(to_string(peer_blocks_.list(atom))); break;
        case AtomKind::Nodes: members.push_back(cluster::describe_nodes(peer_nodes_.peer(atom))); break;
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
