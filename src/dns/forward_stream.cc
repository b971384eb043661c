#include "dns/forward_stream.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>

#include "base/socket_address.h"

namespace causeway::dns {

namespace {

constexpr Duration kPatience = 2s;       // for connecting, the handshake, and while nothing comes that is awaited
constexpr size_t kMostUnderWay = 10000;  // questions of one connection: ids stay easy to find

std::string openssl_error() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return text.data();
}

uint16_t random16() {
  uint16_t value = 0;
  (void)!::getrandom(&value, sizeof value, 0);
  return value;
}

}  // namespace

Result<TlsContext> make_tls_context(const ForwardDirective& directive) {
  const std::string at = to_string(directive.place);
  TlsContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return fail(Errc::Internal, "{}: forward: TLS: {}", at, openssl_error());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!directive.tls_certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), directive.tls_certificate.c_str()) != 1)
      return fail(Errc::Invalid, "{}: forward: tls: {} is no certificate: {}", at, directive.tls_certificate,
                  openssl_error());
    if (SSL_CTX_use_PrivateKey_file(context.get(), directive.tls_key.c_str(), SSL_FILETYPE_PEM) != 1)
      return fail(Errc::Invalid, "{}: forward: tls: {} is not its key: {}", at, directive.tls_key, openssl_error());
  }
  const bool trusted = directive.tls_ca.empty()
                           ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                           : SSL_CTX_load_verify_locations(context.get(), directive.tls_ca.c_str(), nullptr) == 1;
  if (!trusted)
    return fail(Errc::Invalid, "{}: forward: tls: {} has no CA certificate: {}", at, directive.tls_ca, openssl_error());
  return context;
}

// One connection, from its connect() to its end. run() owns its life; questions come and go.
struct Stream::Link : std::enable_shared_from_this<Link> {
  Link(Loop& loop, Endpoint to, Duration idle) : loop(loop), to(to), idle(idle), more(loop) {}
  ~Link() {
    if (ssl != nullptr) SSL_free(ssl);
  }

  Loop& loop;
  const Endpoint to;
  const Duration idle;
  Fd fd;
  std::unique_ptr<FdWatch> watch;
  ssl_st* ssl = nullptr;
  std::map<uint16_t, OneShot<Result<Bytes>>> waiting;
  Bytes plain;   // framed queries that are not yet given to TLS or the socket
  Bytes cipher;  // what the socket has not taken yet
  Bytes in;      // of the stream, decrypted: the beginning of a frame
  Channel<bool> more;
  std::unique_ptr<Timer> timer;
  bool replied = false;  // it worked at least once
  bool ended = false;

  // Ends it when nothing comes for a while: long where nobody waits, short where somebody does.
  void rearm() {
    timer = loop.call_after(waiting.empty() ? idle : kPatience, [this] { ::shutdown(fd.get(), SHUT_RDWR); });
  }

  void fail_all(const Error& error) {
    ended = true;
    timer.reset();
    for (auto& [id, reply] : std::exchange(waiting, {})) reply.set(fail(error));
  }

