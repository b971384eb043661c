#include "service/apply_ipvs.h"

#include "base/log.h"

namespace causeway::service {

using cluster::Failure;

namespace {

constexpr Duration kLookAtLeavingEvery = 5s;

// Whose virtual service it is: a row of this address, or of all addresses.
std::string object_of(const ipvs::ServiceKey& key, const Desired& desired) {
  FrontendKey frontend{key.ip, key.port, Protocol(key.protocol)};
  const auto* row = desired.frontends.find(frontend);
  if (!row) {
    frontend.ip = key.ip.is_v4() ? Ip() : Ip::v6(std::array<uint8_t, 16>{});
    row = desired.frontends.find(frontend);
  }
  return row ? fmt::format("service {}/{}", row->value.port.ns, row->value.port.name) : to_string(key);
}

}  // namespace

IpvsApplier::IpvsApplier(Options options, IpvsDoors doors, std::string scheduler)
    : options_(options),
      doors_(std::move(doors)),
      scheduler_(std::move(scheduler)),
      desired_(std::move(options)),
      rules_(doors_.iptables.xt),
      services_(doors_.ipvs) {}

void IpvsApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  desired_.update(changes, model);
}

void IpvsApplier::forget() {
  rules_.forget();
  services_.forget();
  sysctls_ = false;
}

Task<Result<std::vector<Failure>>> IpvsApplier::apply() {
  if (!desired_.complete()) co_return std::vector<Failure>{};
  if (!sysctls_) CO_TRY(set_ipvs_sysctls(doors_.iptables.sysctl));
  sysctls_ = true;
  stale_.note(desired_);
  const Tables tables = desired_.tables();
  clean(desired_);
  std::vector<Failure> failures;
  add_refused(failures, desired_);
  // Virtual services first: a set that says "balanced" lets packets through to them.
  auto outcome = CO_TRY(services_.bring(ipvs_rows(tables, scheduler_)), "Services by IPVS");
  writes_ += outcome.writes;
  for (auto& [key, error] : outcome.failures) failures.push_back({object_of(key, desired_), std::move(error)});
  writes_ += CO_TRY(co_await rules_.bring(iptables_rules(tables, XtBackend::Ipvs), growing_sets(desired_)),
                    "rules beside IPVS");
  if (auto allowed = allow_localhost(options_, desired_, doors_.iptables.sysctl); !allowed)
    failures.push_back({"node ports", std::move(allowed.error()).with("node ports of 127.0.0.1")});
  if (!stale_.empty())
    if (auto ended = stale_.end(doors_.iptables.conntrack, desired_); !ended)
      failures.push_back({"tracked connections", std::move(ended.error())});
  co_return failures;
}

Task<Status> IpvsApplier::look_after_leaving(Loop& loop) {
  for (;; CO_TRY(co_await loop.sleep(kLookAtLeavingEvery))) {
    if (!services_.draining()) continue;
    if (auto left = services_.drain(); !left) log::warning("{}", left.error().message());
  }
}

Result<std::vector<std::string>> IpvsApplier::differences() {
  const Tables tables = desired_.tables();
  auto lines = TRY(services_.differences(ipvs_rows(tables, scheduler_)));
  for (auto& line : TRY(rules_.differences(iptables_rules(tables, XtBackend::Ipvs)))) lines.push_back(std::move(line));
  return lines;
}

std::string IpvsApplier::rules() const {
  const Tables tables = desired_.tables();
  return render(ipvs_rows(tables, scheduler_)) + render(iptables_rules(tables, XtBackend::Ipvs));
}

}  // namespace causeway::service
