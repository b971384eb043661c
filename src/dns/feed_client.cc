#include "dns/feed_client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>

#include "base/fd.h"
#include "base/log.h"

namespace causeway::dns {

namespace {

constexpr Duration kSoon = 20ms, kLate = 200ms;  // of a socket of this machine, so a try costs nothing
constexpr size_t kPiece = 64u << 10;

Result<Fd> open_stream(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::Invalid, "socket {}: its path has {} octets, {} at most", path, path.size(),
                sizeof address.sun_path - 1);
  path.copy(address.sun_path, path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  // A Unix socket connects at once, or not at all.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return fail_errno(errno, "connect to the agent at " + path);
  return fd;
}

}  // namespace

Task<Status> FeedClient::read_once() {
  const Fd socket = CO_TRY(open_stream(path_));
  const auto watch = loop_.watch(socket.get());
  FrameReader reader(tables_);
  std::string room(kPiece, '\0');
  struct Connected {
    int& socket;
    ~Connected() { socket = -1; }
  } connected{socket_ = socket.get()};
  connected_ = true;
  trouble_.clear();
  send_answers();
  while (true) {
    const ssize_t got = ::recv(socket.get(), room.data(), room.size(), 0);
    if (got < 0 && errno == EAGAIN) {
      CO_TRY(co_await watch->readable());
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) co_return fail_errno(errno, "read from the agent at " + path_);
    if (got == 0) co_return fail(Errc::Unavailable, "the agent at {} went away", path_);
    received_ += static_cast<uint64_t>(got);
    const Status taken = reader.read(std::string_view(room).substr(0, static_cast<size_t>(got)));
    if (reader.listed()) listed_ = served_ = true;
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(loop_.wall_now().time_since_epoch());
    tables_.commit(static_cast<uint32_t>(now.count()));
    if (changed_) changed_();
    if (!taken) co_return fail(Error(taken.error()).with("the agent at {}", path_));
    // What is urgent, questions among it, has its turn between two pieces of a long list.
    CO_TRY(co_await loop_.sleep(Duration(0)));
  }
}

// A line always fits into the socket, unless the agent has not read for long: then both begin anew.
void FeedClient::send_answers() {
  if (socket_ < 0 || answers_.empty()) return;
  if (::send(socket_, answers_.data(), answers_.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(answers_.size()))
    ::shutdown(socket_, SHUT_RDWR);
}

void FeedClient::tell(const std::vector<Endpoint>& answers) {
  std::string line = answers_line(answers);
  if (line == answers_) return;
  answers_ = std::move(line);
  send_answers();
}

Task<Status> FeedClient::run() {
  Duration wait = kSoon;
  while (true) {
    served_ = false;
    Status ended = co_await read_once();
    connected_ = false;
    if (ended.error().code() == Errc::Cancelled) co_return ended;
    if (served_) wait = kSoon;
    if (trouble_ != ended.error().message()) log::warning("dns: {}; names stay as they are", ended.error().message());
    trouble_ = ended.error().message();
    CO_TRY(co_await loop_.sleep(wait));
    wait = std::min(kLate, 2 * wait);
  }
}

}  // namespace causeway::dns
