#include "dns/forward.h"

#include <sys/random.h>

#include <algorithm>
#include <tuple>

#include "base/log.h"

namespace causeway::dns {

namespace {

constexpr Duration kProbePatience = 1s;
constexpr Duration kOldNews = 10s;  // a round-trip time of so long ago is looked at again now and then
constexpr double kHedgeShare = 0.1, kMostHedges = 20;

uint64_t random64() {
  uint64_t value = 0;
  (void)!::getrandom(&value, sizeof value, 0);
  return value;
}

Bytes query_of(const Asked& asked) {
  Bytes query(kHeaderSize + asked.name.size() + 4 + 11);
  Writer writer(query, query.size());
  writer.ask(static_cast<uint16_t>(random64()), asked.name, asked.type, kUdpMost, asked.checking_disabled);
  query.resize(writer.finish().size());
  write16(query, kHeaderSize + asked.name.size() + 2, static_cast<uint16_t>(asked.cls));
  if (!asked.recursion_desired) query[2] &= static_cast<uint8_t>(~(Flags::kRecursionDesired >> 8));
  if (asked.dnssec_ok) query[query.size() - 4] |= 0x80;  // DO, in the TTL of the OPT at the end
  return query;
}

Task<Result<Bytes>> within(Loop& loop, Duration patience, Task<Result<Bytes>> work) {
  OneShot<Result<Bytes>> done(loop);
  Scope scope(loop);
  scope.spawn("probe", [](Task<Result<Bytes>> work, OneShot<Result<Bytes>> done) -> Task<void> {
    done.set(co_await std::move(work));
  }(std::move(work), done));
  const auto timer = loop.call_after(patience, [done]() mutable { done.set(fail(Errc::Timeout, "no reply")); });
  auto outcome = co_await done.get();
  if (!outcome) co_return fail(std::move(outcome.error()));
  co_return std::move(*outcome);
}

}  // namespace

Result<std::unique_ptr<Forwarder>> Forwarder::make(Loop& loop, ForwardDirective directive, ForwardLimits limits) {
  TlsContext tls;
  if (std::ranges::any_of(directive.upstreams, &UpstreamAddress::tls)) tls = TRY(make_tls_context(directive));
  return std::unique_ptr<Forwarder>(new Forwarder(loop, std::move(directive), limits, std::move(tls)));
}

Forwarder::Forwarder(Loop& loop, ForwardDirective directive, ForwardLimits limits, TlsContext tls)
    : loop_(loop), directive_(std::move(directive)), limits_(limits), scope_(loop) {
  const auto zone = WireName::parse(directive_.zone);
  for (const UpstreamAddress& address : directive_.upstreams) {
    upstreams_.push_back(std::make_unique<Upstream>(loop, address, directive_, tls));
    WireName name;
    (void)name.append(fmt::format("l-{:016x}", random64()));
    if (zone) (void)name.append(zone->view());
    loop_names_.push_back(name);
  }
  timings_.resize(upstreams_.size());
}

Forwarder::~Forwarder() { close(); }

void Forwarder::close() {
  scope_.cancel();
  for (const auto& [asked, pending] : std::exchange(pending_, {}))
    for (auto& done : pending->done) done(fail(Errc::Cancelled, "the configuration has changed"));
}

void Forwarder::ask(const Asked& asked, Done done) {
  ++asked_;
  if (const auto found = pending_.find(asked); found != pending_.end()) {
    ++coalesced_;
    found->second->done.push_back(std::move(done));
    return;
  }
  auto pending = std::make_shared<Pending>(Pending{.asked = asked, .since = loop_.now()});
  pending->done.push_back(std::move(done));
  pending_.emplace(asked, pending);
  const size_t room = directive_.max_concurrent > 0 ? directive_.max_concurrent : limits_.under_way * upstreams_.size();
  if (running_ < room) return start(std::move(pending));
  waiting_.push_back(std::move(pending));
  if (waiting_.size() <= limits_.waiting) return;
  const auto oldest = std::move(waiting_.front());
  waiting_.pop_front();
  ++rejects_;
  pending_.erase(oldest->asked);
  loop_.post([oldest] {
    for (auto& told : oldest->done) told(fail(Errc::Exhausted, "too many questions are under way"));
  });
}

void Forwarder::start(std::shared_ptr<Pending> pending) {
  ++running_;
  scope_.spawn("forward", run(std::move(pending)));
}

Task<void> Forwarder::run(std::shared_ptr<Pending> pending) {
  // An upstream of this very machine may answer before ask() has returned, and is told of later all the same.
  if (!co_await loop_.sleep(0s)) co_return;
  auto reply = co_await resolve(pending->asked);
  if (!reply && reply.error().code() == Errc::Cancelled) co_return;  // the destructor tells
  if (reply)
    finish(pending, std::make_shared<const Bytes>(std::move(*reply)));
  else
    finish(pending, fail(std::move(reply.error())));
}

void Forwarder::finish(const std::shared_ptr<Pending>& pending, const Reply& reply) {
  --running_;
  pending_.erase(pending->asked);
  for (auto& done : pending->done) done(reply);
  start_waiting();
}

void Forwarder::start_waiting() {
  if (waiting_.empty()) return;
  auto newest = std::move(waiting_.back());
  waiting_.pop_back();
  start(std::move(newest));
  while (!waiting_.empty() && loop_.now() - waiting_.front()->since > limits_.deadline) {
    const auto late = std::move(waiting_.front());
    waiting_.pop_front();
    pending_.erase(late->asked);
    ++rejects_;
    for (auto& done : late->done) done(fail(Errc::Exhausted, "it waited too long for an upstream"));
  }
}

std::vector<size_t> Forwarder::order() {
  std::vector<size_t> order;
  for (const bool only_up : {true, false}) {
    for (size_t i = 0; i < upstreams_.size(); ++i)
      if (!upstreams_[i]->loops && upstreams_[i]->under_way < limits_.under_way && (upstreams_[i]->up() || !only_up))
        order.push_back(i);
    if (!order.empty()) break;  // where all are down, the probes may be what fails
  }
  if (order.size() < 2) return order;
  switch (directive_.policy) {
    case ForwardDirective::Policy::Sequential: break;
    case ForwardDirective::Policy::RoundRobin:
      std::ranges::rotate(order, order.begin() + static_cast<long>(turn_++ % order.size()));
      break;
    case ForwardDirective::Policy::Fastest: {
      const uint64_t dice = random64();
      std::ranges::rotate(order, order.begin() + static_cast<long>(dice % order.size()));
      // Those of which nothing is known come first, lest a good one is never found.
      std::vector<std::tuple<Duration, size_t, size_t>> ranked;  // time, place in the rotation, upstream
      for (size_t i : order)
        ranked.emplace_back(upstreams_[i]->trips.known() ? upstreams_[i]->trips.smoothed() : Duration(0), ranked.size(),
                            i);
      std::ranges::sort(ranked);
      std::ranges::transform(ranked, order.begin(), [](const auto& one) { return std::get<2>(one); });
      if (dice >> 60 == 0)  // one in sixteen looks whether a slow one has become fast
        for (size_t& i : order)
          if (loop_.now() - upstreams_[i]->last_reply > kOldNews) {
            std::swap(i, order.front());
            break;
          }
      break;
    }
  }
  return order;
}

Duration Forwarder::hedge_after(const Attempt& attempt) const {
  const auto p95 = upstreams_[attempt.upstream]->trips.p95();
  return std::clamp(p95.value_or(limits_.hedge_most), limits_.hedge_least, limits_.hedge_most);
}

// Where the upstream has answered others meanwhile it is this name that takes its time: few such are asked twice.
bool Forwarder::may_hedge(const Attempt& attempt) {
  if (upstreams_[attempt.upstream]->last_reply < attempt.sent) return true;
  if (hedges_left_ < 1) return false;
  hedges_left_ -= 1;
  return true;
}

bool Forwarder::fails_over(const Bytes& reply) const {
  const auto rcode = static_cast<uint8_t>(reply[3] & 0xF);
  return rcode == static_cast<uint8_t>(Rcode::ServFail) || rcode == static_cast<uint8_t>(Rcode::Refused) ||
         directive_.failover.contains(rcode);
}

void Forwarder::failed(size_t index) {
  Upstream& upstream = *upstreams_[index];
  ++upstream.fails;
  if (!upstream.probing && directive_.max_fails > 0) scope_.spawn("probe an upstream", probe(index));
}

void Forwarder::replied(size_t index, Duration rtt, const Bytes& reply) {
  Upstream& upstream = *upstreams_[index];
  if (!upstream.up()) log::info("forward {}: upstream {} answers again", directive_.zone, upstream.address().endpoint);
  upstream.fails = 0;
  upstream.trips.add(rtt);
  upstream.last_reply = loop_.now();
  auto& histogram = timings_[index].by_rcode[std::min<size_t>(reply[3] & 0xF, 5)];
  if (!histogram) {
    std::vector<double> bounds;
    for (double bound = 0.00025; bounds.size() < 16; bound *= 2) bounds.push_back(bound);
    histogram = std::make_unique<Histogram>(std::move(bounds));
  }
  histogram->observe(std::chrono::duration<double>(rtt).count());
}

Task<void> Forwarder::attempt(size_t number, size_t index, Bytes query, Asked asked, Channel<Event> events) {
  Upstream& upstream = *upstreams_[index];
  struct UnderWay {
    uint32_t& count;
    explicit UnderWay(uint32_t& count) : count(count) { ++count; }
    ~UnderWay() { --count; }
  } under_way(upstream.under_way);
  write16(query, 0, static_cast<uint16_t>(random64()));
  const TimePoint sent = loop_.now();
  auto reply = co_await upstream.ask(std::move(query), asked.name, asked.type, asked.cls);
  if (!reply && reply.error().code() == Errc::Cancelled) co_return;
  if (reply)
    replied(index, loop_.now() - sent, *reply);
  else
    failed(index);
  events.push({.attempt = number, .reply = std::move(reply)});
}

// Asks one upstream after the other: the next where one fails, beside it where it takes long. The first good reply is
// the answer; where there is none, the first bad one.
Task<Result<Bytes>> Forwarder::resolve(Asked asked) {
  const Bytes query = query_of(asked);
  const std::vector<size_t> candidates = order();
  if (candidates.empty()) co_return fail(Errc::Unavailable, "forward {}: {}", directive_.zone, trouble());
  hedges_left_ = std::min(hedges_left_ + kHedgeShare, kMostHedges);
  const TimePoint end = loop_.now() + limits_.deadline;
  Channel<Event> events(loop_);
  std::vector<Attempt> attempts;
  std::optional<Bytes> bad_reply;
  Error error(Errc::Timeout, fmt::format("forward {}: no upstream answers", directive_.zone));
  Scope scope(loop_);
  const auto launch = [&] {
    const size_t upstream = candidates[attempts.size() % candidates.size()];
    attempts.push_back({.upstream = upstream, .sent = loop_.now()});
    scope.spawn("ask an upstream", attempt(attempts.size() - 1, upstream, query, asked, events));
  };
  launch();
  for (;;) {
    const bool all_asked = attempts.size() >= candidates.size();
    const TimePoint look =
        std::min(end, attempts.back().sent + (all_asked ? limits_.resend : hedge_after(attempts.back())));
    const auto timer = loop_.call_at(std::max(look, loop_.now()),
                                     [events]() mutable { events.push({.attempt = std::nullopt, .reply = Bytes()}); });
    Event event = CO_TRY(co_await events.next());
    if (!event.attempt) {
      if (loop_.now() >= end) break;
      if (loop_.now() < look) continue;  // of a timer before
      if (!all_asked && !may_hedge(attempts.back())) {
        // Later, with the others that are silent.
        const TimePoint later = attempts.back().sent + limits_.resend;
        if (loop_.now() < later) {
          const auto patient =
              loop_.call_at(later, [events]() mutable { events.push({.attempt = std::nullopt, .reply = Bytes()}); });
          event = CO_TRY(co_await events.next());
        }
      } else if (!all_asked) {
        ++hedges_;
      }
      if (!event.attempt) {
        launch();
        continue;
      }
    }
    Attempt& done = attempts[*event.attempt];
    done.over = true;
    if (event.reply && !fails_over(*event.reply)) {
      for (const Attempt& other : attempts)
        if (!other.over && other.upstream != done.upstream && loop_.now() - other.sent > hedge_after(other)) {
          upstreams_[other.upstream]->trips.add_at_least(loop_.now() - other.sent);
          if (upstreams_[other.upstream]->last_reply < other.sent) failed(other.upstream);
        }
      auto reply = without_opt(*event.reply);
      if (reply) co_return std::move(*reply);
      event.reply = fail(Errc::Unavailable, "{}: malformed", upstreams_[done.upstream]->address().endpoint);
    }
    if (event.reply && !bad_reply) bad_reply = without_opt(*event.reply);
    if (!event.reply) error = std::move(event.reply.error());
    if (attempts.size() < candidates.size())
      launch();
    else if (std::ranges::all_of(attempts, &Attempt::over))
      break;  // everybody has said no
  }
  for (const Attempt& silent : attempts)
    if (!silent.over) {
      upstreams_[silent.upstream]->trips.add_at_least(loop_.now() - silent.sent);
      failed(silent.upstream);
    }
  if (bad_reply) co_return std::move(*bad_reply);
  co_return fail(std::move(error));
}

// Until it answers: any reply is a sign of life, as with CoreDNS.
Task<void> Forwarder::probe(size_t index) {
  Upstream& upstream = *upstreams_[index];
  upstream.probing = true;
  Asked asked{.type = Type::NS, .recursion_desired = directive_.health_check_recursion};
  if (auto name = WireName::parse(directive_.health_check_domain)) asked.name = *name;
  for (;;) {
    const TimePoint sent = loop_.now();
    Bytes query = query_of(asked);
    auto reply =
        co_await within(loop_, kProbePatience, upstream.ask(std::move(query), asked.name, asked.type, asked.cls));
    if (reply) {
      replied(index, loop_.now() - sent, *reply);
      break;
    }
    if (reply.error().code() == Errc::Cancelled) break;
    ++upstream.probe_failures;
    if (++upstream.fails == directive_.max_fails)
      log::warning("forward {}: upstream {} is down: {}", directive_.zone, upstream.address().endpoint,
                   reply.error().message());
    if (!co_await loop_.sleep(directive_.health_check)) break;
  }
  upstream.probing = false;
}

void Forwarder::find_loops() {
  for (size_t i = 0; i < upstreams_.size(); ++i) scope_.spawn("find a loop", probe_loop(i));
}

Task<void> Forwarder::probe_loop(size_t index) {
  const Asked asked{.name = loop_names_[index], .type = static_cast<Type>(13)};  // HINFO, as CoreDNS asks
  Bytes query = query_of(asked);
  (void)co_await within(loop_, limits_.deadline,
                        upstreams_[index]->ask(std::move(query), asked.name, asked.type, asked.cls));
}

void Forwarder::found_loop(size_t index) {
  Upstream& upstream = *upstreams_[index];
  if (upstream.loops) return;
  upstream.loops = true;
  log::error(
      "{}: forward {}: upstream {} sends our own questions back to us, so it is not asked any more: name another "
      "one (a resolv.conf that names this server's own address, or 127.0.0.53, is the usual reason)",
      to_string(directive_.place), directive_.zone, upstream.address().endpoint);
}

std::string Forwarder::trouble() const {
  if (std::ranges::all_of(upstreams_, [](const auto& upstream) { return upstream->loops; }))
    return "every upstream sends our own questions back to us";
  if (std::ranges::all_of(upstreams_, [](const auto& upstream) { return !upstream->up(); }))
    return "no upstream answers";
  return "";
}

std::string Forwarder::page() const {
  std::string text = fmt::format("forward {}: asked {}, shared {}, hedged {}, refused {}, under way {}, waiting {}\n",
                                 directive_.zone, asked_, coalesced_, hedges_, rejects_, running_, waiting_.size());
  for (const auto& upstream : upstreams_) {
    const auto p95 = upstream->trips.p95();
    const auto ms = [](Duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
    text += fmt::format("  {}{} {}: asked {}, connections {}, smoothed {:.1f} ms, p95 {}\n",
                        upstream->address().tls ? "tls://" : "", upstream->address().endpoint,
                        upstream->loops  ? "loops"
                        : upstream->up() ? "up"
                                         : "down",
                        upstream->asked, upstream->connects(), ms(upstream->trips.smoothed()),
                        p95 ? fmt::format("{:.1f} ms", ms(*p95)) : std::string("unknown"));
  }
  return text;
}

std::vector<Metric> Forwarder::metrics() const {
  static constexpr std::array kRcodes = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  Metric rejects{.name = "coredns_forward_max_concurrent_rejects_total",
                 .help = "Questions refused because too many were under way",
                 .kind = MetricKind::Counter,
                 .samples = {{{{"zone", directive_.zone}}, static_cast<double>(rejects_)}}};
  Metric durations{.name = "coredns_proxy_request_duration_seconds",
                   .help = "Time until an upstream's reply",
                   .kind = MetricKind::Histogram};
  Metric failures{.name = "coredns_proxy_healthcheck_failures_total",
                  .help = "Probes of an upstream without reply",
                  .kind = MetricKind::Counter};
  Metric hedges{.name = "causeway_dns_hedges_total",
                .help = "Questions put to another upstream because the first took long",
                .kind = MetricKind::Counter,
                .samples = {{{{"zone", directive_.zone}}, static_cast<double>(hedges_)}}};
  Metric shared{.name = "causeway_dns_coalesced_total",
                .help = "Questions that shared the reply to an equal one under way",
                .kind = MetricKind::Counter,
                .samples = {{{{"zone", directive_.zone}}, static_cast<double>(coalesced_)}}};
  for (size_t i = 0; i < upstreams_.size(); ++i) {
    const std::string to = to_string(upstreams_[i]->address().endpoint);
    for (size_t rcode = 0; rcode < kRcodes.size(); ++rcode)
      if (const auto& histogram = timings_[i].by_rcode[rcode])
        durations.samples.push_back({.labels = {{"proxy_name", "forward"}, {"rcode", kRcodes[rcode]}, {"to", to}},
                                     .histogram = std::make_shared<Histogram>(*histogram)});
    failures.samples.push_back(
        {{{"proxy_name", "forward"}, {"to", to}}, static_cast<double>(upstreams_[i]->probe_failures)});
  }
  return {rejects, durations, failures, hedges, shared};
}

}  // namespace causeway::dns
