#include "service/proxy/listening.h"

#include <unistd.h>

namespace causeway::service::proxy {

namespace {

// Health and numbers are short, and who asks for them is nobody's friend.
constexpr http::ServerLimits kLimits{
    .header_bytes = 16 << 10, .body_bytes = 1 << 10, .connections = 256, .half_open = 64, .idle = 60s, .write = 10s};

// One socket of family IPv6 hears both families (RFC 3493 section 5.3).
std::string address_of(const Ip& ip) {
  if (!ip.is_unspecified()) return to_string(ip);
  return ::access("/proc/net/if_inet6", F_OK) == 0 ? "::" : "0.0.0.0";
}

}  // namespace

Listening::Listening(Loop& loop, Endpoint at, http::Handler& handler, std::function<void(const Error&)> failed,
                     Duration again)
    : loop_(loop), at_(at), handler_(handler), failed_(std::move(failed)), again_after_(again) {
  listen();
}

void Listening::listen() {
  auto server =
      http::Server::listen(loop_, {.address = address_of(at_.ip), .port = at_.port, .limits = kLimits}, handler_);
  if (server) {
    server_ = std::move(*server);
    trouble_.clear();
    return;
  }
  if (server.error().message() != trouble_) {
    trouble_ = server.error().message();
    failed_(server.error());
  }
  again_ = loop_.call_after(again_after_, [this] { listen(); });
}

}  // namespace causeway::service::proxy
