// Pod specs, of Pods and of templates, and what of a Pod may change.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <set>

#include "kube/api/names.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

void dns_config(FieldErrors& errors, const Path& path, const json::object& spec) {
  const json::object* config = object_in(spec, "dnsConfig");
  if (text_in(spec, "dnsPolicy") == "None") {
    if (!config) {
      errors.push_back(FieldError::required(path.text, "must provide `dnsConfig` when `dnsPolicy` is None"));
      return;
    }
    if (array_or_empty(*config, "nameservers").empty()) {
      errors.push_back(FieldError::required((path / "nameservers").text,
                                            "must provide at least one DNS nameserver when `dnsPolicy` is None"));
      return;
    }
  }
  if (!config) return;
  const json::array& servers = array_or_empty(*config, "nameservers");
  if (servers.size() > 3)
    errors.push_back(
        FieldError::invalid((path / "nameservers").text, servers, "must not have more than 3 nameservers"));
  for (size_t i = 0; i < servers.size(); ++i)
    if (const json::string* text = servers[i].if_string())
      ip_address(errors, (path / "nameservers")[i], {text->data(), text->size()});
  const json::array& searches = array_or_empty(*config, "searches");
  if (searches.size() > 32)
    errors.push_back(
        FieldError::invalid((path / "searches").text, searches, "must not have more than 32 search paths"));
  size_t length = searches.empty() ? 0 : searches.size() - 1;
  for (size_t i = 0; i < searches.size(); ++i) {
    const json::string* text = searches[i].if_string();
    if (!text) continue;
    length += text->size();
    std::string search(text->data(), text->size());
    if (search == ".") continue;
    if (search.ends_with('.')) search.pop_back();
    std::replace(search.begin(), search.end(), '_', 'a');  // allowed since 1.34 (RelaxedDNSSearchValidation)
    add_if_wrong(errors, (path / "searches")[i], {text->data(), text->size()}, check_dns1123_subdomain(search));
  }
  if (length > 2048)
    errors.push_back(
        FieldError::invalid((path / "searches").text, searches,
                            "must not have more than 2048 characters (including spaces) in the search list"));
  size_t index = 0;
  for (const json::value& item : array_or_empty(*config, "options")) {
    Path at = (path / "options")[index++];
    if (const json::object* option = item.if_object(); option && text_in(*option, "name").empty())
      errors.push_back(FieldError::required(at.text, "must not be empty"));
  }
}

void names(FieldErrors& errors, const Path& path, const json::object& spec) {
  for (auto field : {"hostname", "subdomain"})
    if (auto name = text_in(spec, field); !name.empty())
      add_if_wrong(errors, path / field, name, check_dns1123_label(name));
  if (auto name = text_in(spec, "nodeName"); !name.empty())
    add_if_wrong(errors, path / "nodeName", name, check_dns1123_subdomain(name));
  if (auto name = text_in(spec, "serviceAccountName"); !name.empty())
    add_if_wrong(errors, path / "serviceAccountName", name, check_dns1123_subdomain(name));
  if (auto name = text_in(spec, "hostnameOverride"); !name.empty()) {
    Path at = path / "hostnameOverride";
    if (name.size() > 64) errors.push_back(FieldError::too_long(at.text, 64));
    add_if_wrong(errors, at, name, check_dns1123_subdomain(name));
    if (flag_in(spec, "setHostnameAsFQDN"))
      errors.push_back(FieldError::forbidden(at.text, "may not be specified when setHostnameAsFQDN is true"));
    if (flag_in(spec, "hostNetwork"))
      errors.push_back(FieldError::forbidden(at.text, "may not be specified when hostNetwork is true"));
  }
}

