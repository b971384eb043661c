#include "service/proxy/watched.h"

namespace causeway::service::proxy {

namespace {
std::set<Family> families_of(const cluster::Node& node) {
  std::set<Family> out;
  for (const Ip& ip : node.addresses) out.insert(ip.family());
  for (const Cidr& cidr : node.pod_cidrs) out.insert(cidr.family());
  return out;
}
}  // namespace

void Watched::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  if (const cluster::Node* self = model.self()) state_.set_families(families_of(*self));
  if (auto change = change_of(changes, model)) state_.queued(*change, loop_.wall_now());
  inner_.changed(changes, model);
}

Task<Result<std::vector<cluster::Failure>>> Watched::apply() {
  const bool whole = std::exchange(whole_, false);
  const TimePoint start = loop_.now();
  state_.begin();
  auto done = co_await inner_.apply();
  if (!done) {
    whole_ |= whole;
    state_.failed();
    co_return done;
  }
  // Single rows that the kernel refused are told as Events and metrics of the feed. They do not make the node
  // unhealthy: a load balancer would take all other Services away from it too, and from every node alike.
  state_.applied(loop_.now() - start, whole, loop_.wall_now());
  applied_();
  co_return done;
}

void Watched::forget() {
  whole_ = true;
  inner_.forget();
}

}  // namespace causeway::service::proxy
