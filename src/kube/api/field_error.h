// What is wrong with one field of an object, worded as Kubernetes words it.
#pragma once

#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kube/api/kind.h"

namespace causeway::kube {

enum class FieldErrorType { Required, Invalid, Duplicate, Forbidden, NotSupported, NotFound, TooLong, TooMany };
std::string_view to_string(FieldErrorType type);  // "Required value"
std::string_view reason_of(FieldErrorType type);  // "FieldValueRequired": StatusCause.reason

struct FieldError {
  FieldErrorType type;
  std::string field;      // "spec.containers[0].name"
  std::string bad_value;  // as JSON text; empty: not shown
  std::string detail;
  bool operator==(const FieldError&) const = default;

  static FieldError required(std::string field, std::string detail = {});
  static FieldError invalid(std::string field, const boost::json::value& bad, std::string detail);
  static FieldError duplicate(std::string field, const boost::json::value& bad);
  static FieldError forbidden(std::string field, std::string detail);
  static FieldError not_supported(std::string field, const boost::json::value& bad,
                                  std::span<const std::string_view> supported);
  static FieldError too_long(std::string field, size_t limit);
  static FieldError too_many(std::string field, size_t count, size_t limit);
};
using FieldErrors = std::vector<FieldError>;

// `Invalid value: "A": must be lower case`: StatusCause.message.
std::string body_of(const FieldError& error);
// "spec.containers[0].name: Required value"
std::string to_string(const FieldError& error);
// `Deployment.apps "x" is invalid: spec.replicas: ...`, several in brackets: the message of a Status of 422.
std::string invalid_message(std::string_view group, std::string_view kind, std::string_view name,
                            std::span<const FieldError> errors);

}  // namespace causeway::kube
