#include "apiserver/body.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace causeway::apiserver {

namespace {

constexpr std::string_view kProtobufMagic("k8s\0", 4);

std::string decode_error(const kube::KindInfo& kind, std::string_view why) {
  return fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", kind.kind, kube::api_version(kind),
                     kind.kind, why);
}

// Null is absent, except as an element of a list, which no list of the API allows: check_schema() refused those.
void drop_nulls(json::value& value);
void drop_nulls(json::object& object) {
  for (auto it = object.begin(); it != object.end();) {
    if (it->value().is_null()) {
      it = object.erase(it);
      continue;
    }
    drop_nulls(it->value());
    ++it;
  }
}
void drop_nulls(json::value& value) {
  if (auto* object = value.if_object()) drop_nulls(*object);
  if (auto* array = value.if_array())
    for (json::value& element : *array) drop_nulls(element);
}

void prune_unknown(json::object& object, const kube::TypeSchema& type);
void prune_unknown(json::value& value, const kube::FieldSchema& field) {
  if (field.type != kube::ValueType::Object || !field.object) return;
  auto each = [&](json::value& element) {
    if (auto* object = element.if_object()) prune_unknown(*object, *field.object);
  };
  if (field.shape == kube::Shape::One) each(value);
  if (auto* array = value.if_array(); array && field.shape == kube::Shape::List)
    for (json::value& element : *array) each(element);
  if (auto* map = value.if_object(); map && field.shape == kube::Shape::Map)
    for (auto& member : *map) each(member.value());
}
void prune_unknown(json::object& object, const kube::TypeSchema& type) {
  for (auto it = object.begin(); it != object.end();) {
    const kube::FieldSchema* field = type.find({it->key().data(), it->key().size()});
    if (!field) {
      it = object.erase(it);
      continue;
    }
    prune_unknown(it->value(), *field);
    ++it;
  }
}

enum class FieldValidation { Ignore, Warn, Strict };

ApiResult<FieldValidation> field_validation(const http::Target& target) {
  const std::string_view value = target.get("fieldValidation");
  if (value.empty() || value == "Warn") return FieldValidation::Warn;
  if (value == "Ignore") return FieldValidation::Ignore;
  if (value == "Strict") return FieldValidation::Strict;
  return bad_request(fmt::format("fieldValidation: \"{}\" is none of Ignore, Warn, Strict", value));
}

}  // namespace

ApiResult<void> require_json(const http::Request& request, std::string_view accepted_types) {
  const std::string type = media_type(request);
  if (type == "application/vnd.kubernetes.protobuf" || request.body.starts_with(kProtobufMagic))
    return unsupported_media_type(fmt::format(
        "the body is protobuf, which this server does not read; send JSON ({}). kubectl sends protobuf from its "
        "typed commands (kubectl create deployment, namespace, configmap ...): write a manifest and use "
        "kubectl create -f or kubectl apply -f, which send JSON (add --dry-run=client -o yaml to the command to get "
        "one)",
        accepted_types));
  if (type.empty() || accepted_types.find(type) != std::string_view::npos) return {};
  return unsupported_media_type(fmt::format(
      "the body of the request was in an unknown format ({}); accepted media types: {}", type, accepted_types));
}

ApiResult<Body> check_body(json::object object, std::vector<std::string> duplicates, const http::Target& target,
                           const kube::KindInfo& kind) {
  const FieldValidation validation = TRY(field_validation(target));
  const kube::TypeSchema* type = kube::schema_of(kind);
  if (!type) return internal(fmt::format("the schema lacks {}", kind.kind));
  const kube::SchemaReport report = kube::check_schema(*type, object);
  if (!report.wrong.empty()) {
    std::string text;
    for (const kube::SchemaFault& fault : report.wrong) text += (text.empty() ? "" : ", ") + fault.message;
    return bad_request(decode_error(kind, text));
  }
  Body body;
  for (const kube::SchemaFault& fault : report.unknown) body.warnings.push_back(fault.message);
  for (const std::string& path : duplicates) body.warnings.push_back(fmt::format("duplicate field \"{}\"", path));
  if (validation == FieldValidation::Strict && !body.warnings.empty())
    return bad_request(decode_error(kind, fmt::format("strict decoding error: {}", fmt::join(body.warnings, ", "))));
  if (validation == FieldValidation::Ignore) body.warnings.clear();
  if (!report.unknown.empty()) prune_unknown(object, *type);
  drop_nulls(object);
  body.object = std::move(object);
  return body;
}

