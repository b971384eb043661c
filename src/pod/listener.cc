#include "pod/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "pod/folder.h"

namespace causeway::pod {
namespace {

constexpr int kBacklog = 512;        // a node that starts a hundred Pods at once
constexpr Duration kPatience = 10s;  // for the one message of a connection

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::Invalid, "socket path {}: longer than {} bytes", path, sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

// A socket of a process that is gone refuses; then its name may be taken.
Status remove_dead(const std::string& path, const sockaddr_un& address) {
  Fd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return fail_errno(errno, "open a socket");
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    return fail(Errc::AlreadyExists, "another agent answers at {}: stop it first", path);
  if (errno == ENOENT) return ok();
  if (errno != ECONNREFUSED) return fail_errno(errno, "look at " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + path);
  return ok();
}

struct Message {
  std::string bytes;
  std::shared_ptr<Fd> netns;
};

// The whole message with its descriptor; EAGAIN when there is none yet.
Result<Message> receive(int fd) {
  const ssize_t size = ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0) return fail_errno(errno, "receive a CNI call");
  if (size == 0) return fail(Errc::Cancelled, "the caller went away");
  if (size > ssize_t(wire::kMaxMessage)) return fail(Errc::Invalid, "a CNI call of {} bytes", size);
  Message message{.bytes = std::string(size_t(size), '\0'), .netns = {}};
  iovec part{message.bytes.data(), message.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (::recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != size) return fail_errno(errno, "receive a CNI call");
  for (auto* item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    int netns;
    std::memcpy(&netns, CMSG_DATA(item), sizeof netns);
    message.netns = std::make_shared<Fd>(netns);
  }
  return message;
}

class SocketListener final : public Listener {
 public:
  SocketListener(Loop& loop, CniServer& server, Fd fd, std::string path)
      : loop_(loop),
        server_(server),
        fd_(std::move(fd)),
        path_(std::move(path)),
        watch_(loop.watch(fd_.get())),
        scope_(loop) {
    scope_.spawn("CNI socket", accept_forever());
  }
  ~SocketListener() override { ::unlink(path_.c_str()); }

 private:
  Task<Status> accept_forever() {
    for (;;) {
      CO_TRY(co_await watch_->readable());
      for (;;) {
        Fd peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (peer) {
          scope_.spawn("CNI call", answer(std::move(peer)));
          continue;
        }
        if (errno == EAGAIN) break;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        // No descriptor or memory left: those that wait are served when others have ended.
        log::error("accept a CNI call: {}", std::strerror(errno));
        CO_TRY(co_await loop_.sleep(100ms));
      }
    }
  }

  Task<Status> answer(Fd peer) {
    auto watch = loop_.watch(peer.get());
    auto patience = loop_.call_after(kPatience, [fd = peer.get()] { ::shutdown(fd, SHUT_RDWR); });
    CO_TRY(co_await watch->readable());
    patience.reset();
    auto message = receive(peer.get());
    if (!message && message.error().code() == Errc::Cancelled) co_return ok();
    if (!message) co_return fail(std::move(message.error()));
    auto request = parse_message(message->bytes);
    Reply reply;
    if (request)
      reply = co_await server_.serve({std::move(*request), std::move(message->netns)});
    else
      reply = error_reply({CniCode::IoFailure, "the call cannot be read", request.error().message()}, CniVersion::V1_1);

    const wire::Reply header{.magic = wire::kMagic, .exit_status = reply.success ? 0u : 1u};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += reply.output;
    // A runtime that gave up waiting sends a DEL; nothing is lost when it is not there any more.
    if (::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE &&
        errno != ECONNRESET)
      log::warning("answer a CNI call: {}", std::strerror(errno));
    co_return ok();
  }

  Loop& loop_;
  CniServer& server_;
  Fd fd_;
  std::string path_;
  std::unique_ptr<FdWatch> watch_;
  Scope scope_;  // last: its tasks end first
};

}  // namespace

Result<std::unique_ptr<Listener>> listen(Loop& loop, CniServer& server, std::string path) {
  TRY(make_folder_of(path));
  const auto address = TRY(address_of(path));
  TRY(remove_dead(path, address));
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "open a socket");
  // The file is made with the socket's own mode: for root alone from the first moment on.
  if (::fchmod(fd.get(), 0600) != 0) return fail_errno(errno, "chmod the socket " + path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "bind " + path);
  if (::listen(fd.get(), kBacklog) != 0) return fail_errno(errno, "listen at " + path);
  return std::make_unique<SocketListener>(loop, server, std::move(fd), std::move(path));
}

}  // namespace causeway::pod