void sysctls(FieldErrors& errors, const Path& path, const json::object& spec) {
  size_t index = 0;
  std::vector<std::string_view> seen;
  bool host_network = flag_in(spec, "hostNetwork");
  for (const json::value& item : array_or_empty(object_or_empty(spec, "securityContext"), "sysctls")) {
    Path at = path[index++];
    const json::object* sysctl = item.if_object();
    if (!sysctl) continue;
    auto name = text_in(*sysctl, "name");
    auto legal = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("._-/*").contains(c);
    };
    if (name.empty())
      errors.push_back(FieldError::required((at / "name").text));
    else if (name.size() > 253 || !std::all_of(name.begin(), name.end(), legal))
      errors.push_back(FieldError::invalid((at / "name").text, json::value(name),
                                           "must be the name of a kernel parameter such as net.ipv4.ip_forward"));
    else if (std::find(seen.begin(), seen.end(), name) != seen.end())
      errors.push_back(FieldError::duplicate((at / "name").text, json::value(name)));
    else if (host_network && (name.starts_with("net.") || name.starts_with("net/")))
      errors.push_back(FieldError::invalid((at / "name").text, json::value(name),
                                           "may not be specified when 'hostNetwork' is true"));
    seen.push_back(name);
  }
}

}  // namespace

