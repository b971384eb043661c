// Small clusters for the tests of this folder, written as manifests say them.
#pragma once

#include "cluster/model/project.h"
#include "kube/api/codec.h"
#include "policy/compile.h"

namespace causeway::policy {

inline Ip ip(std::string_view text) { return Ip::parse(text).value(); }

// "a=1 b=2"
inline cluster::Labels labels(std::string_view text) {
  cluster::Labels out;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const auto equals = word.find('=');
    out.emplace(word.substr(0, equals), equals == word.npos ? "" : word.substr(equals + 1));
  }
  return out;
}

struct World {
  cluster::Model model;

  World& ns(std::string name, std::string_view with = "") {
    cluster::Namespace ns{.name = name, .labels = labels(with)};
    ns.labels["kubernetes.io/metadata.name"] = name;
    model.put(std::move(ns));
    return *this;
  }
  // "x/a"
  World& pod(std::string_view name, std::vector<std::string_view> addresses, std::string_view with = "",
             std::vector<NamedPort> ports = {}) {
    cluster::Pod pod{.key = key(name), .node = "n1", .ports = std::move(ports), .labels = labels(with)};
    for (std::string_view text : addresses) pod.addresses.push_back(ip(text));
    model.put(std::move(pod));
    return *this;
  }
  // "x/web": a NetworkPolicy; "web": a ClusterNetworkPolicy.
  World& policy(std::string_view name, std::string_view spec) {
    model.put(read_policy(name, spec));
    return *this;
  }
  static PolicyKey policy_key(std::string_view name) {
    if (name.find('/') == name.npos) return {{}, name};
    const PodKey pod = key(name);
    return {pod.ns, pod.name};
  }
  static cluster::Policy read_policy(std::string_view name, std::string_view spec) {
    const PolicyKey key = policy_key(name);
    const std::string meta =
        fmt::format(R"({{"namespace":"{}","name":"{}"}},"spec":{})", key.ns.view(), key.name.view(), spec);
    if (key.ns.empty())
      return cluster::project(kube::decode<kube::ClusterNetworkPolicy>(R"({"metadata":)" + meta + "}").value());
    return cluster::project(kube::decode<kube::NetworkPolicy>(R"({"metadata":)" + meta + "}").value());
  }
  static PodKey key(std::string_view name) {
    const auto slash = name.find('/');
    return {std::string(name.substr(0, slash)), std::string(name.substr(slash + 1))};
  }
  cluster::Pod changed(std::string_view name) const { return model.pods().at(key(name)); }
};

// Whether a Pod or an address reaches a Pod or an address, as both ends' tables say: "allow", or who denies and why.
inline std::string reach(const Tables& tables, const cluster::Model& model, std::string_view from, std::string_view to,
                         uint16_t port, std::optional<Protocol> protocol = Protocol::Tcp, Family family = Family::V4) {
  const auto address = [&](std::string_view name) {
    if (name.find('/') == name.npos) return ip(name);
    for (const Ip& one : model.pods().at(World::key(name)).addresses)
      if (one.family() == family) return one;
    return Ip();
  };
  const Ip source = address(from), target = address(to);
  const auto say = [&](const Decision& decision, std::string_view which) {
    if (decision.allowed) return std::string();
    return fmt::format("{} denied{}", which,
                       decision.rule == RuleId::None ? "" : " by " + to_string(tables.rules.at(decision.rule)));
  };
  std::string text;
  if (from.find('/') != from.npos)
    text = say(judge(tables, World::key(from), Direction::Egress, {target, protocol, port}), "egress");
  if (text.empty() && to.find('/') != to.npos)
    text = say(judge(tables, World::key(to), Direction::Ingress, {source, protocol, port}), "ingress");
  return text.empty() ? "allow" : text;
}

}  // namespace causeway::policy
