#include "dns/feed_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>

#include "async/event.h"
#include "base/log.h"
#include "dns/frames.h"

namespace causeway::dns {

namespace {

Result<Fd> open_listener(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::Invalid, "socket {}: its path has {} octets, {} at most", path, path.size(),
                sizeof address.sun_path - 1);
  path.copy(address.sun_path, path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  ::unlink(path.c_str());
  const mode_t before = ::umask(0177);  // only root may read what the cluster has
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound < 0) return fail_errno(errno, "bind to " + path);
  if (::listen(fd.get(), 16) < 0) return fail_errno(errno, "listen at " + path);
  return fd;
}

}  // namespace

FeedServer::Reader::Reader(Loop& loop, Fd fd) : socket(std::move(fd)), watch(loop.watch(socket.get())), woken(loop) {}

FeedServer::FeedServer(Loop& loop, const cluster::Model& model, FeedServerOptions options)
    : loop_(loop), model_(model), options_(std::move(options)), scope_(loop) {}

Result<std::unique_ptr<FeedServer>> FeedServer::listen(Loop& loop, const cluster::Model& model,
                                                       FeedServerOptions options) {
  auto out = std::unique_ptr<FeedServer>(new FeedServer(loop, model, std::move(options)));
  out->listener_ = TRY(open_listener(out->options_.path), "names for cluster DNS");
  out->watch_ = loop.watch(out->listener_.get());
  out->scope_.spawn("names for cluster DNS", out->accept_readers());
  return out;
}

FeedServer::~FeedServer() {
  scope_.cancel();
  if (listener_) ::unlink(options_.path.c_str());
}

void FeedServer::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  const auto changed = keys(changes, model, options_.pods);
  for (const auto& reader : readers_) {
    reader->due.insert(changed.begin(), changed.end());
    if (reader->woken.size() == 0) reader->woken.push(true);
  }
}

Task<Result<std::vector<cluster::Failure>>> FeedServer::apply() { co_return std::vector<cluster::Failure>(); }

Task<Status> FeedServer::accept_readers() {
  while (true) {
    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        log::warning("dns: {}: accept: {}", options_.path, std::strerror(errno));
        CO_TRY(co_await loop_.sleep(100ms));
      }
      CO_TRY(co_await watch_->readable());
      continue;
    }
    forget_gone();
    if (readers_.size() >= kMostReaders) {
      log::warning("dns: {}: {} readers are connected already, no further one is served", options_.path, kMostReaders);
      continue;  // closes it
    }
    auto reader = std::make_shared<Reader>(loop_, std::move(socket));
    readers_.push_back(reader);
    scope_.spawn("names for a reader", tell(std::move(reader)));
  }
}

// Nobody is told that a reader went before there is something to tell it.
void FeedServer::forget_gone() {
  std::erase_if(readers_, [](const std::shared_ptr<Reader>& reader) {
    char octet;
    const ssize_t size = ::recv(reader->socket.get(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    reader->gone = size == 0 || (size < 0 && errno != EAGAIN);  // ECONNRESET: it left something unread
    if (reader->gone) reader->woken.push(true);
    return reader->gone;
  });
}

Task<Status> FeedServer::send(Reader& reader, std::string octets) {
  std::string_view left = octets;
  while (!left.empty()) {
    const ssize_t sent = ::send(reader.socket.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      left.remove_prefix(static_cast<size_t>(sent));
      sent_ += static_cast<uint64_t>(sent);
    } else if (sent < 0 && errno == EAGAIN) {
      CO_TRY(co_await reader.watch->writable());
    } else if (errno != EINTR) {
      co_return fail_errno(errno, "send");
    }
  }
  co_return ok();
}

// What changes while the list goes out is due, and is told behind it.
Task<Status> FeedServer::tell_all(Reader& reader) {
  const std::set<Key> all = all_keys(model_, options_.pods);
  std::string piece;
  append_frame(piece, Frame::Begin);
  for (const Key& key : all) {
    append_key(piece, key, model_, true);
    if (piece.size() < kPiece) continue;
    CO_TRY(co_await send(reader, std::move(piece)));
    piece.clear();
    CO_TRY(co_await loop_.sleep(Duration(0)));  // others have their turn
  }
  append_frame(piece, Frame::End);
  co_return co_await send(reader, std::move(piece));
}

Task<Status> FeedServer::tell(std::shared_ptr<Reader> reader) {
  const auto run = [](FeedServer& server, Reader& reader) -> Task<Status> {
    CO_TRY(co_await server.send(reader, std::string(kFrames)));
    while (!reader.gone) {
      if (!reader.listed && complete(server.model_, server.options_.pods)) {
        reader.due.clear();
        reader.listed = true;
        CO_TRY(co_await server.tell_all(reader));
      }
      while (reader.listed && !reader.due.empty()) {
        std::string piece;
        while (!reader.due.empty() && piece.size() < kPiece)
          append_key(piece, reader.due.extract(reader.due.begin()).value(), server.model_, false);
        CO_TRY(co_await server.send(reader, std::move(piece)));
      }
      CO_TRY(co_await reader.woken.next());
    }
    co_return ok();
  };
  const Status ended = co_await run(*this, *reader);
  std::erase(readers_, reader);
  if (!ended && ended.error().code() == Errc::Cancelled) co_return ended;
  co_return ok();  // it went; it comes again
}

}  // namespace causeway::dns
