#include "apiserver/request.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace causeway::apiserver {

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

bool has_subresource(const Kind& kind, std::string_view subresource) {
  if (subresource == "status") return kind.has_status;
  if (subresource == "scale") return kind.has_scale;
  const std::string_view name = kind.info.kind;
  if (subresource == "finalize") return name == "Namespace";
  return name == "Pod" && (subresource == "log" || subresource == "binding" || subresource == "eviction");
}

ApiResult<Verb> verb_of(std::string_view method, const Call& call) {
  const bool collection = call.name.empty();
  auto refuse = [&] {
    return method_not_allowed(fmt::format("{} is not possible on {}", method, call.target.path), call.kind->info);
  };
  if (call.kind->stored_as && method != "GET")
    return method_not_allowed(
        fmt::format("{} is a read-only view; write {} of {} instead", kube::api_version(call.kind->info),
                    call.kind->stored_as->plural, kube::api_version(*call.kind->stored_as)),
        call.kind->info);
  if (method == "GET") {
    if (!collection) return Verb::Get;
    return TRY(bool_option(call.target, "watch")) ? Verb::Watch : Verb::List;
  }
  if (method == "POST") {
    const bool action = call.subresource == "binding" || call.subresource == "eviction";
    if (collection == action || (!collection && !action)) return refuse();
    return Verb::Create;
  }
  if (call.subresource == "log" || call.subresource == "binding" || call.subresource == "eviction") return refuse();
  if (method == "DELETE" && call.subresource.empty()) return collection ? Verb::DeleteCollection : Verb::Delete;
  if (collection) return refuse();
  if (method == "PUT") return Verb::Update;
  if (method == "PATCH") return Verb::Patch;
  return refuse();
}

}  // namespace

ApiResult<Call> parse_call(std::string_view method, http::Target target) {
  Call call;
  std::vector<std::string_view> parts = split(std::string_view(target.path).substr(1), '/');
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();  // a slash at the end
  std::string_view group;
  size_t at = 0;
  if (parts[0] == "api") {
    at = 1;
  } else if (parts[0] == "apis" && parts.size() > 1) {
    group = parts[1];
    at = 2;
  } else {
    return no_such_path(target.path);
  }
  if (parts.size() < at + 2) return no_such_path(target.path);
  const std::string_view version = parts[at++];

  // namespaces/NS/RESOURCE...; namespaces/NAME[/SUBRESOURCE] is the Namespace itself.
  if (parts[at] == "namespaces" && parts.size() > at + 2 && find_kind(group, version, parts[at + 2])) {
    call.ns = parts[at + 1];
    at += 2;
  }
  call.kind = find_kind(group, version, parts[at]);
  if (!call.kind || (!call.ns.empty() && !call.kind->info.namespaced)) return no_such_path(target.path);
  if (parts.size() > at + 1) call.name = parts[at + 1];
  if (parts.size() > at + 2) call.subresource = parts[at + 2];
  const bool empty_part = std::any_of(parts.begin(), parts.end(), [](std::string_view part) { return part.empty(); });
  if (parts.size() > at + 3 || empty_part) return no_such_path(target.path, &call.kind->info);
  if (call.kind->info.namespaced && call.ns.empty() && !call.name.empty())
    return no_such_path(target.path, &call.kind->info);
  if (!call.subresource.empty() && !has_subresource(*call.kind, call.subresource))
    return no_such_path(target.path, &call.kind->info);
  call.target = std::move(target);
  call.verb = TRY(verb_of(method, call));
  // A POST to all namespaces has nowhere to put the object.
  if (call.verb == Verb::Create && call.kind->info.namespaced && call.ns.empty())
    return method_not_allowed(fmt::format("POST needs a namespace: /namespaces/NAME/{}", call.kind->info.plural),
                              call.kind->info);
  return call;
}

ApiResult<bool> bool_option(const http::Target& target, std::string_view name, bool fallback) {
  if (!target.has(name)) return fallback;
  const std::string_view value = target.get(name);
  // As apimachinery's conversion: any other text is true... except what strconv.ParseBool refuses, which we refuse too.
  if (value == "true" || value == "1" || value.empty()) return true;
  if (value == "false" || value == "0") return false;
  return bad_request(fmt::format("option {}: \"{}\" is neither true nor false", name, value));
}

ApiResult<int64_t> int_option(const http::Target& target, std::string_view name, int64_t fallback) {
  const std::string_view value = target.get(name);
  if (value.empty()) return fallback;
  int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < 0)
    return bad_request(fmt::format("option {}: \"{}\" is no whole number of 0 or more", name, value));
  return number;
}

std::string media_type(const http::Request& request) {
  auto header = request.headers.find("Content-Type");
  if (header == request.headers.end()) return {};
  return lower(trimmed(split(header->second, ';')[0]));
}

ApiResult<Accepted> negotiate(const http::Request& request) {
  auto header = request.headers.find("Accept");
  if (header == request.headers.end() || header->second.empty()) return Accepted{};
  for (std::string_view clause : split(header->second, ',')) {
    const auto parts = split(clause, ';');
    const std::string type = lower(trimmed(parts[0]));
    if (type != "application/json" && type != "*/*" && type != "application/*") continue;
    Accepted accepted;
    std::string as;
    for (size_t i = 1; i < parts.size(); ++i) {
      const std::string_view parameter = trimmed(parts[i]);
      if (parameter.starts_with("as=")) as = parameter.substr(3);
      if (parameter.starts_with("v=")) accepted.version = parameter.substr(2);
    }
    if (accepted.version != "v1" && accepted.version != "v1beta1") continue;
    if (as.empty()) return accepted;
    if (as == "Table") accepted.form = Form::Table;
    if (as == "PartialObjectMetadata" || as == "PartialObjectMetadataList") accepted.form = Form::Partial;
    if (accepted.form != Form::Object) return accepted;
  }
  return not_acceptable(fmt::format(
      "only application/json is served, also as=Table and as=PartialObjectMetadata of meta.k8s.io; the client "
      "accepts {}",
      header->second));
}

}  // namespace causeway::apiserver
