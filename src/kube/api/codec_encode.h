// The encoder behind codec.h: compact JSON straight into one string. Included by the codec*.cc files only.
#pragma once

#include "kube/api/codec.h"
#include "kube/api/codec_fields.h"

namespace causeway::kube::codec {

void append_quoted(std::string& out, std::string_view text);

inline bool is_empty(const std::string& value) { return value.empty(); }
inline bool is_empty(bool value) { return !value; }
inline bool is_empty(int32_t value) { return value == 0; }
inline bool is_empty(int64_t value) { return value == 0; }
inline bool is_empty(const StringMap& value) { return value.empty(); }
inline bool is_empty(const RawJson& value) { return value.text.empty(); }
inline bool is_empty(const IntOrString&) { return false; }
template <class T>
bool is_empty(const std::vector<T>& value) {
  return value.empty();
}
template <class T>
bool is_empty(const std::optional<T>& value) {
  return !value.has_value();
}
template <class T>
  requires requires { Fields<T>::list; }
bool is_empty(const T& value) {
  return value == T{};
}

inline void write(std::string& out, const std::string& value, TimeForm) { append_quoted(out, value); }
inline void write(std::string& out, bool value, TimeForm) { out += value ? "true" : "false"; }
inline void write(std::string& out, int32_t value, TimeForm) { out += std::to_string(value); }
inline void write(std::string& out, int64_t value, TimeForm) { out += std::to_string(value); }
inline void write(std::string& out, const RawJson& value, TimeForm) { out += value.text.empty() ? "{}" : value.text; }
inline void write(std::string& out, Time value, TimeForm form) {
  append_quoted(out, form == TimeForm::Micro ? format_micro_time(value) : format_time(value));
}
inline void write(std::string& out, const IntOrString& value, TimeForm form) {
  std::visit([&](const auto& held) { write(out, held, form); }, value);
}
inline void write(std::string& out, const StringMap& value, TimeForm) {
  char separator = '{';
  for (const auto& [key, text] : value) {
    out += separator;
    append_quoted(out, key);
    out += ':';
    append_quoted(out, text);
    separator = ',';
  }
  if (separator == '{') out += '{';
  out += '}';
}
template <class T>
  requires requires { Fields<T>::list; }
void write(std::string& out, const T& value, TimeForm form);
template <class T>
void write(std::string& out, const std::vector<T>& value, TimeForm form) {
  char separator = '[';
  for (const auto& item : value) {
    out += separator;
    write(out, item, form);
    separator = ',';
  }
  if (separator == '[') out += '[';
  out += ']';
}
template <class T>
void write(std::string& out, const std::optional<T>& value, TimeForm form) {
  if (value)
    write(out, *value, form);
  else
    out += "null";
}

template <class T>
  requires requires { Fields<T>::list; }
void write(std::string& out, const T& value, TimeForm) {
  char separator = '{';
  auto name = [&](std::string_view key) {
    out += separator;
    separator = ',';
    out += '"';
    out += key;
    out += "\":";
  };
  if constexpr (Kind<T>) {
    name("apiVersion");
    append_quoted(out, api_version(T::kKind));
    name("kind");
    append_quoted(out, T::kKind.kind);
  }
  auto one = [&](const auto& field) {
    const auto& member = value.*field.member;
    if (field.emit == Emit::NonEmpty && is_empty(member)) return;
    name(field.name);
    write(out, member, field.time);
  };
  std::apply([&](const auto&... field) { (one(field), ...); }, Fields<T>::list);
  if (separator == '{') out += '{';
  out += '}';
}

}  // namespace causeway::kube::codec

namespace causeway::kube {

template <class T>
std::string encode(const T& object) {
  std::string out;
  codec::write(out, object, codec::TimeForm::Seconds);
  return out;
}

}  // namespace causeway::kube
