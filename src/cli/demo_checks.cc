// The checks themselves.
#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "cli/ask.h"
#include "cli/demo.h"
#include "cli/tally.h"
#include "cluster/model/project.h"
#include "kube/api/cluster_policy.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
constexpr int kLimitMs = 3000;

// "10.0.0.1:80" or "[::1]:80" without its port.
std::string host_of(std::string endpoint) {
  endpoint.resize(std::min(endpoint.rfind(':'), endpoint.size()));
  if (endpoint.starts_with('[')) endpoint = endpoint.substr(1, endpoint.size() - 2);
  return endpoint;
}

std::optional<Ip> address_of(const std::vector<kube::IpEntry>& entries, Family family) {
  for (const auto& entry : entries)
    if (auto ip = Ip::parse(entry.ip); ip && ip->family() == family) return *ip;
  return std::nullopt;
}

std::optional<uint16_t> port_of(const kube::Pod& pod, bool udp) {
  for (const auto& container : pod.spec.containers)
    for (const auto& port : container.ports)
      if (port.protocol != "SCTP" && (port.protocol == "UDP") == udp) return static_cast<uint16_t>(port.container_port);
  return std::nullopt;
}

// "" when the answer comes from `pod` and has seen us as `source`.
std::string judge(const Result<std::string>& answer, const std::string& from, const kube::Pod& pod,
                  const std::string& source) {
  const std::string pair = from + " to " + kube::full_name(pod.metadata);
  if (!answer) return pair + ": " + answer.error().message();
  boost::system::error_code error;
  const json::value value = json::parse(*answer, error);
  if (error) return pair + ": an answer that is no JSON";
  if (text_of(value, "pod") != pod.metadata.name) return pair + ": answered by " + text_of(value, "pod");
  if (const auto peer = host_of(text_of(value, "peer")); peer != source)
    return fmt::format("{}: seen as {} instead of {}", pair, peer, source);
  return "";
}

// Where the other end of a question is.
enum class Where { SameNode, SameSubnet, OtherSubnet };
constexpr Where kWheres[] = {Where::SameNode, Where::SameSubnet, Where::OtherSubnet};

class Checks {
 public:
  Checks(const World& world, const Report& report) : world_(world), report_(report) {
    for (const auto& node : world.plan.nodes) {
      bridges_[node.name] = node.wire.bridge;
      node_ips_[node.name] = node.addresses;
    }
  }

  int run() {
    if (auto opened = open_namespaces(); !opened) {
      say("namespaces of Pods and nodes", opened.error().message());
      return failed_;
    }
    for (const Family family : {Family::V4, Family::V6}) {
      if (std::ranges::none_of(world_.plan.pod_cidrs, [&](const Cidr& range) { return range.family() == family; }))
        continue;
      family_ = family;
      for (const bool udp : {false, true})
        for (const Where where : kWheres) pods_to_pods(udp, where);
      for (const bool local : {true, false}) nodes_to_pods(local);
      for (const bool local : {true, false}) pods_to_nodes(local);
      pods_to_outside();
      containers_over_lo();
      as_policies_allow();
    }
    return failed_;
  }

 private:
  Status open_namespaces() {
    for (const auto& pod : world_.pods) {
      const Place place = TRY(find_sandbox(world_.state, pod.spec.node_name, pod.metadata.uid));
      spaces_[pod.metadata.uid] = TRY(lab::open_namespace(place.pid, "net"));
    }
    for (const auto& node : world_.state.nodes) spaces_[node.name] = TRY(lab::open_namespace(node.nodelet, "net"));
    return ok();
  }

  void say(const std::string& text, const std::string& problem) {
    if (!problem.empty()) ++failed_;
    report_({fmt::format("{}{}", text,
                         world_.plan.pod_cidrs.size() > 1 ? family_ == Family::V4 ? " (IPv4)" : " (IPv6)" : ""),
             problem, std::chrono::duration<double>(Clock::now() - said_).count()});
    said_ = Clock::now();
  }

  void say(const std::string& text, const Tally& tally) {
    if (tally.asked > 0) say(fmt::format("{}: {} asked", text, tally.asked), tally.problem());
  }

  std::optional<Ip> ip_of(const kube::Pod& pod) const { return address_of(pod.status.pod_ips, family_); }
  std::optional<Ip> ip_of_node(const std::string& node) const {
    for (const Ip& ip : node_ips_.at(node))
      if (ip.family() == family_) return ip;
    return std::nullopt;
  }

