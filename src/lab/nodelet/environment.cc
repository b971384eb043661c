#include "lab/nodelet/environment.h"

#include <algorithm>

#include "kube/api/codec.h"
#include "kube/api/quantity.h"

namespace causeway::lab {
namespace {

std::string list(const std::vector<Ip>& ips) {
  std::string out;
  for (const Ip& ip : ips) out += (out.empty() ? "" : ",") + to_string(ip);
  return out;
}

// "labels['app']" -> "app"
std::optional<std::string> subscript(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  if (path.size() < 4 || !path.starts_with("['") || !path.ends_with("']")) return std::nullopt;
  return std::string(path.substr(2, path.size() - 4));
}

std::string value_or_empty(const kube::StringMap& map, const std::string& key) {
  auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

Result<std::optional<std::string>> key_value(const std::map<std::string, kube::StringMap>& objects,
                                             const kube::KeySelector& selector, std::string_view kind,
                                             const std::string& ns) {
  const bool optional = selector.optional.value_or(false);
  auto object = objects.find(selector.name);
  if (object == objects.end()) {
    if (optional) return std::nullopt;
    return fail(Errc::NotFound, "{} \"{}\" not found", kind, selector.name);
  }
  auto found = object->second.find(selector.key);
  if (found != object->second.end()) return found->second;
  if (optional) return std::nullopt;
  return fail(Errc::NotFound, "couldn't find key {} in {} {}/{}", selector.key, kind, ns, selector.name);
}

Status add_source(const kube::EnvFromSource& source, const ContainerFacts& facts,
                  std::map<std::string, std::string>& values) {
  auto add = [&](const kube::EnvSourceRef& ref, const std::map<std::string, kube::StringMap>& objects,
                 std::string_view kind) -> Status {
    auto object = objects.find(ref.name);
    if (object == objects.end()) {
      if (ref.optional.value_or(false)) return ok();
      return fail(Errc::NotFound, "{} \"{}\" not found", kind, ref.name);
    }
    for (const auto& [key, value] : object->second) values[source.prefix + key] = value;
    return ok();
  };
  if (source.config_map_ref) TRY(add(*source.config_map_ref, facts.config_maps, "configmap"));
  if (source.secret_ref) TRY(add(*source.secret_ref, facts.secrets, "secret"));
  return ok();
}

Result<std::optional<std::string>> env_value(const kube::Pod& pod, const kube::Container& container,
                                             const kube::EnvVar& variable, const ContainerFacts& facts,
                                             const std::map<std::string, std::string>& values) {
  if (!variable.value_from) return expand(variable.value, values);
  const auto& from = *variable.value_from;
  if (from.field_ref)
    return std::optional(TRY(field_value(pod, facts, from.field_ref->field_path), "env {}", variable.name));
  if (from.resource_field_ref) {
    const auto& ref = *from.resource_field_ref;
    const kube::Container* named = &container;
    for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers})
      for (const auto& other : *list)
        if (other.name == ref.container_name) named = &other;
    return std::optional(TRY(resource_value(*named, ref, facts), "env {}", variable.name));
  }
  if (from.config_map_key_ref)
    return key_value(facts.config_maps, *from.config_map_key_ref, "configmap", pod.metadata.ns);
  if (from.secret_key_ref) return key_value(facts.secrets, *from.secret_key_ref, "secret", pod.metadata.ns);
  return fail(Errc::Unsupported, "env {}: the lab reads fieldRef, resourceFieldRef, configMapKeyRef and secretKeyRef",
              variable.name);
}

}  // namespace

std::string expand(std::string_view text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const size_t end = text[i + 1] == '(' ? text.find(')', i) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out += text[i];
      continue;
    }
    const auto found = values.find(std::string(text.substr(i + 2, end - i - 2)));
    out += found != values.end() ? found->second : std::string(text.substr(i, end - i + 1));
    i = end;
  }
  return out;
}

Result<std::string> field_value(const kube::Pod& pod, const ContainerFacts& facts, std::string_view path) {
  // Whole maps are for files of the downward API only: one key="value" on each line (fieldpath.FormatMap).
  for (const auto& [name, map] : {std::pair{"metadata.labels", &pod.metadata.labels},
                                  std::pair{"metadata.annotations", &pod.metadata.annotations}})
    if (path == name) {
      std::string out;
      for (const auto& [key, value] : *map)
        out += fmt::format("{}{}={}", out.empty() ? "" : "\n", key, kube::json_quote(value));
      return out;
    }
  if (path == "metadata.name") return pod.metadata.name;
  if (path == "metadata.namespace") return pod.metadata.ns;
  if (path == "metadata.uid") return pod.metadata.uid;
  if (path == "spec.nodeName") return pod.spec.node_name;
  if (path == "spec.serviceAccountName") return pod.spec.service_account_name;
  if (path == "status.podIP") return facts.pod_ips.empty() ? "" : to_string(facts.pod_ips.front());
  if (path == "status.podIPs") return list(facts.pod_ips);
  if (path == "status.hostIP") return facts.host_ips.empty() ? "" : to_string(facts.host_ips.front());
  if (path == "status.hostIPs") return list(facts.host_ips);
  if (auto key = subscript(path, "metadata.labels")) return value_or_empty(pod.metadata.labels, *key);
  if (auto key = subscript(path, "metadata.annotations")) return value_or_empty(pod.metadata.annotations, *key);
  return fail(Errc::Invalid, "fieldPath \"{}\" is not one that a Pod's environment may use", path);
}

