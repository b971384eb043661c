#include "cli/observe_socket.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "lab/lifecycle.h"

namespace causeway::cli {

namespace {

constexpr size_t kMostBytes = 256u << 20;

Result<std::string> socket_of(const AgentPlace& place, const std::string& name) {
  if (place.lab.empty()) return place.run + "/" + name;
  const auto state = TRY(lab::observe(place.lab));
  for (const auto& node : state.nodes) {
    if (!place.node.empty() && node.name != place.node) continue;
    if (node.agent == 0) return fail(Errc::Unavailable, "the agent of {} does not run", node.name);
    return fmt::format("/proc/{}/root{}/{}", node.agent, place.run, name);
  }
  return fail(Errc::NotFound, "lab {} has no node \"{}\"", place.lab, place.node);
}

Result<std::string> ask(const std::string& path, const std::string& target) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path) return fail(Errc::Invalid, "{}: the path is too long", path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const timeval limit{.tv_sec = 10};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(Errc::Unavailable, "no {} answers at {}: {}", path.ends_with("/observe.sock") ? "agent" : "DNS", path,
                std::strerror(errno));
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n", target);
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return fail(Errc::Io, "{}: {}", path, std::strerror(errno));
  std::string answer;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Errc::Timeout, "{} says nothing: {}", path, std::strerror(errno));
    if (got == 0) break;
    answer.append(buffer, static_cast<size_t>(got));
    if (answer.size() > kMostBytes) return fail(Errc::Invalid, "{}: an answer of more than {} bytes", path, kMostBytes);
  }
  return answer;
}

}  // namespace

Result<std::vector<AgentPlace>> places_of(const AgentPlace& asked) {
  if (asked.lab.empty() || !asked.node.empty()) return std::vector{asked};
  std::vector<AgentPlace> all;
  for (const auto& node : TRY(lab::observe(asked.lab)).nodes) {
    AgentPlace one = asked;
    one.node = node.name;
    all.push_back(std::move(one));
  }
  return all;
}

Result<std::string> fetch_page(const AgentPlace& place, const std::string& target, const std::string& socket) {
  const std::string path = TRY(socket_of(place, socket));
  const std::string answer = TRY(ask(path, target));
  const auto body = answer.find("\r\n\r\n");
  if (body == answer.npos || !answer.starts_with("HTTP/1.1 "))
    return fail(Errc::Truncated, "{}: no whole answer", path);
  const std::string_view head = std::string_view(answer).substr(0, body);
  if (head.find("\r\nCauseway-Error: ") != head.npos) {
    std::string message = answer.substr(body + 4);
    while (message.ends_with('\n')) message.pop_back();
    return fail(Error(answer.starts_with("HTTP/1.1 400")   ? Errc::Invalid
                      : answer.starts_with("HTTP/1.1 404") ? Errc::NotFound
                                                           : Errc::Unavailable,
                      std::move(message)));
  }
  if (!answer.starts_with("HTTP/1.1 200"))
    return fail(
        Errc::NotFound,
        "the agent has no page {}: that part of it is off (--no-services, --no-network-policy), or it is an older one",
        target);
  return answer.substr(body + 4);
}

}  // namespace causeway::cli
