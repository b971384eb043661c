#include "dns/forward_upstream.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/socket_address.h"

namespace causeway::dns {

namespace {

constexpr int kMostStrangers = 8;  // replies that are none to our question: somebody guesses, so TCP is asked

// A reply to this very question (RFC 5452 section 9.1).
bool fits(std::span<const uint8_t> packet, uint16_t id, NameView name, Type type, Class cls) {
  const auto reply = parse_response(packet);
  return reply && reply->id == id && reply->flags.opcode() == Opcode::Query && reply->name == name &&
         reply->type == type && reply->cls == cls;
}

}  // namespace

void RoundTrips::add(Duration rtt) {
  smoothed_ = count_ == 0 ? rtt : smoothed_ + (rtt - smoothed_) / 8;
  last_[count_++ % last_.size()] = rtt;
}

void RoundTrips::add_at_least(Duration waited) {
  smoothed_ = std::max(smoothed_ * 2, waited);
  smoothed_ = std::min<Duration>(smoothed_, 4s);
  if (count_ == 0) last_[count_++] = waited;
}

std::optional<Duration> RoundTrips::p95() const {
  const size_t size = std::min(count_, last_.size());
  if (size < 8) return std::nullopt;
  auto sorted = last_;
  const auto at = sorted.begin() + static_cast<long>(size * 95 / 100);
  std::nth_element(sorted.begin(), at, sorted.begin() + static_cast<long>(size));
  return *at;
}

Upstream::Upstream(Loop& loop, const UpstreamAddress& address, const ForwardDirective& directive, TlsContext tls)
    : loop_(loop),
      address_(address),
      only_tcp_(directive.force_tcp || address.tls),
      max_fails_(directive.max_fails),
      stream_(loop, address.endpoint, address.tls ? std::move(tls) : nullptr,
              !address.server_name.empty()         ? address.server_name
              : !directive.tls_server_name.empty() ? directive.tls_server_name
                                                   : to_string(address.endpoint.ip),
              directive.expire) {}

Task<Result<Bytes>> Upstream::ask(Bytes query, WireName name, Type type, Class cls) {
  ++asked;
  if (!only_tcp_) {
    auto reply = co_await ask_udp(query, name, type, cls);
    if (reply && !Flags{read16(*reply, 2)}.has(Flags::kTruncated)) co_return reply;
    if (!reply && reply.error().code() != Errc::Denied) co_return reply;
  }
  auto reply = CO_TRY(co_await stream_.ask(query));
  if (!fits(reply, read16(query, 0), name, type, cls))
    co_return fail(Errc::Unavailable, "{}: its reply is malformed or answers another question", address_.endpoint);
  co_return reply;
}

// A socket of its own for each question: the kernel picks its port at random, so that a forger has to guess port and
// id.
Task<Result<Bytes>> Upstream::ask_udp(Bytes query, WireName name, Type type, Class cls) {
  const SocketAddress to(address_.endpoint);
  Fd fd(::socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return fail_errno(errno, "a socket for an upstream");
  if (::connect(fd.get(), to.get(), to.size) != 0)
    co_return fail(Errc::Unavailable, "{}: {}", address_.endpoint, std::strerror(errno));
  if (::send(fd.get(), query.data(), query.size(), 0) < 0)
    co_return fail(Errc::Unavailable, "{}: {}", address_.endpoint, std::strerror(errno));
  const auto watch = loop_.watch(fd.get());
  static thread_local std::array<uint8_t, kMostMessage> buffer;
  for (int strangers = 0;;) {
    const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) {
      CO_TRY(co_await watch->readable());
      continue;
    }
    if (size < 0) co_return fail(Errc::Unavailable, "{}: {}", address_.endpoint, std::strerror(errno));
    const std::span<const uint8_t> packet(buffer.data(), static_cast<size_t>(size));
    if (fits(packet, read16(query, 0), name, type, cls)) co_return Bytes(packet.begin(), packet.end());
    // A truncated reply may break off within a record: TCP has the whole.
    if (packet.size() >= kHeaderSize && read16(packet, 0) == read16(query, 0) &&
        (read16(packet, 2) & (Flags::kResponse | Flags::kTruncated)) == (Flags::kResponse | Flags::kTruncated))
      co_return fail(Errc::Denied, "truncated");
    // FORMERR and the like may come without a question.
    if (packet.size() == kHeaderSize && read16(packet, 0) == read16(query, 0) && (packet[3] & 0xF) != 0)
      co_return fail(Errc::Unavailable, "{}: it refuses the question ({})", address_.endpoint,
                     to_string(static_cast<Rcode>(packet[3] & 0xF)));
    if (++strangers > kMostStrangers) co_return fail(Errc::Denied, "strangers answer");
  }
}

}  // namespace causeway::dns
