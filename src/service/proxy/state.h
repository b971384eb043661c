// What kube-proxy tells of itself, kept for our Services: whether a change waits for too long (health), and its metrics
// by its names (Kubernetes 1.36). Time is an argument.
#pragma once

#include <optional>
#include <set>

#include "async/loop.h"
#include "base/ip.h"
#include "base/metric.h"
#include "service/desired.h"

namespace causeway::service::proxy {

// What carries Services; text of /proxyMode.
enum class Mode : uint8_t { Bpf, Nftables, Iptables, Ipvs };
std::string_view to_string(Mode mode);

// kube-proxy's names: "IPv4", "IPv6".
std::string_view name_of(Family family);

// A change of the cluster that concerns Services.
struct Change {
  uint64_t services = 0;   // objects that changed
  uint64_t endpoints = 0;  // EndpointSlices that changed
  // What the endpoint controllers say of these slices: when a Pod became Ready or not.
  std::vector<std::pair<Family, WallTime>> triggers;
};

struct Health {
  bool healthy = true;
  std::optional<WallTime> updated;  // the last time that all was applied; absent: never yet
  std::set<Family> families;
  WallTime now;
};

// Upper bounds of kube-proxy's histograms, in seconds.
std::vector<double> sync_bounds();
std::vector<double> programming_bounds();

class State {
 public:
  // kube-proxy's 2 x syncPeriod.
  static constexpr Duration kPatience = 60s;

  State(Mode mode, WallTime started, Duration patience = kPatience)
      : mode_(mode), started_(started), patience_(patience) {}

  // Those that this node has addresses of.
  void set_families(std::set<Family> families) { families_ = std::move(families); }
  void queued(const Change& change, WallTime now);
  // What is queued is being applied; what is queued from here on is not.
  void begin();
  // `whole`: the kernel was compared with all tables; else only with what had changed.
  void applied(Duration took, bool whole, WallTime now);
  void failed();
  // Healthy before the first application, and while nothing waits for longer than the patience.
  Health health(WallTime now) const;

  Mode mode() const { return mode_; }
  // One probe of /healthz or /livez was answered so.
  void count_probe(bool live, int status) { ++(live ? livez_ : healthz_)[status]; }
  // `desired` is asked for what has no endpoint.
  std::vector<Metric> metrics(const Desired& desired) const;

 private:
  struct Waiting {
    std::optional<WallTime> since;
    Change change;
    void add(const Change& later, WallTime when);
  };

  Mode mode_;
  WallTime started_;
  Duration patience_;
  std::set<Family> families_;
  Waiting waiting_, applying_;
  std::optional<WallTime> updated_, last_queued_;
  uint64_t services_ = 0, endpoints_ = 0, failures_ = 0;
  std::map<int, uint64_t> healthz_, livez_;
  Histogram took_{sync_bounds()}, took_whole_{sync_bounds()}, took_part_{sync_bounds()};
  std::map<Family, Histogram> programming_;
};

}  // namespace causeway::service::proxy
