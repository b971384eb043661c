#include "http/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <unordered_map>

#include "async/scope.h"
#include "base/log.h"
#include "base/socket_address.h"
#include "http/connection.h"

namespace causeway::http {

struct Server::State {
  explicit State(ConnectionContext shared) : context(std::make_shared<const ConnectionContext>(std::move(shared))) {}

  using Connections = std::list<std::shared_ptr<Connection>>;  // oldest first

  std::shared_ptr<const ConnectionContext> context;
  Fd listener;
  std::string url;
  std::string socket_path;
  uint16_t port = 0;
  std::unique_ptr<FdWatch> watch;
  Connections connections;
  std::unordered_map<Connection*, Connections::iterator> index;
  std::optional<Scope> scope;

  void admit(Fd socket, std::string peer);
  void drop(Connection* connection);
  void make_room();
};

namespace {

Result<SocketAddress> address_of(const std::string& path) {
  SocketAddress address;
  auto& un = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.size() >= sizeof un.sun_path)
    return fail(Errc::Invalid, "the socket path {} is longer than {} bytes", path, sizeof un.sun_path - 1);
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.data(), path.size());
  address.size = sizeof un;
  return address;
}

Status note_bound_address(Server::State& state, const ServerOptions& options) {
  SocketAddress address;
  ::getsockname(state.listener.get(), address.get(), &address.size);
  const auto bound = address.endpoint();
  state.port = bound.port;
  state.url = fmt::format("{}://{}", options.tls ? "https" : "http", to_string(bound));
  return ok();
}

// A socket that listens already, handed down by who started us: it may belong to another network namespace, and what
// connects while we start again waits in its queue.
Status take_listener(Server::State& state, const ServerOptions& options) {
  const int fd = std::atoi(options.address.c_str() + 3);
  int listens = 0;
  socklen_t size = sizeof listens;
  if (fd < 3 || ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)
    return fail(Errc::Invalid, "listen on {}: not an inherited listening socket", options.address);
  state.listener = Fd(fd);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return note_bound_address(state, options);
}

Status open_listener(Server::State& state, const ServerOptions& options) {
  if (options.address.starts_with("fd:")) return take_listener(state, options);
  SocketAddress address;
  if (options.address.starts_with("unix:")) {
    state.socket_path = options.address.substr(5);
    address = TRY(address_of(state.socket_path));
    ::unlink(state.socket_path.c_str());
  } else {
    address = SocketAddress({TRY(Ip::parse(options.address), "listen"), options.port});
  }
  state.listener = Fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!state.listener) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(state.listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(state.listener.get(), address.get(), address.size) != 0) {
    const int error = errno;
    state.socket_path.clear();
    return fail_errno(error, fmt::format("listen on {} port {}", options.address, options.port));
  }
  if (::listen(state.listener.get(), 1024) != 0) return fail_errno(errno, "listen on " + options.address);
  if (!state.socket_path.empty()) {
    state.url = "http://localhost";
    return ok();
  }
  return note_bound_address(state, options);
}

void tune(int socket, bool tcp) {
  if (!tcp) return;
  const int on = 1, idle = 30, interval = 10, probes = 3;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A watcher whose machine vanished sends nothing, for ever: probes find that out within a minute.
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// Accepts what waits. False: out of descriptors or memory, wait before the next try.
bool accept_waiting(Server::State& state) {
  for (int i = 0; i < 64; ++i) {
    SocketAddress peer;
    Fd socket(::accept4(state.listener.get(), peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    const bool tcp = peer.family() != AF_UNIX;
    tune(socket.get(), tcp);
    state.admit(std::move(socket), tcp ? to_string(peer.endpoint()) : "unix");
  }
  return true;
}

Task<Status> accept_connections(Server::State& state) {
  for (;;) {
    CO_TRY(co_await state.watch->readable());
    if (accept_waiting(state)) continue;
    log::warning("{}: no descriptor left for a new connection; {} are open", state.url, state.connections.size());
    CO_TRY(co_await state.context->loop.sleep(100ms));
  }
}

}  // namespace

void Server::State::admit(Fd socket, std::string peer) {
  if (connections.size() >= context->limits.connections) return;  // closes it
  make_room();
  auto connection =
      make_connection(context, std::move(socket), std::move(peer), [this](Connection* closed) { drop(closed); });
  index.emplace(connection.get(), connections.insert(connections.end(), connection));
  connection->start();
}

void Server::State::drop(Connection* connection) {
  const auto found = index.find(connection);
  if (found == index.end()) return;
  connections.erase(found->second);
  index.erase(found);
}

// Peers that connect and send nothing must not keep the others out: the oldest of them goes.
void Server::State::make_room() {
  size_t half_open = 0;
  Connection* oldest = nullptr;
  for (const auto& connection : connections) {
    if (!connection->half_open()) continue;
    if (!oldest) oldest = connection.get();
    ++half_open;
  }
  if (half_open < context->limits.half_open) return;
  oldest->close();
  drop(oldest);
}

Result<std::unique_ptr<Server>> Server::listen(Loop& loop, ServerOptions options, Handler& handler) {
  SslContext tls;
  if (options.tls) tls = TRY(make_server_context(*options.tls), "listen on {}", options.address);
  auto state = std::make_shared<State>(ConnectionContext{loop, handler, options.limits, std::move(tls)});
  TRY(open_listener(*state, options));
  state->watch = loop.watch(state->listener.get());
  state->scope.emplace(loop);
  state->scope->spawn("accept connections", accept_connections(*state));
  return std::make_unique<Server>(std::move(state));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  state_->scope.reset();
  state_->watch.reset();
  auto connections = std::move(state_->connections);
  state_->index.clear();
  for (const auto& connection : connections) connection->close();
  if (!state_->socket_path.empty()) ::unlink(state_->socket_path.c_str());
}

uint16_t Server::port() const { return state_->port; }
std::string Server::url() const { return state_->url; }
size_t Server::connections() const { return state_->connections.size(); }

}  // namespace causeway::http