  Status start(const TlsContext& tls, const std::string& name) {
    const SocketAddress address(to);
    fd = Fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)
      return fail(Errc::Unavailable, "connect: {}", std::strerror(errno));
    watch = loop.watch(fd.get());
    rearm();
    if (!tls) return ok();
    ssl = SSL_new(tls.get());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    if (Ip::parse(name)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
    } else {
      SSL_set_tlsext_host_name(ssl, name.c_str());
      SSL_set1_host(ssl, name.c_str());
    }
    return ok();
  }

  Task<Status> open() {
    CO_TRY(co_await watch->writable());
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) co_return fail(Errc::Unavailable, "connect: {}", std::strerror(error));
    while (ssl != nullptr && !SSL_is_init_finished(ssl)) {
      const int done = SSL_do_handshake(ssl);
      const int why = SSL_get_error(ssl, done);
      take_cipher();
      CO_TRY(co_await flush());
      if (done == 1) break;
      if (why != SSL_ERROR_WANT_READ) co_return fail(Errc::Unavailable, "TLS: {}", openssl_error());
      CO_TRY(co_await receive());
    }
    co_return ok();
  }

  // What TLS wants sent.
  void take_cipher() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
    if (size > 0) cipher.insert(cipher.end(), data, data + size);
    (void)BIO_reset(SSL_get_wbio(ssl));
  }

  Task<Status> flush() {
    while (!cipher.empty()) {
      const ssize_t sent = ::send(fd.get(), cipher.data(), cipher.size(), MSG_NOSIGNAL);
      if (sent > 0)
        cipher.erase(cipher.begin(), cipher.begin() + sent);
      else if (errno == EAGAIN)
        CO_TRY(co_await watch->writable());
      else
        co_return fail(Errc::Unavailable, "send: {}", std::strerror(errno));
    }
    co_return ok();
  }

  // At least one more octet of the peer, into TLS or `in`.
  Task<Status> receive() {
    std::array<uint8_t, 16384> buffer;
    for (;;) {
      const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (size > 0) {
        if (ssl != nullptr)
          BIO_write(SSL_get_rbio(ssl), buffer.data(), static_cast<int>(size));
        else
          in.insert(in.end(), buffer.begin(), buffer.begin() + size);
        co_return ok();
      }
      if (size == 0) co_return fail(Errc::Unavailable, "it closed the connection");
      if (errno != EAGAIN) co_return fail(Errc::Unavailable, "receive: {}", std::strerror(errno));
      CO_TRY(co_await watch->readable());
    }
  }

  Task<Status> write_all() {
    for (;;) {
      while (!plain.empty()) {
        const Bytes batch = std::exchange(plain, {});
        if (ssl == nullptr) {
          cipher.insert(cipher.end(), batch.begin(), batch.end());
        } else {
          if (SSL_write(ssl, batch.data(), static_cast<int>(batch.size())) <= 0)
            co_return fail(Errc::Unavailable, "TLS: {}", openssl_error());
          take_cipher();
        }
        CO_TRY(co_await flush());
      }
      CO_TRY(co_await more.next());
    }
  }

  Task<Status> read_all() {
    for (;;) {
      if (ssl != nullptr) {
        std::array<uint8_t, 16384> buffer;
        int size = 0;
        while ((size = SSL_read(ssl, buffer.data(), buffer.size())) > 0)
          in.insert(in.end(), buffer.begin(), buffer.begin() + size);
        const int why = SSL_get_error(ssl, size);
        if (why == SSL_ERROR_ZERO_RETURN) co_return fail(Errc::Unavailable, "it closed the connection");
        if (why != SSL_ERROR_WANT_READ) co_return fail(Errc::Unavailable, "TLS: {}", openssl_error());
      }
      size_t at = 0;
      while (in.size() - at >= 2 && in.size() - at - 2 >= read16(in, at)) {
        const size_t size = read16(in, at);
        deliver(std::span(in).subspan(at + 2, size));
        at += 2 + size;
      }
      in.erase(in.begin(), in.begin() + static_cast<long>(at));
      CO_TRY(co_await receive());
    }
  }

  void deliver(std::span<const uint8_t> message) {
    if (message.size() < kHeaderSize) return;
    const auto found = waiting.find(read16(message, 0));
    if (found == waiting.end()) return;  // whoever asked has gone
    auto reply = found->second;
    waiting.erase(found);
    replied = true;
    rearm();
    reply.set(Bytes(message.begin(), message.end()));
  }

  static Task<void> run(std::shared_ptr<Link> link) {
    Status status = co_await link->open();
    if (status) {
      Scope writing(link->loop);
      writing.spawn("questions to an upstream", [](Link& link) -> Task<void> {
        if (!co_await link.write_all()) ::shutdown(link.fd.get(), SHUT_RDWR);
      }(*link));
      status = co_await link->read_all();
    }
    link->fail_all(std::move(status.error()).with("{}", link->to));
  }
};

Stream::Stream(Loop& loop, Endpoint to, TlsContext tls, std::string server_name, Duration idle)
    : loop_(loop), to_(to), tls_(std::move(tls)), server_name_(std::move(server_name)), idle_(idle), scope_(loop) {}

Stream::~Stream() {
  scope_.cancel();
  if (link_ && !link_->ended) link_->fail_all(Error(Errc::Cancelled, "the upstream is not used any more"));
}

Task<Result<Bytes>> Stream::ask(Bytes query) {
  const uint16_t id = read16(query, 0);
  for (int attempt = 0;; ++attempt) {
    if (!link_ || link_->ended || link_->waiting.size() >= kMostUnderWay) {
      auto link = std::make_shared<Link>(loop_, to_, idle_);
      CO_TRY(link->start(tls_, server_name_), "{}", to_);
      ++connects_;
      link_ = link;
      scope_.spawn("upstream", Link::run(link));
    }
    const std::shared_ptr<Link> link = link_;
    const bool kept = link->replied;
    uint16_t own = random16();
    while (link->waiting.contains(own)) own = random16();
    OneShot<Result<Bytes>> reply(loop_);
    link->waiting.emplace(own, reply);
    if (link->waiting.size() == 1) link->rearm();
    write16(query, 0, own);
    link->plain.push_back(static_cast<uint8_t>(query.size() >> 8));
    link->plain.push_back(static_cast<uint8_t>(query.size()));
    link->plain.insert(link->plain.end(), query.begin(), query.end());
    link->more.push(true);
    auto answer = CO_TRY(co_await reply.get());
    if (!answer && kept && attempt == 0 && answer.error().code() == Errc::Unavailable) continue;
    if (answer) write16(*answer, 0, id);
    co_return answer;
  }
}

}  // namespace causeway::dns
