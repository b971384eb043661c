#include "dns/meter.h"

#include <algorithm>

namespace causeway::dns {

namespace {

// CoreDNS names these and counts the rest as "other".
constexpr std::array<std::pair<uint16_t, const char*>, 15> kNamed = {{{1, "A"},
                                                                      {28, "AAAA"},
                                                                      {5, "CNAME"},
                                                                      {48, "DNSKEY"},
                                                                      {43, "DS"},
                                                                      {65, "HTTPS"},
                                                                      {15, "MX"},
                                                                      {2, "NS"},
                                                                      {47, "NSEC"},
                                                                      {50, "NSEC3"},
                                                                      {12, "PTR"},
                                                                      {46, "RRSIG"},
                                                                      {6, "SOA"},
                                                                      {33, "SRV"},
                                                                      {16, "TXT"}}};
constexpr std::array<double, 14> kSizeBounds = {0,    100,  200,  300,  400,  511,  1023,
                                                2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3};

// 0.25 ms, 0.5 ms, … 8.192 s.
std::vector<double> time_bounds() {
  std::vector<double> bounds;
  for (double bound = 0.00025; bounds.size() < 16; bound *= 2) bounds.push_back(bound);
  return bounds;
}

size_t type_index(Type type) {
  for (size_t i = 0; i < kNamed.size(); ++i)
    if (kNamed[i].first == static_cast<uint16_t>(type)) return i;
  return kNamed.size();
}

// One thread writes it: no need for an atomic addition.
void add(std::atomic<uint64_t>& count, uint64_t by = 1) {
  count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::None: return "";
    case Stage::Acl: return "acl";
    case Stage::Template: return "template";
    case Stage::Hosts: return "hosts";
    case Stage::Kubernetes: return "kubernetes";
    case Stage::Cache: return "cache";
    case Stage::Forward: return "forward";
    case Stage::Dns64: return "dns64";
    case Stage::Loop: return "loop";
  }
  return "";
}

void Meter::count(size_t index, const Seen& seen) {
  Slot& slot = slots_[index];
  const size_t protocol = seen.tcp ? 1 : 0;
  add(slot.requests[(protocol * 2 + (seen.v6 ? 1 : 0)) * kTypes + type_index(seen.type)]);
  if (seen.reply > 0)
    add(slot.responses[std::min<size_t>(static_cast<size_t>(seen.rcode), kRcodes - 1) * kStages +
                       static_cast<size_t>(seen.stage)]);
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(seen.took.count(), 0));
  add(slot.nanoseconds, ns);
  size_t bucket = 0;
  for (uint64_t bound = 250000; bucket < 16 && ns > bound; bound *= 2) ++bucket;
  add(slot.times[bucket]);
  const auto size_bucket = [](size_t octets) {
    size_t i = 0;
    while (i < kSizeBounds.size() && static_cast<double>(octets) > kSizeBounds[i]) ++i;
    return i;
  };
  add(slot.request_sizes[protocol * kSizes + size_bucket(seen.request)]);
  add(slot.octets_in[protocol], seen.request);
  if (seen.reply > 0) {
    add(slot.reply_sizes[protocol * kSizes + size_bucket(seen.reply)]);
    add(slot.octets_out[protocol], seen.reply);
  }
}

std::vector<Metric> Meter::metrics(
    const std::map<std::pair<std::string, std::string>, std::shared_ptr<Meter>>& meters) {
  Metric requests{"coredns_dns_requests_total", "Questions", MetricKind::Counter, {}};
  Metric responses{"coredns_dns_responses_total", "Replies by code and stage", MetricKind::Counter, {}};
  Metric times{"coredns_dns_request_duration_seconds", "Time from a question to its reply", MetricKind::Histogram, {}};
  Metric in{"coredns_dns_request_size_bytes", "Octets of questions", MetricKind::Histogram, {}};
  Metric out{"coredns_dns_response_size_bytes", "Octets of replies", MetricKind::Histogram, {}};
  const std::vector<double> size_bounds(kSizeBounds.begin(), kSizeBounds.end());
  for (const auto& [key, meter] : meters) {
    const std::map<std::string, std::string> labels{{"server", key.first}, {"zone", key.second}, {"view", ""}};
    const auto with = [&](std::map<std::string, std::string> more) {
      more.insert(labels.begin(), labels.end());
      return more;
    };
    for (size_t i = 0; i < 4 * kTypes; ++i)
      if (const uint64_t value = meter->sum([&](const Slot& slot) -> const Count& { return slot.requests[i]; }))
        requests.samples.push_back({with({{"proto", i / kTypes / 2 == 1 ? "tcp" : "udp"},
                                          {"family", i / kTypes % 2 == 1 ? "2" : "1"},
                                          {"type", i % kTypes < kNamed.size() ? kNamed[i % kTypes].second : "other"}}),
                                    static_cast<double>(value)});
    for (size_t i = 0; i < kRcodes * kStages; ++i)
      if (const uint64_t value = meter->sum([&](const Slot& slot) -> const Count& { return slot.responses[i]; }))
        responses.samples.push_back({with({{"rcode", to_string(static_cast<Rcode>(i / kStages))},
                                           {"plugin", std::string(to_string(static_cast<Stage>(i % kStages)))}}),
                                     static_cast<double>(value)});
    std::vector<uint64_t> counts(kTimes);
    for (size_t i = 0; i < kTimes; ++i)
      counts[i] = meter->sum([&](const Slot& slot) -> const Count& { return slot.times[i]; });
    const double seconds =
        static_cast<double>(meter->sum([](const Slot& slot) -> const Count& { return slot.nanoseconds; })) / 1e9;
    times.samples.push_back(
        {.labels = labels, .histogram = std::make_shared<Histogram>(time_bounds(), std::move(counts), seconds)});
    for (const size_t protocol : {0, 1})
      for (const bool is_in : {true, false}) {
        std::vector<uint64_t> sizes(kSizes);
        for (size_t i = 0; i < kSizes; ++i)
          sizes[i] = meter->sum([&](const Slot& slot) -> const Count& {
            return (is_in ? slot.request_sizes : slot.reply_sizes)[protocol * kSizes + i];
          });
        const auto octets = static_cast<double>(meter->sum(
            [&](const Slot& slot) -> const Count& { return (is_in ? slot.octets_in : slot.octets_out)[protocol]; }));
        (is_in ? in : out)
            .samples.push_back({.labels = with({{"proto", protocol == 1 ? "tcp" : "udp"}}),
                                .histogram = std::make_shared<Histogram>(size_bounds, std::move(sizes), octets)});
      }
  }
  return {requests, responses, times, in, out};
}

}  // namespace causeway::dns
