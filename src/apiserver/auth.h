// Who may speak to the server: bearers of a token. Every user may do everything: there is no RBAC here.
#pragma once

#include <string>
#include <vector>

#include "apiserver/status.h"
#include "http/message.h"

namespace causeway::apiserver {

struct User {
  std::string name;
  std::string token;
};

class Authenticator {
 public:
  explicit Authenticator(std::vector<User> users) : users_(std::move(users)) {}

  // Without users everybody is let in. /healthz, /livez, /readyz and /version are open to all. Errors: 401.
  ApiResult<void> check(const http::Request& request, std::string_view path) const;

 private:
  std::vector<User> users_;
};

}  // namespace causeway::apiserver
