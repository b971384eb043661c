#include "observe/endpoint.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::observe;

static http::Response get(const Endpoint& endpoint, std::string target) {
  return endpoint.answer({.target = std::move(target)});
}

TEST_CASE("metrics come in the Prometheus text format, sorted by name, with labels escaped") {
  Endpoint endpoint(Endpoint::Audience::Public);
  endpoint.add([] {
    return std::vector<Metric>{{"causeway_b_total", "Later.", MetricKind::Counter, {{{{"why", "a \"b\"\n"}}, 3}}},
                               {"causeway_a", "First.", MetricKind::Gauge, {{{}, 1.5}}}};
  });
  CHECK(
      get(endpoint, "/metrics").body ==
      "# HELP causeway_a First.\n# TYPE causeway_a gauge\ncauseway_a 1.5\n"
      "# HELP causeway_b_total Later.\n# TYPE causeway_b_total counter\ncauseway_b_total{why=\"a \\\"b\\\"\\n\"} 3\n");
}

TEST_CASE("a histogram is printed as cumulative buckets, the last of them without bound") {
  Histogram histogram({0.5, 1});
  for (double seconds : {0.5, 0.75, 3.0}) histogram.observe(seconds);
  Endpoint endpoint(Endpoint::Audience::Public);
  endpoint.add([&] {
    return std::vector<Metric>{
        {"x_seconds", "X.", MetricKind::Histogram, {{.histogram = std::make_shared<const Histogram>(histogram)}}}};
  });
  CHECK(get(endpoint, "/metrics").body ==
        "# HELP x_seconds X.\n# TYPE x_seconds histogram\nx_seconds_count 3\nx_seconds_sum 4.25\n"
        "x_seconds_bucket{le=\"0.5\"} 1\nx_seconds_bucket{le=\"1\"} 2\nx_seconds_bucket{le=\"+Inf\"} 3\n");
}

TEST_CASE("readyz is 503 and names the check that fails; healthz does not ask them") {
  std::string trouble = "waiting for Pod CIDRs of node n1";
  Endpoint endpoint(Endpoint::Audience::Public);
  endpoint.add(Check{"node", [&] { return trouble; }});
  endpoint.add(Check{"fabric", [] { return std::string(); }});
  auto answer = get(endpoint, "/readyz?verbose");
  CHECK(answer.status == 503);
  CHECK(answer.body == "[-]node failed: waiting for Pod CIDRs of node n1\n[+]fabric ok\nnot ready\n");
  CHECK(get(endpoint, "/healthz").status == 200);
  trouble.clear();
  CHECK(get(endpoint, "/readyz").status == 200);
}

TEST_CASE("pages with names in them are shown on the private socket only") {
  Endpoint open(Endpoint::Audience::Public), closed(Endpoint::Audience::All);
  open.add_page("/tables", [] { return std::string("secret\n"); });
  closed.add_page("/tables", [] { return std::string("secret\n"); });
  CHECK(get(open, "/tables").status == 404);
  CHECK(get(closed, "/tables").body == "secret\n");
  CHECK(get(closed, "/").body == "/metrics\n/healthz\n/readyz\n/tables\n");
  CHECK(closed.answer({.method = "POST", .target = "/tables"}).status == 405);
}

TEST_CASE("the process tells its resident memory") {
  bool found = false;
  for (const Metric& metric : process_metrics())
    if (metric.name == "process_resident_memory_bytes") found = metric.samples.at(0).value > 1e6;
  CHECK(found);
}
