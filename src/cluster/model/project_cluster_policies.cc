// ClusterNetworkPolicy to the model's policies (network-policy-api v1alpha2). What cannot be read, and what is not done
// here, closes: an Accept rule then matches nothing, a Deny or Pass rule denies everything, as the API's types say of a
// peer with a field that a reader does not know.
#include <algorithm>

#include "cluster/model/problem.h"
#include "cluster/model/project.h"

namespace causeway::cluster {

namespace {

// What a rule says; the first thing that it says and nobody can follow.
struct RuleReader {
  PolicyRule out;
  std::string trouble = {};

  void cannot(std::string what) {
    if (trouble.empty()) trouble = std::move(what);
  }

  std::optional<kube::Selector> selector(const kube::LabelSelector& source, const std::string& at) {
    auto parsed = kube::Selector::from(source);
    if (parsed) return std::move(*parsed);
    cannot(fmt::format("{}: {}", at, parsed.error().message()));
    return std::nullopt;
  }

  void network(const std::string& text, const std::string& at) {
    if (auto cidr = parse_stored_cidr(text))
      out.blocks.push_back({.cidr = *cidr, .except = {}});
    else
      cannot(fmt::format("{}: {}", at, cidr.error().message()));
  }

  void peer(const kube::ClusterPolicyPeer& source, const std::string& at) {
    if (source.namespaces) {
      if (auto namespaces = selector(*source.namespaces, at + ".namespaces"))
        out.pods.push_back({.ns = {}, .namespaces = std::move(*namespaces), .pods = kube::Selector::everything()});
    } else if (source.pods) {
      auto namespaces = selector(source.pods->namespace_selector, at + ".pods.namespaceSelector");
      auto pods = selector(source.pods->pod_selector, at + ".pods.podSelector");
      if (namespaces && pods)
        out.pods.push_back({.ns = {}, .namespaces = std::move(*namespaces), .pods = std::move(*pods)});
    } else if (source.networks && !source.networks->empty()) {
      for (size_t i = 0; i < source.networks->size(); ++i)
        network((*source.networks)[i], fmt::format("{}.networks[{}]", at, i));
    } else if (source.nodes) {
      if (auto nodes = selector(*source.nodes, at + ".nodes")) out.nodes.push_back(std::move(*nodes));
    } else if (source.domain_names) {
      cannot(at + ".domainNames: peers by domain names are not supported");
    } else {
      cannot(at + ": no field is set that is known here");
    }
  }

  void ports(Protocol protocol, const kube::ClusterPolicyTransport& source, const std::string& at) {
    const auto& port = source.destination_port;
    if (!port || (!port->number && !port->range)) return cannot(at + ": no field is set that is known here");
    const int32_t first = port->number ? *port->number : port->range->start;
    const int32_t last = port->number ? *port->number : port->range->end;
    if (first < 1 || last < first || last > 65535)
      return cannot(fmt::format("{}.destinationPort: {}-{} is no range of ports", at, first, last));
    out.ports.push_back(
        {.protocol = protocol, .first = static_cast<uint16_t>(first), .last = static_cast<uint16_t>(last), .name = {}});
  }

