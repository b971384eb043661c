// kube-proxy's outer face on our Services: what load balancers, monitoring and tests ask of it. Put consumer() into the
// feed in place of the applier.
#pragma once

#include "kube/client/events.h"
#include "service/proxy/check_servers.h"
#include "service/proxy/watched.h"

namespace causeway::service::proxy {

struct FaceOptions {
  Mode mode = Mode::Bpf;
  Options services;
  Duration patience = State::kPatience;  // a change that waits for longer is unhealthy
  std::optional<Endpoint> health;        // absent: no such server
  std::optional<Endpoint> metrics;
  std::function<std::string()> exposition;  // text of /metrics
  std::string configuration;                // JSON of /configz
  std::string flags;                        // of /flagz: a line "name=value" for each, sorted
  std::string version;                      // of /statusz
};

class Face {
 public:
  // Borrows all but the options.
  Face(Loop& loop, Applier& applier, const cluster::Model& model, kube::EventRecorder& events, FaceOptions options);

  cluster::Consumer& consumer() { return watched_; }
  // From here on the servers listen. `applier` has been fed for a while then or not: health says what is known.
  void start();

  std::vector<Metric> metrics() const { return state_.metrics(applier_.desired()); }
  // "" while the servers listen.
  std::string trouble() const;
  // Text for people: health, servers.
  std::string render() const;

 private:
  std::string slis() const;
  std::string statusz() const;
  std::unique_ptr<Listening> listen(const char* what, const std::optional<Endpoint>& at, http::Handler& handler);

  Loop& loop_;
  Applier& applier_;
  const cluster::Model& model_;
  kube::EventRecorder& events_;
  FaceOptions options_;
  State state_;
  WallTime started_;
  uint64_t pings_ = 0;  // /healthz of the metrics server, each well: it answers
  CheckServers checks_;
  Watched watched_;
  HealthHandler health_;
  StatusHandler status_;
  std::unique_ptr<Listening> health_server_, status_server_;  // last: they end before their handlers
};

}  // namespace causeway::service::proxy
