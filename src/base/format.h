// Lets fmt print any type of ours that has to_string() beside it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>

namespace causeway {

// fmt has a to_string of its own for everything, its views included: strings are left to it.
template <class T>
concept Printable =
    (std::is_class_v<T> || std::is_enum_v<T>) && !std::is_convertible_v<T, std::string_view> &&
    !std::is_base_of_v<fmt::detail::view, T> && !requires { typename T::traits_type; } &&
    !requires { typename T::value_type; } && requires(const T& value) { std::string_view(to_string(value)); };

namespace detail {
template <class T>
std::string print(const T& value) {
  return std::string(to_string(value));
}
}  // namespace detail
}  // namespace causeway

template <causeway::Printable T>
struct fmt::formatter<T> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    return fmt::formatter<std::string_view>::format(causeway::detail::print(value), context);
  }
};
