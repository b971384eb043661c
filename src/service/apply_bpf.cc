#include "service/apply_bpf.h"

#include "base/log.h"

namespace causeway::service {

using cluster::Failure;
using cluster::Source;

void BpfApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  // A Service is known with its EndpointSlices, hints with the Nodes, host ports and clients with the journal.
  complete_ = true;
  for (Source source : {Source::Services, Source::EndpointSlices, Source::Nodes, Source::Attachments})
    complete_ = complete_ && model.synced(source);
  ranges_ = model.synced(Source::ServiceCidrs);
  desired_.update(changes, model);
  for (const ProbeKey& key : desired_.probes.dirty()) {
    if (!prober_) break;
    const auto* row = desired_.probes.find(key);
    prober_->set(key, {key.port.ns, key.port.name}, row ? &row->value : nullptr);
  }
  desired_.probes.clean();
}

// Nobody writes to the maps in between: apply() is called once at a time.
Task<Result<std::vector<Failure>>> BpfApplier::audit() {
  for (const auto part : BpfMaps::kParts) {
    CO_TRY(co_await loop_.sleep(Duration(0)));
    const bool intact = maps_.settled() && CO_TRY(maps_.intact(part), "compare the maps of Services");
    if (intact) continue;
    log::warning("service: somebody else changed the maps of Services; they are brought back");
    maps_.forget();
    co_return co_await maps_.apply_in_turns(complete_, ranges_);
  }
  std::vector<Failure> failures;
  if (auto attached = maps_.repair_hooks(); !attached) failures.push_back({"self", std::move(attached.error())});
  co_return failures;
}

Task<Result<std::vector<Failure>>> BpfApplier::apply() {
  const bool audited = std::exchange(audit_, false);
  if (audited && !(complete_ && ranges_)) maps_.forget();
  auto failures = CO_TRY(co_await maps_.apply_in_turns(complete_, ranges_));
  if (audited && failures.empty() && maps_.settled()) failures = CO_TRY(co_await audit());
  // An attachment without its host port must not look as if it had been applied.
  for (const auto& [object, row] : desired_.refused.rows())
    if (object.starts_with("attachment ")) failures.push_back({object, Error(Errc::Conflict, row.value)});
  co_return failures;
}

}  // namespace causeway::service
