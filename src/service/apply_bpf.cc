#include "service/apply_bpf.h"

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

Task<Result<std::vector<Failure>>> BpfApplier::apply() {
  auto failures = CO_TRY(maps_.apply(complete_, ranges_));
  // An attachment without its host port must not look as if it had been applied.
  for (const auto& [object, row] : desired_.refused.rows())
    if (object.starts_with("attachment ")) failures.push_back({object, Error(Errc::Conflict, row.value)});
  co_return failures;
}

}  // namespace causeway::service
