#include "apps/dns.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <tuple>

#include "async/worker_pool.h"
#include "base/log.h"
#include "dns/feed_client.h"
#include "dns/feed_server.h"
#include "dns/snapshot.h"
#include "http/server.h"
#include "observe/endpoint.h"

namespace causeway::apps {

namespace {

// /health and /ready of CoreDNS: "OK", or 503 and the reason.
class Probe final : public http::Handler {
 public:
  Probe(std::string path, std::function<std::string()> trouble)
      : path_(std::move(path)), trouble_(std::move(trouble)) {}
  Task<Status> serve(http::Request request, http::ResponseWriter& writer) override {
    const auto target = http::parse_target(request.target);
    http::Response response{.headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = "OK"};
    if (!target || target->path != path_) {
      response.status = 404;
      response.body = "here is " + path_ + "\n";
    } else if (std::string trouble = trouble_(); !trouble.empty()) {
      response.status = 503;
      response.body = trouble + "\n";
    }
    co_return co_await writer.send(std::move(response));
  }

 private:
  const std::string path_;
  const std::function<std::string()> trouble_;
};

Result<dns::ServerOptions> server_options(const DnsOptions& options) {
  dns::ServerOptions server{.workers = options.workers};
  for (const std::string& text : options.listen) server.addresses.push_back(TRY(Ip::parse(text), "--listen {}", text));
  if (options.port != 0) server.port = static_cast<uint16_t>(options.port);
  for (const std::string& text : options.transfer_to)
    server.transfer_to.push_back(TRY(Cidr::parse(text), "--transfer-to {}", text));
  return server;
}

constexpr Duration kSaveEvery = 10s;  // at most; a snapshot of the whole cluster takes its time

int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// ":9153" is every address, of both families where the machine has IPv6.
Result<std::unique_ptr<http::Server>> listen(Loop& loop, const std::string& address, http::Handler& handler,
                                             std::string_view what) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port = static_cast<uint16_t>(std::strtoul(address.c_str() + colon + 1, nullptr, 10));
  if (host.empty()) {
    if (auto both = http::Server::listen(loop, {.address = "::", .port = port}, handler)) return both;
    host = "0.0.0.0";
  }
  return TRY(http::Server::listen(loop, {.address = host, .port = port}, handler), "{} {}", what, address);
}

// The process, top to bottom: what is below uses what is above.
class Dns {
 public:
  Dns(Loop& loop, DnsOptions options)
      : loop_(loop),
        options_(std::move(options)),
        public_(observe::Endpoint::Audience::Public),
        all_(observe::Endpoint::Audience::All),
        health_("/health", [this] { return lame_ ? std::string("going away") : std::string(); }),
        ready_("/ready", [this] { return names_->not_ready(); }),
        pool_(loop, 1),
        feed_(loop, options_.feed, tables_,
              [this] {
                changed_ = true;
                tell_answers();
              }),
        scope_(loop) {}

  Task<Status> run() {
    load();
    names_ =
        CO_TRY(dns::Nameserver::start(loop_,
                                      {.corefile = options_.corefile,
                                       .standard = dns::standard_corefile(options_.cluster_domain, options_.upstream),
                                       .server = CO_TRY(server_options(options_))},
                                      tables_));
    CO_TRY(show());
    log::info("answering at {}{}", fmt::join(options_.listen, ", "),
              options_.corefile.empty() ? " by the built-in Corefile" : " by " + options_.corefile);
    if (!options_.feed.empty()) scope_.spawn("names from the agent", feed_.run());
    scope_.spawn("where it answers", keep_telling());
    if (!options_.snapshot.empty()) scope_.spawn("the snapshot of names", save());
    CO_TRY(co_await OneShot<bool>(loop_).get());
    co_return ok();
  }

  // A signal: who asks for our health sends no more clients; those who are late are still answered (lameduck).
  void end() {
    const bool again = std::exchange(lame_, true);
    tell_answers();
    if (!names_ || again || names_->corefile().lameduck.count() == 0) return loop_.stop();
    lameduck_ = loop_.call_after(names_->corefile().lameduck, [this] { loop_.stop(); });
  }
  void reload() {
    // It tells its own errors, and keeps them for the page.
    if (names_) std::ignore = names_->reload();
  }

