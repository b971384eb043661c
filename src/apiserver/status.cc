#include "apiserver/status.h"

namespace causeway::apiserver {

namespace {

kube::ApiStatus failure(int code, std::string_view reason, std::string message) {
  kube::ApiStatus status;
  status.status = "Failure";
  status.message = std::move(message);
  status.reason = reason;
  status.code = code;
  return status;
}

Refusal refuse(int code, std::string_view reason, std::string message) {
  return Refusal(Failure{failure(code, reason, std::move(message))});
}

// `details.kind` is the plural in most answers, and the kind in 422.
Refusal refuse(int code, std::string_view reason, std::string message, const kube::KindInfo& kind,
               std::string_view name, std::vector<kube::StatusCause> causes = {}) {
  auto status = failure(code, reason, std::move(message));
  kube::StatusDetails details;
  details.name = name;
  details.group = kind.group;
  details.kind = code == 422 ? kind.kind : kind.plural;
  details.causes = std::move(causes);
  status.details = std::move(details);
  return Refusal(Failure{std::move(status)});
}

}  // namespace

Refusal bad_request(std::string message) { return refuse(400, "BadRequest", std::move(message)); }
Refusal unauthorized(std::string message) { return refuse(401, "Unauthorized", std::move(message)); }
Refusal method_not_allowed(std::string message, const kube::KindInfo& kind) {
  return refuse(405, "MethodNotAllowed", std::move(message), kind, "");
}
Refusal not_acceptable(std::string message) { return refuse(406, "NotAcceptable", std::move(message)); }
Refusal unsupported_media_type(std::string message) { return refuse(415, "UnsupportedMediaType", std::move(message)); }
Refusal unprocessable(std::string message) { return refuse(422, "Invalid", std::move(message)); }
Refusal internal(std::string message) {
  auto status = failure(500, "InternalError", message);
  status.details.emplace().causes = {cause("", "", std::move(message))};
  return Refusal(Failure{std::move(status)});
}
Refusal unavailable(std::string message) { return refuse(503, "ServiceUnavailable", std::move(message)); }
Refusal insufficient_storage(std::string message) { return refuse(507, "InternalError", std::move(message)); }

Refusal forbidden(const kube::KindInfo& kind, std::string_view name, std::string why) {
  return refuse(403, "Forbidden", fmt::format("{} \"{}\" is forbidden: {}", group_resource(kind), name, why), kind,
                name);
}

Refusal not_found(const kube::KindInfo& kind, std::string_view name) {
  return refuse(404, "NotFound", fmt::format("{} \"{}\" not found", group_resource(kind), name), kind, name);
}

Refusal no_such_path(std::string_view path, const kube::KindInfo* kind) {
  auto status = failure(404, "NotFound", fmt::format("the server could not find the requested resource ({})", path));
  kube::StatusDetails& details = status.details.emplace();
  if (kind != nullptr) {
    details.group = kind->group;
    details.kind = kind->plural;
  }
  details.causes = {cause("UnexpectedServerResponse", "", "404 page not found")};
  return Refusal(Failure{std::move(status)});
}

Refusal already_exists(const kube::KindInfo& kind, std::string_view name) {
  return refuse(409, "AlreadyExists", fmt::format("{} \"{}\" already exists", group_resource(kind), name), kind, name);
}

Refusal conflict(const kube::KindInfo& kind, std::string_view name, std::string why) {
  return refuse(409, "Conflict",
                fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", group_resource(kind), name, why), kind,
                name);
}

Refusal expired(std::string message, std::string continue_token) {
  auto status = failure(410, "Expired", std::move(message));
  status.metadata.continue_token = std::move(continue_token);
  return Refusal(Failure{std::move(status)});
}

Refusal invalid(const kube::KindInfo& kind, std::string_view name, std::vector<kube::StatusCause> causes) {
  std::string text;
  for (const kube::StatusCause& cause : causes) {
    if (!text.empty()) text += ", ";
    text += cause.field.empty() ? cause.message : cause.field + ": " + cause.message;
  }
  if (causes.size() > 1) text = "[" + text + "]";
  const std::string type = kind.group.empty() ? std::string(kind.kind) : fmt::format("{}.{}", kind.kind, kind.group);
  return refuse(422, "Invalid", fmt::format("{} \"{}\" is invalid: {}", type, name, text), kind, name,
                std::move(causes));
}

Refusal too_large_resource_version(int64_t asked, int64_t current) {
  auto status = failure(504, "Timeout", fmt::format("Too large resource version: {}, current: {}", asked, current));
  kube::StatusDetails details;
  details.causes = {cause("ResourceVersionTooLarge", "", "Too large resource version")};
  details.retry_after_seconds = 1;
  status.details = std::move(details);
  return Refusal(Failure{std::move(status)});
}

Refusal refusal_of(const Error& error) {
  switch (error.code()) {
    case Errc::Exhausted: return insufficient_storage(error.message());
    case Errc::Invalid: return bad_request(error.message());
    case Errc::Cancelled:
    case Errc::Unavailable: return unavailable(error.message());
    case Errc::Gone: return expired(error.message());
    case Errc::NotFound:
    case Errc::AlreadyExists:
    case Errc::Conflict:
    case Errc::Denied:
    case Errc::Timeout:
    case Errc::Truncated:
    case Errc::Io:
    case Errc::Unsupported:
    case Errc::Internal: return internal(error.message());
  }
  std::abort();
}

kube::StatusCause cause(std::string reason, std::string field, std::string message) {
  kube::StatusCause cause;
  cause.reason = std::move(reason);
  cause.field = std::move(field);
  cause.message = std::move(message);
  return cause;
}

kube::ApiStatus success(const kube::KindInfo& kind, std::string_view name, std::string_view uid) {
  kube::ApiStatus status;
  status.status = "Success";
  kube::StatusDetails details;
  details.name = name;
  details.group = kind.group;
  details.kind = kind.plural;
  details.uid = uid;
  status.details = std::move(details);
  status.code = 200;
  return status;
}

}  // namespace causeway::apiserver
