#include "apps/agent_pages.h"

#include "pod/look.h"

namespace causeway::apps {

namespace {

using observe::Metric;
using observe::MetricKind;

std::vector<Metric> metrics_of(const AgentParts& parts) {
  std::vector<Metric> out = observe::process_metrics();
  auto number = [](auto value) { return static_cast<double>(value); };

  Metric objects{"causeway_model_objects", "Objects of the model, by kind.", MetricKind::Gauge, {}};
  auto count = [&](std::string kind, size_t size) {
    objects.samples.push_back({{{"kind", std::move(kind)}}, number(size)});
  };
  count("node", parts.model.nodes().size());
  count("pod", parts.model.pods().size());
  count("attachment", parts.model.attachments().size());
  out.push_back(std::move(objects));
  out.push_back({"causeway_model_generation",
                 "Changes of the model since the start.",
                 MetricKind::Counter,
                 {{{}, number(static_cast<uint64_t>(parts.model.generation()))}}});

  Metric acknowledged{"causeway_consumer_acknowledged_generation",
                      "Generation of the model that the kernel holds.",
                      MetricKind::Gauge,
                      {}};
  Metric failures{"causeway_consumer_failures", "Objects that could not be applied, now.", MetricKind::Gauge, {}};
  Metric applies{"causeway_consumer_applies_total", "Times that tables were applied.", MetricKind::Counter, {}};
  Metric retries{
      "causeway_consumer_retries_total", "Times that applying failed and was put off.", MetricKind::Counter, {}};
  Metric latency{"causeway_consumer_change_seconds",
                 "From the first watch event of a change until all of it was in the kernel.",
                 MetricKind::Histogram,
                 {}};
  for (const auto& consumer : parts.feed.consumers()) {
    const std::map<std::string, std::string> labels{{"consumer", consumer.name}};
    latency.samples.push_back({labels, 0, std::make_shared<const Histogram>(consumer.latency)});
    acknowledged.samples.push_back({labels, number(static_cast<uint64_t>(consumer.acknowledged))});
    failures.samples.push_back({labels, number(consumer.failures.size() + (consumer.error.empty() ? 0 : 1))});
    applies.samples.push_back({labels, number(consumer.applies)});
    retries.samples.push_back({labels, number(consumer.retries)});
  }
  for (Metric* metric : {&acknowledged, &failures, &applies, &retries, &latency}) out.push_back(std::move(*metric));

  out.push_back({"causeway_plane_info",
                 "1, with the plane of this node.",
                 MetricKind::Gauge,
                 {{{{"plane", std::string(to_string(parts.plane))}}, 1.0}}});

  Metric synced{"causeway_watch_synced", "1 after the first complete list.", MetricKind::Gauge, {}};
  Metric requests{"causeway_watch_requests_total", "Lists and watches begun.", MetricKind::Counter, {}};
  Metric events{"causeway_watch_events_total", "Watch events received.", MetricKind::Counter, {}};
  for (const auto& state : parts.watches.states()) {
    const std::map<std::string, std::string> labels{{"kind", std::string(state.kind)}};
    synced.samples.push_back({labels, state.health.synced ? 1.0 : 0.0});
    requests.samples.push_back({labels, number(state.health.lists + state.health.watches)});
    events.samples.push_back({labels, number(state.health.events)});
  }
  for (Metric* metric : {&synced, &requests, &events}) out.push_back(std::move(*metric));

  out.push_back({"causeway_fabric_writes_total",
                 "Rows written to the kernel.",
                 MetricKind::Counter,
                 {{{}, number(parts.fabric.writes())}}});
  return out;
}

std::string feed_page(const AgentParts& parts) {
  std::string out;
  for (const auto& consumer : parts.feed.consumers()) {
    out += fmt::format("{} acknowledged {} of {}, applied {} times, {} retries\n", consumer.name, consumer.acknowledged,
                       parts.model.generation(), consumer.applies, consumer.retries);
    if (!consumer.error.empty()) out += "  " + consumer.error + "\n";
    for (const auto& failure : consumer.failures)
      out += fmt::format("  {}: {}\n", failure.object, failure.error.message());
  }
  for (const auto& state : parts.watches.states())
    out += fmt::format("watch {}: {} objects, {}, resourceVersion {}, {} lists, {} watches, {} events{}{}\n",
                       state.kind, state.objects, kube::to_string(state.health.phase), state.health.resource_version,
                       state.health.lists, state.health.watches, state.health.events,
                       state.health.error.empty() ? "" : ": ", state.health.error);
  return out;
}

}  // namespace

void describe(observe::Endpoint& endpoint, AgentParts parts) {
  endpoint.add([parts] { return metrics_of(parts); });
  endpoint.add(observe::Check{"cni", [parts] {
                                auto ready = parts.cni.ready();
                                return ready ? std::string() : ready.error().message();
                              }});
  endpoint.add(observe::Check{"tables", [parts] {
                                for (const auto& consumer : parts.feed.consumers())
                                  if (!consumer.error.empty()) return consumer.name + ": " + consumer.error;
                                return std::string();
                              }});
  endpoint.add_page("/model", [parts] { return render(parts.model); });
  endpoint.add_page("/tables",
                    [parts] { return fmt::format("plane {}\n{}", parts.plane, render(parts.fabric.tables())); });
  endpoint.add_page("/feed", [parts] { return feed_page(parts); });
  endpoint.add_page("/pods", [parts] { return parts.cni.render(); });
  using Page = std::function<Task<Result<std::string>>(http::Target)>;
  const auto look = [parts](auto list) -> Page {
    return [parts, list](http::Target target) -> Task<Result<std::string>> {
      auto look = CO_TRY(co_await parts.cni.look());
      look.node = parts.model.facts().name;
      look.api_trouble = parts.watches.trouble();
      co_return list(look, parts.model, target.get("output") == "json");
    };
  };
  endpoint.add_page("/pods/list", look(pod::list_attachments));
  endpoint.add_page("/ipam", look(pod::list_addresses));
}

}  // namespace causeway::apps
