// One upstream: a question and its reply over UDP, TCP or TLS, and what is known of how fast and well it answers.
#pragma once

#include <array>

#include "dns/cache.h"
#include "dns/forward_stream.h"

namespace causeway::dns {

// Round-trip times of an upstream, smoothed as TCP does (RFC 6298), and the last ones for a percentile.
class RoundTrips {
 public:
  void add(Duration rtt);
  // It did not answer in this time, whatever it would have taken.
  void add_at_least(Duration waited);
  bool known() const { return count_ > 0; }
  Duration smoothed() const { return smoothed_; }
  // The time in which 95 of 100 replies came; nothing is said for fewer than eight.
  std::optional<Duration> p95() const;

 private:
  Duration smoothed_{0};
  std::array<Duration, 64> last_{};
  size_t count_ = 0;
};

class Upstream {
 public:
  Upstream(Loop& loop, const UpstreamAddress& address, const ForwardDirective& directive, TlsContext tls);

  // The reply, checked to be one to this question: source, id, question. Without OPT where `query` has none. A
  // truncated reply over UDP is asked for again over TCP. Its rcode may be anything. Errors: Unavailable, Timeout,
  // Cancelled.
  Task<Result<Bytes>> ask(Bytes query, WireName name, Type type, Class cls);

  const UpstreamAddress& address() const { return address_; }
  bool up() const { return fails < max_fails_ || max_fails_ == 0; }

  // What the forwarder knows of it.
  RoundTrips trips;
  uint32_t fails = 0;      // in a row
  uint32_t under_way = 0;  // questions
  bool probing = false;
  bool loops = false;  // it sent our own question back to us
  TimePoint last_reply{};
  uint64_t asked = 0, probe_failures = 0;
  uint64_t connects() const { return stream_.connects(); }

 private:
  Task<Result<Bytes>> ask_udp(Bytes query, WireName name, Type type, Class cls);

  Loop& loop_;
  const UpstreamAddress address_;
  const bool only_tcp_;
  const uint32_t max_fails_;
  Stream stream_;
};

}  // namespace causeway::dns
