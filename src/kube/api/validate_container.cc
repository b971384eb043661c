// The containers of a Pod.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <set>

#include "kube/api/names.h"
#include "kube/api/quantity.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

// What containers of one Pod share.
struct Pod {
  std::set<std::string, std::less<>> container_names;
  std::set<std::string, std::less<>> volumes;
  std::set<std::string, std::less<>> host_ports;  // "TCP/0.0.0.0/80"
  bool host_network = false;
};

void ports(FieldErrors& errors, const Path& path, const json::object& container, Pod& pod, bool long_running) {
  std::set<std::string, std::less<>> names;
  size_t index = 0;
  for (const json::value& item : array_or_empty(container, "ports")) {
    Path at = path[index++];
    const json::object* port = item.if_object();
    if (!port) continue;
    if (auto name = text_in(*port, "name"); !name.empty()) {
      add_if_wrong(errors, at / "name", name, check_port_name(name));
      if (!names.emplace(name).second) errors.push_back(FieldError::duplicate((at / "name").text, json::value(name)));
    }
    auto number = integer_in(*port, "containerPort").value_or(0);
    if (number == 0)
      errors.push_back(FieldError::required((at / "containerPort").text));
    else
      port_number(errors, at / "containerPort", number);
    protocol(errors, at, *port);
    auto host = integer_in(*port, "hostPort").value_or(0);
    if (host == 0) continue;
    port_number(errors, at / "hostPort", host);
    if (pod.host_network && host != number)
      errors.push_back(
          FieldError::invalid((at / "hostPort").text, host, "must match `containerPort` when `hostNetwork` is true"));
    auto ip = text_in(*port, "hostIP");
    std::string claim = fmt::format("{}/{}/{}", text_in(*port, "protocol"), ip.empty() ? "0.0.0.0" : ip, host);
    // Init containers run one after another, so only what runs at the same time can collide.
    if (long_running && !pod.host_ports.insert(claim).second)
      errors.push_back(FieldError::duplicate((at / "hostPort").text, json::value(claim)));
  }
}

constexpr std::initializer_list<std::string_view> kFieldPaths = {
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};

void field_ref(FieldErrors& errors, const Path& path, const json::object& ref) {
  auto field = text_in(ref, "fieldPath");
  if (field.empty()) {
    errors.push_back(FieldError::required((path / "fieldPath").text));
    return;
  }
  for (auto map : {"metadata.labels['", "metadata.annotations['"})
    if (field.starts_with(map) && field.ends_with("']")) {
      auto key = field.substr(std::string_view(map).size());
      key.remove_suffix(2);
      return add_if_wrong(errors, path, key, check_qualified_name(key));
    }
  one_of(errors, path / "fieldPath", field, kFieldPaths);
}

void key_ref(FieldErrors& errors, const Path& path, const json::object& ref) {
  if (text_in(ref, "name").empty()) errors.push_back(FieldError::required((path / "name").text));
  auto key = text_in(ref, "key");
  if (key.empty())
    errors.push_back(FieldError::required((path / "key").text));
  else
    add_if_wrong(errors, path / "key", key, check_config_map_key(key));
}

