#include "pod/cni_reply.h"

#include <boost/json.hpp>

namespace causeway::pod {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

json::object route_of(const Ip& ip) {
  return {{"dst", ip.is_v4() ? "0.0.0.0/0" : "::/0"}, {"gw", text(to_string(gateway_of(ip.family())))}};
}

std::string host_prefix(const Ip& ip) { return to_string(host_cidr(ip)); }

// 0.1.0 and 0.2.0: one address of each family, no interfaces.
json::object oldest(const AddResult& result) {
  json::object out;
  for (const auto& ip : result.addresses)
    out[ip.is_v4() ? "ip4" : "ip6"] = json::object{{"ip", text(host_prefix(ip))},
                                                   {"gateway", text(to_string(gateway_of(ip.family())))},
                                                   {"routes", json::array{route_of(ip)}}};
  return out;
}

// From 0.3.0 on. ips[].version ended with 1.0.0, interfaces[].mtu began with 1.1.0.
json::object modern(const AddResult& result, CniVersion version) {
  json::object host{{"name", text(result.host_ifname)}, {"mac", text(to_string(result.host_mac))}};
  json::object pod{
      {"name", text(result.ifname)}, {"mac", text(to_string(result.mac))}, {"sandbox", text(result.sandbox)}};
  if (version >= CniVersion::V1_1) host["mtu"] = pod["mtu"] = result.mtu;
  json::array ips, routes;
  for (const auto& ip : result.addresses) {
    json::object entry;
    if (version < CniVersion::V1_0) entry["version"] = ip.is_v4() ? "4" : "6";
    entry["interface"] = 1;
    entry["address"] = text(host_prefix(ip));
    entry["gateway"] = text(to_string(gateway_of(ip.family())));
    ips.push_back(std::move(entry));
    routes.push_back(route_of(ip));
  }
  return {{"interfaces", json::array{std::move(host), std::move(pod)}},
          {"ips", std::move(ips)},
          {"routes", std::move(routes)}};
}

}  // namespace

Ip gateway_of(Family family) {
  return family == Family::V4 ? Ip::v4(0xa9fe0101)
                              : Ip::v6(std::array<uint8_t, 16>{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

Reply add_reply(const AddResult& result, CniVersion version) {
  json::object out{{"cniVersion", text(to_string(version))}};
  for (auto& entry : version < CniVersion::V0_3_0 ? oldest(result) : modern(result, version))
    out[entry.key()] = entry.value();
  out["dns"] = json::object{};
  return {json::serialize(out), true};
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