Result<std::string> resource_value(const kube::Container& container, const kube::ResourceFieldSelector& selector,
                                   const ContainerFacts& facts) {
  const std::string& path = selector.resource;
  const bool limit = path.starts_with("limits."), request = path.starts_with("requests.");
  if (!limit && !request) return fail(Errc::Invalid, "unsupported resource \"{}\"", path);
  const std::string name = path.substr(path.find('.') + 1);
  const auto& given = limit ? container.resources.limits : container.resources.requests;
  int64_t milli = 0;
  if (const auto found = given.find(name); found != given.end())
    milli = TRY(kube::parse_quantity_milli(found->second), "{}", path);
  else if (limit && name == "cpu")
    milli = facts.node_milli_cpu;
  else if (limit && name == "memory")
    milli = facts.node_memory * 1000;
  int64_t unit = selector.divisor.empty() ? 0 : TRY(kube::parse_quantity_milli(selector.divisor), "divisor");
  if (unit <= 0) unit = 1000;
  return std::to_string(milli / unit + (milli % unit != 0 ? 1 : 0));
}

std::map<std::string, std::string> service_variables(const std::vector<const kube::Service*>& services) {
  const auto upper = [](std::string text) {
    for (char& c : text) c = c == '-' || c == '.' ? '_' : c >= 'a' && c <= 'z' ? char(c - 32) : c;
    return text;
  };
  std::map<std::string, std::string> values;
  for (const auto* service : services) {
    const auto& spec = service->spec;
    if (spec.cluster_ip.empty() || spec.cluster_ip == "None" || spec.ports.empty()) continue;
    const std::string name = upper(service->metadata.name);
    const std::string host =
        spec.cluster_ip.find(':') == std::string::npos ? spec.cluster_ip : "[" + spec.cluster_ip + "]";
    values[name + "_SERVICE_HOST"] = spec.cluster_ip;
    values[name + "_SERVICE_PORT"] = std::to_string(spec.ports[0].port);
    for (size_t i = 0; i < spec.ports.size(); ++i) {
      const auto& port = spec.ports[i];
      const std::string protocol = port.protocol.empty() ? "TCP" : port.protocol;
      std::string lower = protocol;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
      const std::string url = fmt::format("{}://{}:{}", lower, host, port.port);
      if (!port.name.empty()) values[name + "_SERVICE_PORT_" + upper(port.name)] = std::to_string(port.port);
      if (i == 0) values[name + "_PORT"] = url;
      const std::string prefix = fmt::format("{}_PORT_{}_{}", name, port.port, protocol);
      values[prefix] = url;
      values[prefix + "_PROTO"] = lower;
      values[prefix + "_PORT"] = std::to_string(port.port);
      values[prefix + "_ADDR"] = spec.cluster_ip;
    }
  }
  return values;
}

Result<ProcessImage> compile_process(const kube::Pod& pod, const kube::Container& container,
                                     const ContainerFacts& facts, const ImageConfig* image) {
  // What $(NAME) may mean: Services first, then envFrom, then env (kubelet's makeEnvironmentVariables).
  auto values = facts.services;
  for (const auto& source : container.env_from) TRY(add_source(source, facts, values));
  for (const auto& variable : container.env)
    if (auto value = TRY(env_value(pod, container, variable, facts, values))) values[variable.name] = std::move(*value);
  ProcessImage process;
  if (!container.command.empty() || image) {
    for (const auto& part : container.command) process.argv.push_back(expand(part, values));
    if (container.command.empty()) process.argv = image->entrypoint;
    for (const auto& part : container.args) process.argv.push_back(expand(part, values));
    if (container.command.empty() && container.args.empty())
      process.argv.insert(process.argv.end(), image->cmd.begin(), image->cmd.end());
    if (process.argv.empty())
      return fail(Errc::Invalid, "no command specified: neither the container nor the image {} has one",
                  container.image);
  }
  process.variables = values;
  if (image)
    for (const auto& entry : image->env)
      if (const size_t equals = entry.find('='); equals != std::string::npos)
        values.try_emplace(entry.substr(0, equals), entry.substr(equals + 1));
  values.try_emplace("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  values.try_emplace("HOME", facts.home);
  values.try_emplace("HOSTNAME", facts.hostname);
  for (const auto& [name, value] : values) process.env.push_back(name + "=" + value);
  return process;
}

std::vector<std::string> config_maps_of(const kube::Container& container) {
  std::vector<std::string> out;
  for (const auto& source : container.env_from)
    if (source.config_map_ref) out.push_back(source.config_map_ref->name);
  for (const auto& variable : container.env)
    if (variable.value_from && variable.value_from->config_map_key_ref)
      out.push_back(variable.value_from->config_map_key_ref->name);
  return out;
}

std::vector<std::string> secrets_of(const kube::Container& container) {
  std::vector<std::string> out;
  for (const auto& source : container.env_from)
    if (source.secret_ref) out.push_back(source.secret_ref->name);
  for (const auto& variable : container.env)
    if (variable.value_from && variable.value_from->secret_key_ref)
      out.push_back(variable.value_from->secret_key_ref->name);
  return out;
}

}  // namespace causeway::lab