void env(FieldErrors& errors, const Path& path, const json::object& container) {
  size_t index = 0;
  for (const json::value& item : array_or_empty(container, "env")) {
    Path at = path[index++];
    const json::object* variable = item.if_object();
    if (!variable) continue;
    auto name = text_in(*variable, "name");
    if (name.empty())
      errors.push_back(FieldError::required((at / "name").text));
    else
      add_if_wrong(errors, at / "name", name, check_env_var_name(name));
    const json::object* from = object_in(*variable, "valueFrom");
    if (!from) continue;
    Path source = at / "valueFrom";
    size_t sources = 0;
    for (auto kind : {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"})
      if (const json::object* ref = object_in(*from, kind)) {
        ++sources;
        std::string_view named(kind);
        if (named == "fieldRef") field_ref(errors, source / kind, *ref);
        if (named == "configMapKeyRef" || named == "secretKeyRef") key_ref(errors, source / kind, *ref);
      }
    std::string detail;
    if (sources == 0)
      detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    else if (!text_in(*variable, "value").empty())
      detail = "may not be specified when `value` is not empty";
    else if (sources > 1)
      detail = "may not have more than one field specified at a time";
    if (!detail.empty()) errors.push_back(FieldError::invalid(source.text, "", detail));
  }
}

void probe(FieldErrors& errors, const Path& path, const json::object& probe, bool liveness) {
  size_t handlers = 0;
  for (auto kind : {"exec", "httpGet", "tcpSocket", "grpc"}) {
    const json::object* handler = object_in(probe, kind);
    if (!handler) continue;
    if (++handlers > 1) {
      errors.push_back(FieldError::forbidden((path / kind).text, "may not specify more than 1 handler type"));
      continue;
    }
    std::string_view named(kind);
    if (named == "exec" && array_or_empty(*handler, "command").empty())
      errors.push_back(FieldError::required((path / kind / "command").text));
    if (named == "httpGet") {
      if (text_in(*handler, "path").empty()) errors.push_back(FieldError::required((path / kind / "path").text));
      one_of(errors, path / kind / "scheme", text_in(*handler, "scheme"), {"HTTP", "HTTPS"});
    }
    if (named == "httpGet" || named == "tcpSocket") port_or_name(errors, path / kind / "port", find(*handler, "port"));
    if (named == "grpc") port_number(errors, path / kind / "port", integer_in(*handler, "port").value_or(0));
  }
  if (handlers == 0) errors.push_back(FieldError::required(path.text, "must specify a handler type"));
  for (auto field : {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"})
    not_negative(errors, path, probe, field);
  auto threshold = integer_in(probe, "successThreshold").value_or(1);
  if (liveness && threshold != 1)
    errors.push_back(FieldError::invalid((path / "successThreshold").text, threshold, "must be 1"));
}

void resources(FieldErrors& errors, const Path& path, const json::object& resources) {
  auto amounts = [&](std::string_view which) {
    std::map<std::string, int64_t, std::less<>> parsed;
    for (const auto& member : object_or_empty(resources, which)) {
      const json::string* text = member.value().if_string();
      if (!text) continue;
      Path at = (path / which).key(member.key());
      std::string_view quantity(text->data(), text->size());
      auto amount = parse_quantity_milli(quantity);
      if (!amount)
        errors.push_back(
            FieldError::invalid(at.text, json::value(quantity), "must be a quantity such as 500m or 64Mi"));
      else if (*amount < 0)
        errors.push_back(FieldError::invalid(at.text, json::value(quantity), "must be greater than or equal to 0"));
      else
        parsed.emplace(member.key(), *amount);
    }
    return parsed;
  };
  auto limits = amounts("limits");
  auto requests = amounts("requests");
  for (const auto& [name, request] : requests) {
    auto limit = limits.find(name);
    if (limit == limits.end() || request <= limit->second) continue;
    errors.push_back(FieldError::invalid((path / "requests").text,
                                         json::value(text_in(object_or_empty(resources, "requests"), name)),
                                         fmt::format("must be less than or equal to {} limit of {}", name,
                                                     text_in(object_or_empty(resources, "limits"), name))));
  }
}

void volume_mounts(FieldErrors& errors, const Path& path, const json::object& container, const Pod& pod) {
  std::set<std::string, std::less<>> paths;
  size_t index = 0;
  for (const json::value& item : array_or_empty(container, "volumeMounts")) {
    Path at = path[index++];
    const json::object* mount = item.if_object();
    if (!mount) continue;
    auto name = text_in(*mount, "name");
    if (name.empty())
      errors.push_back(FieldError::required((at / "name").text));
    else if (!pod.volumes.contains(name))
      errors.push_back({FieldErrorType::NotFound, (at / "name").text, json::serialize(json::value(name)), {}});
    auto where = text_in(*mount, "mountPath");
    if (where.empty())
      errors.push_back(FieldError::required((at / "mountPath").text));
    else if (!paths.emplace(where).second)
      errors.push_back(FieldError::invalid((at / "mountPath").text, json::value(where), "must be unique"));
  }
}

void container(FieldErrors& errors, const Path& path, const json::object& container, Pod& pod, bool init) {
  auto name = text_in(container, "name");
  if (name.empty())
    errors.push_back(FieldError::required((path / "name").text));
  else {
    add_if_wrong(errors, path / "name", name, check_dns1123_label(name));
    if (!pod.container_names.emplace(name).second)
      errors.push_back(FieldError::duplicate((path / "name").text, json::value(name)));
  }
  auto image = text_in(container, "image");
  if (image.empty())
    errors.push_back(FieldError::required((path / "image").text));
  else if (image.find_first_not_of(" \t\n") != 0 || image.find_last_not_of(" \t\n") + 1 != image.size())
    errors.push_back(
        FieldError::invalid((path / "image").text, json::value(image), "must not have leading or trailing whitespace"));
  one_of(errors, path / "imagePullPolicy", text_in(container, "imagePullPolicy"), {"Always", "IfNotPresent", "Never"});

  bool sidecar = init && text_in(container, "restartPolicy") == "Always";
  bool long_running = !init || sidecar;
  ports(errors, path / "ports", container, pod, long_running);
  env(errors, path / "env", container);
  volume_mounts(errors, path / "volumeMounts", container, pod);
  for (auto kind : {"livenessProbe", "readinessProbe", "startupProbe"}) {
    const json::object* found = object_in(container, kind);
    if (!found) continue;
    if (!long_running)
      errors.push_back(
          FieldError::forbidden((path / kind).text, "may not be set for init containers without restartPolicy=Always"));
    else
      probe(errors, path / kind, *found, std::string_view(kind) != "readinessProbe");
  }
  if (const json::object* found = object_in(container, "resources")) resources(errors, path / "resources", *found);
}

void volumes(FieldErrors& errors, const Path& path, const json::object& spec, Pod& pod) {
  size_t index = 0;
  for (const json::value& item : array_or_empty(spec, "volumes")) {
    Path at = path[index++];
    const json::object* volume = item.if_object();
    if (!volume) continue;
    auto name = text_in(*volume, "name");
    if (name.empty())
      errors.push_back(FieldError::required((at / "name").text));
    else {
      add_if_wrong(errors, at / "name", name, check_dns1123_label(name));
      if (!pod.volumes.emplace(name).second)
        errors.push_back(FieldError::duplicate((at / "name").text, json::value(name)));
    }
    if (volume->size() > (name.empty() ? 1 : 2))
      errors.push_back(FieldError::forbidden(at.text, "may not specify more than 1 volume type"));
  }
}

}  // namespace

void containers(FieldErrors& errors, const Path& path, const json::object& spec) {
  Pod pod;
  pod.host_network = flag_in(spec, "hostNetwork");
  volumes(errors, path / "volumes", spec, pod);
  const json::array& main = array_or_empty(spec, "containers");
  if (main.empty()) errors.push_back(FieldError::required((path / "containers").text));
  auto all = [&](std::string_view list, bool init) {
    size_t index = 0;
    for (const json::value& item : array_or_empty(spec, list)) {
      Path at = (path / list)[index++];
      if (const json::object* found = item.if_object()) container(errors, at, *found, pod, init);
    }
  };
  all("containers", false);
  all("initContainers", true);
}

}  // namespace causeway::kube::validate
