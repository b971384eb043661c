// An upstream for tests: UDP, and TCP or TLS, on one port of 127.0.0.1, in a thread of its own. What it replies is the
// test's to say.
#pragma once

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "base/fd.h"
#include "base/socket_address.h"
#include "dns/message.h"

namespace causeway::dns {

class Stub {
 public:
  struct Asked {
    Bytes packet;
    bool tcp = false;
    uint16_t port = 0;  // of who asks
    Query query;        // of `packet`
  };
  using Replies = std::vector<Bytes>;
  using Behaviour = std::function<Replies(const Asked&)>;

  static Bytes reply(const Asked& asked, const std::string& address, Rcode rcode = Rcode::NoError, uint32_t ttl = 60) {
    Bytes room(4096);
    Writer writer(room, room.size());
    writer.reply(asked.query, rcode, false);
    writer.set_flags(Flags::kRecursionAvailable);
    if (!address.empty()) writer.address(asked.query.question.name, ttl, *Ip::parse(address));
    room.resize(writer.finish().size());
    return room;
  }
  static Bytes truncated(const Asked& asked) {
    Bytes out = reply(asked, "");
    out[2] |= 2;
    return out;
  }
  static Behaviour answers(std::string address) {
    return [address](const Asked& asked) -> Replies { return {reply(asked, address)}; };
  }
  static Behaviour says(Rcode rcode) {
    return [rcode](const Asked& asked) -> Replies { return {reply(asked, "", rcode)}; };
  }

  explicit Stub(Behaviour behaviour, const std::string& certificate_pem = "", const std::string& key_pem = "")
      : behaviour_(std::move(behaviour)) {
    std::signal(SIGPIPE, SIG_IGN);
    for (int tries = 0; tries < 100; ++tries) {  // one port for both
      udp_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      SocketAddress any(Endpoint{*Ip::parse("127.0.0.1"), 0});
      if (::bind(udp_.get(), any.get(), any.size) != 0) continue;
      SocketAddress bound;
      ::getsockname(udp_.get(), bound.get(), &bound.size);
      tcp_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      ::setsockopt(tcp_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (::bind(tcp_.get(), bound.get(), bound.size) != 0 || ::listen(tcp_.get(), 64) != 0) continue;
      endpoint_ = bound.endpoint();
      break;
    }
    if (!certificate_pem.empty()) {
      tls_ = SSL_CTX_new(TLS_server_method());
      BIO* certificate = BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size()));
      X509* x509 = PEM_read_bio_X509(certificate, nullptr, nullptr, nullptr);
      SSL_CTX_use_certificate(tls_, x509);
      X509_free(x509);
      BIO_free(certificate);
      BIO* key = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
      EVP_PKEY* pkey = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
      SSL_CTX_use_PrivateKey(tls_, pkey);
      EVP_PKEY_free(pkey);
      BIO_free(key);
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~Stub() {
    stop_ = true;
    thread_.join();
    SSL_CTX_free(tls_);
  }

  Endpoint endpoint() const { return endpoint_; }
  // "udp NAME TYPE", in their order.
  std::vector<std::string> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // Returns when it is done.
  void close_connections() {
    close_ = true;
    while (close_) std::this_thread::yield();
  }

 private:
  struct Connection {
    Fd fd;
    SSL* ssl = nullptr;
    Bytes in;
  };

  Replies ask(Bytes packet, bool tcp, uint16_t port) {
    Asked asked{.packet = std::move(packet), .tcp = tcp, .port = port};
    if (parse_query(asked.packet, asked.query) == Verdict::Ignore) return {};
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(fmt::format("{} {} {}", tcp ? "tcp" : "udp", to_string(asked.query.question.name),
                                  to_string(asked.query.question.type)));
    }
    return behaviour_(asked);
  }

  // False: it is closed.
  bool read(Connection& connection) {
    uint8_t buffer[4096];
    const long size = connection.ssl != nullptr ? SSL_read(connection.ssl, buffer, sizeof buffer)
                                                : ::recv(connection.fd.get(), buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    connection.in.insert(connection.in.end(), buffer, buffer + size);
    while (connection.in.size() >= 2 && connection.in.size() >= 2u + read16(connection.in, 0)) {
      const size_t length = read16(connection.in, 0);
      const auto begin = connection.in.begin() + 2;
      for (const Bytes& reply : ask(Bytes(begin, begin + static_cast<long>(length)), true, 0)) {
        Bytes framed{static_cast<uint8_t>(reply.size() >> 8), static_cast<uint8_t>(reply.size())};
        framed.insert(framed.end(), reply.begin(), reply.end());
        if (connection.ssl != nullptr)
          SSL_write(connection.ssl, framed.data(), static_cast<int>(framed.size()));
        else
          (void)!::send(connection.fd.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
      }
      connection.in.erase(connection.in.begin(), begin + static_cast<long>(length));
    }
    return true;
  }

  void drop(Connection& connection) { SSL_free(connection.ssl); }

  void serve() {
    std::vector<Connection> connections;
    while (!stop_) {
      if (close_) {
        for (Connection& connection : connections) drop(connection);
        connections.clear();
        close_ = false;
      }
      std::vector<pollfd> polled{{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
      for (const Connection& connection : connections) polled.push_back({connection.fd.get(), POLLIN, 0});
      ::poll(polled.data(), polled.size(), 10);
      if (polled[0].revents != 0) {
        Bytes packet(65535);
        SocketAddress from;
        const ssize_t size = ::recvfrom(udp_.get(), packet.data(), packet.size(), MSG_DONTWAIT, from.get(), &from.size);
        if (size > 0) {
          packet.resize(static_cast<size_t>(size));
          for (const Bytes& reply : ask(std::move(packet), false, from.endpoint().port))
            (void)!::sendto(udp_.get(), reply.data(), reply.size(), 0, from.get(), from.size);
        }
      }
      for (size_t i = connections.size(); i-- > 0;)
        if (polled[i + 2].revents != 0 && !read(connections[i])) {
          drop(connections[i]);
          connections.erase(connections.begin() + static_cast<long>(i));
        }
      if (polled[1].revents != 0) {
        Connection connection{.fd = Fd(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC))};
        if (tls_ != nullptr) {
          connection.ssl = SSL_new(tls_);
          SSL_set_fd(connection.ssl, connection.fd.get());
          if (SSL_accept(connection.ssl) != 1) {
            drop(connection);
            continue;
          }
        }
        connections.push_back(std::move(connection));
      }
    }
    for (Connection& connection : connections) drop(connection);
  }

  const Behaviour behaviour_;
  Fd udp_, tcp_;
  Endpoint endpoint_;
  SSL_CTX* tls_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
  std::atomic<bool> stop_ = false, close_ = false;
  std::thread thread_;
};

}  // namespace causeway::dns
