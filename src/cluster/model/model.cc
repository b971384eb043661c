#include "cluster/model/model.h"

namespace causeway::cluster {

namespace {

// Writes one object (nullopt deletes it) and remembers its first old value. False if nothing changed.
template <class Key, class Value>
bool write(std::map<Key, Value>& objects, Before<Key, Value>& before, const Key& key, std::optional<Value> value) {
  auto it = objects.find(key);
  std::optional<Value> old = it == objects.end() ? std::nullopt : std::optional(it->second);
  if (old == value) return false;
  if (auto seen = before.find(key); seen == before.end())
    before.emplace(key, old);
  else if (seen->second == value)
    before.erase(seen);
  if (value)
    objects.insert_or_assign(key, std::move(*value));
  else
    objects.erase(it);
  return true;
}

template <class Map, class Key>
auto* find(const Map& map, const Key& key) {
  auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

template <class Index, class Key>
auto owners(const Index& index, const Key& key) {
  auto it = index.find(key);
  return it == index.end() ? typename Index::mapped_type{} : it->second;
}

template <class Index, class Key, class Owner>
void update(Index& index, const Key& key, const Owner& owner, bool add) {
  if (add) {
    index[key].insert(owner);
  } else if (auto it = index.find(key); it != index.end()) {
    it->second.erase(owner);
    if (it->second.empty()) index.erase(it);
  }
}

template <class Key, class Value>
void merge_before(Before<Key, Value>& into, const Before<Key, Value>& later) {
  for (const auto& [key, before] : later) into.try_emplace(key, before);
}

}  // namespace

std::string_view to_string(Source source) {
  switch (source) {
    case Source::Nodes: return "nodes";
    case Source::Pods: return "pods";
    case Source::Namespaces: return "namespaces";
    case Source::Attachments: return "attachments";
  }
  return "?";
}

void ChangeSet::merge(const ChangeSet& later) {
  generation = later.generation;
  merge_before(nodes, later.nodes);
  merge_before(pods, later.pods);
  merge_before(namespaces, later.namespaces);
  merge_before(attachments, later.attachments);
  facts |= later.facts;
  synced |= later.synced;
}

const Node* Model::node(const std::string& name) const { return find(nodes_, name); }
const Attachment* Model::attachment(const AttachmentKey& key) const { return find(attachments_, key); }
std::set<std::string> Model::nodes_at(const Ip& ip) const { return owners(nodes_by_ip_, ip); }
std::set<std::string> Model::nodes_in(const Cidr& cidr) const {
  std::set<std::string> found;
  for (auto it = nodes_by_ip_.lower_bound(cidr.address()); it != nodes_by_ip_.end() && cidr.contains(it->first); ++it)
    found.insert(it->second.begin(), it->second.end());
  return found;
}
std::set<AttachmentKey> Model::attachments_at(const Ip& ip) const { return owners(attachments_by_ip_, ip); }
std::set<AttachmentKey> Model::attachments_claiming(const HostPortClaim& claim) const {
  return owners(attachments_by_claim_, claim);
}

Generation Model::advance() {
  generation_ = Generation(static_cast<uint64_t>(generation_) + 1);
  changes_.generation = generation_;
  return generation_;
}

void Model::index(const Node& node, bool add) {
  for (const Cidr& cidr : node.pod_cidrs) add ? pod_cidrs_.add(cidr, node.name) : pod_cidrs_.remove(cidr, node.name);
  for (const Ip& ip : node.addresses) update(nodes_by_ip_, ip, node.name, add);
}
void Model::index(const Attachment& attachment, bool add) {
  for (const Ip& ip : attachment.addresses) update(attachments_by_ip_, ip, attachment.key, add);
  for (const HostPortClaim& claim : claims(attachment)) update(attachments_by_claim_, claim, attachment.key, add);
}

Generation Model::set_facts(NodeFacts facts) {
  if (facts == facts_) return generation_;
  facts_ = std::move(facts);
  changes_.facts = true;
  return advance();
}

Generation Model::put(Node node) {
  const std::string name = node.name;
  if (const Node* old = this->node(name)) {
    if (*old == node) return generation_;
    index(*old, false);
  }
  index(node, true);
  write(nodes_, changes_.nodes, name, std::optional(std::move(node)));
  return advance();
}

Generation Model::remove_node(const std::string& name) {
  const Node* old = node(name);
  if (!old) return generation_;
  index(*old, false);
  write(nodes_, changes_.nodes, name, std::optional<Node>{});
  return advance();
}

Generation Model::put(Attachment attachment) {
  const AttachmentKey key = attachment.key;
  if (const Attachment* old = this->attachment(key)) {
    if (*old == attachment) return generation_;
    index(*old, false);
  }
  index(attachment, true);
  write(attachments_, changes_.attachments, key, std::optional(std::move(attachment)));
  return advance();
}

Generation Model::remove(const AttachmentKey& key) {
  const Attachment* old = attachment(key);
  if (!old) return generation_;
  index(*old, false);
  write(attachments_, changes_.attachments, key, std::optional<Attachment>{});
  return advance();
}

Generation Model::put(Pod pod) {
  const PodKey key = pod.key;
  return write(pods_, changes_.pods, key, std::optional(std::move(pod))) ? advance() : generation_;
}
Generation Model::remove_pod(const PodKey& key) {
  return write(pods_, changes_.pods, key, std::optional<Pod>{}) ? advance() : generation_;
}
Generation Model::put(Namespace ns) {
  const std::string name = ns.name;
  return write(namespaces_, changes_.namespaces, name, std::optional(std::move(ns))) ? advance() : generation_;
}
Generation Model::remove_namespace(const std::string& name) {
  return write(namespaces_, changes_.namespaces, name, std::optional<Namespace>{}) ? advance() : generation_;
}

Generation Model::set_synced(Source source) {
  if (!synced_.insert(source).second) return generation_;
  changes_.synced = true;
  return advance();
}

ChangeSet Model::take_changes() {
  ChangeSet taken = std::exchange(changes_, {});
  taken.generation = changes_.generation = generation_;
  return taken;
}

}  // namespace causeway::cluster
