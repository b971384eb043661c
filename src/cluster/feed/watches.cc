#include "cluster/feed/watches.h"

#include "cluster/model/project.h"

namespace causeway::cluster {

namespace {

// The cache keeps what it needs to tell a change from a repetition and what the model was projected from; the rest of
// the objects is never stored.
void slim(kube::ObjectMeta& metadata) {
  metadata.annotations.clear();
  metadata.owner_references.clear();
  metadata.finalizers.clear();
}
void slim(kube::Node& node) {
  slim(node.metadata);
  node.metadata.labels.clear();
  node.spec.taints.clear();
  node.status.capacity.clear();
  node.status.allocatable.clear();
  node.status.conditions.clear();
  node.status.node_info = {};
}
void slim(kube::Pod& pod) {
  slim(pod.metadata);
  kube::PodSpec spec;
  spec.node_name = std::move(pod.spec.node_name);
  spec.host_network = pod.spec.host_network;
  pod.spec = std::move(spec);
  kube::PodStatus status;
  status.phase = std::move(pod.status.phase);
  status.pod_ip = std::move(pod.status.pod_ip);
  status.pod_ips = std::move(pod.status.pod_ips);
  pod.status = std::move(status);
}

}  // namespace

Watches::Watches(kube::Client& api, Feed& feed, std::string node)
    : feed_(feed), nodes_(api), pods_(api, {.field_selector = "spec.nodeName=" + node}) {
  nodes_.transform([](kube::Node& object) { slim(object); });
  pods_.transform([](kube::Pod& object) { slim(object); });
  nodes_.on_change([this](const kube::Node* old, const kube::Node* now) {
    now ? feed_.model().put(project(*now)) : feed_.model().remove_node(old->metadata.name);
    feed_.touch();
  });
  pods_.on_change([this](const kube::Pod* old, const kube::Pod* now) {
    // A finished Pod has given its addresses back.
    if (now && !kube::is_finished(*now))
      feed_.model().put(project(*now));
    else
      feed_.model().remove_pod({(now ? now : old)->metadata.ns, (now ? now : old)->metadata.name});
    feed_.touch();
  });
  nodes_.on_sync([this] {
    // The model may hold Nodes of a snapshot that are gone since.
    std::vector<std::string> gone;
    for (const auto& [name, node] : feed_.model().nodes())
      if (!nodes_.find({.name = name})) gone.push_back(name);
    for (const std::string& name : gone) feed_.model().remove_node(name);
    feed_.model().set_synced(Source::Nodes);
    feed_.touch();
  });
  pods_.on_sync([this] {
    feed_.model().set_synced(Source::Pods);
    feed_.touch();
  });
}

void Watches::start() {
  nodes_.start();
  pods_.start();
}

std::vector<Watches::State> Watches::states() const {
  return {{"nodes", nodes_.health(), nodes_.size()}, {"pods", pods_.health(), pods_.size()}};
}

std::string Watches::trouble() const {
  for (const State& state : states())
    if (!state.health.error.empty() && state.health.phase != kube::Phase::Watching)
      return fmt::format("{}: {}", state.kind, state.health.error);
  return "";
}

std::string Watches::refused() const {
  for (const State& state : states())
    if (!state.health.synced && state.health.forbidden) return state.health.error;
  return "";
}

}  // namespace causeway::cluster
