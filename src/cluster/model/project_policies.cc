// NetworkPolicy to the model's policies. What upstream's validation refuses when it is new may still be stored: CIDRs
// are then read as upstream reads them (KEP-4858), and what cannot be read at all admits nobody.
#include <algorithm>

#include "cluster/model/problem.h"
#include "cluster/model/project.h"

namespace causeway::cluster {

namespace {

std::optional<Protocol> protocol_of(const std::optional<std::string>& text) {
  if (!text || text->empty() || *text == "TCP") return Protocol::Tcp;
  if (*text == "UDP") return Protocol::Udp;
  if (*text == "SCTP") return Protocol::Sctp;
  return std::nullopt;
}

struct Reader {
  Name ns;
  std::string& problem;

  std::optional<kube::Selector> selector(const std::optional<kube::LabelSelector>& source, const std::string& at) {
    if (!source) return kube::Selector::everything();
    auto parsed = kube::Selector::from(*source);
    if (parsed) return *parsed;
    add_problem(problem, fmt::format("{}: {}; it selects nothing", at, parsed.error().message()));
    return std::nullopt;
  }

  void block(const kube::IpBlock& source, const std::string& at, PolicyRule& rule) {
    auto cidr = parse_stored_cidr(source.cidr);
    if (!cidr) return add_problem(problem, fmt::format("{}.cidr: {}; it admits nobody", at, cidr.error().message()));
    PolicyBlock out{.cidr = *cidr};
    for (const std::string& text : source.except) {
      auto except = parse_stored_cidr(text);
      // Without its exception the block would admit more than it says.
      if (!except)
        return add_problem(problem,
                           fmt::format("{}.except: {}; the block admits nobody", at, except.error().message()));
      out.except.push_back(*except);
    }
    std::ranges::sort(out.except);
    out.except.erase(std::ranges::unique(out.except).begin(), out.except.end());
    rule.blocks.push_back(std::move(out));
  }

  void peer(const kube::NetworkPolicyPeer& source, const std::string& at, PolicyRule& rule) {
    if (source.ip_block) {
      if (source.pod_selector || source.namespace_selector)
        return add_problem(problem, at + ": ipBlock beside a selector; it admits nobody");
      return block(*source.ip_block, at + ".ipBlock", rule);
    }
    if (!source.pod_selector && !source.namespace_selector)
      return add_problem(problem, at + ": names no peer; it admits nobody");
    auto pods = selector(source.pod_selector, at + ".podSelector");
    auto namespaces = selector(source.namespace_selector, at + ".namespaceSelector");
    if (!pods || !namespaces) return;
    rule.pods.push_back({.ns = source.namespace_selector ? Name() : ns,
                         .namespaces = std::move(*namespaces),
                         .pods = std::move(*pods)});
  }

  void port(const kube::NetworkPolicyPort& source, const std::string& at, PolicyRule& rule) {
    PolicyPort out{.protocol = protocol_of(source.protocol)};
    if (!out.protocol)
      return add_problem(problem, fmt::format("{}.protocol: {:?} is none; it opens nothing", at, *source.protocol));
    if (source.end_port && (!source.port || !std::holds_alternative<int32_t>(*source.port)))
      return add_problem(problem, at + ": endPort without a numeric port; it opens nothing");
    if (source.port) {
      if (const auto* name = std::get_if<std::string>(&*source.port)) {
        if (name->empty()) return add_problem(problem, at + ".port: an empty name; it opens nothing");
        out.name = *name;
      } else {
        const int32_t first = std::get<int32_t>(*source.port), last = source.end_port.value_or(first);
        if (first < 1 || last < first || last > 65535)
          return add_problem(problem, fmt::format("{}: {}-{} is no range of ports; it opens nothing", at, first, last));
        out.first = static_cast<uint16_t>(first);
        out.last = static_cast<uint16_t>(last);
      }
    }
    rule.ports.push_back(out);
  }

  PolicyRule rule(const std::vector<kube::NetworkPolicyPort>& ports, const std::vector<kube::NetworkPolicyPeer>& peers,
                  const std::string& at, std::string_view list) {
    PolicyRule out{.anybody = peers.empty(), .any_port = ports.empty()};
    for (size_t i = 0; i < peers.size(); ++i) peer(peers[i], fmt::format("{}.{}[{}]", at, list, i), out);
    for (size_t i = 0; i < ports.size(); ++i) port(ports[i], fmt::format("{}.ports[{}]", at, i), out);
    return out;
  }
};

}  // namespace

Policy project(const kube::NetworkPolicy& policy) {
  const kube::NetworkPolicySpec& spec = policy.spec;
  Policy out{.key = {policy.metadata.ns, policy.metadata.name}};
  out.subject.ns = out.key.ns;
  // networking/v1: Ingress always, Egress where there is an egress rule.
  out.concerns_ingress = !spec.policy_types;
  out.concerns_egress = !spec.policy_types && !spec.egress.empty();
  if (spec.policy_types)
    for (const std::string& type : *spec.policy_types) {
      if (type == "Ingress") out.concerns_ingress = true;
      if (type == "Egress") out.concerns_egress = true;
    }
  Reader reader{out.key.ns, out.problem};
  auto subject = kube::Selector::from(spec.pod_selector);
  if (!subject) {
    // Whom it means is not known: opening nobody's Pods by mistake, it isolates all of its namespace and admits
    // nothing.
    out.problem =
        fmt::format("spec.podSelector: {}; every Pod of the namespace is isolated", subject.error().message());
    return out;
  }
  out.subject.pods = std::move(*subject);
  if (out.concerns_ingress)
    for (size_t i = 0; i < spec.ingress.size(); ++i)
      out.ingress.push_back(
          reader.rule(spec.ingress[i].ports, spec.ingress[i].from, fmt::format("spec.ingress[{}]", i), "from"));
  if (out.concerns_egress)
    for (size_t i = 0; i < spec.egress.size(); ++i)
      out.egress.push_back(
          reader.rule(spec.egress[i].ports, spec.egress[i].to, fmt::format("spec.egress[{}]", i), "to"));
  return out;
}

}  // namespace causeway::cluster
