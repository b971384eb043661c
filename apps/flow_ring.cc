#include "apps/flow_ring.h"

#include <netinet/in.h>

#include <charconv>

#include "base/log.h"

namespace causeway::apps {

namespace {

constexpr Duration kLookEvery = 100ms;
constexpr int kExpireEvery = 100;       // looks
constexpr size_t kMostRefusals = 4096;  // labels that /metrics shall have at most

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: return "icmp";
    default: return std::to_string(protocol);
  }
}

// Of the port of an echo request the kernel knows its id: nothing for people.
bool has_ports(uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

Result<observe::FlowFilter> filter_of(const http::Target& target, WallTime now, Duration age) {
  observe::FlowFilter filter{.from = now - age};
  if (const std::string_view since = target.get("since"); !since.empty())
    filter.from = now - std::min(age, TRY(observe::parse_age(since), "since"));
  if (const std::string_view after = target.get("after"); !after.empty()) {
    const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), filter.after);
    if (error != std::errc() || end != after.data() + after.size())
      return fail(Errc::Invalid, "after: \"{}\" is no number", after);
  }
  filter.verdict = target.get("verdict");
  if (!filter.verdict.empty()) TRY(observe::check_verdict(filter.verdict));
  filter.pod = target.get("pod");
  return filter;
}

}  // namespace

FlowRing::FlowRing(Loop& loop, std::string node, policy::FlowSource& source, const policy::Applier& policies,
                   observe::FlowLog log)
    : loop_(loop),
      node_(std::move(node)),
      source_(source),
      policies_(policies),
      log_(std::move(log)),
      reader_(loop, 1) {}

observe::Flow FlowRing::named(const policy::Seen& seen) const {
  const policy::Compiler& rules = policies_.desired().rules;
  const auto end = [&](const Ip& ip, uint16_t port) {
    observe::FlowEnd out{.address = ip, .port = has_ports(seen.protocol) ? port : uint16_t{0}};
    if (const policy::Address* address = rules.addresses.find(ip))
      out.pod = to_string(address->pod);
    else if (const policy::LocalPod* local = policies_.desired().locals.find(ip); local && !local->pod.name.empty())
      out.pod = to_string(local->pod);
    return out;
  };
  const policy::Because because = policy::because(rules, seen);
  return {.time = seen.time,
          .node = node_,
          .verdict = std::string(to_string(seen.fate)),
          .protocol = protocol_name(seen.protocol),
          .source = end(seen.source, seen.source_port),
          .destination = end(seen.target, seen.target_port),
          .from_node = seen.from_node,
          .direction = seen.denied ? std::string(to_string(*seen.denied)) : "",
          .policy = because.policy,
          .rule = because.rule,
          .reason = seen.trouble};
}

void FlowRing::read() {
  if (!policies_.desired().complete()) return;  // the names come with the model; until then it waits in the kernel
  std::vector<observe::Flow> flows;
  const Status done = source_.read([&](const policy::Seen& seen) { flows.push_back(named(seen)); });
  for (const observe::Flow& flow : flows) {
    ++told_[flow.verdict];
    if (flow.verdict != "dropped" && flow.verdict != "cut") continue;
    Refusal refusal{flow.verdict, flow.direction, flow.policy, flow.rule};
    if (refused_.size() >= kMostRefusals && !refused_.contains(refusal))
      refusal = {flow.verdict, flow.direction, "others", ""};
    ++refused_[std::move(refusal)];
  }
  const Status kept = flows.empty() ? ok() : log_.append(std::move(flows), loop_.wall_now());
  std::string trouble = !done ? done.error().message() : !kept ? kept.error().message() : "";
  if (trouble != trouble_ && !trouble.empty()) log::warning("flow log: {}", trouble);
  trouble_ = std::move(trouble);
}

Task<Status> FlowRing::run() {
  for (int looks = 0;; ++looks) {
    CO_TRY(co_await loop_.sleep(kLookEvery));
    read();
    if (looks % kExpireEvery == 0)
      if (auto done = log_.expire(loop_.wall_now()); !done) log::warning("flow log: {}", done.error().message());
  }
}

Task<Result<std::string>> FlowRing::page(http::Target target) {
  read();
  const auto filter = CO_TRY(filter_of(target, loop_.wall_now(), log_.limits().age));
  const uint64_t last = log_.last_number();
  auto flows = CO_TRY(
      CO_TRY(co_await reader_.run([folder = log_.folder(), filter] { return observe::read_flows(folder, filter); })));
  std::string out =
      fmt::format("{{\"node\":\"{}\",\"last\":{},\"lost\":{}}}\n", node_, last, source_.lost() + log_.unwritten());
  for (const observe::Flow& flow : flows)
    if (flow.number <= last) out += to_json(flow) + "\n";  // the log goes on meanwhile
  co_return out;
}

std::vector<observe::Metric> FlowRing::metrics() const {
  using observe::Metric;
  using observe::MetricKind;
  Metric told{"causeway_flows_total",
              "Flows that policies judged on this node, by what became of them.",
              MetricKind::Counter,
              {}};
  for (const auto& [verdict, count] : told_) told.samples.push_back({{{"verdict", verdict}}, double(count)});
  Metric refused{"causeway_policy_refused_flows_total",
                 "Flows that a policy dropped or cut on this node, by policy and rule (no rule: isolated, and none "
                 "admits it).",
                 MetricKind::Counter,
                 {}};
  for (const auto& [by, count] : refused_)
    refused.samples.push_back(
        {{{"verdict", by.verdict}, {"direction", by.direction}, {"policy", by.policy}, {"rule", by.rule}},
         double(count)});
  return {
      std::move(told),
      std::move(refused),
      {"causeway_flow_events_lost_total",
       "Events about flows that were not told or not kept: too many at once, or the disk is full.",
       MetricKind::Counter,
       {{{}, double(source_.lost() + log_.unwritten())}}},
      {"causeway_flow_log_bytes", "Size of the flow log on disk.", MetricKind::Gauge, {{{}, double(log_.bytes())}}}};
}

void FlowRing::describe(observe::Endpoint& endpoint) {
  endpoint.add([this] { return metrics(); });
  endpoint.add_page("/flows", [this](http::Target target) { return page(std::move(target)); });
}

}  // namespace causeway::apps
