#include "kube/client/client.h"

#include <charconv>

#include "kube/client/stream_splitter.h"

namespace causeway::kube {
namespace {

void add(std::string& query, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  query += query.empty() ? '?' : '&';
  query.append(name).append("=").append(http::percent_encode(value));
}

// What the server asks to wait before the same request again, if it does.
std::optional<Duration> retry_after(const http::Response& response) {
  if (response.status != 429 && response.status / 100 != 5) return std::nullopt;
  const auto header = response.headers.find("Retry-After");
  if (header == response.headers.end()) return std::nullopt;
  int seconds = 0;
  const auto& text = header->second;
  if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc() || seconds < 0)
    return std::nullopt;
  return std::chrono::seconds(std::min(seconds, 60));
}

Errc errc_of(int code, std::string_view reason) {
  switch (code) {
    case 400: return Errc::Invalid;
    case 401:
    case 403: return Errc::Denied;
    case 404: return Errc::NotFound;
    case 405:
    case 406:
    case 415:
    case 501: return Errc::Unsupported;
    case 408: return Errc::Timeout;
    case 409: return reason == "AlreadyExists" ? Errc::AlreadyExists : Errc::Conflict;
    case 410: return Errc::Gone;
    case 507: return Errc::Exhausted;
    default: return code / 100 == 4 && code != 429 ? Errc::Invalid : Errc::Unavailable;
  }
}

// An empty name would make the request one on the whole collection, and a '/' one on something else.
bool is_path_segment(std::string_view text) {
  if (text.empty() || text == "." || text == "..") return false;
  for (const char c : text)
    if (c <= ' ' || c == '/' || c == '%' || c == '?' || c == '#' || c == 127) return false;
  return true;
}

bool is_write(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

}  // namespace

std::string to_string(const Ref& ref) { return ref.ns.empty() ? ref.name : ref.ns + "/" + ref.name; }

std::string list_target(const KindInfo& kind, const ListOptions& options) {
  std::string query;
  add(query, "labelSelector", options.label_selector);
  add(query, "fieldSelector", options.field_selector);
  add(query, "resourceVersion", options.resource_version);
  add(query, "resourceVersionMatch", options.resource_version_match);
  if (options.limit > 0) add(query, "limit", std::to_string(options.limit));
  add(query, "continue", options.continue_token);
  return collection_path(kind, options.ns) + query;
}

std::string watch_target(const KindInfo& kind, const WatchOptions& options) {
  std::string query = "?watch=true";
  if (options.bookmarks) add(query, "allowWatchBookmarks", "true");
  add(query, "labelSelector", options.label_selector);
  add(query, "fieldSelector", options.field_selector);
  add(query, "resourceVersion", options.resource_version);
  if (options.send_initial_events) {
    add(query, "sendInitialEvents", "true");
    add(query, "resourceVersionMatch", "NotOlderThan");
  }
  if (options.timeout.count() > 0) add(query, "timeoutSeconds", std::to_string(options.timeout.count()));
  return collection_path(kind, options.ns) + query;
}

Result<std::string> object_target(const KindInfo& kind, const Ref& ref, std::string_view subresource) {
  if (!is_path_segment(ref.name)) return fail(Errc::Invalid, "{} name {:?}: not a name", kind.kind, ref.name);
  if (kind.namespaced && !is_path_segment(ref.ns))
    return fail(Errc::Invalid, "{} {}: namespace {:?} is not a name", kind.kind, ref.name, ref.ns);
  return object_path(kind, ref.ns, ref.name, subresource);
}

std::string_view content_type(PatchType type) {
  switch (type) {
    case PatchType::Merge: return "application/merge-patch+json";
    case PatchType::StrategicMerge: return "application/strategic-merge-patch+json";
    case PatchType::Json: return "application/json-patch+json";
    case PatchType::Apply: return "application/apply-patch+yaml";
  }
  return {};
}

std::string encode_delete_options(const DeleteOptions& options) {
  std::string body = R"({"apiVersion":"v1","kind":"DeleteOptions")";
  if (options.grace_period_seconds) body += fmt::format(R"(,"gracePeriodSeconds":{})", *options.grace_period_seconds);
  if (!options.propagation.empty()) body += R"(,"propagationPolicy":)" + json_quote(options.propagation);
  if (!options.uid.empty() || !options.resource_version.empty()) {
    body += R"(,"preconditions":{)";
    if (!options.uid.empty()) body += R"("uid":)" + json_quote(options.uid);
    if (!options.uid.empty() && !options.resource_version.empty()) body += ',';
    if (!options.resource_version.empty()) body += R"("resourceVersion":)" + json_quote(options.resource_version);
    body += '}';
  }
  return body + '}';
}

Error error_of(const ApiStatus& status, std::string_view what) {
  std::string text(what);
  text += text.empty() ? "" : ": ";
  text += status.message.empty() ? fmt::format("status {} {}", status.code, status.reason) : status.message;
  // A well-made message names the fields already; not every server makes one.
  if (status.details)
    for (const auto& cause : status.details->causes)
      if (!cause.field.empty() && status.message.find(cause.field) == std::string::npos)
        text += fmt::format("; {}: {}", cause.field, cause.message);
  return Error(errc_of(status.code, status.reason), std::move(text));
}

Error error_of(int http_status, std::string_view body, std::string_view what) {
  if (body.find("\"Status\"") != std::string_view::npos)
    if (auto status = decode<ApiStatus>(body)) {
      if (status->code == 0) status->code = http_status;
      return error_of(*status, what);
    }
  // Something on the way answered, or the server before it reached the API.
  std::string text(body.substr(0, 200));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return Error(errc_of(http_status, ""), fmt::format("{}{}HTTP status {}{}{}", what, what.empty() ? "" : ": ",
                                                     http_status, text.empty() ? "" : ": ", text));
}

Client::Client(Loop& loop, http::Transport& transport, ClientOptions options)
    : loop_(loop), transport_(transport), options_(std::move(options)) {}

Task<Result<std::string>> Client::request(std::string method, std::string target, std::string body,
                                          std::string content_type) {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.timeout = options_.timeout;
  request.headers["Accept"] = "application/json";
  if (!body.empty()) request.headers["Content-Type"] = std::move(content_type);
  request.body = std::move(body);
  if (is_write(request.method) && !options_.field_manager.empty()) {
    request.target += request.target.find('?') == std::string::npos ? '?' : '&';
    request.target += "fieldManager=" + http::percent_encode(options_.field_manager);
  }
  for (int tries = 0;; ++tries) {
    auto response = CO_TRY(co_await transport_.send(request));
    if (response.status / 100 == 2) co_return std::move(response.body);
    const auto delay = retry_after(response);
    if (!delay || tries >= options_.retries) co_return fail(error_of(response.status, response.body, ""));
    CO_TRY(co_await loop_.sleep(*delay));
  }
}

Task<Status> Client::stream(std::string target, OnText on_data, Duration idle) {
  http::Request request;
  request.target = std::move(target);
  request.timeout = options_.timeout;
  request.headers["Accept"] = "application/json";
  auto response = CO_TRY(co_await transport_.stream(std::move(request), std::move(on_data), idle));
  if (response.status / 100 != 2) co_return fail(error_of(response.status, response.body, ""));
  co_return ok();
}

Task<Status> Client::stream_lines(std::string target, OnText on_line, Duration idle) {
  LineSplitter lines;
  auto on_data = [&lines, &on_line](std::string_view data) { return lines.feed(data, on_line); };
  CO_TRY(co_await stream(std::move(target), std::move(on_data), idle));
  co_return lines.finish();
}

}  // namespace causeway::kube
