// The directives about answers of others: forward and cache.
#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

constexpr size_t kMostUpstreams = 15;  // CoreDNS' limit

// "8.8.8.8", "8.8.8.8:5353", "[2001:db8::1]:53", "2001:db8::1".
Result<Endpoint> parse_address(std::string_view text, uint16_t port, const Place& place) {
  const auto bad = [&] {
    return refuse(
        place,
        "forward: \"{}\" is no address: write 10.0.0.1, 10.0.0.1:5353, [2001:db8::1]:53, tls://10.0.0.1%NAME, "
        "or the path of a resolv.conf",
        text);
  };
  if (auto ip = Ip::parse(text)) return Endpoint{*ip, port};
  const size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  auto ip = Ip::parse(host);
  if (!ip) return bad();
  if (colon == std::string_view::npos || text.ends_with(']')) return Endpoint{*ip, port};
  const auto number = parse_number({.text = std::string(text.substr(colon + 1)), .place = place}, 1, 65535);
  if (!number) return bad();
  return Endpoint{*ip, static_cast<uint16_t>(*number)};
}

Result<std::vector<UpstreamAddress>> parse_upstream(const Word& word) {
  std::string_view text = word.text;
  if (text.starts_with("https://") || text.starts_with("grpc://") || text.starts_with("quic://"))
    return refuse(word.place, "forward: {} is not spoken here: use dns:// or tls://", text.substr(0, text.find(':')));
  if (text.starts_with('/')) {
    const auto content = TRY(read_file(word.text), "{}: forward", to_string(word.place));
    std::vector<UpstreamAddress> all;
    std::istringstream lines(content);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string key, value;
      if (!(words >> key >> value) || key != "nameserver") continue;
      value =
          value.substr(0, value.find('%'));  // a scope: the address is link-local and its device is the kernel's choice
      all.push_back({.endpoint = TRY(parse_address(value, 53, {word.text, 1})), .tls = false, .server_name = {}});
    }
    if (all.empty())
      return refuse(word.place, "forward: {} has no line \"nameserver ADDRESS\": add one, or name an upstream here",
                    word.text);
    return all;
  }
  UpstreamAddress upstream;
  if (text.starts_with("tls://")) {
    upstream.tls = true;
    text.remove_prefix(6);
  } else if (text.starts_with("dns://")) {
    text.remove_prefix(6);
  }
  if (const size_t percent = text.rfind('%'); percent != std::string_view::npos && upstream.tls) {
    upstream.server_name = text.substr(percent + 1);
    text = text.substr(0, percent);
  }
  upstream.endpoint = TRY(parse_address(text, upstream.tls ? 853 : 53, word.place));
  return std::vector<UpstreamAddress>{upstream};
}

Status parse_line(ForwardDirective& out, const Directive& line) {
  const std::string& name = line.name.text;
  const auto& words = line.arguments;
  if (name == "except") {
    TRY(check_shape(line, 1, 1000));
    std::ranges::move(TRY(parse_zones(words, 0)), std::back_inserter(out.except));
  } else if (name == "force_tcp") {
    TRY(check_shape(line, 0, 0));
    out.force_tcp = true;
  } else if (name == "prefer_udp") {
    TRY(check_shape(line, 0, 0));  // what is done here without it: UDP first
  } else if (name == "policy") {
    TRY(check_shape(line, 1, 1));
    const std::string& policy = words[0].text;
    if (policy != "random" && policy != "round_robin" && policy != "sequential")
      return refuse(words[0].place, "policy \"{}\": write random, round_robin or sequential", policy);
    out.policy = policy == "random"        ? ForwardDirective::Policy::Fastest
                 : policy == "round_robin" ? ForwardDirective::Policy::RoundRobin
                                           : ForwardDirective::Policy::Sequential;
  } else if (name == "expire") {
    TRY(check_shape(line, 1, 1));
    out.expire = TRY(parse_duration(words[0]));
  } else if (name == "max_fails") {
    TRY(check_shape(line, 1, 1));
    out.max_fails = static_cast<uint32_t>(TRY(parse_number(words[0], 0, 1000)));
  } else if (name == "max_concurrent") {
    TRY(check_shape(line, 1, 1));
    out.max_concurrent = static_cast<uint32_t>(TRY(parse_number(words[0], 0, 1000000)));
  } else if (name == "health_check") {
    TRY(check_shape(line, 1, 4));
    out.health_check = TRY(parse_duration(words[0]));
    if (out.health_check < std::chrono::milliseconds(1))
      return refuse(words[0].place, "health_check needs a duration above 0");
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i].text == "no_rec")
        out.health_check_recursion = false;
      else if (words[i].text == "domain" && i + 1 < words.size())
        out.health_check_domain = TRY(parse_zone(words[++i]));
      else
        return refuse(words[i].place, "health_check: \"{}\": after its duration come no_rec and domain NAME",
                      words[i].text);
    }
  } else if (name == "failover") {
    TRY(check_shape(line, 1, 20));
    for (const Word& word : words) out.failover.insert(TRY(parse_rcode(word)));
  } else if (name == "next") {
    return refuse(line.name.place, "forward: next is not taken: write failover, which asks the other upstreams");
  } else if (name == "tls") {
    TRY(check_shape(line, 0, 3));
    if (words.size() == 1 || words.size() == 3) out.tls_ca = words.back().text;
    if (words.size() >= 2) out.tls_certificate = words[0].text, out.tls_key = words[1].text;
  } else if (name == "tls_servername") {
    TRY(check_shape(line, 1, 1));
    out.tls_server_name = words[0].text;
  } else {
    return refuse(
        line.name.place,
        "forward: there is no option \"{}\": it has except, force_tcp, prefer_udp, policy, expire, max_fails, "
        "max_concurrent, health_check, failover, tls and tls_servername",
        name);
  }
  return ok();
}

