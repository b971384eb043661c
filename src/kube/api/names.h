// The name rules of the API. Each function returns what is wrong, worded as Kubernetes words it, or "" if nothing is.
#pragma once

#include <string>
#include <string_view>

namespace causeway::kube {

std::string check_dns1123_label(std::string_view name);      // 63; lower case letters, digits, '-'
std::string check_dns1123_subdomain(std::string_view name);  // 253; labels joined by '.'
std::string check_dns1035_label(std::string_view name);      // as dns1123, but starts with a letter
std::string check_qualified_name(std::string_view key);      // label and annotation keys: [prefix/]name
std::string check_label_value(std::string_view value);
std::string check_port_name(std::string_view name);     // IANA service name: 15, with a letter
std::string check_env_var_name(std::string_view name);  // relaxed since 1.34: printable ASCII without '='
std::string check_config_map_key(std::string_view key);
std::string check_canonical_ip(std::string_view name);  // an IP address as we would print it (RFC 5952)
std::string check_path_segment(std::string_view name);  // no '/', '%', not "." or ".."

}  // namespace causeway::kube
