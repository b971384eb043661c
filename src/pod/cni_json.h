// Reading a CNI call's JSON, and saying what is wrong with it: shared by the files that parse one.
#pragma once

#include <boost/json.hpp>

#include "pod/cni_request.h"

namespace causeway::pod {

namespace json = boost::json;

inline CniError environment_error(std::string message) { return {CniCode::InvalidEnvironment, std::move(message), {}}; }
inline CniError config_error(std::string message, std::string details = {}) {
  return {CniCode::InvalidConfig, std::move(message), std::move(details)};
}
// At most 200 bytes of it, for a message.
std::string shortened(const json::value& value);
std::unexpected<CniError> unsupported(std::string_view key, const json::value& value, std::string details);

// ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$: network names and container ids (SPEC.md, "Parameters" and "Network configuration").
bool is_identifier(std::string_view text);
// An empty object, array, string or null, as tools write "nothing".
bool is_nothing(const json::value& value);
// A member by its name, whatever the case of its letters: containerd writes "HostPort", and the plugins of the CNI
// project, which ignore case as Go's encoding/json does, take it. The exact name wins.
const json::value* member(const json::object& object, std::string_view name);
inline std::string_view text_of(json::string_view text) { return {text.data(), text.size()}; }

// "10.0.0.1" or "10.0.0.1/24", as `ips` are written. `where` names the key.
CniResult<Ip> parse_asked_ip(std::string_view text, const std::string& where);
// At most one of each family.
CniResult<void> check_asked_ips(const std::vector<Ip>& ips, const std::string& where);
CniResult<Mac> parse_asked_mac(std::string_view text, const std::string& where);

// runtimeConfig: what the runtime passes for this call (CONVENTIONS.md, "Well-known Capabilities").
CniResult<void> parse_runtime_config(NetworkConfig& out, const json::object& runtime);
// capabilities: what the configuration promises in our name.
CniResult<void> check_capabilities(const json::object& capabilities);
// The four keys of the CNI project's bandwidth plugin, in any object. `where` ends with "." or is empty.
CniResult<void> parse_bandwidth_keys(NetworkConfig& out, const json::object& object, const std::string& where);
CniResult<PrevResult> parse_prev_result(const json::value& value);

}  // namespace causeway::pod
