// Node a of the netfilter plane with policies: objects of the API in a model of the test's, brought to the kernel by
// the agent's own applier.
#pragma once

#include <future>

#include "policy/apply_nft.h"
#include "policy/policy_world.h"
#include "services.h"

namespace causeway::test {

// Who asks whom, and whether an answer shall be heard.
struct Probe {
  const Ns& client;
  std::optional<Way> way;  // absent: an echo request
  Ip to;
  uint16_t port = 8080;
  bool heard = true;
};

// Asks all at once (silence takes its time) and says who heard otherwise; "" is as it shall be.
inline std::string wrong(const std::vector<Probe>& probes) {
  std::vector<std::future<std::string>> answers;
  for (const Probe& probe : probes)
    answers.push_back(std::async(std::launch::async, [&probe] {
      if (!probe.way) return std::string(ping(probe.client, probe.to) ? "echo from it" : "silence");
      return ask(probe.client, *probe.way, probe.to, probe.port);
    }));
  std::string out;
  for (size_t i = 0; i < probes.size(); ++i) {
    const std::string answer = answers[i].get();
    const bool heard = answer.find(' ') != answer.npos;
    if (heard == probes[i].heard && (heard || answer == "silence")) continue;
    out += fmt::format("probe {}: {} {}:{} answers \"{}\"\n", i,
                       !probes[i].way               ? "ping"
                       : *probes[i].way == Way::Tcp ? "tcp"
                                                    : "udp",
                       probes[i].to, probes[i].port, answer);
  }
  return out;
}

// Pods: shop/a1 (app=a1) and shop/a2 (app=a2) on node a, other/b1 (app=b1) on b, other/c1 (app=c1) on c. Namespace
// other has the label team=far.
struct PolicyWorld : ServiceWorld {
  std::vector<std::unique_ptr<Answers>> more;
  cluster::Model model;
  std::unique_ptr<policy::NftApplier> applier;
  bool ipvs;
  std::vector<Ip> dns;  // addresses of cluster DNS

  // `ipvs`: with the rules that IPVS needs; it does not run here.
  explicit PolicyWorld(bool ipvs = false, std::vector<Ip> dns = {}) : ipvs(ipvs), dns(std::move(dns)) {
    model.set_facts(a.model.facts());
    for (const auto& [name, team] : {std::pair{"shop", "near"}, {"other", "far"}})
      model.put(cluster::Namespace{.name = name, .labels = {{"team", team}}});
    put_pod("shop/a1", "n1", world.a1());
    put_pod("shop/a2", "n1", world.a2());
    put_pod("other/b1", "n2", world.b1());
    put_pod("other/c1", "n3", world.c1());
    attach("shop/a1", world.a1());
    attach("shop/a2", world.a2());
    for (const auto source :
         {cluster::Source::Pods, cluster::Source::Namespaces, cluster::Source::Nodes, cluster::Source::Attachments,
          cluster::Source::Policies, cluster::Source::ClusterPolicies})
      model.set_synced(source);
    start();
  }
  // A new agent.
  void start() {
    applier = std::make_unique<policy::NftApplier>(policy::NftOptions{.node = "n1", .ipvs = ipvs, .dns = dns},
                                                   policy::NftDoors{*service.nft, *service.conntrack});
    model.take_changes();
    applier->changed({.facts = true}, model);
  }
  static cluster::PodKey key(std::string_view name) {
    const auto slash = name.find('/');
    return {std::string(name.substr(0, slash)), std::string(name.substr(slash + 1))};
  }
  void put_pod(std::string_view name, const std::string& node, const Pod& pod) {
    const auto pod_key = key(name);
    model.put(cluster::Pod{.key = pod_key,
                           .node = node,
                           .addresses = {pod.ip4, pod.ip6},
                           .ports = {{"web", cluster::Protocol::Tcp, 8080}},
                           .labels = {{"app", std::string(pod_key.name)}}});
  }
  void attach(std::string_view name, const Pod& pod) {
    model.put(cluster::Attachment{.key = {pod.host_side, "eth0"},
                                  .pod = key(name),
                                  .addresses = {pod.ip4, pod.ip6},
                                  .host_ifname = pod.host_side});
  }
  // "x/web": a NetworkPolicy; "web": a ClusterNetworkPolicy.
  void put(std::string_view name, std::string_view spec) { model.put(policy::World::read_policy(name, spec)); }
  void remove(std::string_view name) { model.remove(policy::World::policy_key(name)); }
  // Failures, one a line.
  std::string apply() {
    In in(world.a.ns);
    if (model.changed()) applier->changed(model.take_changes(), model);
    auto failures = run_until_done(a.loop, applier->apply());
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
  void serve(const Ns& ns, uint16_t port) { more.push_back(std::make_unique<Answers>(ns, "more", port)); }
  static std::string render_ruleset(const Node& node) {
    return shell(node.ns, "nft -s list table inet causeway | tr ',' '\\n' | tr -d ' \\t' | sort");
  }
};

}  // namespace causeway::test
