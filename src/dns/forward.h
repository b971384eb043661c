// Questions for upstreams: who is asked, when somebody else is asked beside him, what is believed. One for each forward
// directive; it lives on the loop's thread.
#pragma once

#include <deque>
#include <unordered_map>

#include "base/metric.h"
#include "dns/forward_upstream.h"

namespace causeway::dns {

struct ForwardLimits {
  Duration deadline = 4s;       // of a question: clients give up after 5 s
  Duration resend = 1s;         // to upstreams that were all asked and are silent
  Duration hedge_least = 10ms;  // another upstream is asked no sooner than this after the one before,
  Duration hedge_most = 75ms;   // and no later
  uint32_t under_way = 1000;    // questions of one upstream
  size_t waiting = 1000;        // for room; above that the oldest is refused
};

class Forwarder {
 public:
  // Errors: Invalid (files of TLS).
  static Result<std::unique_ptr<Forwarder>> make(Loop& loop, ForwardDirective directive, ForwardLimits limits = {});
  ~Forwarder();
  // Whoever still waits is told Cancelled; nothing is asked from now on.
  void close();

  // A reply in wire form without OPT, whose question is the one that was asked, in lower case. Errors: Timeout and
  // Unavailable (SERVFAIL to the client), Exhausted (REFUSED: too many wait), Cancelled.
  using Reply = Result<std::shared_ptr<const Bytes>>;
  using Done = std::move_only_function<void(const Reply&)>;
  // Calls back once, later. Equal questions under way share one reply. While there is no room the newest is asked
  // first: who has waited longest has most likely given up.
  void ask(const Asked& asked, Done done);

  const ForwardDirective& directive() const { return directive_; }
  // The names that find_loops() asks for, one of each upstream: whoever is asked for one of them forwards to itself.
  const std::vector<WireName>& loop_names() const { return loop_names_; }
  void find_loops();
  void found_loop(size_t upstream);
  // One line for each upstream: state, times, counts.
  std::string page() const;
  // Why no question can be answered now; "" where one can.
  std::string trouble() const;
  std::vector<Metric> metrics() const;

 private:
  struct Pending {
    Asked asked;
    TimePoint since;
    std::vector<Done> done;
  };
  struct Event {
    std::optional<size_t> attempt;  // none: a timer
    Result<Bytes> reply;
  };
  struct Attempt {
    size_t upstream;
    TimePoint sent;
    bool over = false;
  };

  Forwarder(Loop& loop, ForwardDirective directive, ForwardLimits limits, TlsContext tls);
  void start(std::shared_ptr<Pending> pending);
  void finish(const std::shared_ptr<Pending>& pending, const Reply& reply);
  void start_waiting();
  Task<void> run(std::shared_ptr<Pending> pending);
  Task<Result<Bytes>> resolve(Asked asked);
  Task<void> attempt(size_t number, size_t upstream, Bytes query, Asked asked, Channel<Event> events);
  Task<void> probe(size_t upstream);
  Task<void> probe_loop(size_t upstream);
  // Upstreams in the order in which they are asked.
  std::vector<size_t> order();
  Duration hedge_after(const Attempt& attempt) const;
  bool may_hedge(const Attempt& attempt);
  bool fails_over(const Bytes& reply) const;
  void failed(size_t upstream);
  void replied(size_t upstream, Duration rtt, const Bytes& reply);

  struct Timing {
    std::array<std::unique_ptr<Histogram>, 6> by_rcode;  // NOERROR … REFUSED
  };

  Loop& loop_;
  const ForwardDirective directive_;
  const ForwardLimits limits_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  std::vector<Timing> timings_;
  std::vector<WireName> loop_names_;
  struct HashAsked {
    size_t operator()(const Asked& asked) const { return hash(asked); }
  };
  std::unordered_map<Asked, std::shared_ptr<Pending>, HashAsked> pending_;
  std::deque<std::shared_ptr<Pending>> waiting_;
  size_t running_ = 0;
  size_t turn_ = 0;          // RoundRobin
  double hedges_left_ = 20;  // of questions whose upstream answers others: it is not silent, so few are asked twice
  uint64_t rejects_ = 0, hedges_ = 0, coalesced_ = 0, asked_ = 0;
  Scope scope_;
};

}  // namespace causeway::dns
