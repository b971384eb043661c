#include "clusters.h"

#include <fmt/format.h>

namespace causeway::bench {

namespace {

constexpr uint32_t kNodes = 1000;
constexpr uint32_t kBlocksOfPolicy = 20'000;

// Names as generators make them: eight letters and digits.
std::string random_name(uint32_t number) {
  static constexpr char kLetters[] = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  uint64_t state = number * 0x9e3779b97f4a7c15ull + 0x1234567;
  for (int i = 0; i < 8; ++i, state = (state ^ state >> 29) * 0xbf58476d1ce4e5b9ull)
    out += kLetters[state % (sizeof kLetters - 1)];
  return fmt::format("{}-{}", out, number);
}

cluster::Pod pod(const std::string& ns, const std::string& name, uint32_t number, cluster::Labels labels,
                 uint32_t node) {
  return {.key = {ns, name},
          .uid = fmt::format("5f2c{:04x}-9c1e-4b7a-8d3f-{:012x}", number & 0xffff, number),
          .node = node_name(node),
          .addresses = {Ip::v4(0x0a000000 + number + 1)},
          .labels = std::move(labels)};
}

cluster::PodPeer peer(const std::string& ns, const kube::StringMap& labels) {
  return {.ns = ns, .pods = kube::Selector::from(labels)};
}

cluster::Policy policy(const std::string& ns, const std::string& name, const kube::StringMap& subject) {
  cluster::Policy out{.key = {ns, name}};
  out.subject = peer(ns, subject);
  out.concerns_ingress = true;
  return out;
}

cluster::PolicyRule from(cluster::PodPeer peer, uint16_t port = 0) {
  cluster::PolicyRule out{.any_port = port == 0, .pods = {std::move(peer)}};
  if (port) out.ports.push_back({.protocol = cluster::Protocol::Tcp, .first = port, .last = port});
  return out;
}

void make_namespace(cluster::Model& model, const std::string& name) {
  model.put(cluster::Namespace{.name = name, .labels = {{"app", name}, {"kubernetes.io/metadata.name", name}}});
}

}  // namespace

std::string node_name(uint32_t number) { return fmt::format("node-{}", number); }

void small_namespaces(cluster::Model& model, uint32_t namespaces) {
  for (uint32_t i = 0; i < namespaces; ++i) {
    const std::string ns = random_name(i);
    make_namespace(model, ns);
    auto deny = policy(ns, "default-deny-all", {});
    deny.concerns_egress = true;
    model.put(std::move(deny));
    for (uint32_t app = 1; app <= 2; ++app) {
      const cluster::Labels labels{{fmt::format("app-{}", app), fmt::format("scale-{}", app)}};
      auto own = policy(ns, fmt::format("np-{}", app), labels);
      own.concerns_egress = true;
      own.ingress.push_back(from(own.subject));
      model.put(std::move(own));
      for (uint32_t k = 0; k < 2; ++k) {
        const uint32_t number = 4 * i + 2 * (app - 1) + k;
        model.put(pod(ns, fmt::format("pod{}", 2 * app + k - 1), number, labels, number * 2654435761u % kNodes));
      }
    }
  }
}

cluster::Policy policy_for_all(uint32_t number, uint16_t port) {
  auto out = policy("all", fmt::format("np-{}", random_name(number)), {{"app-1", "scale-1"}});
  out.concerns_egress = true;
  out.ingress.push_back(from(out.subject, port));
  return out;
}

void one_for_all(cluster::Model& model, uint32_t count) {
  make_namespace(model, "all");
  for (uint32_t i = 0; i < count; ++i) {
    model.put(pod("all", fmt::format("pod-{}", random_name(i)), i, {{"app-1", "scale-1"}}, 0));
    model.put(policy_for_all(i, 0));
  }
}

cluster::Policy policy_for_one(uint32_t number, uint32_t from_number, uint16_t port) {
  auto out = policy("each", fmt::format("np-{}", random_name(number)), {{"app", fmt::format("scale-{}", number)}});
  out.concerns_egress = true;
  out.ingress.push_back(from(peer("each", {{"app", fmt::format("scale-{}", from_number)}}), port));
  return out;
}

cluster::Pod pod_of_one(uint32_t number, uint32_t app) {
  return pod("each", fmt::format("pod-{}", random_name(number)), number, {{"app", fmt::format("scale-{}", app)}}, 0);
}

void one_for_each(cluster::Model& model, uint32_t count) {
  make_namespace(model, "each");
  for (uint32_t i = 0; i < count; ++i) {
    model.put(pod_of_one(i, i));
    model.put(policy_for_one(i, i ^ 1, 0));
  }
}

cluster::Policy policy_of_blocks(uint32_t number, uint32_t first, uint32_t last) {
  auto out = policy("blocks", fmt::format("feed-{}", number), {});
  cluster::PolicyRule rule{.any_port = true};
  // Odd factors: each number gives another prefix, in no order.
  for (uint32_t i = first; i < last; ++i)
    rule.blocks.push_back({.cidr = i % 2 ? Cidr(Ip::v4((i * 0x9e3779b1u & 0x3fffffff) | 0x40000000), 32)
                                         : Cidr(Ip::v4((i / 2 * 0x3779b1u & 0x3fffff) << 8 | 0x80000000), 24),
                           .except = {}});
  out.ingress.push_back(std::move(rule));
  return out;
}

void many_blocks(cluster::Model& model, uint32_t count) {
  make_namespace(model, "blocks");
  model.put(pod("blocks", "one", 0, {{"app", "one"}}, 0));
  for (uint32_t first = 0, number = 0; first < count; first += kBlocksOfPolicy)
    model.put(policy_of_blocks(number++, first, std::min(count, first + kBlocksOfPolicy)));
}

}  // namespace causeway::bench
