// EndpointSlice and NetworkPolicy.
#include <algorithm>
#include <set>

#include "base/ip.h"
#include "kube/api/names.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

constexpr size_t kMostEndpoints = 1000, kMostPorts = 100, kMostAddresses = 100, kMostHints = 8;

void address(FieldErrors& errors, const Path& path, std::string_view text, std::string_view type) {
  if (type == "FQDN") return add_if_wrong(errors, path, text, check_dns1123_subdomain(text));
  auto ip = Ip::parse(text);
  if (!ip) return ip_address(errors, path, text);
  if ((type == "IPv4") != ip->is_v4())
    return add_if_wrong(errors, path, text, fmt::format("must be an {} address", type));
  // New API: only the canonical form (RFC 5952) of an IPv6 address.
  if (ip->is_v6() && to_string(*ip) != text)
    return add_if_wrong(errors, path, text, fmt::format("must be in canonical form (\"{}\")", *ip));
  endpoint_ip(errors, path, text);
}

void hints(FieldErrors& errors, const Path& path, const json::object& endpoint) {
  for (auto which : {"forZones", "forNodes"}) {
    const json::array& list = array_or_empty(object_or_empty(endpoint, "hints"), which);
    if (list.size() > kMostHints) {
      errors.push_back(FieldError::too_many((path / which).text, list.size(), kMostHints));
      continue;
    }
    std::set<std::string, std::less<>> seen;
    for (size_t i = 0; i < list.size(); ++i) {
      const json::object* hint = list[i].if_object();
      if (!hint) continue;
      auto name = text_in(*hint, "name");
      Path at = (path / which)[i] / "name";
      add_if_wrong(errors, at, name,
                   std::string_view(which) == "forZones" ? check_label_value(name) : check_dns1123_subdomain(name));
      if (!seen.emplace(name).second) errors.push_back(FieldError::duplicate(at.text, json::value(name)));
    }
  }
}

void policy_port(FieldErrors& errors, const Path& path, const json::object& port) {
  if (auto protocol = text_in(port, "protocol"); !protocol.empty())
    one_of(errors, path / "protocol", protocol, {"TCP", "UDP", "SCTP"});
  const json::value* number = find(port, "port");
  auto end = integer_in(port, "endPort");
  if (number) port_or_name(errors, path / "port", number);
  if (!end) return;
  Path at = path / "endPort";
  if (!number)
    errors.push_back(FieldError::invalid(at.text, *end, "may not be specified when `port` is not specified"));
  else if (!number->is_int64())
    errors.push_back(FieldError::invalid(at.text, *end, "may not be specified when `port` is non-numeric"));
  else {
    if (*end < number->get_int64())
      errors.push_back(FieldError::invalid(at.text, *end, "must be greater than or equal to `port`"));
    port_number(errors, at, *end);
  }
}

void ip_block(FieldErrors& errors, const Path& path, const json::object& block) {
  auto text = text_in(block, "cidr");
  if (text.empty()) {
    errors.push_back(FieldError::required((path / "cidr").text));
    return;
  }
  cidr(errors, path / "cidr", text);
  auto outer = Cidr::parse(text);
  size_t index = 0;
  for (const json::value& item : array_or_empty(block, "except")) {
    Path at = (path / "except")[index++];
    const json::string* except = item.if_string();
    if (!except) continue;
    std::string_view inner_text(except->data(), except->size());
    cidr(errors, at, inner_text);
    auto inner = Cidr::parse(inner_text);
    if (outer && inner && (!outer->contains(*inner) || *outer == *inner))
      errors.push_back(FieldError::invalid(at.text, json::value(inner_text), "must be a strict subset of `cidr`"));
  }
}

void peer(FieldErrors& errors, const Path& path, const json::object& peer) {
  size_t count = 0;
  for (auto kind : {"podSelector", "namespaceSelector"})
    if (const json::object* selector = object_in(peer, kind)) {
      ++count;
      label_selector(errors, path / kind, *selector);
    }
  if (const json::object* block = object_in(peer, "ipBlock")) {
    ip_block(errors, path / "ipBlock", *block);
    if (++count > 1)
      errors.push_back(FieldError::forbidden(path.text, "may not specify both ipBlock and another peer"));
  }
  if (count == 0) errors.push_back(FieldError::required(path.text, "must specify a peer"));
}

