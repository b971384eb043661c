#include "lab/images/image_config.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <csignal>
#include <optional>

namespace causeway::lab {
namespace {

namespace json = boost::json;

Result<std::vector<std::string>> strings_in(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const auto* value = object.if_contains(key);
  if (!value || value->is_null()) return out;
  if (!value->is_array()) return fail(Errc::Invalid, "config.{} is not a list", key);
  for (const auto& item : value->as_array()) {
    if (!item.is_string()) return fail(Errc::Invalid, "config.{} is not a list of strings", key);
    out.emplace_back(item.as_string());
  }
  return out;
}

std::string string_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                                   : std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(separator, start), text.size());
    out.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

}  // namespace

Result<ImageConfig> parse_image_config(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return fail(Errc::Invalid, "the image's configuration is not a JSON object");
  ImageConfig out;
  out.architecture = string_in(value.as_object(), "architecture");
  out.os = string_in(value.as_object(), "os");
  const auto* config = value.as_object().if_contains("config");
  if (!config || !config->is_object()) return out;
  const auto& object = config->as_object();
  out.entrypoint = TRY(strings_in(object, "Entrypoint"));
  out.cmd = TRY(strings_in(object, "Cmd"));
  out.env = TRY(strings_in(object, "Env"));
  out.user = string_in(object, "User");
  out.working_dir = string_in(object, "WorkingDir");
  out.stop_signal = string_in(object, "StopSignal");
  return out;
}

Status check_platform(const ImageConfig& image, std::string_view machine) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"},           {"armv7l", "arm"},
      {"armv6l", "arm"},   {"armv8l", "arm"},    {"loongarch64", "loong64"}};
  std::string_view ours = machine;
  for (const auto& [kernel, go] : kNames)
    if (kernel == machine) ours = go;
  const bool narrower =
      (ours == "amd64" && image.architecture == "386") || (ours == "arm64" && image.architecture == "arm");
  const bool runs = image.architecture.empty() || image.architecture == ours || narrower;
  if (runs && (image.os.empty() || image.os == "linux")) return ok();
  return fail(Errc::Unsupported, "the image is for {}/{}, and this machine is linux/{}: build or save it for that",
              image.os.empty() ? "linux" : image.os, image.architecture, ours);
}

Result<std::string> full_reference(std::string_view image) {
  const auto bad = [&] { return fail(Errc::Invalid, "\"{}\" is not the name of an image", image); };
  if (image.empty() || image.size() > 512) return bad();
  for (const char c : image)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
          std::string_view("._-/:@+").contains(c)))
      return bad();
  const size_t at = image.find('@');
  std::string name(image.substr(0, at));
  const std::string digest(at == std::string_view::npos ? "" : image.substr(at));
  const size_t slash = name.find('/');
  const std::string first = name.substr(0, slash == std::string::npos ? 0 : slash);
  // A registry has a dot or a port, or is localhost.
  if (first.find_first_of(".:") == std::string::npos && first != "localhost")
    name = (slash == std::string::npos ? "docker.io/library/" : "docker.io/") + name;
  const size_t colon = name.rfind(':');
  const bool tagged = colon != std::string::npos && name.find('/', colon) == std::string::npos;
  if (tagged && colon + 1 == name.size()) return bad();
  if (!digest.empty()) return (tagged ? name.substr(0, colon) : name) + digest;
  return tagged ? name : name + ":latest";
}

int signal_number(std::string_view name) {
  if (const auto value = number(name)) return *value >= 1 && *value <= 64 ? static_cast<int>(*value) : 0;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  static constexpr std::pair<std::string_view, int> kSignals[] = {
      {"HUP", SIGHUP},     {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT}, {"KILL", SIGKILL},
      {"USR1", SIGUSR1},   {"USR2", SIGUSR2}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
      {"WINCH", SIGWINCH}, {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"PWR", SIGPWR},
      {"IO", SIGIO},       {"URG", SIGURG}};
  for (const auto& [known, number] : kSignals)
    if (known == name) return number;
  if (name.starts_with("RTMIN+"))
    if (const auto more = number(name.substr(6)); more && *more <= 15) return 34 + static_cast<int>(*more);
  if (name.starts_with("RTMAX-"))
    if (const auto less = number(name.substr(6)); less && *less <= 14) return 64 - static_cast<int>(*less);
  if (name == "RTMIN") return 34;
  return name == "RTMAX" ? 64 : 0;
}

Result<UserIds> find_user(std::string_view user, std::string_view passwd, std::string_view group) {
  UserIds ids;
  const size_t colon = user.find(':');
  const auto name = user.substr(0, colon);
  const auto group_name = colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
  const auto uid = name.empty() ? std::optional<uint32_t>(0) : number(name);
  std::string login;
  for (const auto line : split(passwd, '\n')) {
    const auto fields = split(line, ':');  // name:password:uid:gid:comment:home:shell
    if (fields.size() < 6) continue;
    const auto found = number(fields[2]);
    if (!found || (uid ? *found != *uid : fields[0] != name)) continue;
    ids.uid = *found;
    ids.gid = number(fields[3]).value_or(0);
    ids.home = fields[5];
    login = fields[0];
    break;
  }
  if (login.empty()) {
    if (!uid) return fail(Errc::NotFound, "the image has no user \"{}\" in its /etc/passwd", name);
    ids.uid = *uid;
  }
  bool group_known = group_name.empty();
  if (const auto gid = number(group_name)) {
    ids.gid = *gid;
    group_known = true;
  }
  for (const auto line : split(group, '\n')) {
    const auto fields = split(line, ':');  // name:password:gid:members
    if (fields.size() < 4) continue;
    const auto gid = number(fields[2]);
    if (!gid) continue;
    if (!group_known && fields[0] == group_name) {
      ids.gid = *gid;
      group_known = true;
    }
    if (group_name.empty() && !login.empty())
      for (const auto member : split(fields[3], ','))
        if (member == login) ids.groups.push_back(*gid);
  }
  if (!group_known) return fail(Errc::NotFound, "the image has no group \"{}\" in its /etc/group", group_name);
  return ids;
}

}  // namespace causeway::lab
