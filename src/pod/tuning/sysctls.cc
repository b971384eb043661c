#include "pod/tuning/sysctls.h"

#include <algorithm>
#include <vector>

namespace causeway::pod {
namespace {

constexpr size_t kMaxName = 253;
constexpr size_t kMaxValue = 4096;  // the kernel reads no more than a page

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '@';
}

}  // namespace

// The first separator says which of the two is one (sysctl(8)): the other is then a part of a name.
Result<std::string> sysctl_path(std::string_view name, std::string_view ifname) {
  const size_t first = name.find_first_of("./");
  if (first == std::string_view::npos || name.substr(0, first) != "net" || name.size() > kMaxName)
    return fail(Errc::Invalid, "sysctl \"{}\": only those below net. are a Pod's", name.substr(0, kMaxName));
  const char separator = name[first];
  std::string path;
  std::string_view rest = name.substr(first + 1);
  for (;;) {
    const size_t end = rest.find(separator);
    std::string part(rest.substr(0, end));
    if (separator == '.') std::ranges::replace(part, '/', '.');
    if (part.empty() || part.front() == '.' || !std::ranges::all_of(part, plain))
      return fail(Errc::Invalid, "sysctl \"{}\": \"{}\" is no part of a name", name, part);
    if (part == "IFNAME") part = ifname;
    path += (path.empty() ? "" : "/") + part;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (path.find('/') == std::string::npos) return fail(Errc::Invalid, "sysctl \"{}\": is a folder of them", name);
  return path;
}

Status check_sysctl(std::string_view name, std::string_view value, std::string_view ifname) {
  TRY(sysctl_path(name, ifname));
  for (const char c : value)
    if (uint8_t(c) < ' ' && c != '\t')
      return fail(Errc::Invalid, "sysctl \"{}\": its value has a control character", name);
  if (value.size() >= kMaxValue) return fail(Errc::Invalid, "sysctl \"{}\": a value of {} bytes", name, value.size());
  return ok();
}

}  // namespace causeway::pod
