#include "lab/nodelet/cluster_dns.h"

#include <algorithm>
#include <filesystem>

#include "async/scope.h"
#include "base/log.h"
#include "lab/cgroup.h"
#include "lab/nodelet/dns_objects.h"
#include "lab/programs.h"

namespace causeway::lab {
namespace {

constexpr Duration kFirstPause = 20ms, kLastPause = 200ms;  // between two looks while it is not ready
constexpr Duration kReadyPause = 1s;                        // and while it is
constexpr Duration kTellAgain = 1min;                       // what somebody deleted comes back
constexpr Duration kAnswers = 3s;                           // one that hangs is not ready
constexpr Duration kStarting = 1s;                          // so long a start is not told as a failure

}  // namespace

ClusterDns::ClusterDns(Loop& loop, Children& children, std::string node, std::vector<Ip> node_addresses,
                       std::vector<Ip> service)
    : loop_(loop),
      node_(std::move(node)),
      node_addresses_(std::move(node_addresses)),
      service_(std::move(service)),
      process_(loop, children, "DNS",
               [this]() -> Result<Child> {
                 auto cgroup = TRY(open_cgroup("/sys/fs/cgroup/dns"));
                 return spawn({.argv = dns_argv(node_addresses_, service_),
                               .env = clean_environment(),
                               .cgroup_fd = cgroup.get(),
                               .descriptors = {{1, 1}, {2, 2}}});
               }),
      observe_(std::make_unique<http::Client>(
          loop, http::ClientOptions{.url = "http://dns", .unix_socket = "/run/causeway/dns-observe.sock"})),
      ended_(loop) {}

Status ClusterDns::start() {
  std::error_code error;
  std::filesystem::create_directories("/run/causeway", error);
  process_.on_end = [this](const std::string&) { ended_.push(true); };
  return process_.start();
}

Task<bool> ClusterDns::ask_ready() {
  OneShot<bool> ready(loop_);
  Scope asking(loop_);
  asking.spawn("ask DNS whether it is ready", [](http::Client& observe, OneShot<bool> said) -> Task<void> {
    const auto answer = co_await observe.send({.method = "GET", .target = "/readyz"});
    said.set(answer.has_value() && answer->status == 200);
  }(*observe_, ready));
  auto late = loop_.call_after(kAnswers, [ready]() mutable { ready.set(false); });
  const auto said = co_await ready.get();
  co_return said.has_value() && *said;
}

Task<Status> ClusterDns::write(kube::Client& api, bool ready) {
  auto made = co_await api.create(dns_service(service_));
  if (!made && made.error().code() != Errc::AlreadyExists) co_return fail(std::move(made.error()));
  for (auto& slice : dns_slices(node_, node_addresses_, ready)) {
    auto patched = co_await api.patch<kube::EndpointSlice>(kube::ref_of(slice.metadata), kube::PatchType::Merge,
                                                           kube::encode(slice));
    if (!patched && patched.error().code() == Errc::NotFound) patched = co_await api.create(std::move(slice));
    if (!patched) co_return fail(std::move(patched.error()));
  }
  co_return ok();
}

Task<Status> ClusterDns::tell(kube::Client& api) {
  std::optional<bool> told;
  bool was_ready = false;
  const TimePoint begun = loop_.now();
  TimePoint told_at{};
  for (Duration pause = kFirstPause;;) {
    while (ended_.try_next()) {
    }
    const bool ready = co_await ask_ready();
    const bool starting = !ready && !told && loop_.now() - begun < kStarting;
    if (!starting && (told != ready || loop_.now() - told_at > kTellAgain)) {
      auto written = co_await write(api, ready);
      if (!written && written.error().code() == Errc::Cancelled) co_return written;
      if (!written) log::warning("cluster DNS: {}", written.error().message());
      told = written ? std::optional(ready) : std::nullopt;
      told_at = loop_.now();
    }
    if (ready || was_ready) {
      pause = ready ? kReadyPause : kFirstPause;
    } else {
      pause = std::min<Duration>(pause * 2, kLastPause);
    }
    was_ready = ready;
    auto look = loop_.call_after(pause, [this] { ended_.push(true); });
    CO_TRY(co_await ended_.next());
  }
}

}  // namespace causeway::lab
