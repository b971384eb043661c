// Service.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <set>

#include "base/ip.h"
#include "kube/api/names.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

bool headless(const json::object& spec) { return text_in(spec, "clusterIP") == "None"; }

bool needs_health_port(const json::object& spec) {
  return text_in(spec, "type") == "LoadBalancer" && text_in(spec, "externalTrafficPolicy") == "Local";
}

std::vector<std::string_view> texts(const json::array& list) {
  std::vector<std::string_view> found;
  for (const json::value& item : list)
    if (const json::string* text = item.if_string()) found.emplace_back(text->data(), text->size());
  return found;
}

void ports(FieldErrors& errors, const Path& path, const json::object& spec) {
  const json::array& list = array_or_empty(spec, "ports");
  auto type = text_in(spec, "type");
  if (list.empty() && !headless(spec) && type != "ExternalName") errors.push_back(FieldError::required(path.text));
  std::set<std::string, std::less<>> names, numbers, node_ports;
  size_t index = 0;
  for (const json::value& item : list) {
    Path at = path[index++];
    const json::object* port = item.if_object();
    if (!port) continue;
    auto name = text_in(*port, "name");
    if (!name.empty()) {
      add_if_wrong(errors, at / "name", name, check_dns1123_label(name));
      if (!names.emplace(name).second) errors.push_back(FieldError::duplicate((at / "name").text, json::value(name)));
    } else if (list.size() > 1) {
      errors.push_back(FieldError::required((at / "name").text));
    }
    port_number(errors, at / "port", integer_in(*port, "port").value_or(0));
    protocol(errors, at, *port);
    port_or_name(errors, at / "targetPort", find(*port, "targetPort"));
    if (auto protocol = text_in(*port, "appProtocol"); !protocol.empty())
      add_if_wrong(errors, at / "appProtocol", protocol, check_qualified_name(protocol));

    json::object key{{"port", integer_in(*port, "port").value_or(0)}, {"protocol", text_in(*port, "protocol")}};
    if (!numbers.insert(json::serialize(key)).second) errors.push_back(FieldError::duplicate(at.text, key));
    auto node_port = integer_in(*port, "nodePort").value_or(0);
    if (node_port == 0) continue;
    if (type == "ClusterIP" || type == "ExternalName")
      errors.push_back(
          FieldError::forbidden((at / "nodePort").text, fmt::format("may not be used when `type` is '{}'", type)));
    else
      port_number(errors, at / "nodePort", node_port);
    key["port"] = node_port;
    if (!node_ports.insert(json::serialize(key)).second)
      errors.push_back(FieldError::duplicate((at / "nodePort").text, node_port));
  }
}

// clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy agree with one another.
void addresses(FieldErrors& errors, const Path& path, const json::object& spec) {
  const json::array& list = array_or_empty(spec, "clusterIPs");
  auto ips = texts(list);
  auto families = texts(array_or_empty(spec, "ipFamilies"));
  auto policy = text_in(spec, "ipFamilyPolicy"), first = text_in(spec, "clusterIP");
  if (text_in(spec, "type") == "ExternalName") {
    if (!ips.empty())
      errors.push_back(FieldError::forbidden((path / "clusterIPs").text, "may not be set for ExternalName services"));
    if (!families.empty())
      errors.push_back(FieldError::forbidden((path / "ipFamilies").text, "may not be set for ExternalName services"));
    if (!policy.empty())
      errors.push_back(
          FieldError::forbidden((path / "ipFamilyPolicy").text, "may not be set for ExternalName services"));
    return;
  }
  for (size_t i = 0; i < families.size(); ++i) {
    one_of(errors, (path / "ipFamilies")[i], families[i], {"IPv4", "IPv6"});
    if (std::count(families.begin(), families.begin() + i, families[i]))
      errors.push_back(FieldError::duplicate((path / "ipFamilies")[i].text, json::value(families[i])));
  }
  if (!policy.empty())
    one_of(errors, path / "ipFamilyPolicy", policy, {"PreferDualStack", "RequireDualStack", "SingleStack"});
  if (policy == "SingleStack" && families.size() > 1)
    errors.push_back(
        FieldError::invalid((path / "ipFamilyPolicy").text, json::value(policy),
                            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"));
  if (!first.empty() && first != "None" && ips.empty()) ip_address(errors, path / "clusterIP", first);
  if (!ips.empty() && first.empty())
    errors.push_back(
        FieldError::forbidden((path / "clusterIPs").text, "must be empty when `clusterIP` is not specified"));
  if (ips.empty()) return;
  if (!first.empty() && ips[0] != first)
    errors.push_back(FieldError::invalid((path / "clusterIPs").text, list, "first value must match `clusterIP`"));
  if (ips.size() > 2) {
    errors.push_back(FieldError::invalid((path / "clusterIPs").text, list, "may only hold up to 2 values"));
    return;
  }
  if (ips[0] == "None") {
    if (ips.size() > 1)
      errors.push_back(
          FieldError::invalid((path / "clusterIPs").text, list, "'None' must be the first and only value"));
    return;
  }
  for (size_t i = 0; i < ips.size(); ++i) {
    Path at = (path / "clusterIPs")[i];
    auto ip = Ip::parse(ips[i]);
    if (!ip) {
      ip_address(errors, at, ips[i]);
    } else if (i < families.size() && (families[i] == "IPv4") != ip->is_v4()) {
      errors.push_back(
          FieldError::invalid(at.text, json::value(ips[i]),
                              fmt::format("expected an {} value as indicated by `ipFamilies[{}]`", families[i], i)));
    }
  }
  auto one = Ip::parse(ips[0]), two = ips.size() == 2 ? Ip::parse(ips[1]) : Result<Ip>(fail(Errc::Invalid, "none"));
  if (one && two && one->family() == two->family())
    errors.push_back(
        FieldError::invalid((path / "clusterIPs").text, list, "may specify no more than one IP for each IP family"));
}

void affinity(FieldErrors& errors, const Path& path, const json::object& spec) {
  auto affinity = text_in(spec, "sessionAffinity");
  if (affinity.empty())
    errors.push_back(FieldError::required((path / "sessionAffinity").text));
  else
    one_of(errors, path / "sessionAffinity", affinity, {"ClientIP", "None"});
  if (affinity != "ClientIP") return;
  const json::object& client = object_or_empty(object_or_empty(spec, "sessionAffinityConfig"), "clientIP");
  auto seconds = integer_in(client, "timeoutSeconds").value_or(10800);
  if (seconds < 1 || seconds > 86400)
    errors.push_back(FieldError::invalid((path / "sessionAffinityConfig" / "clientIP" / "timeoutSeconds").text, seconds,
                                         "must be greater than 0 and less than or equal to 86400"));
}

}  // namespace

void service(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  Path path{"spec"};
  auto type = text_in(spec, "type");
  const json::object& annotations = object_or_empty(object_or_empty(object, "metadata"), "annotations");
  constexpr const char *kMode = "service.kubernetes.io/topology-mode",
                       *kHints = "service.kubernetes.io/topology-aware-hints";
  if (has(annotations, kMode) && has(annotations, kHints) &&
      text_in(annotations, kMode) != text_in(annotations, kHints))
    add_if_wrong(errors, Path{"metadata.annotations"}.key(kMode), text_in(annotations, kMode),
                 fmt::format("must match annotations[{}] when both are specified", kHints));
  if (headless(spec) && (type == "LoadBalancer" || type == "NodePort"))
    errors.push_back(FieldError::invalid((path / "clusterIPs")[0].text, "None",
                                         fmt::format("may not be set to 'None' for {} services", type)));
  if (type == "ExternalName") {
    auto target = text_in(spec, "externalName");
    // A trailing dot is legal in an absolute DNS name.
    if (target.ends_with('.')) target.remove_suffix(1);
    if (target.empty())
      errors.push_back(FieldError::required((path / "externalName").text));
    else
      add_if_wrong(errors, path / "externalName", target, check_dns1123_subdomain(target));
  }
  ports(errors, path / "ports", spec);
  if (const json::object* selector = object_in(spec, "selector")) labels(errors, path / "selector", *selector);
  affinity(errors, path, spec);
  addresses(errors, path, spec);
  size_t index = 0;
  for (auto text : texts(array_or_empty(spec, "externalIPs"))) {
    Path at = (path / "externalIPs")[index++];
    endpoint_ip(errors, at, text);
  }
  if (type.empty())
    errors.push_back(FieldError::required((path / "type").text));
  else
    one_of(errors, path / "type", type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  index = 0;
  for (auto range : texts(array_or_empty(spec, "loadBalancerSourceRanges"))) {
    Path at = (path / "loadBalancerSourceRanges")[index++];
    size_t start = range.find_first_not_of(" "),
           end = range.find_last_not_of(" ");  // blanks are trimmed by all readers
    cidr(errors, at, start == std::string_view::npos ? range : range.substr(start, end - start + 1));
  }
  if (!array_or_empty(spec, "loadBalancerSourceRanges").empty() && type != "LoadBalancer")
    errors.push_back(FieldError::forbidden((path / "loadBalancerSourceRanges").text,
                                           "may only be used when `type` is 'LoadBalancer'"));
  auto external = text_in(spec, "externalTrafficPolicy");
  bool reachable = type == "LoadBalancer" || type == "NodePort" ||
                   (type == "ClusterIP" && !array_or_empty(spec, "externalIPs").empty());
  if (reachable)
    one_of(errors, path / "externalTrafficPolicy", external, {"Cluster", "Local"});
  else if (!external.empty())
    errors.push_back(FieldError::invalid((path / "externalTrafficPolicy").text, json::value(external),
                                         "may only be set for externally-accessible services"));
  if (auto port = integer_in(spec, "healthCheckNodePort").value_or(0); port != 0 && !needs_health_port(spec))
    errors.push_back(
        FieldError::invalid((path / "healthCheckNodePort").text, port,
                            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"));
  if (auto internal = text_in(spec, "internalTrafficPolicy"); !internal.empty())
    one_of(errors, path / "internalTrafficPolicy", internal, {"Cluster", "Local"});
  if (auto distribution = text_in(spec, "trafficDistribution"); !distribution.empty())
    one_of(errors, path / "trafficDistribution", distribution, {"PreferClose", "PreferSameNode", "PreferSameZone"});
  if (has(spec, "allocateLoadBalancerNodePorts") && type != "LoadBalancer")
    errors.push_back(FieldError::forbidden((path / "allocateLoadBalancerNodePorts").text,
                                           "may only be used when `type` is 'LoadBalancer'"));
  if (auto balancer = text_in(spec, "loadBalancerClass"); !balancer.empty()) {
    add_if_wrong(errors, path / "loadBalancerClass", balancer, check_qualified_name(balancer));
    if (type != "LoadBalancer")
      errors.push_back(
          FieldError::forbidden((path / "loadBalancerClass").text, "may only be used when `type` is 'LoadBalancer'"));
  }
}

void service_status(FieldErrors& errors, const json::object& object) {
  const json::object& status = object_or_empty(object, "status");
  const json::array& list = array_or_empty(object_or_empty(status, "loadBalancer"), "ingress");
  const Path path{"status.loadBalancer.ingress"};
  if (!list.empty() && text_in(object_or_empty(object, "spec"), "type") != "LoadBalancer") {
    errors.push_back(FieldError::forbidden(path.text, "may only be used when `spec.type` is 'LoadBalancer'"));
    return;
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const json::object* ingress = list[i].if_object();
    if (!ingress) continue;
    const Path at = path[i];
    const auto ip = text_in(*ingress, "ip"), mode = text_in(*ingress, "ipMode"), host = text_in(*ingress, "hostname");
    if (!ip.empty()) ip_address(errors, at / "ip", ip);
    if (mode.empty() && !ip.empty())
      errors.push_back(FieldError::required((at / "ipMode").text, "must be specified when `ip` is set"));
    else if (!mode.empty() && ip.empty())
      errors.push_back(FieldError::forbidden((at / "ipMode").text, "may not be specified when `ip` is not set"));
    else if (!mode.empty())
      one_of(errors, at / "ipMode", mode, {"Proxy", "VIP"});
    if (host.empty()) continue;
    add_if_wrong(errors, at / "hostname", host, check_dns1123_subdomain(host));
    if (Ip::parse(host)) add_if_wrong(errors, at / "hostname", host, "must be a DNS name, not an IP address");
  }
}

void service_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  const json::object& before = object_or_empty(old, "spec");
  const json::object& after = object_or_empty(updated, "spec");
  if (needs_health_port(before) && needs_health_port(after))
    immutable(errors, {"spec.healthCheckNodePort"}, find(before, "healthCheckNodePort"),
              find(after, "healthCheckNodePort"));
  if (text_in(before, "type") == "LoadBalancer" && text_in(after, "type") == "LoadBalancer")
    immutable(errors, {"spec.loadBalancerClass"}, find(before, "loadBalancerClass"), find(after, "loadBalancerClass"),
              "may not change once set");
  if (text_in(before, "type") == "ExternalName" || text_in(after, "type") == "ExternalName") return;
  auto first = [](const json::object& spec) {
    auto ips = texts(array_or_empty(spec, "clusterIPs"));
    return ips.empty() ? text_in(spec, "clusterIP") : ips[0];
  };
  const json::value* list = find(after, "clusterIPs");
  if (!first(before).empty() && first(after) != first(before))
    errors.push_back(
        FieldError::invalid("spec.clusterIPs[0]", list ? *list : json::value(first(after)),
                            first(after).empty() ? "primary clusterIP can not be unset" : "may not change once set"));
  auto old_families = texts(array_or_empty(before, "ipFamilies")),
       families = texts(array_or_empty(after, "ipFamilies"));
  if (!old_families.empty() && !families.empty() && families[0] != old_families[0])
    errors.push_back(FieldError::invalid("spec.ipFamilies[0]", after.at("ipFamilies"), "may not change once set"));
  auto old_ips = texts(array_or_empty(before, "clusterIPs")), ips = texts(array_or_empty(after, "clusterIPs"));
  if (old_ips.size() == 2 && ips.size() == 1 && text_in(after, "ipFamilyPolicy") != "SingleStack")
    errors.push_back(FieldError::invalid("spec.ipFamilyPolicy", json::value(text_in(after, "ipFamilyPolicy")),
                                         "must be set to 'SingleStack' when releasing the secondary clusterIP"));
}

}  // namespace causeway::kube::validate
