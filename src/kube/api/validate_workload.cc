// Deployment, ReplicaSet, StatefulSet and DaemonSet.
#include <algorithm>

#include "kube/api/selector.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

void selector_and_template(FieldErrors& errors, const json::object& spec, std::string_view kind) {
  Path path{"spec"};
  const json::object* selector = object_in(spec, "selector");
  if (!selector)
    errors.push_back(FieldError::required((path / "selector").text));
  else {
    label_selector(errors, path / "selector", *selector);
    if (object_or_empty(*selector, "matchLabels").empty() && array_or_empty(*selector, "matchExpressions").empty())
      errors.push_back(FieldError::invalid((path / "selector").text, *selector,
                                           fmt::format("empty selector is invalid for {}", kind)));
  }
  const json::object* pod_template = object_in(spec, "template");
  if (!pod_template) {
    errors.push_back(FieldError::required((path / "template").text));
    return;
  }
  Path at = path / "template";
  const json::object& meta = object_or_empty(*pod_template, "metadata");
  const json::object& found = object_or_empty(meta, "labels");
  auto parsed = selector ? Selector::from(typed_selector(*selector)) : Result<Selector>(Selector());
  if (parsed && !parsed->matches_everything() && !parsed->matches(string_map(found)))
    errors.push_back(
        FieldError::invalid((at / "metadata" / "labels").text, found, "`selector` does not match template `labels`"));
  labels(errors, at / "labels", found);
  json::object pod = object_or_empty(*pod_template, "spec");
  // A claim of a StatefulSet is a volume of its Pods.
  for (const json::value& claim : array_or_empty(spec, "volumeClaimTemplates")) {
    if (!claim.is_object()) continue;
    const auto name = text_in(object_or_empty(claim.get_object(), "metadata"), "name");
    if (!has(pod, "volumes")) pod["volumes"] = json::array();
    json::array& volumes = pod["volumes"].as_array();
    if (std::ranges::none_of(volumes, [&](const json::value& volume) {
          return volume.is_object() && text_in(volume.get_object(), "name") == name;
        }))
      volumes.push_back(json::object{{"name", name}});
  }
  pod_spec(errors, at / "spec", pod);
  auto restart = text_in(pod, "restartPolicy");
  if (restart == "OnFailure" || restart == "Never") one_of(errors, at / "spec" / "restartPolicy", restart, {"Always"});
  if (has(pod, "activeDeadlineSeconds"))
    errors.push_back(FieldError::forbidden(
        (at / "spec" / "activeDeadlineSeconds").text,
        fmt::format("activeDeadlineSeconds in {} is not Supported", kind == "daemonset"     ? "DaemonSet"
                                                                    : kind == "statefulset" ? "StatefulSet"
                                                                                            : "ReplicaSet")));
}

}  // namespace

void deployment(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  Path path{"spec"};
  not_negative(errors, path, spec, "replicas");
  selector_and_template(errors, spec, "deployment");
  const json::object& strategy = object_or_empty(spec, "strategy");
  const json::object* rolling = object_in(strategy, "rollingUpdate");
  auto type = text_in(strategy, "type");
  Path at = path / "strategy";
  if (type == "Recreate") {
    if (rolling)
      errors.push_back(FieldError::forbidden((at / "rollingUpdate").text,
                                             "may not be specified when strategy `type` is 'Recreate'"));
  } else if (type != "RollingUpdate") {
    one_of(errors, at / "type", type, {"Recreate", "RollingUpdate"});
  } else if (rolling) {
    const json::value* unavailable = find(*rolling, "maxUnavailable");
    const json::value* surge = find(*rolling, "maxSurge");
    Path where = at / "rollingUpdate" / "maxUnavailable";
    int_or_percent_field(errors, where, unavailable);
    int_or_percent_field(errors, at / "rollingUpdate" / "maxSurge", surge);
    if (int_or_percent(unavailable) == 0 && int_or_percent(surge) == 0)
      errors.push_back(FieldError::invalid(where.text, unavailable ? *unavailable : json::value(0),
                                           "may not be 0 when `maxSurge` is 0"));
    if (unavailable && unavailable->is_string() && int_or_percent(unavailable) > 100)
      errors.push_back(FieldError::invalid(where.text, *unavailable, "must not be greater than 100%"));
  }
  not_negative(errors, path, spec, "minReadySeconds");
  not_negative(errors, path, spec, "revisionHistoryLimit");
  not_negative(errors, path, spec, "progressDeadlineSeconds");
  auto deadline = integer_in(spec, "progressDeadlineSeconds");
  if (deadline && *deadline <= integer_in(spec, "minReadySeconds").value_or(0))
    errors.push_back(FieldError::invalid((path / "progressDeadlineSeconds").text, *deadline,
                                         "must be greater than minReadySeconds"));
}

