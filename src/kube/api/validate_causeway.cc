// AddressReservation.
#include "kube/api/validate_causeway.h"

#include "base/ip.h"
#include "kube/api/causeway.h"
#include "kube/api/names.h"

namespace causeway::kube {

std::string reservation_name(const Ip& address) {
  std::string name = to_string(address);
  for (char& c : name)
    if (c == ':') c = '-';
  if (name.front() == '-') name.insert(0, "0");
  if (name.back() == '-') name += "0";
  return name;
}

namespace validate {

void address_reservation(FieldErrors& errors, const json::object& object) {
  const Path path{"spec"};
  const json::object& spec = object_or_empty(object, "spec");
  const auto address = text_in(spec, "address");
  if (const auto ip = Ip::parse(address); !ip) {
    add_if_wrong(errors, path / "address", address, "must be an IP address");
  } else if (to_string(*ip) != address) {
    add_if_wrong(errors, path / "address", address, fmt::format("must be in canonical form (\"{}\")", *ip));
  } else if (const auto name = text_in(object_or_empty(object, "metadata"), "name"); name != reservation_name(*ip)) {
    add_if_wrong(errors, Path{"metadata"} / "name", name,
                 fmt::format("must be named after the address: \"{}\"", reservation_name(*ip)));
  }
  for (auto field : {"podNamespace", "podName"}) {
    const auto text = text_in(spec, field);
    if (text.empty())
      errors.push_back(FieldError::required((path / field).text));
    else
      add_if_wrong(errors, path / field, text, check_dns1123_subdomain(text));
  }
}

void address_reservation_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  const Path path{"spec"};
  for (auto field : {"address", "podNamespace", "podName"})
    immutable(errors, path / field, find(object_or_empty(old, "spec"), field),
              find(object_or_empty(updated, "spec"), field));
}

}  // namespace validate
}  // namespace causeway::kube
