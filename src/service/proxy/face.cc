#include "service/proxy/face.h"

#include <fmt/chrono.h>

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

// KEP-4827, KEP-4828: text for people; nobody may parse it.
std::string kube_proxy_page(std::string_view page) {
  return fmt::format(
      "\nkube-proxy {}\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility "
      "guarantees and is for debugging purposes only.\n\n",
      page);
}

std::string up_for(Duration time) {
  const auto seconds = time / 1s;
  return fmt::format("{} hr {:02} min {:02} sec", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace

Face::Face(Loop& loop, Applier& applier, const cluster::Model& model, kube::EventRecorder& events, FaceOptions options)
    : loop_(loop),
      applier_(applier),
      model_(model),
      events_(events),
      options_(std::move(options)),
      state_(options_.mode, loop.wall_now(), options_.patience),
      started_(loop.wall_now()),
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
  status_.add("/metrics/slis", {"text/plain; version=0.0.4; charset=utf-8", [this] { return slis(); }});
  status_.add("/healthz", {kText, [this] {
                             ++pings_;
                             return std::string("ok");
                           }});
  status_.add("/flagz", {kText, [this] { return kube_proxy_page("flagz") + options_.flags; }});
  status_.add("/statusz", {kText, [this] { return statusz(); }});
  status_.add("/proxyMode", {kText, [this] { return std::string(to_string(state_.mode())); }});
  status_.add("/configz", {"application/json", [this] { return options_.configuration; }});
}

// KEP-3466. As kube-proxy's: of its own checks there is one, that the server answers.
std::string Face::slis() const {
  return fmt::format(
      "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.\n"
      "# TYPE kubernetes_healthcheck gauge\n"
      "kubernetes_healthcheck{{name=\"ping\",type=\"healthz\"}} {}\n"
      "# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.\n"
      "# TYPE kubernetes_healthchecks_total counter\n"
      "kubernetes_healthchecks_total{{name=\"ping\",status=\"success\",type=\"healthz\"}} {}\n",
      pings_ ? 1 : 0, pings_);
}

std::string Face::statusz() const {
  return kube_proxy_page("statusz") +
         fmt::format(
             "Started: {:%a %b %d %H:%M:%S UTC %Y}\nUp: {}\nBinary version: {} (causeway)\n"
             "Paths: /configz /flagz /healthz /metrics /metrics/slis /proxyMode /statusz\n",
             fmt::gmtime(std::chrono::system_clock::to_time_t(
                 std::chrono::time_point_cast<std::chrono::system_clock::duration>(started_))),
             up_for(loop_.wall_now() - started_), options_.version);
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
