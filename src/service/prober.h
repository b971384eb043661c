// Active health checks: asks endpoints again and again, and says which of them do not answer. Every node asks for
// itself: what counts for its flows is whether it reaches the endpoint, and nobody must be up to tell it.
#pragma once

#include <functional>
#include <memory>

#include "async/scope.h"
#include "service/tables.h"

namespace causeway::service {

// One question; a seam, for tests.
class ProbeDoor {
 public:
  virtual ~ProbeDoor() = default;
  // Ok: it answered in time. An error says what happened instead.
  virtual Task<Status> ask(Endpoint at, Probe probe) = 0;
};
// TCP connect(); with a path HTTP GET, where 200 to 399 is an answer (as kubelet's probes).
std::unique_ptr<ProbeDoor> open_probe_door(Loop& loop);

class Prober {
 public:
  using Report = std::function<void(const cluster::ServiceKey&, std::set<Endpoint>)>;
  // `report`: all endpoints of a Service that are unhealthy now; called when that changes.
  Prober(Loop& loop, ProbeDoor& door, Report report) : loop_(loop), door_(door), report_(std::move(report)) {}

  // From now on with these settings; null: no longer. An endpoint begins healthy.
  void set(const ProbeKey& key, const cluster::ServiceKey& service, const Probe* probe);
  size_t running() const { return watched_.size(); }
  // A line for each endpoint: "default/web:http 10.1.0.5:80 unhealthy: connect: Connection refused".
  std::string render() const;

 private:
  struct Watched {
    cluster::ServiceKey service;
    Probe probe;
    uint32_t failures = 0, successes = 0;  // in a row
    bool healthy = true;
    std::string trouble;
    std::unique_ptr<Scope> scope;  // last: its task uses the rest
  };

  Task<Status> watch(ProbeKey key, Watched& watched);
  void tell(const cluster::ServiceKey& service);

  Loop& loop_;
  ProbeDoor& door_;
  Report report_;
  std::map<ProbeKey, Watched> watched_;
  // By Service, for what is told at once.
  std::map<cluster::ServiceKey, std::multiset<Endpoint>> unhealthy_;
};

}  // namespace causeway::service
