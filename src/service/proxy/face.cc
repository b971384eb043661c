#include "service/proxy/face.h"

#include "base/log.h"

namespace causeway::service::proxy {

namespace {

constexpr const char* kText = "text/plain; charset=utf-8";

kube::ObjectReference reference_to(const cluster::ServiceKey& key) {
  kube::ObjectReference out;
  out.kind = "Service";
  out.api_version = "v1";
  out.ns = key.ns;
  out.name = key.name;
  return out;
}

kube::ObjectReference reference_to_node(const std::string& name) {
  kube::ObjectReference out;
  out.kind = "Node";
  out.api_version = "v1";
  out.name = name;
  return out;
}

}  // namespace

Face::Face(Loop& loop, Applier& applier, const cluster::Model& model, kube::EventRecorder& events, FaceOptions options)
    : loop_(loop),
      applier_(applier),
      model_(model),
      events_(events),
      options_(std::move(options)),
      state_(options_.mode, loop.wall_now(), options_.patience),
      checks_(loop, state_, options_.services,
              [this](const cluster::ServiceKey& service, uint16_t port, const Error& error) {
                events_.record(reference_to(service), kube::EventType::Warning, "FailedToStartServiceHealthcheck",
                               fmt::format("node {} failed to start healthcheck \"{}\" on port {}: {}",
                                           model_.facts().name, to_string(service), port, error.message()));
              }),
      watched_(loop, applier, state_, [this] { checks_.sync(applier_.desired()); }),
      health_(loop, state_, [this] {
        const cluster::Node* self = model_.self();
        return self && !self->leaving;
      }) {
  status_.add("/metrics", {"text/plain; version=0.0.4; charset=utf-8", options_.exposition});
  status_.add("/healthz", {kText, [] { return std::string("ok"); }});
  status_.add("/proxyMode", {kText, [this] { return std::string(to_string(state_.mode())); }});
  status_.add("/configz", {"application/json", [this] { return options_.configuration; }});
}

void Face::start() {
  health_server_ = listen("healthz", options_.health, health_);
  status_server_ = listen("metrics", options_.metrics, status_);
}

std::unique_ptr<Listening> Face::listen(const char* what, const std::optional<Endpoint>& at, http::Handler& handler) {
  if (!at) return nullptr;
  return std::make_unique<Listening>(loop_, *at, handler, [this, what](const Error& error) {
    log::warning("{} server: {}; tried again each {} s", what, error.message(), Listening::kAgain / 1s);
    events_.record(reference_to_node(model_.facts().name), kube::EventType::Warning, "FailedToStartProxierHealthcheck",
                   fmt::format("{} server: {}", what, error.message()));
  });
}

std::string Face::trouble() const {
  for (const Listening* server : {health_server_.get(), status_server_.get()})
    if (server && !server->trouble().empty()) return server->trouble();
  return "";
}

std::string Face::render() const {
  const Health health = state_.health(loop_.wall_now());
  std::string out = fmt::format("mode {}, {}{}\n", to_string(state_.mode()), health.healthy ? "healthy" : "unhealthy",
                                health.updated ? "" : ", not yet applied");
  for (const Listening* server : {health_server_.get(), status_server_.get()})
    if (server && !server->trouble().empty()) out += server->trouble() + "\n";
  return out + checks_.render();
}

}  // namespace causeway::service::proxy
