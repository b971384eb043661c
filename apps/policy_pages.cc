#include "apps/policy_pages.h"

#include <boost/json.hpp>
#include <charconv>

namespace causeway::apps {

namespace {

using observe::Metric;
using observe::MetricKind;

std::string page(policy::Applier& applier, const cluster::Model& model) {
  const policy::Desired& desired = applier.desired();
  if (!desired.complete()) return "waiting for the API server's policies, Namespaces and Pods\n";
  std::string out = render(desired.rules.tables());
  for (const auto& [key, tie] : cluster::priority_ties(model.policies())) out += fmt::format("note {}: {}\n", key, tie);
  for (const auto& [key, why] : desired.unknown()) out += fmt::format("unknown {}: {}\n", key, why);
  auto lines = applier.differences();
  if (!lines) return out + fmt::format("kernel: {}\n", lines.error().message());
  if (lines->empty()) return out + "kernel: holds just this\n";
  out += fmt::format("kernel: {} rows differ\n", lines->size());
  for (const std::string& line : *lines) out += "  " + line + "\n";
  return out;
}

std::vector<Metric> metrics(const policy::Applier& applier) {
  const policy::Compiler& rules = applier.desired().rules;
  Metric rows{"causeway_policy_rows", "Rows of the tables of policies, by table.", MetricKind::Gauge, {}};
  const auto count = [&](std::string table, size_t size) {
    rows.samples.push_back({{{"table", std::move(table)}}, static_cast<double>(size)});
  };
  count("subjects", rules.subjects.rows().size());
  count("sets", rules.sets.rows().size());
  count("verdicts", rules.verdicts.rows().size());
  count("addresses", rules.addresses.rows().size());
  count("blocks", rules.blocks.rows().size());
  return {std::move(rows),
          {"causeway_policy_writes_total",
           "Rows of policies written to the kernel.",
           MetricKind::Counter,
           {{{}, static_cast<double>(applier.writes())}}},
          {"causeway_policy_unknown_pods",
           "Pods of this node that nothing reaches, as the API server does not know them.",
           MetricKind::Gauge,
           {{{}, static_cast<double>(applier.desired().unknown().size())}}}};
}

struct Asked {
  policy::Direction direction{};
  Ip own;
  policy::Packet packet;
};
Result<Asked> parse_asked(const observe::Endpoint::Query& query) {
  Asked out;
  const std::string_view direction = query("direction"), protocol = query("protocol"), port = query("port");
  if (direction != "ingress" && direction != "egress")
    return fail(Errc::Invalid, "direction: \"{}\" is neither ingress nor egress", direction);
  out.direction = direction == "ingress" ? policy::Direction::Ingress : policy::Direction::Egress;
  out.own = TRY(Ip::parse(query("own")), "own");
  out.packet.peer = TRY(Ip::parse(query("peer")), "peer");
  if (out.own.family() != out.packet.peer.family()) return fail(Errc::Invalid, "own and peer are of two families");
  if (protocol == "icmp") return out;
  for (auto one : {policy::Protocol::Tcp, policy::Protocol::Udp, policy::Protocol::Sctp})
    if (protocol == to_string(one)) out.packet.protocol = one;
  if (!out.packet.protocol) return fail(Errc::Invalid, "protocol: \"{}\" is none of tcp, udp, sctp and icmp", protocol);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.packet.port);
  if (error != std::errc() || end != port.data() + port.size() || !out.packet.port)
    return fail(Errc::Invalid, "port: \"{}\" is no port: 1-65535", port);
  return out;
}

std::string named(const policy::Compiler& rules, policy::RuleId id) {
  const policy::Rule* rule = rules.rules.find(id);
  return rule ? to_string(*rule) : id == policy::RuleId::None ? "" : "a rule that is gone";
}

// What one end's kernel holds for one packet, and what it should, as JSON.
Result<std::string> held_page(policy::Applier& applier, const std::string& node,
                              const observe::Endpoint::Query& query) {
  const Asked asked = TRY(parse_asked(query));
  const policy::Desired& desired = applier.desired();
  if (!desired.complete()) return fail(Errc::Unavailable, "the agent waits for the API server's policies");
  boost::json::object out{{"node", node}};
  const auto side = [&](bool allowed, const std::string& rule) {
    boost::json::object one{{"allowed", allowed}};
    if (!rule.empty()) one["rule"] = rule;
    return one;
  };
  if (auto held = TRY(applier.held(asked.direction, asked.own, asked.packet)))
    out["kernel"] = side(held->allowed, held->rule ? named(desired.rules, *held->rule) : "");
  if (const policy::LocalPod* local = desired.locals.find(asked.own)) {
    const policy::Tables tables = desired.rules.tables();
    const auto decided = judge(tables, local->pod, asked.direction, asked.packet);
    out["compiled"] = side(decided.allowed, named(desired.rules, decided.rule));
  }
  return boost::json::serialize(out) + "\n";
}

}  // namespace

void describe_policies(observe::Endpoint& endpoint, policy::Applier& applier, const cluster::Model& model) {
  endpoint.add_page("/policy/held", [&applier, &model](const observe::Endpoint::Query& query) {
    return held_page(applier, model.facts().name, query);
  });
  endpoint.add([&applier] { return metrics(applier); });
  endpoint.add_page("/policy", [&applier, &model] { return page(applier, model); });
}

}  // namespace causeway::apps
