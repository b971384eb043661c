// What the validate_*.cc files share. Internal to the folder.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "kube/api/field_error.h"
#include "kube/api/meta.h"
#include "kube/api/tree.h"

namespace causeway::kube::validate {

namespace json = boost::json;
using namespace tree;

// A place in a tree: where errors are put.
struct Path {
  std::string text;
  Path operator/(std::string_view name) const {
    return {text.empty() ? std::string(name) : fmt::format("{}.{}", text, name)};
  }
  Path operator[](size_t index) const { return {fmt::format("{}[{}]", text, index)}; }
  Path key(std::string_view key) const { return {fmt::format("{}[{}]", text, key)}; }
};

// --- one field; each adds what is wrong to `errors` (validate_common.cc)
void add_if_wrong(FieldErrors& errors, const Path& path, std::string_view value, const std::string& complaint);
void one_of(FieldErrors& errors, const Path& path, std::string_view value,
            std::initializer_list<std::string_view> allowed);
void protocol(FieldErrors& errors, const Path& path, const json::object& object);
void port_number(FieldErrors& errors, const Path& path, int64_t port);
// An IntOrString: 1-65535 or an IANA service name.
void port_or_name(FieldErrors& errors, const Path& path, const json::value* value);
void not_negative(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field);
void ip_address(FieldErrors& errors, const Path& path, std::string_view text);
void cidr(FieldErrors& errors, const Path& path, std::string_view text);
// An address that packets can be sent to: not unspecified, loopback, link-local or multicast.
void endpoint_ip(FieldErrors& errors, const Path& path, std::string_view text);
void labels(FieldErrors& errors, const Path& path, const json::object& labels);
void label_selector(FieldErrors& errors, const Path& path, const json::object& selector);
void taint_effect(FieldErrors& errors, const Path& path, std::string_view effect);
void immutable(FieldErrors& errors, const Path& path, const json::value* old, const json::value* updated,
               std::string_view detail = "field is immutable");

// The string values of an object ("metadata.labels"), and a LabelSelector, as typed values.
StringMap string_map(const json::object& object);
LabelSelector typed_selector(const json::object& selector);
// "25%" of nothing is 25; 0 when it is neither number nor percentage.
int64_t int_or_percent(const json::value* value);
void int_or_percent_field(FieldErrors& errors, const Path& path, const json::value* value);

// --- whole parts
using NameCheck = std::string (*)(std::string_view);
void metadata(FieldErrors& errors, const json::object& object, bool namespaced, NameCheck name_check);
void metadata_update(FieldErrors& errors, const json::object& old, const json::object& updated);

void pod_spec(FieldErrors& errors, const Path& path, const json::object& spec);
void containers(FieldErrors& errors, const Path& path, const json::object& spec);
void tolerations(FieldErrors& errors, const Path& path, const json::array& list);
void pod_update(FieldErrors& errors, const json::object& old, const json::object& updated);

// --- one function a kind, for everything but metadata
void pod(FieldErrors& errors, const json::object& object);
void deployment(FieldErrors& errors, const json::object& object);
void replica_set(FieldErrors& errors, const json::object& object);
void daemon_set(FieldErrors& errors, const json::object& object);
void stateful_set(FieldErrors& errors, const json::object& object);
void stateful_set_update(FieldErrors& errors, const json::object& old, const json::object& updated);
void controller_revision(FieldErrors& errors, const json::object& object);
void controller_revision_update(FieldErrors& errors, const json::object& old, const json::object& updated);
void service(FieldErrors& errors, const json::object& object);
void service_status(FieldErrors& errors, const json::object& object);
void service_update(FieldErrors& errors, const json::object& old, const json::object& updated);
void endpoint_slice(FieldErrors& errors, const json::object& object);
void endpoints(FieldErrors& errors, const json::object& object);
void service_cidr(FieldErrors& errors, const json::object& object);
void service_cidr_update(FieldErrors& errors, const json::object& old, const json::object& updated);
void address_object(FieldErrors& errors, const json::object& object);  // IPAddress
void address_object_update(FieldErrors& errors, const json::object& old, const json::object& updated);
void network_policy(FieldErrors& errors, const json::object& object);
void cluster_network_policy(FieldErrors& errors, const json::object& object);
void node(FieldErrors& errors, const json::object& object);
void node_update(FieldErrors& errors, const json::object& old, const json::object& updated);
void config_map(FieldErrors& errors, const json::object& object);
void secret(FieldErrors& errors, const json::object& object);
void data_update(FieldErrors& errors, const json::object& old, const json::object& updated, std::string_view kind);
void event(FieldErrors& errors, const json::object& object);
void lease(FieldErrors& errors, const json::object& object);

}  // namespace causeway::kube::validate
