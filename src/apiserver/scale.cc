#include "apiserver/scale.h"

#include <boost/json.hpp>

#include "apiserver/columns.h"

namespace causeway::apiserver {

json::object scale_of(const json::object& workload) {
  json::object metadata;
  for (std::string_view member : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
    if (const json::value* value = object_at(workload, "metadata").if_contains(member)) metadata[member] = *value;
  json::object status{{"replicas", int_at(workload, "status.replicas")}};
  const std::string selector = format_selector(object_at(workload, "spec.selector"));
  if (selector != "<none>") status["selector"] = selector;
  return {{"kind", "Scale"},
          {"apiVersion", "autoscaling/v1"},
          {"metadata", std::move(metadata)},
          {"spec", {{"replicas", int_at(workload, "spec.replicas", 1)}}},
          {"status", std::move(status)}};
}

ApiResult<void> apply_scale(json::object& workload, const json::object& scale) {
  const int64_t replicas = int_at(scale, "spec.replicas");  // absent is 0, as in Go
  if (replicas < 0)
    return invalid(kScaleKind, text_at(scale, "metadata.name"),
                   {cause("FieldValueInvalid", "spec.replicas",
                          fmt::format("Invalid value: {}: must be greater than or equal to 0", replicas))});
  set_at(workload, "spec.replicas", replicas);
  for (std::string_view member : {"metadata.name", "metadata.namespace", "metadata.uid", "metadata.resourceVersion"})
    if (const json::value* value = find_at(scale, member)) set_at(workload, member, *value);
  if (!find_at(scale, "metadata.resourceVersion")) erase_at(workload, "metadata.resourceVersion");
  return {};
}

}  // namespace causeway::apiserver