void rules(FieldErrors& errors, const Path& path, const json::array& list, std::string_view peers) {
  for (size_t i = 0; i < list.size(); ++i) {
    const json::object* rule = list[i].if_object();
    if (!rule) continue;
    const json::array& ports = array_or_empty(*rule, "ports");
    for (size_t j = 0; j < ports.size(); ++j)
      if (const json::object* port = ports[j].if_object()) policy_port(errors, (path[i] / "ports")[j], *port);
    const json::array& from = array_or_empty(*rule, peers);
    for (size_t j = 0; j < from.size(); ++j)
      if (const json::object* one = from[j].if_object()) peer(errors, (path[i] / peers)[j], *one);
  }
}

}  // namespace

void endpoint_slice(FieldErrors& errors, const json::object& object) {
  auto type = text_in(object, "addressType");
  if (type.empty())
    errors.push_back(FieldError::required("addressType"));
  else
    one_of(errors, {"addressType"}, type, {"FQDN", "IPv4", "IPv6"});
  const json::array& endpoints = array_or_empty(object, "endpoints");
  if (endpoints.size() > kMostEndpoints)
    errors.push_back(FieldError::too_many("endpoints", endpoints.size(), kMostEndpoints));
  else
    for (size_t i = 0; i < endpoints.size(); ++i) {
      const json::object* endpoint = endpoints[i].if_object();
      if (!endpoint) continue;
      Path at = Path{"endpoints"}[i];
      const json::array& addresses = array_or_empty(*endpoint, "addresses");
      if (addresses.empty())
        errors.push_back(FieldError::required((at / "addresses").text, "must contain at least 1 address"));
      if (addresses.size() > kMostAddresses)
        errors.push_back(FieldError::too_many((at / "addresses").text, addresses.size(), kMostAddresses));
      for (size_t j = 0; j < addresses.size(); ++j)
        if (const json::string* text = addresses[j].if_string())
          address(errors, (at / "addresses")[j], {text->data(), text->size()}, type);
      if (auto node = text_in(*endpoint, "nodeName"); !node.empty())
        add_if_wrong(errors, at / "nodeName", node, check_dns1123_subdomain(node));
      if (auto host = text_in(*endpoint, "hostname"); !host.empty())
        add_if_wrong(errors, at / "hostname", host, check_dns1123_label(host));
      hints(errors, at / "hints", *endpoint);
    }
  const json::array& ports = array_or_empty(object, "ports");
  if (ports.size() > kMostPorts) {
    errors.push_back(FieldError::too_many("ports", ports.size(), kMostPorts));
    return;
  }
  std::set<std::string, std::less<>> names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const json::object* port = ports[i].if_object();
    if (!port) continue;
    Path at = Path{"ports"}[i];
    auto name = text_in(*port, "name");
    if (!name.empty()) add_if_wrong(errors, at / "name", name, check_dns1123_label(name));
    if (!names.emplace(name).second) errors.push_back(FieldError::duplicate((at / "name").text, json::value(name)));
    protocol(errors, at, *port);
    if (auto number = integer_in(*port, "port")) port_number(errors, at / "port", *number);
  }
}

void network_policy(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  Path path{"spec"};
  label_selector(errors, path / "podSelector", object_or_empty(spec, "podSelector"));
  rules(errors, path / "ingress", array_or_empty(spec, "ingress"), "from");
  rules(errors, path / "egress", array_or_empty(spec, "egress"), "to");
  const json::array& types = array_or_empty(spec, "policyTypes");
  if (types.size() > 2) {
    errors.push_back(
        FieldError::invalid((path / "policyTypes").text, types, "may not specify more than two policyTypes"));
    return;
  }
  for (size_t i = 0; i < types.size(); ++i)
    if (const json::string* text = types[i].if_string())
      one_of(errors, (path / "policyTypes")[i], {text->data(), text->size()}, {"Ingress", "Egress"});
}

}  // namespace causeway::kube::validate
