#include "apiserver/table.h"

#include <boost/json.hpp>

#include "apiserver/columns.h"
#include "kube/api/codec.h"

namespace causeway::apiserver {

json::array table_columns(const TableView& view) {
  json::array columns;
  for (const Column& column : view.columns)
    columns.push_back({{"name", column.name},
                       {"type", column.type},
                       {"format", column.name == "Name" ? "name" : ""},
                       {"description", column.description},
                       {"priority", column.priority}});
  return columns;
}

json::object table_row(const TableView& view, json::object object, IncludeObject include, WallTime now) {
  json::object row;
  row["cells"] = view.cells(object, now);
  if (include == IncludeObject::Object) row["object"] = std::move(object);
  if (include == IncludeObject::Metadata) row["object"] = partial_object(object);
  return row;
}

json::object partial_object(const json::object& object) {
  json::object partial{{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}};
  partial["metadata"] = object_at(object, "metadata");
  return partial;
}

std::string human_duration(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return fmt::format("{}s", seconds);
  auto pair = [](int64_t big, char big_unit, int64_t small, char small_unit) {
    return small == 0 ? fmt::format("{}{}", big, big_unit) : fmt::format("{}{}{}{}", big, big_unit, small, small_unit);
  };
  const int64_t minutes = seconds / 60;
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return fmt::format("{}m", minutes);
  const int64_t hours = minutes / 60;
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return fmt::format("{}h", hours);
  const int64_t days = hours / 24;
  if (days < 8) return pair(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return fmt::format("{}d", days);
  if (days < 365 * 8) return pair(days / 365, 'y', days % 365, 'd');
  return fmt::format("{}y", days / 365);
}

std::string age(std::string_view time, WallTime now) {
  auto parsed = kube::parse_time(time);
  if (!parsed) return "<unknown>";
  return human_duration(now - WallTime(parsed->time_since_epoch()));
}

std::string or_none(std::string text) { return text.empty() ? "<none>" : std::move(text); }

std::string name_of(const json::object& object) { return std::string(text_at(object, "metadata.name")); }

std::string age_of(const json::object& object, WallTime now) {
  return age(text_at(object, "metadata.creationTimestamp"), now);
}

std::string format_labels(const json::object& labels) {
  std::string text;
  for (const auto& [name, value] : strings_of(labels))
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value);
  return or_none(std::move(text));
}

Strings strings_of(const json::object& object) {
  Strings strings;
  for (const auto& [name, value] : object)
    if (value.is_string()) strings.emplace(std::string_view(name.data(), name.size()), view(value.get_string()));
  return strings;
}

std::string format_selector(const json::object& selector) {
  std::string text;
  auto append = [&](std::string part) { text += (text.empty() ? "" : ",") + part; };
  for (const auto& [name, value] : strings_at(selector, "matchLabels")) append(fmt::format("{}={}", name, value));
  for (const json::value& entry : array_at(selector, "matchExpressions")) {
    if (!entry.is_object()) continue;
    const json::object& requirement = entry.get_object();
    const std::string_view key = text_at(requirement, "key");
    const std::string_view op = text_at(requirement, "operator");
    std::string values;
    for (const json::value& value : array_at(requirement, "values"))
      if (value.is_string()) values += fmt::format("{}{}", values.empty() ? "" : ",", view(value.get_string()));
    if (op == "In") append(fmt::format("{} in ({})", key, values));
    if (op == "NotIn") append(fmt::format("{} notin ({})", key, values));
    if (op == "Exists") append(std::string(key));
    if (op == "DoesNotExist") append(fmt::format("!{}", key));
  }
  return or_none(std::move(text));
}

}  // namespace causeway::apiserver