 private:
  Status show() {
    const dns::Corefile& corefile = names_->corefile();
    for (auto* endpoint : {&public_, &all_}) {
      endpoint->add(observe::Collector([this] { return names_->metrics(); }));
      endpoint->add(observe::Collector([this] { return feed_metrics(); }));
      endpoint->add(observe::Collector(observe::process_metrics));
      endpoint->add(observe::Check{"dns", [this] { return names_->not_ready(); }});
    }
    all_.add_page("/status", [this] { return status(); });
    all_.add_page("/lookup", [this](http::Target target) {
      return names_->lookup(std::string(target.get("name")), std::string(target.get("type")),
                            std::string(target.get("pod")));
    });
    if (!corefile.health.empty()) servers_.push_back(TRY(listen(loop_, corefile.health, health_, "health")));
    if (!corefile.ready.empty()) servers_.push_back(TRY(listen(loop_, corefile.ready, ready_, "ready")));
    if (!corefile.prometheus.empty())
      servers_.push_back(TRY(listen(loop_, corefile.prometheus, public_, "prometheus")));
    if (!options_.observe.empty()) {
      auto server = http::Server::listen(loop_, {.address = options_.observe}, all_);
      if (!server) return fail(std::move(server.error()).with("--observe {}", options_.observe));
      servers_.push_back(std::move(*server));
    }
    return ok();
  }

  // The agent lets the node's DNS addresses lead here only while they are answered here.
  void tell_answers() {
    if (!names_) return;
    const bool ready = !lame_ && names_->not_ready().empty();
    feed_.tell(ready ? names_->server().listening() : std::vector<Endpoint>());
  }
  Task<Status> keep_telling() {
    for (;; CO_TRY(co_await loop_.sleep(dns::kBeat))) {
      tell_answers();
      feed_.beat();
    }
  }

  // What was answered last, until the agent tells more.
  void load() {
    if (options_.snapshot.empty()) return;
    auto loaded = dns::load_snapshot(options_.snapshot, tables_);
    if (loaded) {
      tables_.commit(static_cast<uint32_t>(seconds_of(loop_.wall_now())));
      snapshot_saved_ = loaded->saved;
      log::info("names of the last run: {} objects, {} s old", loaded->objects,
                seconds_of(loop_.wall_now()) - loaded->saved);
    } else if (loaded.error().code() != Errc::NotFound) {
      log::warning("{}: not used: {}", options_.snapshot, loaded.error().message());
    }
  }

  Task<Status> save() {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(options_.snapshot).parent_path(), error);
    for (;;) {
      CO_TRY(co_await loop_.sleep(kSaveEvery));
      // Only what the agent told whole: a half-told list would forget names.
      if (!changed_ || !feed_.listed()) continue;
      changed_ = false;
      const int64_t now = seconds_of(loop_.wall_now());
      auto saved =
          CO_TRY(co_await pool_.run([this, now] { return dns::save_snapshot(options_.snapshot, tables_, now); }));
      if (saved) {
        snapshot_saved_ = now;
      } else {
        changed_ = true;
        log::warning("{}: {}", options_.snapshot, saved.error().message());
      }
    }
  }

  std::vector<Metric> feed_metrics() const {
    std::vector<Metric> all{{.name = "causeway_dns_feed_connected", .help = "Whether the agent tells names now"},
                            {.name = "causeway_dns_names", .help = "Objects that have names"}};
    all[0].samples.push_back({{}, feed_.connected() ? 1.0 : 0.0});
    all[1].samples.push_back({{}, static_cast<double>(tables_.objects())});
    if (snapshot_saved_ != 0) {
      all.push_back({.name = "causeway_dns_snapshot_age_seconds", .help = "Since the names on disk were saved"});
      all.back().samples.push_back({{}, static_cast<double>(seconds_of(loop_.wall_now()) - snapshot_saved_)});
    }
    return all;
  }

  std::string status() const {
    std::string text = feed_.connected() ? "agent: connected\n" : fmt::format("agent: {}\n", feed_.trouble());
    if (!feed_.listed() && snapshot_saved_ != 0)
      text += fmt::format("names are of the snapshot, {} s old\n", seconds_of(loop_.wall_now()) - snapshot_saved_);
    return text + names_->page();
  }

  Loop& loop_;
  const DnsOptions options_;
  dns::Tables tables_;
  std::unique_ptr<dns::Nameserver> names_;
  observe::Endpoint public_, all_;
  Probe health_, ready_;
  std::vector<std::unique_ptr<http::Server>> servers_;
  bool lame_ = false;
  std::unique_ptr<Timer> lameduck_;
  bool changed_ = false;        // since the snapshot
  int64_t snapshot_saved_ = 0;  // seconds since 1970
  WorkerPool pool_;
  dns::FeedClient feed_;
  Scope scope_;
};

// Each question to an upstream has a socket of its own.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int run_dns(DnsOptions options) {
  log::set_name("dns");
  if (options.verbose) log::set_level(log::Level::Debug);
  raise_file_limit();
  auto loop = make_loop();
  Dns dns(*loop, std::move(options));
  loop->on_signal({SIGTERM, SIGINT, SIGHUP}, [&](int signal) { signal == SIGHUP ? dns.reload() : dns.end(); });
  auto status = run_until_done(*loop, dns.run());
  if (!status && status.error().code() != Errc::Cancelled) {
    log::error("cannot run: {}", status.error().message());
    return 1;
  }
  log::info("stopped");
  return 0;
}

}  // namespace causeway::apps
