#include "pod/cni_reply.h"

#include <boost/json.hpp>

namespace causeway::pod {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

// One address of a result, with the way to everywhere.
struct Entry {
  Ip ip;
  int prefix = 0;
  Ip gateway;
};

json::object route_of(const Entry& entry) {
  return {{"dst", entry.ip.is_v4() ? "0.0.0.0/0" : "::/0"}, {"gw", text(to_string(entry.gateway))}};
}

std::string with_prefix(const Entry& entry) { return fmt::format("{}/{}", entry.ip, entry.prefix); }

// 0.1.0 and 0.2.0: one address of each family, no interfaces.
void put_oldest(json::object& out, const std::vector<Entry>& entries) {
  for (const auto& entry : entries)
    out[entry.ip.is_v4() ? "ip4" : "ip6"] = json::object{{"ip", text(with_prefix(entry))},
                                                         {"gateway", text(to_string(entry.gateway))},
                                                         {"routes", json::array{route_of(entry)}}};
}

// From 0.3.0 on. ips[].version ended with 1.0.0.
void put_modern(json::object& out, const std::vector<Entry>& entries, CniVersion version,
                std::optional<int> interface) {
  json::array ips, routes;
  for (const auto& entry : entries) {
    json::object item;
    if (version < CniVersion::V1_0) item["version"] = entry.ip.is_v4() ? "4" : "6";
    if (interface) item["interface"] = *interface;
    item["address"] = text(with_prefix(entry));
    item["gateway"] = text(to_string(entry.gateway));
    ips.push_back(std::move(item));
    routes.push_back(route_of(entry));
  }
  out["ips"] = std::move(ips);
  out["routes"] = std::move(routes);
}

void put_dns(json::object& out, const std::string& dns) {
  boost::system::error_code error;
  const auto value = dns.empty() ? json::value(json::object{}) : json::parse(dns, error);
  out["dns"] = error ? json::value(json::object{}) : value;
}

}  // namespace

Ip gateway_of(Family family) {
  return family == Family::V4 ? Ip::v4(0xa9fe0101)
                              : Ip::v6(std::array<uint8_t, 16>{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

Ip gateway_of(const Cidr& block) { return block.address().plus(1); }

Reply add_reply(const AddResult& result, CniVersion version) {
  std::vector<Entry> entries;
  for (const auto& ip : result.addresses) entries.push_back({ip, ip.bits(), gateway_of(ip.family())});
  json::object out{{"cniVersion", text(to_string(version))}};
  if (version < CniVersion::V0_3_0) {
    put_oldest(out, entries);
  } else {
    json::object host{{"name", text(result.host_ifname)}, {"mac", text(to_string(result.host_mac))}};
    json::object pod{
        {"name", text(result.ifname)}, {"mac", text(to_string(result.mac))}, {"sandbox", text(result.sandbox)}};
    if (version >= CniVersion::V1_1) host["mtu"] = pod["mtu"] = result.mtu;  // interfaces[].mtu began with 1.1.0
    out["interfaces"] = json::array{std::move(host), std::move(pod)};
    put_modern(out, entries, version, 1);
  }
  put_dns(out, result.dns);
  return {json::serialize(out), true};
}

Reply ipam_reply(const IpamResult& result, CniVersion version) {
  std::vector<Entry> entries;
  for (const auto& address : result.addresses)
    entries.push_back({address.ip, address.block.prefix(), gateway_of(address.block)});
  json::object out{{"cniVersion", text(to_string(version))}};
  if (version < CniVersion::V0_3_0)
    put_oldest(out, entries);
  else
    put_modern(out, entries, version, std::nullopt);
  put_dns(out, result.dns);
  return {json::serialize(out), true};
}

Reply pass_on(const PrevResult& previous, CniVersion version) {
  auto value = json::parse(previous.json);
  // The library that calls us has brought it into this version's shape already.
  value.as_object()["cniVersion"] = text(to_string(version));
  return {json::serialize(value), true};
}

Reply version_reply(CniVersion version) {
  json::array supported;
  for (const CniVersion one : kCniVersions) supported.push_back(text(to_string(one)));
  return {json::serialize(
              json::object{{"cniVersion", text(to_string(version))}, {"supportedVersions", std::move(supported)}}),
          true};
}

Reply empty_reply() { return {}; }

Reply error_reply(const CniError& error, CniVersion version) {
  json::object out{
      {"cniVersion", text(to_string(version))}, {"code", uint32_t(error.code)}, {"msg", text(error.message)}};
  if (!error.details.empty()) out["details"] = text(error.details);
  return {json::serialize(out), false};
}

}  // namespace causeway::pod
