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
  out->scope_.spawn("who is silent", out->notice_silence());
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
    scope_.spawn("where a reader answers", hear(reader));
    scope_.spawn("names for a reader", tell(std::move(reader)));
  }
}

std::vector<Endpoint> FeedServer::answers() const {
  std::set<Endpoint> all;
  for (const auto& reader : readers_) all.insert(reader->answers.begin(), reader->answers.end());
  return {all.begin(), all.end()};
}

void FeedServer::lose(const std::shared_ptr<Reader>& reader) {
  reader->gone = true;
  reader->woken.push(true);
  const bool answered = !std::exchange(reader->answers, {}).empty();
  std::erase(readers_, reader);
  if (answered && options_.heard) options_.heard();
}

// One that comes may be the next life of one that went, of which nothing was heard yet.
void FeedServer::forget_gone() {
  const auto all = readers_;
  for (const auto& reader : all) {
    char octet;
    const ssize_t size = ::recv(reader->socket.get(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN)) lose(reader);  // ECONNRESET: it left something unread
  }
}

Task<Status> FeedServer::notice_silence() {
  for (;; CO_TRY(co_await loop_.sleep(kBeat))) {
    bool changed = false;
    for (const auto& reader : readers_) {
      if (reader->answers.empty() || loop_.now() - reader->heard < kSilence) continue;
      // Said, but not read yet: it was this process that slept.
      char octet;
      if (::recv(reader->socket.get(), &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0) continue;
      log::warning("dns: {}: a DNS process has said nothing for {} s, so it is not asked", options_.path,
                   std::chrono::duration_cast<std::chrono::seconds>(kSilence).count());
      reader->answers.clear();
      changed = true;
    }
    if (changed && options_.heard) options_.heard();
  }
}

Task<Status> FeedServer::hear(std::shared_ptr<Reader> reader) {
  const auto run = [](FeedServer& server, Reader& reader) -> Task<Status> {
    std::string text;
    char piece[512];
    while (true) {
      const ssize_t got = ::recv(reader.socket.get(), piece, sizeof piece, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) {
        CO_TRY(co_await reader.watch->readable());
        continue;
      }
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) co_return ok();
      text.append(piece, static_cast<size_t>(got));
      for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
        auto answers = CO_TRY(parse_answers(std::string_view(text).substr(0, end)));
        text.erase(0, end + 1);
        reader.heard = server.loop_.now();
        if (answers == reader.answers) continue;
        reader.answers = std::move(answers);
        if (server.options_.heard) server.options_.heard();
      }
      if (text.size() > kLongestLine) co_return fail(Errc::Invalid, "a line of more than {} octets", kLongestLine);
    }
  };
  const Status ended = co_await run(*this, *reader);
  if (!ended && ended.error().code() == Errc::Cancelled) co_return ended;
  if (!ended) log::warning("dns: {}: a reader: {}", options_.path, ended.error().message());
  lose(reader);
  co_return ok();
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
  if (!ended && ended.error().code() == Errc::Cancelled) co_return ended;
  // It went; it comes again. hear() ends too, as nothing more comes from there.
  ::shutdown(reader->socket.get(), SHUT_RDWR);
  lose(reader);
  co_return ok();
}

}  // namespace causeway::dns
