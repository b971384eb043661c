// For tests: a name server on 127.0.0.1 with a Corefile, names of a cluster, and clients over UDP and TCP.
#pragma once

#include <filesystem>

#include "base/file.h"
#include "dns/forward_world.h"
#include "dns/nameserver.h"
#include "dns/wire_text.h"

namespace causeway::dns {

struct ServerWorld {
  std::unique_ptr<Loop> loop = make_loop();
  Tables tables;
  std::unique_ptr<Nameserver> names;

  Status try_start(const std::string& corefile, ServerOptions server = {}) {
    server.addresses = {Ip::v4(0x7F000001)};
    server.port = 0;
    server.workers = 2;
    names.reset();
    const bool path = corefile.starts_with('/');
    auto started = Nameserver::start(
        *loop, {.corefile = path ? corefile : "", .standard = path ? "" : corefile, .server = std::move(server)},
        tables);
    if (!started) return fail(std::move(started.error()));
    names = std::move(*started);
    return ok();
  }
  void start(const std::string& corefile, ServerOptions server = {}) {
    const auto status = try_start(corefile, std::move(server));
    INFO((status ? "" : status.error().message()));
    REQUIRE(status);
  }
  void put(const Facts& facts) {
    const std::string block = encode(facts);
    REQUIRE(!block.empty());
    const auto entry = Entry::parse({reinterpret_cast<const uint8_t*>(block.data()), block.size()});
    REQUIRE(entry);
    tables.put(*entry);
  }
  void complete() {
    tables.set_complete();
    tables.commit(1);
  }

  static Bytes question(const std::string& name, Type type = Type::A, uint16_t payload = 0, uint16_t id = 4711) {
    Bytes packet(600);
    Writer writer(packet, packet.size());
    const auto wire = WireName::parse(name);
    REQUIRE(wire);
    writer.ask(id, *wire, type, payload);
    packet.resize(writer.finish().size());
    return packet;
  }
  // Sends all, returns the first reply.
  Task<Result<Bytes>> udp(std::vector<Bytes> packets) {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const SocketAddress to(Endpoint{Ip::v4(0x7F000001), names->server().bound_port()});
    if (::connect(fd.get(), to.get(), to.size) != 0) co_return fail_errno(errno, "connect");
    for (const Bytes& packet : packets) (void)!::send(fd.get(), packet.data(), packet.size(), 0);
    const auto watch = loop->watch(fd.get());
    Bytes reply(65535);
    ssize_t size = -1;
    while ((size = ::recv(fd.get(), reply.data(), reply.size(), 0)) < 0 && errno == EAGAIN)
      CO_TRY(co_await watch->readable());
    if (size < 0) co_return fail_errno(errno, "recv");
    reply.resize(static_cast<size_t>(size));
    co_return reply;
  }
  // Sends the octets, in pieces of `piece`, and reads until `count` replies came or the server closes.
  Task<Result<std::vector<Bytes>>> tcp(Bytes octets, size_t count, size_t piece = 65535, bool half_close = false) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const SocketAddress to(Endpoint{Ip::v4(0x7F000001), names->server().bound_port()});
    if (::connect(fd.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) co_return fail_errno(errno, "connect");
    const auto watch = loop->watch(fd.get());
    CO_TRY(co_await watch->writable());
    for (size_t at = 0; at < octets.size(); at += piece) {
      (void)!::send(fd.get(), &octets[at], std::min(piece, octets.size() - at), MSG_NOSIGNAL);
      if (piece < octets.size()) CO_TRY(co_await loop->sleep(1ms));
    }
    if (half_close) ::shutdown(fd.get(), SHUT_WR);
    std::vector<Bytes> replies;
    Bytes in;
    while (replies.size() < count) {
      CO_TRY(co_await watch->readable());
      uint8_t buffer[65536];
      const ssize_t size = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (size <= 0) break;
      in.insert(in.end(), buffer, buffer + size);
      while (in.size() >= 2 && in.size() >= 2u + read16(in, 0)) {
        const auto end = in.begin() + 2 + read16(in, 0);
        replies.emplace_back(in.begin() + 2, end);
        in.erase(in.begin(), end);
      }
    }
    co_return replies;
  }
  std::string get(const Bytes& packet) {
    auto reply = run_until_done(*loop, udp({packet}));
    return reply ? to_text(*reply) : reply.error().message();
  }
  std::string get(const std::string& name, Type type = Type::A) { return get(question(name, type)); }
};

inline Bytes framed(const Bytes& packet) {
  Bytes out{static_cast<uint8_t>(packet.size() >> 8), static_cast<uint8_t>(packet.size())};
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}
inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
inline std::string forward_to(const Stub& stub) { return fmt::format("forward . {}\n", stub.endpoint()); }

inline Facts service(const std::string& name, const std::string& ip) {
  return {.key = {Kind::Service, Name("default"), Name(name)}, .ips = {*Ip::parse(ip)}};
}

}  // namespace causeway::dns
