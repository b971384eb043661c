#include "kube/api/field_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

namespace causeway::kube {

namespace {
std::string shown(const boost::json::value& value) { return boost::json::serialize(value); }
}  // namespace

std::string_view to_string(FieldErrorType type) {
  switch (type) {
    case FieldErrorType::Required: return "Required value";
    case FieldErrorType::Invalid: return "Invalid value";
    case FieldErrorType::Duplicate: return "Duplicate value";
    case FieldErrorType::Forbidden: return "Forbidden";
    case FieldErrorType::NotSupported: return "Unsupported value";
    case FieldErrorType::NotFound: return "Not found";
    case FieldErrorType::TooLong: return "Too long";
    case FieldErrorType::TooMany: return "Too many";
  }
  return "";
}

std::string_view reason_of(FieldErrorType type) {
  switch (type) {
    case FieldErrorType::Required: return "FieldValueRequired";
    case FieldErrorType::Invalid: return "FieldValueInvalid";
    case FieldErrorType::Duplicate: return "FieldValueDuplicate";
    case FieldErrorType::Forbidden: return "FieldValueForbidden";
    case FieldErrorType::NotSupported: return "FieldValueNotSupported";
    case FieldErrorType::NotFound: return "FieldValueNotFound";
    case FieldErrorType::TooLong: return "FieldValueTooLong";
    case FieldErrorType::TooMany: return "FieldValueTooMany";
  }
  return "";
}

FieldError FieldError::required(std::string field, std::string detail) {
  return {FieldErrorType::Required, std::move(field), {}, std::move(detail)};
}
FieldError FieldError::invalid(std::string field, const boost::json::value& bad, std::string detail) {
  return {FieldErrorType::Invalid, std::move(field), shown(bad), std::move(detail)};
}
FieldError FieldError::duplicate(std::string field, const boost::json::value& bad) {
  return {FieldErrorType::Duplicate, std::move(field), shown(bad), {}};
}
FieldError FieldError::forbidden(std::string field, std::string detail) {
  return {FieldErrorType::Forbidden, std::move(field), {}, std::move(detail)};
}
FieldError FieldError::not_supported(std::string field, const boost::json::value& bad,
                                     std::span<const std::string_view> supported) {
  std::string detail = "supported values: ";
  for (size_t i = 0; i < supported.size(); ++i) detail += fmt::format("{}\"{}\"", i ? ", " : "", supported[i]);
  return {FieldErrorType::NotSupported, std::move(field), shown(bad), std::move(detail)};
}
FieldError FieldError::too_long(std::string field, size_t limit) {
  return {FieldErrorType::TooLong, std::move(field), {}, fmt::format("may not be more than {} bytes", limit)};
}
FieldError FieldError::too_many(std::string field, size_t count, size_t limit) {
  return {FieldErrorType::TooMany, std::move(field), std::to_string(count),
          fmt::format("must have at most {} item{}", limit, limit == 1 ? "" : "s")};
}

std::string body_of(const FieldError& error) {
  std::string text(to_string(error.type));
  if (!error.bad_value.empty()) text += ": " + error.bad_value;
  if (!error.detail.empty()) text += ": " + error.detail;
  return text;
}

std::string to_string(const FieldError& error) { return error.field + ": " + body_of(error); }

std::string invalid_message(std::string_view group, std::string_view kind, std::string_view name,
                            std::span<const FieldError> errors) {
  std::vector<std::string> lines;  // each once, as apimachinery's aggregate does
  for (const auto& error : errors)
    if (auto line = to_string(error); std::find(lines.begin(), lines.end(), line) == lines.end())
      lines.push_back(std::move(line));
  std::string joined = fmt::format("{}", fmt::join(lines, ", "));
  if (lines.size() > 1) joined = "[" + joined + "]";
  return fmt::format("{}{}{} \"{}\" is invalid: {}", kind, group.empty() ? "" : ".", group, name, joined);
}

}  // namespace causeway::kube