  Where between(const std::string& one, const std::string& other) const {
    if (one == other) return Where::SameNode;
    return bridges_.at(one) == bridges_.at(other) ? Where::SameSubnet : Where::OtherSubnet;
  }

  void pods_to_pods(bool udp, Where where) {
    Tally tally;
    for (const kube::Pod* from : world_.free) {
      std::vector<Endpoint> targets;
      std::vector<const kube::Pod*> to;
      for (const kube::Pod* pod : world_.free) {
        const auto ip = ip_of(*pod);
        const auto port = port_of(*pod, udp);
        if (!ip || !port || pod == from || between(from->spec.node_name, pod->spec.node_name) != where) continue;
        targets.push_back({*ip, *port});
        to.push_back(pod);
      }
      const int space = spaces_.at(from->metadata.uid).get();
      const auto answers = udp ? ask_udp(space, targets, kLimitMs) : ask_http(space, targets, kLimitMs);
      const auto source = ip_of(*from);
      for (size_t i = 0; i < to.size(); ++i)
        tally.count(judge(answers[i], kube::full_name(from->metadata), *to[i], source ? to_string(*source) : ""));
    }
    say(fmt::format("Pod to Pod {}{}, source unchanged",
                    where == Where::SameNode     ? "on one node"
                    : where == Where::SameSubnet ? "across nodes of one subnet"
                                                 : "across subnets",
                    udp ? " by UDP" : ""),
        tally);
  }

  void nodes_to_pods(bool local) {
    Tally tally;
    for (const auto& node : world_.state.nodes) {
      std::vector<Endpoint> targets;
      std::vector<const kube::Pod*> to;
      for (const kube::Pod* pod : world_.free)
        if (auto ip = ip_of(*pod), source = ip_of_node(node.name);
            ip && source && port_of(*pod, false) && (pod->spec.node_name == node.name) == local) {
          targets.push_back({*ip, *port_of(*pod, false)});
          to.push_back(pod);
        }
      const auto answers = ask_http(spaces_.at(node.name).get(), targets, kLimitMs);
      for (size_t i = 0; i < to.size(); ++i)
        tally.count(judge(answers[i], node.name, *to[i], to_string(*ip_of_node(node.name))));
    }
    say(fmt::format("node to Pod on {}, seen with the node's address", local ? "it" : "other nodes"), tally);
  }

  void pods_to_nodes(bool local) {
    Tally tally;
    std::map<std::string, Fd> listeners;
    std::map<std::string, Endpoint> endpoints;
    for (const auto& node : world_.state.nodes) {
      const auto ip = ip_of_node(node.name);
      if (!ip) continue;
      auto listener = listen_in(spaces_.at(node.name).get(), {*ip, 0});
      auto endpoint = listener ? local_endpoint(listener->get()) : Result<Endpoint>(fail(listener.error()));
      if (!endpoint) {
        tally.count(node.name + ": " + endpoint.error().message());
        continue;
      }
      listeners[node.name] = std::move(*listener);
      endpoints[node.name] = *endpoint;
    }
    for (const kube::Pod* from : world_.free) {
      const auto source = ip_of(*from);
      std::vector<std::string> names;
      std::vector<Endpoint> targets;
      for (const auto& [name, endpoint] : endpoints) {
        if ((name == from->spec.node_name) != local) continue;
        names.push_back(name);
        targets.push_back(endpoint);
      }
      const auto answers = knock(spaces_.at(from->metadata.uid).get(), targets, kLimitMs);
      for (size_t i = 0; i < names.size(); ++i) {
        const std::string pair = kube::full_name(from->metadata) + " to " + names[i];
        std::string problem = answers[i] ? "" : pair + ": " + answers[i].error().message();
        if (problem.empty()) {
          const auto seen = callers(listeners[names[i]].get());
          if (!source || seen != std::vector{*source})
            problem = fmt::format("{}: seen as {}", pair, seen.empty() ? "nobody" : to_string(seen.front()));
        }
        tally.count(problem);
      }
    }
    say(fmt::format("Pod to {}, source unchanged", local ? "its node" : "other nodes"), tally);
  }

  void pods_to_outside() {
    Tally tally;
    for (const Ip& outside : world_.plan.outside_addresses) {
      if (outside.family() != family_) continue;
      for (const kube::Pod* from : world_.free) {
        const auto answers = ask_http(spaces_.at(from->metadata.uid).get(), {{outside, 80}}, kLimitMs);
        const auto node = ip_of_node(from->spec.node_name);
        kube::Pod world;
        world.metadata.name = "outside";
        tally.count(judge(answers.front(), kube::full_name(from->metadata), world, node ? to_string(*node) : ""));
      }
    }
    say("Pod to a host outside of the cluster, seen with its node's address", tally);
  }

