#include "apiserver/auth.h"

#include <algorithm>

namespace causeway::apiserver {

namespace {

// Takes the same time for every wrong token of one length.
bool equal_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

bool is_public(std::string_view path) {
  return path == "/version" || path == "/healthz" || path == "/livez" || path == "/readyz";
}

}  // namespace

ApiResult<void> Authenticator::check(const http::Request& request, std::string_view path) const {
  if (users_.empty() || is_public(path)) return {};
  auto header = request.headers.find("Authorization");
  if (header == request.headers.end()) return unauthorized("Unauthorized: the request carries no bearer token");
  std::string_view value = header->second;
  constexpr std::string_view kBearer = "Bearer ";
  if (!value.starts_with(kBearer)) return unauthorized("Unauthorized: only bearer tokens are accepted");
  value.remove_prefix(kBearer.size());
  bool known = false;
  for (const User& user : users_) known |= equal_secret(value, user.token);
  if (!known) return unauthorized("Unauthorized: the bearer token is none of this server");
  return {};
}

}  // namespace causeway::apiserver
