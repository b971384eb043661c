#include "dns/local.h"

#include <algorithm>
#include <charconv>

namespace causeway::dns {

namespace {

constexpr std::string_view kWord = "answers";

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return fail(Errc::Invalid, "\"{}\" is no ADDRESS:PORT", text);
  std::string_view ip = text.substr(0, colon), number = text.substr(colon + 1);
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  Endpoint out{.ip = TRY(Ip::parse(ip)), .port = 0};
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.port);
  if (error != std::errc() || end != number.data() + number.size() || out.port == 0)
    return fail(Errc::Invalid, "\"{}\" is no ADDRESS:PORT", text);
  return out;
}

}  // namespace

Ip link_local_address() { return Ip::v4(0xa9fe140a); }

Result<std::vector<Ip>> cluster_dns_addresses(const std::vector<Ip>& service) {
  std::vector<Ip> out = service;
  if (service.empty()) return fail(Errc::Invalid, "no address is named");
  if (service.size() > 2 || (service.size() == 2 && service[0].family() == service[1].family()))
    return fail(Errc::Invalid, "at most one address for each family");
  for (const Ip& ip : service)
    if (ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_link_local())
      return fail(Errc::Invalid, "{} is no address that a Service can have", ip);
  if (std::ranges::any_of(service, &Ip::is_v4)) out.push_back(link_local_address());
  return out;
}

std::string answers_line(const std::vector<Endpoint>& at) {
  std::string out(kWord);
  for (const Endpoint& endpoint : at) out += " " + to_string(endpoint);
  return out + "\n";
}

Result<std::vector<Endpoint>> parse_answers(std::string_view line) {
  std::vector<Endpoint> out;
  if (!line.starts_with(kWord)) return fail(Errc::Invalid, "\"{}\" is no line of a DNS process", line);
  line.remove_prefix(kWord.size());
  while (!line.empty()) {
    if (line.front() != ' ') return fail(Errc::Invalid, "\"{}\" is no list of addresses", line);
    line.remove_prefix(1);
    const std::string_view word = line.substr(0, line.find(' '));
    out.push_back(TRY(parse_endpoint(word)));
    line.remove_prefix(word.size());
  }
  return out;
}

std::set<Ip> answered(const std::vector<Ip>& addresses, const std::vector<Endpoint>& at) {
  std::set<Ip> out;
  for (const Ip& ip : addresses)
    if (std::ranges::any_of(at, [&](const Endpoint& one) {
          return one.port == kDnsPort && (one.ip == ip || (one.ip.is_unspecified() && one.ip.family() == ip.family()));
        }))
      out.insert(ip);
  return out;
}

}  // namespace causeway::dns
