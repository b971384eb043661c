#include "pod/hostport/apply_nft.h"

#include "base/log.h"
#include "kernel/nftables/diff.h"
#include "pod/hostport/compile.h"

namespace causeway::pod::hostport {

using cluster::Failure;

namespace {

// Until the journal was read, an element that nobody wants may be one that it knows: it stays.
void keep_unknown(const nftables::Observed& actual, nftables::Section& desired) {
  for (const auto& [name, set] : actual.sets)
    if (const auto declared = desired.sets.find(name); declared != desired.sets.end() && set.set == declared->second)
      desired.elements[name].insert(set.elements.begin(), set.elements.end());
}

}  // namespace

void Applier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  for (const Key& key : keys(changes, model)) parts_[key] = compile_one(key, model);
  std::erase_if(parts_, [](const auto& part) { return part.second == Tables{}; });
  if (changes.facts) {
    local_.clear();
    local_.insert(model.facts().addresses.begin(), model.facts().addresses.end());
    for (const auto& address : model.facts().uplink.addresses) local_.insert(address.ip);
  }
  synced_ = model.synced(cluster::Source::Attachments);
}

Tables Applier::tables() const {
  Tables all;
  for (const auto& [key, part] : parts_) merge(all, part);
  return all;
}

Status Applier::write(const Tables& tables) {
  if (!observed_) observed_ = TRY(nft_.observe(kSection));
  nftables::Section section = section_of(tables);
  if (!synced_) keep_unknown(*observed_, section);
  const auto transaction = nftables::diff(*observed_, section);
  if (transaction.empty()) return ok();
  if (auto done = nft_.apply(transaction); !done) {
    observed_.reset();
    return done;
  }
  ++writes_;
  observed_ = nftables::observed_of(section);
  const auto rows = changed_rows(transaction);
  changed_.insert(changed_.end(), rows.begin(), rows.end());
  return ok();
}

Status Applier::end_stale_flows(const Tables& tables) {
  for (const auto& filter : filters(changed_))
    for (const auto& flow : TRY(conntrack_.flows(filter))) {
      if (!is_stale(flow, changed_, tables, local_)) continue;
      log::debug("host ports changed: forget {}", flow);
      TRY(conntrack_.remove(flow));
    }
  changed_.clear();
  return ok();
}

Task<Result<std::vector<Failure>>> Applier::apply() {
  const Tables tables = this->tables();
  CO_TRY(write(tables), "host ports");
  std::vector<Failure> failures;
  for (const auto& [object, reason] : tables.refused) failures.push_back({object, Error(Errc::Conflict, reason)});
  // New connections are right already: this one is tried again, and keeps nobody waiting.
  if (auto ended = end_stale_flows(tables); !ended)
    failures.push_back({"tracked connections", std::move(ended.error())});
  co_return failures;
}

}  // namespace causeway::pod::hostport