ApiResult<Body> read_body(const http::Request& request, const http::Target& target, const kube::KindInfo& kind) {
  TRY(require_json(request));
  if (request.body.empty()) return bad_request("the request has no body");
  auto object = parse_object(request.body);
  if (!object) return bad_request(decode_error(kind, object.error().message()));
  const std::string version = kube::api_version(kind);
  for (const auto& [member, expected] :
       {std::pair<std::string_view, std::string_view>{"apiVersion", version}, {"kind", kind.kind}}) {
    const std::string_view given = text_at(*object, member);
    if (given.empty())
      object->insert_or_assign(member, expected);
    else if (given != expected)
      return bad_request(fmt::format("the {} in the data ({}) does not match the expected {} ({})",
                                     member == "kind" ? "kind" : "API version", given,
                                     member == "kind" ? "kind" : "API version", expected));
  }
  std::vector<std::string> duplicates;
  if (target.get("fieldValidation") != "Ignore") duplicates = kube::duplicate_fields(request.body);
  return check_body(std::move(*object), std::move(duplicates), target, kind);
}

ApiResult<bool> dry_run_option(const http::Target& target) {
  const std::string_view value = target.get("dryRun");
  if (value.empty()) return false;
  if (value == "All") return true;
  return bad_request(fmt::format("dryRun: \"{}\" is not All", value));
}

ApiResult<DeleteOptions> read_delete_options(const http::Request& request, const http::Target& target) {
  DeleteOptions options;
  options.dry_run = TRY(dry_run_option(target));
  if (target.has("gracePeriodSeconds")) options.grace_period_seconds = TRY(int_option(target, "gracePeriodSeconds"));
  options.propagation_policy = target.get("propagationPolicy");
  if (!request.body.empty()) {
    TRY(require_json(request));
    auto object = parse_object(request.body);
    if (!object) return bad_request(fmt::format("the DeleteOptions: {}", object.error().message()));
    const std::string_view kind = text_at(*object, "kind", "DeleteOptions");
    if (kind != "DeleteOptions" && !kind.empty())
      return bad_request(fmt::format("the body of a delete is a DeleteOptions, not a {}", kind));
    if (find_at(*object, "gracePeriodSeconds")) options.grace_period_seconds = int_at(*object, "gracePeriodSeconds");
    options.uid = text_at(*object, "preconditions.uid");
    options.resource_version = text_at(*object, "preconditions.resourceVersion");
    options.propagation_policy = text_at(*object, "propagationPolicy", options.propagation_policy);
    if (options.propagation_policy.empty() && find_at(*object, "orphanDependents"))
      options.propagation_policy = bool_at(*object, "orphanDependents") ? "Orphan" : "Background";
    if (!array_at(*object, "dryRun").empty()) options.dry_run = true;
  }
  const std::string& policy = options.propagation_policy;
  if (!policy.empty() && policy != "Background" && policy != "Foreground" && policy != "Orphan")
    return bad_request(fmt::format("propagationPolicy: \"{}\" is none of Background, Foreground, Orphan", policy));
  return options;
}

void add_warnings(http::Response& response, const std::vector<std::string>& warnings) {
  std::string header;
  for (const std::string& warning : warnings) {
    std::string quoted;
    for (char c : warning) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    header += fmt::format("{}299 - \"{}\"", header.empty() ? "" : ", ", quoted);
  }
  if (!header.empty()) response.headers["Warning"] = std::move(header);
}

}  // namespace causeway::apiserver
