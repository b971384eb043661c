#include "apps/policy_pages.h"

namespace causeway::apps {

namespace {

using observe::Metric;
using observe::MetricKind;

std::string page(policy::Applier& applier) {
  const policy::Desired& desired = applier.desired();
  if (!desired.complete()) return "waiting for the API server's NetworkPolicies, Namespaces and Pods\n";
  std::string out = render(desired.rules.tables());
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

}  // namespace

void describe_policies(observe::Endpoint& endpoint, policy::Applier& applier) {
  endpoint.add([&applier] { return metrics(applier); });
  endpoint.add_page("/policy", [&applier] { return page(applier); });
}

}  // namespace causeway::apps