  void containers_over_lo() {
    Tally tally;
    const Ip lo = family_ == Family::V4 ? *Ip::parse("127.0.0.1") : *Ip::parse("::1");
    for (const auto& pod : world_.pods) {
      std::vector<Endpoint> targets;
      std::vector<std::string> names;
      for (const auto& container : pod.spec.containers)
        for (const auto& port : container.ports)
          if (port.protocol != "UDP" && port.protocol != "SCTP") {
            targets.push_back({lo, static_cast<uint16_t>(port.container_port)});
            names.push_back(container.name);
          }
      if (std::set<std::string>(names.begin(), names.end()).size() < 2) continue;
      const auto answers = ask_http(spaces_.at(pod.metadata.uid).get(), targets, kLimitMs);
      for (size_t i = 0; i < names.size(); ++i) {
        std::string problem = judge(answers[i], "lo", pod, to_string(lo));
        boost::system::error_code error;
        if (problem.empty() && text_of(json::parse(*answers[i], error), "container") != names[i])
          problem = "another container than " + names[i] + " answered";
        tally.count(problem);
      }
    }
    say("containers of one Pod over lo", tally);
  }

  // The connections that the documents' policies are there to allow.
  void as_policies_allow() {
    struct Pair {
      const char *from_key, *from, *to_key, *to;
      uint16_t port;
      const char* text;
    };
    for (const Pair& pair :
         {Pair{"app", "kubeops-frontend", "app", "backend", 80,
               "frontend to backend on 80, which backend-network-policy allows"},
          Pair{"role", "frontend", "role", "db", 6379, "frontend to db on 6379, which test-network-policy allows"}}) {
      Tally tally;
      for (const auto& from : world_.pods)
        for (const auto& to : world_.pods) {
          const auto ip = ip_of(to), source = ip_of(from);
          if (!ip || !source || !has(from, pair.from_key, pair.from) || !has(to, pair.to_key, pair.to) ||
              from.metadata.ns != to.metadata.ns)
            continue;
          const auto answers = ask_http(spaces_.at(from.metadata.uid).get(), {{*ip, pair.port}}, kLimitMs);
          tally.count(judge(answers.front(), kube::full_name(from.metadata), to, to_string(*source)));
        }
      say(pair.text, tally);
    }
  }

  static bool has(const kube::Pod& pod, const char* key, const char* value) {
    auto found = pod.metadata.labels.find(key);
    return found != pod.metadata.labels.end() && found->second == value;
  }

  const World& world_;
  const Report& report_;
  Clock::time_point said_ = Clock::now();
  Family family_ = Family::V4;
  int failed_ = 0;
  std::map<std::string, Fd> spaces_;  // by Pod uid and node name
  std::map<std::string, std::string> bridges_;
  std::map<std::string, std::vector<Ip>> node_ips_;
};

}  // namespace

int run_checks(const World& world, const Report& report) { return Checks(world, report).run(); }

Task<Result<World>> observe_world(kube::Client& api, lab::LabState state) {
  World world{.plan = CO_TRY(lab::plan(state.spec))};
  world.state = std::move(state);
  world.nodes = CO_TRY(co_await api.list<kube::Node>()).items;
  for (auto& pod : CO_TRY(co_await api.list<kube::Pod>()).items)
    if (kube::is_ready(pod) && !pod.spec.host_network && !pod.metadata.deletion_timestamp)
      world.pods.push_back(std::move(pod));
  world.services = CO_TRY(co_await api.list<kube::Service>()).items;
  std::vector<cluster::PodPeer> selected;
  for (const auto& policy : CO_TRY(co_await api.list<kube::NetworkPolicy>()).items)
    selected.push_back(cluster::project(policy).subject);
  for (const auto& policy : CO_TRY(co_await api.list<kube::ClusterNetworkPolicy>()).items)
    selected.push_back(cluster::project(policy).subject);
  std::map<std::string, cluster::Labels> namespaces;
  for (const auto& ns : CO_TRY(co_await api.list<kube::Namespace>()).items)
    namespaces[ns.metadata.name] = cluster::project(ns).labels;
  for (const auto& pod : world.pods)
    if (std::ranges::none_of(selected, [&](const cluster::PodPeer& subject) {
          return subject.covers(pod.metadata.ns, namespaces[pod.metadata.ns]) &&
                 subject.pods.matches(pod.metadata.labels);
        }))
      world.free.push_back(&pod);
  co_return world;
}

}  // namespace causeway::cli