Status parse_kind(CacheDirective::Kind& kind, const Directive& line) {
  TRY(check_shape(line, 1, 3));
  kind.entries = TRY(parse_number(line.arguments[0], 1, 1 << 30));
  if (line.arguments.size() > 1) kind.ttl = Seconds(TRY(parse_number(line.arguments[1], 1, 604800)));
  if (line.arguments.size() > 2) kind.min_ttl = Seconds(TRY(parse_number(line.arguments[2], 0, 604800)));
  if (kind.min_ttl > kind.ttl) return refuse(line.arguments[2].place, "the lowest TTL is above the highest");
  return ok();
}

Status parse_line(CacheDirective& out, const Directive& line) {
  const std::string& name = line.name.text;
  const auto& words = line.arguments;
  if (name == "success") {
    TRY(parse_kind(out.success, line));
  } else if (name == "denial") {
    TRY(parse_kind(out.denial, line));
  } else if (name == "prefetch") {
    TRY(check_shape(line, 1, 3));
    out.prefetch = static_cast<uint32_t>(TRY(parse_number(words[0], 0, 1000000)));
    if (words.size() > 1) out.prefetch_window = std::chrono::ceil<Seconds>(TRY(parse_duration(words[1])));
    if (words.size() > 2) {
      std::string percent = words[2].text;
      if (percent.ends_with('%')) percent.pop_back();
      out.prefetch_percent = static_cast<int>(TRY(parse_number({.text = percent, .place = words[2].place}, 10, 90)));
    }
  } else if (name == "serve_stale") {
    TRY(check_shape(line, 0, 2));
    out.stale_verify = false;  // CoreDNS' own default where the line stands
    if (!words.empty()) out.serve_stale = std::chrono::ceil<Seconds>(TRY(parse_duration(words[0])));
    if (words.size() > 1 && words[1].text != "verify" && words[1].text != "immediate")
      return refuse(words[1].place, "serve_stale: \"{}\": write immediate or verify", words[1].text);
    if (words.size() > 1) out.stale_verify = words[1].text == "verify";
  } else if (name == "servfail") {
    TRY(check_shape(line, 1, 1));
    out.servfail = std::chrono::ceil<Seconds>(TRY(parse_duration(words[0])));
    if (out.servfail > Seconds(300))  // RFC 2308 section 7.1
      return refuse(words[0].place, "servfail: failures are kept five minutes at most");
  } else if (name == "disable") {
    TRY(check_shape(line, 1, 1000));
    if (words[0].text != "success" && words[0].text != "denial")
      return refuse(words[0].place, "disable \"{}\": write success or denial", words[0].text);
    auto& kind = words[0].text == "success" ? out.success : out.denial;
    if (words.size() == 1) kind.all_disabled = true;
    std::ranges::move(TRY(parse_zones(words, 1)), std::back_inserter(kind.disabled));
  } else {
    return refuse(line.name.place,
                  "cache: there is no option \"{}\" here: it has success, denial, prefetch, serve_stale, servfail and "
                  "disable",
                  name);
  }
  return ok();
}

}  // namespace

Result<ForwardDirective> parse_forward(const Directive& directive) {
  ForwardDirective out{.place = directive.name.place};
  if (directive.arguments.size() < 2)
    return refuse(directive.name.place, "forward needs a zone and an upstream: \"forward . /etc/resolv.conf\"");
  const auto zones = TRY(parse_zones(directive.arguments[0]));
  if (zones.size() != 1)
    return refuse(directive.arguments[0].place, "forward: {} is {} reverse zones: give each a forward of its own",
                  directive.arguments[0].text, zones.size());
  out.zone = zones[0];
  for (size_t i = 1; i < directive.arguments.size(); ++i)
    std::ranges::move(TRY(parse_upstream(directive.arguments[i])), std::back_inserter(out.upstreams));
  if (out.upstreams.size() > kMostUpstreams)
    return refuse(directive.name.place, "forward: {} upstreams; at most {} are taken", out.upstreams.size(),
                  kMostUpstreams);
  for (const Directive& line : directive.body) TRY(parse_line(out, line));
  return out;
}

Result<CacheDirective> parse_cache(const Directive& directive, const std::vector<ZoneText>& block_zones) {
  CacheDirective out{.place = directive.name.place};
  size_t zones_from = 0;
  if (!directive.arguments.empty() && !directive.arguments[0].text.empty() &&
      std::ranges::all_of(directive.arguments[0].text, [](char c) { return c >= '0' && c <= '9'; })) {
    out.success.ttl = out.denial.ttl = Seconds(TRY(parse_number(directive.arguments[0], 1, 604800)));
    zones_from = 1;
  }
  out.zones = TRY(parse_zones(directive.arguments, zones_from));
  if (out.zones.empty()) out.zones = block_zones;
  for (const Directive& line : directive.body) TRY(parse_line(out, line));
  return out;
}

}  // namespace causeway::dns
