#include "apiserver/filter.h"

#include <fmt/format.h>

#include <algorithm>

namespace causeway::apiserver {

ApiResult<Filter> Filter::parse(const Call& call) {
  Filter filter;
  filter.ns_ = call.ns;
  auto labels = kube::Selector::parse(call.option("labelSelector"));
  if (!labels) return bad_request(fmt::format("labelSelector: {}", labels.error().message()));
  auto fields = kube::FieldSelector::parse(call.option("fieldSelector"));
  if (!fields) return bad_request(fmt::format("fieldSelector: {}", fields.error().message()));
  const auto& known = call.kind->fields;
  for (const kube::FieldRequirement& requirement : fields->requirements()) {
    const std::string& field = requirement.field;
    if (field == "metadata.name" || (field == "metadata.namespace" && call.kind->info.namespaced)) continue;
    if (std::find(known.begin(), known.end(), field) == known.end())
      return bad_request(
          fmt::format("fieldSelector: field label not supported: {} ({} can be selected by metadata.name{}{})", field,
                      call.kind->info.plural, known.empty() ? "" : ", ", fmt::join(known, ", ")));
  }
  filter.labels_ = std::move(*labels);
  filter.fields_ = std::move(*fields);
  filter.plain_ = filter.labels_.matches_everything() && filter.fields_.matches_everything();
  return filter;
}

bool Filter::matches(const Object& object) const {
  if (!ns_.empty() && object.key.ns != ns_) return false;
  if (plain_) return true;
  return labels_.matches(object.index.labels) && fields_.matches(object.index.fields);
}

Index index_of(const Kind& kind, const json::object& object) {
  Index index;
  index.uid = text_at(object, "metadata.uid");
  index.labels = strings_at(object, "metadata.labels");
  index.fields["metadata.name"] = text_at(object, "metadata.name");
  if (kind.info.namespaced) index.fields["metadata.namespace"] = text_at(object, "metadata.namespace");
  auto add_fields = [&](const Kind& shown, const json::object& tree) {
    for (std::string_view field : shown.fields) {
      std::string value = scalar_text_at(tree, field == "source" ? "source.component" : field);
      // What is absent because it is false.
      if (value.empty() && (field == "spec.hostNetwork" || field == "spec.unschedulable")) value = "false";
      index.fields.insert_or_assign(std::string(field), std::move(value));
    }
  };
  add_fields(kind, object);
  // A second view selects by its own names.
  for (const Kind& other : all_kinds()) {
    if (!other.stored_as || *other.stored_as != kind.info) continue;
    json::object shown = object;
    other.to_view(shown);
    add_fields(other, shown);
  }
  return index;
}

}  // namespace causeway::apiserver
