// Endpoints.
#include "kube/api/names.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

void address(FieldErrors& errors, const Path& path, const json::object& address) {
  endpoint_ip(errors, path / "ip", text_in(address, "ip"));
  if (auto host = text_in(address, "hostname"); !host.empty())
    add_if_wrong(errors, path / "hostname", host, check_dns1123_label(host));
  if (has(address, "nodeName"))
    add_if_wrong(errors, path / "nodeName", text_in(address, "nodeName"),
                 check_dns1123_subdomain(text_in(address, "nodeName")));
}

void port(FieldErrors& errors, const Path& path, const json::object& port, bool needs_name) {
  if (auto name = text_in(port, "name"); !name.empty())
    add_if_wrong(errors, path / "name", name, check_dns1123_label(name));
  else if (needs_name)
    errors.push_back(FieldError::required((path / "name").text));
  port_number(errors, path / "port", integer_in(port, "port").value_or(0));
  protocol(errors, path, port);
  if (auto protocol = text_in(port, "appProtocol"); !protocol.empty())
    add_if_wrong(errors, path / "appProtocol", protocol, check_qualified_name(protocol));
}

}  // namespace

void endpoints(FieldErrors& errors, const json::object& object) {
  const json::array& subsets = array_or_empty(object, "subsets");
  for (size_t i = 0; i < subsets.size(); ++i) {
    const json::object* subset = subsets[i].if_object();
    if (!subset) continue;
    const Path at = Path{"subsets"}[i];
    if (array_or_empty(*subset, "addresses").empty() && array_or_empty(*subset, "notReadyAddresses").empty())
      errors.push_back(FieldError::required(at.text, "must specify `addresses` or `notReadyAddresses`"));
    for (auto which : {"addresses", "notReadyAddresses"}) {
      const json::array& list = array_or_empty(*subset, which);
      for (size_t j = 0; j < list.size(); ++j)
        if (const json::object* one = list[j].if_object()) address(errors, (at / which)[j], *one);
    }
    const json::array& ports = array_or_empty(*subset, "ports");
    for (size_t j = 0; j < ports.size(); ++j)
      if (const json::object* one = ports[j].if_object()) port(errors, (at / "ports")[j], *one, ports.size() > 1);
  }
}

}  // namespace causeway::kube::validate
