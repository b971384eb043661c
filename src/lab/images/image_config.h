// What an image says of the process to run: the part of the OCI image configuration that matters here. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace causeway::lab {

struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  // "NAME=value"
  std::string user;              // "", "1000", "nginx", "1000:1000", "nginx:www"
  std::string working_dir;
  std::string stop_signal;   // "SIGTERM", "15", ""
  std::string architecture;  // Go's name: "amd64", "arm64"; "": not said
  std::string os;            // "linux"; "": not said
  bool operator==(const ImageConfig&) const = default;
};

// The image configuration's JSON (image-spec, config.md). Errors: Invalid, naming what is wrong.
Result<ImageConfig> parse_image_config(std::string_view json);

// Whether this machine can run it; `machine` as uname(2) names it ("x86_64"). Errors: Unsupported, with both.
Status check_platform(const ImageConfig& image, std::string_view machine);

// "nginx" -> "docker.io/library/nginx:latest", as every runtime reads the names of images (distribution/reference).
// With a digest the tag is left out. Errors: Invalid.
Result<std::string> full_reference(std::string_view image);

// The number of "SIGTERM", "TERM" or "15"; 0: it is none.
int signal_number(std::string_view name);

struct UserIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // of /etc/group, for a user that is known by name or number
  std::string home;              // "" when it is not known
  bool operator==(const UserIds&) const = default;
};
// Who "nginx", "1000" or "1000:www" is, by the texts of /etc/passwd and /etc/group. "" is 0. Errors: NotFound for a
// name that is not there.
Result<UserIds> find_user(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace causeway::lab