void replica_set(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  not_negative(errors, {"spec"}, spec, "replicas");
  not_negative(errors, {"spec"}, spec, "minReadySeconds");
  selector_and_template(errors, spec, "deployment");
}

void stateful_set(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  Path path{"spec"};
  not_negative(errors, path, spec, "replicas");
  not_negative(errors, path, spec, "minReadySeconds");
  not_negative(errors, path, spec, "revisionHistoryLimit");
  one_of(errors, path / "podManagementPolicy", text_in(spec, "podManagementPolicy"), {"OrderedReady", "Parallel"});
  selector_and_template(errors, spec, "statefulset");
  not_negative(errors, path / "ordinals", object_or_empty(spec, "ordinals"), "start");
  const json::object& strategy = object_or_empty(spec, "updateStrategy");
  Path at = path / "updateStrategy";
  auto type = text_in(strategy, "type");
  one_of(errors, at / "type", type, {"RollingUpdate", "OnDelete"});
  const json::object* rolling = object_in(strategy, "rollingUpdate");
  if (!rolling) return;
  Path where = at / "rollingUpdate";
  if (type == "OnDelete")
    errors.push_back(FieldError::invalid(where.text, *rolling, "only allowed for updateStrategy 'RollingUpdate'"));
  not_negative(errors, where, *rolling, "partition");
  if (const json::value* unavailable = find(*rolling, "maxUnavailable")) {
    int_or_percent_field(errors, where / "maxUnavailable", unavailable);
    if (int_or_percent(unavailable) == 0)
      errors.push_back(FieldError::invalid((where / "maxUnavailable").text, *unavailable, "cannot be 0"));
    if (unavailable->is_string() && int_or_percent(unavailable) > 100)
      errors.push_back(
          FieldError::invalid((where / "maxUnavailable").text, *unavailable, "must not be greater than 100%"));
  }
}

// What identifies the Pods and their volumes stays (ValidateStatefulSetUpdate).
void stateful_set_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  json::object before = object_or_empty(old, "spec"), after = object_or_empty(updated, "spec");
  for (json::object* spec : {&before, &after})
    for (auto field : {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds",
                       "persistentVolumeClaimRetentionPolicy"})
      spec->erase(field);
  if (before != after)
    errors.push_back(FieldError::forbidden(
        "spec",
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
}

void controller_revision(FieldErrors& errors, const json::object& object) {
  if (integer_in(object, "revision").value_or(0) < 0)
    errors.push_back(FieldError::invalid("revision", *find(object, "revision"), "must be greater than or equal to 0"));
  if (!has(object, "data")) errors.push_back(FieldError::required("data", "data is mandatory"));
}

void controller_revision_update(FieldErrors& errors, const json::object& old, const json::object& updated) {
  immutable(errors, {"data"}, find(old, "data"), find(updated, "data"));
}

void daemon_set(FieldErrors& errors, const json::object& object) {
  const json::object& spec = object_or_empty(object, "spec");
  selector_and_template(errors, spec, "daemonset");
  not_negative(errors, {"spec"}, spec, "minReadySeconds");
  not_negative(errors, {"spec"}, spec, "revisionHistoryLimit");
  const json::object& strategy = object_or_empty(spec, "updateStrategy");
  Path at{"spec.updateStrategy"};
  one_of(errors, at / "type", text_in(strategy, "type"), {"RollingUpdate", "OnDelete"});
  if (const json::object* rolling = object_in(strategy, "rollingUpdate")) {
    const json::value* unavailable = find(*rolling, "maxUnavailable");
    const json::value* surge = find(*rolling, "maxSurge");
    int_or_percent_field(errors, at / "rollingUpdate" / "maxUnavailable", unavailable);
    int_or_percent_field(errors, at / "rollingUpdate" / "maxSurge", surge);
    bool some_unavailable = int_or_percent(unavailable) != 0, some_surge = int_or_percent(surge) != 0;
    if (some_unavailable && some_surge)
      errors.push_back(FieldError::invalid((at / "rollingUpdate" / "maxSurge").text, *surge,
                                           "may not be set when maxUnavailable is non-zero"));
    if (!some_unavailable && !some_surge)
      errors.push_back(
          FieldError::required((at / "rollingUpdate" / "maxUnavailable").text, "cannot be 0 when maxSurge is 0"));
  }
}

}  // namespace causeway::kube::validate
