#include "service/apply_iptables.h"

namespace causeway::service {

using cluster::Failure;

Status allow_localhost(const Options& options, const Desired& desired, const WriteSysctl& write) {
  const auto* loopback = desired.node_addresses.find(Ip::v4(0x7f000001));
  if (!options.node_ports_on_localhost || !loopback || !loopback->value.node_ports) return ok();
  return write("ipv4/conf/all/route_localnet", "1");
}

void clean(Desired& desired) {
  desired.frontends.clean();
  desired.ports.clean();
  desired.addresses.clean();
  desired.ranges.clean();
  desired.node_addresses.clean();
}

std::set<std::string> growing_sets(const Desired& desired) {
  return desired.ranges_complete() ? std::set<std::string>() : range_sets();
}

void add_refused(std::vector<Failure>& failures, const Desired& desired) {
  for (const auto& [object, row] : desired.refused.rows())
    failures.push_back({object, Error(Errc::Conflict, row.value)});
}

IptablesApplier::IptablesApplier(Options options, IptablesDoors doors)
    : options_(options), doors_(std::move(doors)), desired_(std::move(options)), kernel_(doors_.xt) {}

void IptablesApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  desired_.update(changes, model);
}

Task<Result<std::vector<Failure>>> IptablesApplier::apply() {
  // Rules of a former life serve until it is known what shall be.
  if (!desired_.complete()) co_return std::vector<Failure>{};
  stale_.note(desired_);
  const XtRules rules = iptables_rules(desired_.tables(), XtBackend::Iptables);
  clean(desired_);  // what changes while iptables works is the next round's
  writes_ += CO_TRY(co_await kernel_.bring(rules, growing_sets(desired_)), "Services by iptables");
  std::vector<Failure> failures;
  add_refused(failures, desired_);
  if (auto allowed = allow_localhost(options_, desired_, doors_.sysctl); !allowed)
    failures.push_back({"node ports", std::move(allowed.error()).with("node ports of 127.0.0.1")});
  // New connections are right already: this one is tried again, and keeps nobody waiting.
  if (!stale_.empty())
    if (auto ended = stale_.end(doors_.conntrack, desired_); !ended)
      failures.push_back({"tracked connections", std::move(ended.error())});
  co_return failures;
}

Result<std::vector<std::string>> IptablesApplier::differences() {
  return kernel_.differences(iptables_rules(desired_.tables(), XtBackend::Iptables));
}

}  // namespace causeway::service
