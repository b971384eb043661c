#include "service/compile.h"

#include <algorithm>

#include "service/compile_node.h"
#include "service/compile_service.h"

namespace causeway::service {

namespace {

using cluster::Attachment;
using cluster::Model;
using cluster::Service;

void insert_all(Tables& into, Tables&& from) {
  into.frontends.merge(from.frontends);
  into.ports.merge(from.ports);
  into.addresses.merge(from.addresses);
  into.ranges.merge(from.ranges);
  into.node_addresses.merge(from.node_addresses);
  into.health_checks.merge(from.health_checks);
  into.probes.merge(from.probes);
  into.clients.merge(from.clients);
  into.refused.merge(from.refused);
}

bool balances_by_load(const Service& service) {
  return std::ranges::any_of(service.annotations,
                             [](const auto& annotation) { return annotation.second == "least-load"; });
}

class Keys {
 public:
  explicit Keys(const Model& model) : model_(model) {}

  // Whoever wants what the Service wants: it may have it now, or no longer.
  void add_rivals(const Service& service) {
    for (const auto& claim : claims(service)) {
      for (const Service* other : model_.services_claiming(claim)) out.insert(other->key);
      for (const auto& key : model_.attachments_claiming({claim.protocol, claim.ip, claim.port})) out.insert(key);
    }
  }
  void add_rivals(const Attachment& attachment) {
    for (const auto& claim : claims(attachment))
      for (const auto& key : model_.attachments_claiming(claim)) out.insert(key);
    for (const auto& key : model_.attachments_in(attachment.netns_cookie)) out.insert(key);
  }
  void add_services_of_nodes(bool only_by_load) {
    for (const auto& key : model_.services_of_nodes()) {
      const Service* service = model_.service(key);
      if (!only_by_load || (service && balances_by_load(*service))) out.insert(key);
    }
  }

  std::set<Key> out;

 private:
  const Model& model_;
};

}  // namespace

bool complete(const Model& model) {
  return model.synced(cluster::Source::Nodes) && model.synced(cluster::Source::Services) &&
         model.synced(cluster::Source::EndpointSlices);
}

Tables compile_one(const Key& key, const Model& model, const Options& options) {
  if (const auto* service = std::get_if<cluster::ServiceKey>(&key)) return compile_service(*service, model, options);
  if (const auto* attachment = std::get_if<AttachmentName>(&key))
    return compile_attachment(attachment->key(), model, options);
  return compile_self(model, options);
}

std::set<Key> keys(const cluster::ChangeSet& changes, const Model& model) {
  const std::string& self = model.facts().name;
  Keys keys(model);
  if (changes.facts || changes.nodes.contains(self) || !changes.service_cidrs.empty()) keys.out.insert(SelfKey{});
  bool everything = changes.renamed, loads = false;
  for (const auto& [name, before] : changes.nodes) {
    static const cluster::Node kNone;
    const cluster::Node* found = model.node(name);
    const cluster::Node& now = found ? *found : kNone;
    const cluster::Node& old = before ? *before : kNone;
    loads |= now.load != old.load;
    if (name != self) continue;
    everything |= now.zone != old.zone;
    if (now.addresses != old.addresses) keys.add_services_of_nodes(false);
  }
  if (everything) {
    auto all = all_keys(model);
    keys.out.merge(all);  // and those that are gone: below
  } else if (loads) {
    keys.add_services_of_nodes(true);
  }
  for (const auto& [key, before] : changes.services) {
    keys.out.insert(key);
    if (before) keys.add_rivals(*before);
    if (const Service* now = model.service(key)) keys.add_rivals(*now);
  }
  for (const auto& [key, before] : changes.slices) {
    if (before) keys.out.insert(before->owner());
    if (const auto* now = model.slice(key)) keys.out.insert(now->owner());
  }
  keys.out.insert(changes.health.begin(), changes.health.end());
  for (const auto& [key, before] : changes.attachments) {
    keys.out.insert(key);
    if (before) keys.add_rivals(*before);
    if (const Attachment* now = model.attachment(key)) keys.add_rivals(*now);
  }
  return std::move(keys.out);
}

std::set<Key> all_keys(const Model& model) {
  std::set<Key> out{SelfKey{}};
  for (const auto& [key, service] : model.services()) out.insert(out.end(), key);
  for (const auto& [key, attachment] : model.attachments()) out.insert(out.end(), key);
  return out;
}

Tables compile(const Model& model, const Options& options) {
  Tables out;
  for (const Key& key : all_keys(model)) insert_all(out, compile_one(key, model, options));
  return out;
}

}  // namespace causeway::service