void tolerations(FieldErrors& errors, const Path& path, const json::array& list) {
  size_t index = 0;
  for (const json::value& item : list) {
    Path at = path[index++];
    const json::object* toleration = item.if_object();
    if (!toleration) continue;
    auto key = text_in(*toleration, "key"), op = text_in(*toleration, "operator");
    auto value = text_in(*toleration, "value"), effect = text_in(*toleration, "effect");
    if (!key.empty()) add_if_wrong(errors, at / "key", key, check_qualified_name(key));
    if (key.empty() && op != "Exists")
      errors.push_back(FieldError::invalid(
          (at / "operator").text, json::value(op),
          "operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
    if (has(*toleration, "tolerationSeconds") && effect != "NoExecute")
      errors.push_back(FieldError::invalid((at / "effect").text, json::value(effect),
                                           "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    if (op.empty() || op == "Equal")
      add_if_wrong(errors, at / "operator", value, check_label_value(value));
    else if (op != "Exists")
      one_of(errors, at / "operator", op, {"Equal", "Exists"});
    else if (!value.empty())
      errors.push_back(FieldError::invalid((at / "operator").text, json::value(value),
                                           "value must be empty when `operator` is 'Exists'"));
    if (!effect.empty()) taint_effect(errors, at / "effect", effect);
  }
}

// KEP-3521: names as of labels, each once; a Pod that has its node is held back by nothing.
void scheduling_gates(FieldErrors& errors, const Path& path, const json::object& spec) {
  std::set<std::string> names;
  size_t index = 0;
  for (const json::value& item : array_or_empty(spec, "schedulingGates")) {
    const Path at = (path / "schedulingGates")[index++] / "name";
    const json::object* gate = item.if_object();
    if (!gate) continue;
    const std::string name(text_in(*gate, "name"));
    add_if_wrong(errors, at, name, check_qualified_name(name));
    if (!names.insert(name).second) errors.push_back(FieldError::duplicate(at.text, json::string(name)));
  }
  if (index > 0 && !text_in(spec, "nodeName").empty())
    errors.push_back(
        FieldError::forbidden((path / "nodeName").text, "cannot be set until all schedulingGates have been cleared"));
}

void pod_spec(FieldErrors& errors, const Path& path, const json::object& spec) {
  containers(errors, path, spec);
  one_of(errors, path / "restartPolicy", text_in(spec, "restartPolicy"), {"Always", "OnFailure", "Never"});
  one_of(errors, path / "dnsPolicy", text_in(spec, "dnsPolicy"),
         {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"});
  labels(errors, path / "nodeSelector", object_or_empty(spec, "nodeSelector"));
  sysctls(errors, path / "securityContext" / "sysctls", spec);
  dns_config(errors, path / "dnsConfig", spec);
  names(errors, path, spec);
  tolerations(errors, path / "tolerations", array_or_empty(spec, "tolerations"));
  size_t index = 0;
  for (const json::value& item : array_or_empty(spec, "hostAliases")) {
    Path at = (path / "hostAliases")[index++];
    const json::object* alias = item.if_object();
    if (!alias) continue;
    ip_address(errors, at / "ip", text_in(*alias, "ip"));
    size_t host = 0;
    for (const json::value& name : array_or_empty(*alias, "hostnames"))
      if (const json::string* text = name.if_string())
        add_if_wrong(errors, (at / "hostnames")[host++], {text->data(), text->size()},
                     check_dns1123_subdomain({text->data(), text->size()}));
  }
  index = 0;
  for (const json::value& item : array_or_empty(spec, "readinessGates")) {
    Path at = (path / "readinessGates")[index++] / "conditionType";
    if (const json::object* gate = item.if_object())
      add_if_wrong(errors, at, text_in(*gate, "conditionType"), check_qualified_name(text_in(*gate, "conditionType")));
  }
  scheduling_gates(errors, path, spec);
  not_negative(errors, path, spec, "terminationGracePeriodSeconds");
  if (auto deadline = integer_in(spec, "activeDeadlineSeconds"); deadline && *deadline < 1)
    errors.push_back(FieldError::invalid((path / "activeDeadlineSeconds").text, *deadline,
                                         "must be between 1 and 2147483647, inclusive"));
}

void pod(FieldErrors& errors, const json::object& object) {
  pod_spec(errors, {"spec"}, object_or_empty(object, "spec"));
}

namespace {

// The spec without what may change; two such copies must be equal.
json::object frozen(const json::object& spec) {
  json::object copy = spec;
  for (auto list : {"containers", "initContainers"})
    for_each_object(copy, list, [](json::object& container) { container.erase("image"); });
  for (auto field : {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"})
    copy.erase(field);
  return copy;
}

// "spec.containers[0].name": where two trees begin to differ.
std::string first_difference(const json::value& a, const json::value& b, const Path& path) {
  if (a.is_object() && b.is_object()) {
    for (const auto& member : a.get_object()) {
      const json::value* other = b.get_object().if_contains(member.key());
      if (!other) return (path / member.key()).text;
      if (*other != member.value()) return first_difference(member.value(), *other, path / member.key());
    }
    for (const auto& member : b.get_object())
      if (!a.get_object().contains(member.key())) return (path / member.key()).text;
  }
  if (a.is_array() && b.is_array() && a.get_array().size() == b.get_array().size())
    for (size_t i = 0; i < a.get_array().size(); ++i)
      if (a.get_array()[i] != b.get_array()[i]) return first_difference(a.get_array()[i], b.get_array()[i], path[i]);
  return path.text;
}

}  // namespace

void pod_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  const json::object& before = object_or_empty(old, "spec");
  const json::object& after = object_or_empty(updated, "spec");
  for (const json::value& kept : array_or_empty(before, "tolerations")) {
    const json::array& now = array_or_empty(after, "tolerations");
    if (std::find(now.begin(), now.end(), kept) == now.end()) {
      errors.push_back(FieldError::forbidden("spec.tolerations",
                                             "existing toleration can not be modified except its tolerationSeconds"));
      break;
    }
  }
  size_t gate = 0;
  for (const json::value& now : array_or_empty(after, "schedulingGates")) {
    const json::array& kept = array_or_empty(before, "schedulingGates");
    if (std::find(kept.begin(), kept.end(), now) == kept.end())
      errors.push_back(FieldError::forbidden(Path{"spec.schedulingGates"}[gate].text,
                                             "only deletion is allowed, but found new scheduling gate"));
    ++gate;
  }
  json::object left = frozen(before), right = frozen(after);
  if (find(before, "terminationGracePeriodSeconds") && find(after, "terminationGracePeriodSeconds") &&
      *find(before, "terminationGracePeriodSeconds") != *find(after, "terminationGracePeriodSeconds") &&
      !(integer_in(before, "terminationGracePeriodSeconds").value_or(0) < 0 &&
        integer_in(after, "terminationGracePeriodSeconds") == 1))
    left["terminationGracePeriodSeconds"] = *find(before, "terminationGracePeriodSeconds"),
    right["terminationGracePeriodSeconds"] = *find(after, "terminationGracePeriodSeconds");
  if (left == right) return;
  errors.push_back(FieldError::forbidden(
      "spec",
      fmt::format("pod updates may not change fields other than `spec.containers[*].image`,"
                  "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                  "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                  "was previously negative); found a change of {}",
                  first_difference(left, right, {"spec"}))));
}

}  // namespace causeway::kube::validate
