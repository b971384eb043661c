#include "observe/flow.h"

#include <fmt/chrono.h>

#include <boost/json.hpp>
#include <charconv>
#include <cstdio>

namespace causeway::observe {

namespace json = boost::json;

namespace {

json::object to_object(const FlowEnd& end) {
  json::object out{{"address", to_string(end.address)}};
  if (end.port) out["port"] = end.port;
  if (!end.pod.empty()) out["pod"] = end.pod;
  return out;
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<FlowEnd> end_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_object()) return fail(Errc::Invalid, "a flow without {}", key);
  const json::object& end = value->get_object();
  FlowEnd out{.address = TRY(Ip::parse(text_at(end, "address")), "{} of a flow", key), .pod = text_at(end, "pod")};
  if (const json::value* port = end.if_contains("port")) {
    boost::system::error_code error;
    out.port = port->to_number<uint16_t>(error);
    if (error) return fail(Errc::Invalid, "{} of a flow: its port is no port", key);
  }
  return out;
}

std::string name_of(const FlowEnd& end, bool node, const std::string& of) {
  if (!end.pod.empty()) return end.pod;
  return node ? "node " + of : to_string(end.address);
}

std::string with_port(std::string name, const FlowEnd& end) {
  if (!end.port) return name;
  return end.pod.empty() && name.find(':') != name.npos ? fmt::format("[{}]:{}", name, end.port)
                                                        : fmt::format("{}:{}", name, end.port);
}

constexpr std::string_view kVerdicts[] = {"allowed", "dropped", "cut", "closed"};

}  // namespace

std::string to_text(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time - seconds).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(seconds.time_since_epoch().count()), micros);
}

Result<WallTime> parse_wall_time(std::string_view text) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0;
  if (text.size() != 27 || std::sscanf(std::string(text).c_str(), "%4d-%2u-%2uT%2u:%2u:%2u.%6uZ", &year, &month, &day,
                                       &hour, &minute, &second, &micros) != 7)
    return fail(Errc::Invalid, "\"{}\" is no time as 2026-11-22T16:20:01.123456Z", text);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60)
    return fail(Errc::Invalid, "\"{}\" is no time: there is no such day or hour", text);
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::microseconds(micros);
}

Result<Duration> parse_age(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  const uint64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 0;
  if (error != std::errc() || !seconds || !number || number > 366 * 86400 / seconds)
    return fail(Errc::Invalid, "\"{}\" is no time such as 90s, 10m, 2h or 1d (at most 366d)", text);
  return std::chrono::seconds(number * seconds);
}

Status check_verdict(std::string_view verdict) {
  for (std::string_view one : kVerdicts)
    if (verdict == one) return ok();
  return fail(Errc::Invalid, "\"{}\" is no verdict: allowed, dropped, cut or closed", verdict);
}

std::string to_json(const Flow& flow) {
  json::object out{{"number", flow.number},
                   {"time", to_text(flow.time)},
                   {"node", flow.node},
                   {"verdict", flow.verdict},
                   {"protocol", flow.protocol},
                   {"source", to_object(flow.source)},
                   {"destination", to_object(flow.destination)}};
  if (flow.from_node) out["fromNode"] = true;
  for (const auto& [key, text] : {std::pair{"direction", &flow.direction},
                                  {"policy", &flow.policy},
                                  {"rule", &flow.rule},
                                  {"reason", &flow.reason}})
    if (!text->empty()) out[key] = *text;
  return json::serialize(out);
}

Result<Flow> parse_flow(std::string_view line) {
  boost::system::error_code error;
  const json::value root = json::parse(line, error);
  if (error || !root.is_object()) return fail(Errc::Invalid, "a flow that is no JSON object");
  const json::object& object = root.get_object();
  const json::value* number = object.if_contains("number");
  const uint64_t count = number ? number->to_number<uint64_t>(error) : 0;
  if (!count || error) return fail(Errc::Invalid, "a flow without number");
  const json::value* node = object.if_contains("fromNode");
  return Flow{.number = count,
              .time = TRY(parse_wall_time(text_at(object, "time"))),
              .node = text_at(object, "node"),
              .verdict = text_at(object, "verdict"),
              .protocol = text_at(object, "protocol"),
              .source = TRY(end_at(object, "source")),
              .destination = TRY(end_at(object, "destination")),
              .from_node = node && node->is_bool() && node->get_bool(),
              .direction = text_at(object, "direction"),
              .policy = text_at(object, "policy"),
              .rule = text_at(object, "rule"),
              .reason = text_at(object, "reason")};
}

std::string to_text(const Flow& flow) {
  const bool refused = flow.verdict == "dropped" || flow.verdict == "cut";
  std::string out = fmt::format("{} {} -> {}/{} {}", to_text(flow.time).erase(23, 3),
                                with_port(name_of(flow.source, flow.from_node, flow.node), flow.source),
                                with_port(name_of(flow.destination, false, flow.node), flow.destination), flow.protocol,
                                flow.verdict == "dropped" ? "DROPPED"
                                : flow.verdict == "cut"   ? "CUT"
                                                          : flow.verdict);
  if (!flow.direction.empty()) out += " by " + flow.direction;
  if (!flow.policy.empty())
    out += fmt::format(": {}{}", flow.policy,
                       !flow.rule.empty() ? " " + flow.rule
                       : refused          ? ", of which no rule admits it"
                                          : "");
  if (!flow.reason.empty()) out += ": " + flow.reason;
  return out;
}

bool FlowFilter::matches(const Flow& flow) const {
  return flow.number > after && (!from || flow.time >= *from) && (verdict.empty() || flow.verdict == verdict) &&
         (pod.empty() || flow.source.pod == pod || flow.destination.pod == pod);
}

}  // namespace causeway::observe