  void protocol(const kube::ClusterPolicyProtocol& source, const std::string& at) {
    if (source.tcp)
      ports(Protocol::Tcp, *source.tcp, at + ".tcp");
    else if (source.udp)
      ports(Protocol::Udp, *source.udp, at + ".udp");
    else if (source.sctp)
      ports(Protocol::Sctp, *source.sctp, at + ".sctp");
    else if (source.destination_named_port && !source.destination_named_port->empty())
      out.ports.push_back(
          {.protocol = std::nullopt, .first = 0, .last = 65535, .name = *source.destination_named_port});
    else
      cannot(at + ": no field is set that is known here");
  }
};

std::optional<Action> action_of(const std::string& text) {
  if (text == "Accept") return Action::Accept;
  if (text == "Deny") return Action::Deny;
  if (text == "Pass") return Action::Pass;
  return std::nullopt;
}

PolicyRule read_rule(const kube::ClusterPolicyRule& source, const std::string& at, std::string_view list,
                     std::string& problem) {
  const auto& peers = list == "from" ? source.from : source.to;
  RuleReader reader{.out = {.name = source.name}};
  const auto action = action_of(source.action);
  if (!action) reader.cannot(fmt::format("{}.action: {:?} is none", at, source.action));
  if (peers.empty()) reader.cannot(fmt::format("{}.{}: names no peer", at, list));
  for (size_t i = 0; i < peers.size(); ++i) reader.peer(peers[i], fmt::format("{}.{}[{}]", at, list, i));
  reader.out.any_port = !source.protocols;
  if (source.protocols) {
    if (source.protocols->empty()) reader.cannot(at + ".protocols: names none");
    for (size_t i = 0; i < source.protocols->size(); ++i)
      reader.protocol((*source.protocols)[i], fmt::format("{}.protocols[{}]", at, i));
  }
  if (reader.trouble.empty()) {
    reader.out.action = *action;
    return std::move(reader.out);
  }
  const bool accepts = action == Action::Accept;
  add_problem(problem,
              fmt::format("{}; the rule {}", reader.trouble, accepts ? "accepts nothing" : "denies everything"));
  if (accepts) return {.action = Action::Accept, .name = source.name};
  return {.action = Action::Deny, .name = source.name, .anybody = true, .any_port = true};
}

std::optional<PodPeer> read_subject(const kube::ClusterPolicySubject& source, std::string& why) {
  const auto read = [&](const kube::LabelSelector& selector, std::string_view at) -> std::optional<kube::Selector> {
    auto parsed = kube::Selector::from(selector);
    if (parsed) return std::move(*parsed);
    why = fmt::format("spec.subject.{}: {}", at, parsed.error().message());
    return std::nullopt;
  };
  if (source.namespaces) {
    auto namespaces = read(*source.namespaces, "namespaces");
    if (!namespaces) return std::nullopt;
    return PodPeer{.ns = {}, .namespaces = std::move(*namespaces), .pods = kube::Selector::everything()};
  }
  if (source.pods) {
    auto namespaces = read(source.pods->namespace_selector, "pods.namespaceSelector");
    auto pods = read(source.pods->pod_selector, "pods.podSelector");
    if (!namespaces || !pods) return std::nullopt;
    return PodPeer{.ns = {}, .namespaces = std::move(*namespaces), .pods = std::move(*pods)};
  }
  why = "spec.subject: no field is set that is known here";
  return std::nullopt;
}

}  // namespace

Policy project(const kube::ClusterNetworkPolicy& policy) {
  const kube::ClusterPolicySpec& spec = policy.spec;
  Policy out{.key = {{}, policy.metadata.name}, .tier = Tier::Admin};
  out.priority = static_cast<uint16_t>(std::clamp(spec.priority, 0, 1000));
  for (size_t i = 0; i < spec.ingress.size(); ++i)
    out.ingress.push_back(read_rule(spec.ingress[i], fmt::format("spec.ingress[{}]", i), "from", out.problem));
  for (size_t i = 0; i < spec.egress.size(); ++i)
    out.egress.push_back(read_rule(spec.egress[i], fmt::format("spec.egress[{}]", i), "to", out.problem));

  // Whom it means, or when it is judged, is not known: it is judged first and of everybody, and only denies.
  std::string why;
  if (auto subject = read_subject(spec.subject, why)) out.subject = std::move(*subject);
  if (spec.tier == "Baseline")
    out.tier = Tier::Baseline;
  else if (spec.tier != "Admin")
    why = fmt::format("spec.tier: {:?} is none", spec.tier);
  if (!why.empty()) {
    out.tier = Tier::Admin;
    add_problem(out.problem, why + "; it is judged in tier Admin, and of its rules only those that deny");
    for (auto* rules : {&out.ingress, &out.egress})
      for (PolicyRule& rule : *rules)
        if (rule.action != Action::Deny) rule = {.action = Action::Accept, .name = rule.name};
  }
  out.concerns_ingress = !out.ingress.empty();
  out.concerns_egress = !out.egress.empty();
  return out;
}

}  // namespace causeway::cluster
