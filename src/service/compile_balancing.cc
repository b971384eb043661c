#include "service/compile_balancing.h"

#include <algorithm>
#include <charconv>

namespace causeway::service {

namespace {

constexpr std::string_view kSchedulers[] = {"rr", "wrr", "lc",  "wlc", "lblc", "lblcr", "dh",
                                            "sh", "mh",  "sed", "nq",  "fo",   "ovf"};

std::optional<Algorithm> parse_algorithm(std::string_view text) {
  for (Algorithm algorithm : {Algorithm::Random, Algorithm::RoundRobin, Algorithm::LeastConnections,
                              Algorithm::LeastLoad, Algorithm::SourceHash})
    if (text == to_string(algorithm)) return algorithm;
  return std::nullopt;
}

// "5s", "500ms" -> milliseconds, 100 ms to one hour.
std::optional<uint32_t> parse_duration(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (error != std::errc() || value > 3600000 || (unit != "s" && unit != "ms")) return std::nullopt;
  const uint64_t ms = unit == "s" ? uint64_t{value} * 1000 : value;
  if (ms < 100 || ms > 3600000) return std::nullopt;
  return static_cast<uint32_t>(ms);
}

std::optional<uint32_t> parse_count(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > 100) return std::nullopt;
  return value;
}

// "tcp", "http:/healthz" -> the path, "" for TCP.
std::optional<std::string> parse_check(std::string_view text) {
  if (text == "tcp") return "";
  if (!text.starts_with("http:/") || text.size() > 1024) return std::nullopt;
  for (char c : text)
    if (c <= ' ' || c == 0x7f) return std::nullopt;
  return std::string(text.substr(5));
}

}  // namespace

Balancing balancing_of(const cluster::Service& service, const Options& options, std::vector<std::string>& refused) {
  Balancing out;
  Probe probe;
  bool probes = false, knobs = false;
  for (const auto& [key, value] : service.annotations) {
    const std::string_view name = key.view().substr(cluster::kServiceAnnotations.size());
    const auto bad = [&](std::string_view allowed) {
      refused.push_back(fmt::format("annotation {}: \"{}\" is not {}", key, value, allowed));
    };
    const auto take = [&](auto& into, auto parsed, std::string_view allowed) {
      if (!parsed) return bad(allowed), false;
      into = std::move(*parsed);
      return true;
    };
    if (name == "ipvs-scheduler") {
      if (!options.schedulers)
        refused.push_back(fmt::format("annotation {} needs a node with --proxy-mode ipvs", key));
      else if (std::ranges::find(kSchedulers, value.view()) == std::end(kSchedulers))
        bad("a scheduler of IPVS");
      else
        out.scheduler = value;
    } else if (!options.balancing) {
      refused.push_back(fmt::format("annotation {} needs a node with --plane bpf", key));
    } else if (name == "algorithm") {
      take(out.algorithm, parse_algorithm(value), "random, round-robin, least-connections, least-load or source-hash");
    } else if (name == "retry") {
      if (value == "true")
        out.retry = true;
      else if (value != "false")
        bad("true or false");
    } else if (name == "health-check") {
      probes |= take(probe.http_path, parse_check(value), "tcp or http:/PATH");
    } else if (name == "health-check-interval") {
      knobs |= take(probe.interval_ms, parse_duration(value), "a time such as 5s or 500ms, from 100ms to 3600s");
    } else if (name == "health-check-timeout") {
      knobs |= take(probe.timeout_ms, parse_duration(value), "a time such as 1s or 500ms, from 100ms to 3600s");
    } else if (name == "health-check-failures") {
      knobs |= take(probe.failures, parse_count(value), "a number from 1 to 100");
    } else if (name == "health-check-successes") {
      knobs |= take(probe.successes, parse_count(value), "a number from 1 to 100");
    } else if (key == cluster::kEndpointWeights) {
      refused.push_back(fmt::format("annotation {} belongs to an EndpointSlice", key));
    } else {
      refused.push_back(fmt::format("annotation {} is unknown", key));
    }
  }
  if (knobs && !probes) refused.push_back("annotations of a health check without service.causeway.io/health-check");
  if (probes) out.probe = std::move(probe);
  return out;
}

}  // namespace causeway::service
