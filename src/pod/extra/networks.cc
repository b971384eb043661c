#include "pod/extra/networks.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>

#include "pod/extra/ranges.h"

namespace causeway::pod {
namespace {

namespace json = boost::json;

// A DNS label or subdomain, as the API has names of namespaces and definitions.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 253 || !std::isalnum(uint8_t(text.front())) || !std::isalnum(uint8_t(text.back())))
    return false;
  return std::ranges::all_of(
      text, [](char c) { return std::islower(uint8_t(c)) || std::isdigit(uint8_t(c)) || c == '-' || c == '.'; });
}

bool is_ifname(std::string_view text) {
  return !text.empty() && text.size() <= 15 && std::isalnum(uint8_t(text.front())) &&
         std::ranges::all_of(text, [](char c) { return std::isalnum(uint8_t(c)) || c == '_' || c == '-' || c == '.'; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(uint8_t(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(uint8_t(text.back()))) text.remove_suffix(1);
  return text;
}

Result<Selection> parse_short(std::string_view text, std::string_view pod_namespace) {
  Selection selection{.ns = std::string(pod_namespace)};
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    selection.ifname = text.substr(at + 1);
    if (selection.ifname.empty()) return fail(Errc::Invalid, "\"{}\": no interface behind @", text);
    text = text.substr(0, at);
  }
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    selection.ns = text.substr(0, slash);
    text = text.substr(slash + 1);
  }
  selection.name = text;
  return selection;
}

Result<std::string> text_of(const json::value& value, std::string_view key) {
  if (!value.is_string()) return fail(Errc::Invalid, "{} must be a string, not {}", key, json::serialize(value));
  return std::string(value.as_string());
}

Result<std::vector<ExtraAddress>> parse_ips(const json::value& value) {
  const auto* list = value.if_array();
  if (!list) return fail(Errc::Invalid, "ips must be a list, not {}", json::serialize(value));
  std::vector<ExtraAddress> ips;
  for (const auto& item : *list) {
    const std::string text = TRY(text_of(item, "ips"));
    ExtraAddress address;
    if (text.find('/') != std::string::npos) {
      address = TRY(parse_interface_address(text), "ips");
    } else {
      address.ip = TRY(Ip::parse(text), "ips");
      address.prefix = address.ip.bits();
    }
    ips.push_back(address);
  }
  return ips;
}

Result<Selection> parse_object(const json::value& value, std::string_view pod_namespace) {
  const auto* object = value.if_object();
  if (!object) return fail(Errc::Invalid, "{} must be an object", json::serialize(value));
  Selection selection{.ns = std::string(pod_namespace)};
  for (const auto& [key, item] : *object) {
    const std::string_view name(key);
    if (item.is_null()) continue;
    if (name == "name") {
      selection.name = TRY(text_of(item, name));
    } else if (name == "namespace") {
      if (auto ns = TRY(text_of(item, name)); !ns.empty()) selection.ns = std::move(ns);
    } else if (name == "interface") {
      selection.ifname = TRY(text_of(item, name));
    } else if (name == "mac") {
      if (const auto mac = TRY(text_of(item, name)); !mac.empty()) selection.mac = TRY(Mac::parse(mac), "mac");
    } else if (name == "ips") {
      selection.ips = TRY(parse_ips(item));
    } else {
      return fail(Errc::Unsupported, "key {} is not supported (name, namespace, interface, ips and mac are)", name);
    }
  }
  return selection;
}

Result<std::vector<Selection>> parse_list(std::string_view text, std::string_view pod_namespace) {
  std::vector<Selection> all;
  if (text.starts_with('[')) {
    boost::system::error_code error;
    const auto value = json::parse(json::string_view(text.data(), text.size()), error);
    if (error || !value.is_array()) return fail(Errc::Invalid, "is no JSON list: {}", error.message());
    for (const auto& item : value.as_array()) all.push_back(TRY(parse_object(item, pod_namespace)));
    return all;
  }
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const auto part = trimmed(text.substr(0, comma));
    if (part.empty()) return fail(Errc::Invalid, "has an empty element");
    all.push_back(TRY(parse_short(part, pod_namespace)));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return all;
}

}  // namespace

Result<std::vector<Selection>> parse_networks(std::string_view text, std::string_view pod_namespace,
                                              std::string_view main) {
  auto all = TRY(parse_list(trimmed(text), pod_namespace), "annotation {}", kNetworksAnnotation);
  if (all.size() > kMaxExtras)
    return fail(Errc::Invalid, "annotation {}: {} networks, at most {} are supported", kNetworksAnnotation, all.size(),
                kMaxExtras);
  for (size_t i = 0; i < all.size(); ++i) {
    auto& one = all[i];
    if (one.ifname.empty()) one.ifname = fmt::format("net{}", i + 1);
    if (!is_name(one.name) || !is_name(one.ns))
      return fail(Errc::Invalid, "annotation {}: \"{}/{}\" is no name of a NetworkAttachmentDefinition",
                  kNetworksAnnotation, one.ns, one.name);
    if (!is_ifname(one.ifname))
      return fail(Errc::Invalid, "annotation {}: \"{}\" is no name of an interface", kNetworksAnnotation, one.ifname);
    const auto same = [&](const Selection& other) { return &other != &one && other.ifname == one.ifname; };
    if (one.ifname == main || one.ifname == "lo" || std::ranges::any_of(all, same))
      return fail(Errc::Invalid, "annotation {}: two interfaces {}", kNetworksAnnotation, one.ifname);
  }
  return all;
}

std::string status_text(const std::vector<StatusOf>& networks) {
  json::array list;
  for (const auto& one : networks) {
    json::object object{{"name", one.network}, {"interface", one.ifname}};
    json::array ips;
    for (const auto& ip : one.ips) ips.emplace_back(to_string(ip));
    if (!ips.empty()) object["ips"] = std::move(ips);
    if (one.mac) object["mac"] = to_string(*one.mac);
    if (one.main) object["default"] = true;
    object["dns"] = json::object();
    list.push_back(std::move(object));
  }
  return json::serialize(list);
}

}  // namespace causeway::pod
