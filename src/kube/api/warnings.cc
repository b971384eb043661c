// What the API server warns a client of, worded as Kubernetes words it (pkg/api/service/warnings.go).
#include "base/ip.h"
#include "kube/api/validate.h"
#include "kube/api/validation.h"

namespace causeway::kube {

namespace {

using namespace validate;
using Warnings = std::vector<std::string>;

// An IPv6 address that we would print otherwise is legal in old fields, and costs who compares texts.
void ip_form(Warnings& warnings, const Path& path, std::string_view text) {
  const auto ip = Ip::parse(text);
  if (ip && to_string(*ip) != text)
    warnings.push_back(
        fmt::format("{}: IPv6 address \"{}\" should be in RFC 5952 canonical format (\"{}\")", path.text, text, *ip));
}
void cidr_form(Warnings& warnings, const Path& path, std::string_view text) {
  const auto cidr = Cidr::parse(text);
  if (cidr && to_string(*cidr) != text)
    warnings.push_back(fmt::format("{}: IPv6 CIDR value \"{}\" should be in RFC 5952 canonical format (\"{}\")",
                                   path.text, text, *cidr));
}
template <class Check>
void each_text(Warnings& warnings, const Path& path, const json::array& list, Check check) {
  for (size_t i = 0; i < list.size(); ++i)
    if (const json::string* text = list[i].if_string()) check(warnings, path[i], {text->data(), text->size()});
}

void service_warnings(Warnings& warnings, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  const Path path{"spec"};
  const auto type = text_in(spec, "type");
  const bool headless = text_in(spec, "clusterIP") == "None", external_name = type == "ExternalName";
  const json::array& external = array_or_empty(spec, "externalIPs");
  const auto balancer_ip = text_in(spec, "loadBalancerIP");
  if (has(object_or_empty(object_or_empty(object, "metadata"), "annotations"),
          "service.kubernetes.io/topology-aware-hints"))
    warnings.emplace_back(
        "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
        "service.kubernetes.io/topology-mode instead");
  if (!headless) each_text(warnings, path / "clusterIPs", array_or_empty(spec, "clusterIPs"), ip_form);
  if (headless) {
    if (!balancer_ip.empty()) warnings.emplace_back("spec.loadBalancerIP is ignored for headless services");
    if (!external.empty()) warnings.emplace_back("spec.externalIPs is ignored for headless services");
    if (text_in(spec, "sessionAffinity") == "ClientIP")
      warnings.emplace_back("spec.SessionAffinity is ignored for headless services");
  }
  each_text(warnings, path / "externalIPs", external, ip_form);
  if (!external.empty() && !headless && !external_name)
    warnings.emplace_back("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
  if (!balancer_ip.empty()) ip_form(warnings, path / "loadBalancerIP", balancer_ip);
  each_text(warnings, path / "loadBalancerSourceRanges", array_or_empty(spec, "loadBalancerSourceRanges"), cidr_form);
  if (external_name && !external.empty())
    warnings.emplace_back("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
  if (!external_name && !text_in(spec, "externalName").empty())
    warnings.emplace_back("spec.externalName is ignored when spec.type is not \"ExternalName\"");
  if (text_in(spec, "trafficDistribution") == "PreferClose")
    warnings.emplace_back("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
}

// The Endpoints controller writes what it was given; it is not the one to tell.
bool by_controller(const json::object& object) {
  return text_in(object_or_empty(object_or_empty(object, "metadata"), "labels"),
                 "endpoints.kubernetes.io/managed-by") == "endpoint-controller";
}

}  // namespace

std::vector<std::string> warnings_for(const KindInfo& kind, const json::object& object) {
  Warnings warnings;
  if (kind.group.empty() && kind.kind == "Service") service_warnings(warnings, object);
  if (kind.group.empty() && kind.kind == "Endpoints" && !by_controller(object))
    warnings.emplace_back("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
  if (kind.kind == "EndpointSlice" && text_in(object, "addressType") == "FQDN")
    warnings.emplace_back("addressType: FQDN endpoints are deprecated");
  return warnings;
}

}  // namespace causeway::kube
