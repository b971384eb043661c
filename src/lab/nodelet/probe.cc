#include "lab/nodelet/probe.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/socket_address.h"

namespace causeway::lab {
namespace {

Result<Fd> begin_connect(const Ip& ip, uint16_t port) {
  Fd fd(::socket(ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  // Nothing of ours is left to send: no TIME_WAIT for each probe (KEP-3458).
  const linger at_once{1, 1};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  const SocketAddress address({ip, port});
  if (::connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)
    return fail_errno(errno, fmt::format("dial tcp {}", Endpoint{ip, port}));
  return fd;
}

Task<Status> connected(Loop& loop, int fd, Endpoint to) {
  auto watch = loop.watch(fd);
  CO_TRY(co_await watch->writable());
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) co_return fail_errno(error, fmt::format("dial tcp {}: connect", to));
  co_return ok();
}

Task<Status> get(Loop& loop, int fd, kube::HttpGetAction action, Endpoint to) {
  std::string path = action.path.empty() ? "/" : action.path;
  if (!path.starts_with('/')) path.insert(0, "/");
  std::string request = fmt::format("GET {} HTTP/1.1\r\n", path);
  bool named = false;
  for (const auto& header : action.http_headers) {
    request += header.name + ": " + header.value + "\r\n";
    named = named || header.name == "Host";
  }
  if (!named) request += fmt::format("Host: {}\r\n", to);
  request += "User-Agent: kube-probe/causeway-lab\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    co_return fail_errno(errno, fmt::format("GET http://{}{}", to, path));
  auto watch = loop.watch(fd);
  std::string answer;
  while (answer.find("\r\n") == std::string::npos && answer.size() < 4096) {
    CO_TRY(co_await watch->readable());
    char buffer[1024];
    const ssize_t size = ::recv(fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN) continue;
    if (size <= 0)
      co_return fail(Errc::Unavailable, "GET http://{}{}: the connection ended without an answer", to, path);
    answer.append(buffer, static_cast<size_t>(size));
  }
  const int status = answer.starts_with("HTTP/1.") && answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0;
  if (status >= 200 && status < 400) co_return ok();
  co_return fail(Errc::Unavailable, "HTTP probe failed with statuscode: {}", status);
}

}  // namespace

Result<uint16_t> port_number(const kube::Container& container, const kube::IntOrString& port) {
  if (auto* number = std::get_if<int32_t>(&port)) {
    if (*number >= 1 && *number <= 65535) return static_cast<uint16_t>(*number);
    return fail(Errc::Invalid, "port {} is not in 1..65535", *number);
  }
  const auto& name = std::get<std::string>(port);
  for (const auto& declared : container.ports)
    if (declared.name == name) return static_cast<uint16_t>(declared.container_port);
  return fail(Errc::NotFound, "container {} declares no port \"{}\"", container.name, name);
}

Task<Status> probe_once(Loop& loop, kube::Probe probe, kube::Container container, Ip pod_ip) {
  const bool http = probe.http_get.has_value();
  if (!http && !probe.tcp_socket) co_return ok();
  const std::string host = http ? probe.http_get->host : probe.tcp_socket->host;
  const Ip ip = host.empty() ? pod_ip : CO_TRY(Ip::parse(host), "probe host");
  const Endpoint to{ip, CO_TRY(port_number(container, http ? probe.http_get->port : probe.tcp_socket->port))};
  Fd socket = CO_TRY(begin_connect(ip, to.port));
  bool late = false;
  const Duration limit = std::chrono::seconds(probe.timeout_seconds > 0 ? probe.timeout_seconds : 1);
  // shutdown() wakes who waits for the socket, in SYN_SENT too.
  auto timer = loop.call_after(limit, [&late, fd = socket.get()] {
    late = true;
    ::shutdown(fd, SHUT_RDWR);
  });
  Status status = co_await connected(loop, socket.get(), to);
  if (status && http && !late) status = co_await get(loop, socket.get(), *probe.http_get, to);
  if (late) co_return fail(Errc::Timeout, "{}: no answer in {} s", to, limit / 1s);
  co_return status;
}

}  // namespace causeway::lab
