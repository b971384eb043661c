// How a request fails: the Status object of the API, which names the object, the reason and the fields
// (apimachinery/pkg/api/errors). Works with TRY.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "base/result.h"
#include "kube/api/meta.h"

namespace causeway::apiserver {

struct Failure {
  kube::ApiStatus status;
  Failure with() && { return std::move(*this); }
};
template <class T>
using ApiResult = std::expected<T, Failure>;
using Refusal = std::unexpected<Failure>;

}  // namespace causeway::apiserver

namespace causeway::detail {
// For TRY on an ApiResult.
template <class T>
T unwrap(apiserver::ApiResult<T>&& result) {
  return std::move(*result);
}
inline void unwrap(apiserver::ApiResult<void>&&) {}
}  // namespace causeway::detail

namespace causeway::apiserver {

Refusal bad_request(std::string message);                                               // 400
Refusal unauthorized(std::string message);                                              // 401
Refusal forbidden(const kube::KindInfo& kind, std::string_view name, std::string why);  // 403
Refusal not_found(const kube::KindInfo& kind, std::string_view name);                   // 404
// Details without a name: that is how clients tell a path from an object that is not there (kubectl debug).
Refusal no_such_path(std::string_view path, const kube::KindInfo* kind = nullptr);                          // 404
Refusal method_not_allowed(std::string message, const kube::KindInfo& kind);                                // 405
Refusal not_acceptable(std::string message);                                                                // 406
Refusal already_exists(const kube::KindInfo& kind, std::string_view name);                                  // 409
Refusal conflict(const kube::KindInfo& kind, std::string_view name, std::string why);                       // 409
Refusal expired(std::string message, std::string continue_token = {});                                      // 410
Refusal unsupported_media_type(std::string message);                                                        // 415
Refusal invalid(const kube::KindInfo& kind, std::string_view name, std::vector<kube::StatusCause> causes);  // 422
Refusal unprocessable(std::string message);                                                                 // 422
Refusal internal(std::string message);                                                                      // 500
Refusal unavailable(std::string message);                                                                   // 503
Refusal too_large_resource_version(int64_t asked, int64_t current);                                         // 504
Refusal insufficient_storage(std::string message);                                                          // 507

// What the store refused.
Refusal refusal_of(const Error& error);

// One wrong field.
kube::StatusCause cause(std::string reason, std::string field, std::string message);

kube::ApiStatus success(const kube::KindInfo& kind, std::string_view name, std::string_view uid);

}  // namespace causeway::apiserver
