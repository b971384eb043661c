// What the CNI server does besides answering: bring journal and kernel to agree at start, work off the spool, and
// collect attachments whose Pod vanished without a DEL.
#include <set>

#include "base/log.h"
#include "pod/server.h"
#include "pod/spool.h"

namespace causeway::pod {

Task<Status> CniServer::start() {
  // Finished aliases only: a link without one belongs to an ADD that never got so far.
  const auto observe = [this]() -> Result<std::vector<Record>> {
    std::vector<Record> records;
    for (auto& link : TRY(wiring_.observe()))
      if (link.record && link.name == host_ifname(link.record->key)) records.push_back(std::move(*link.record));
    return records;
  };
  ipam_ = CO_TRY(Ipam::open(storage_, options_.ipam, observe));
  ipam_->set_blocks(network_.pod_cidrs, loop_.now());
  CO_TRY(co_await reconcile(), "bring the journal of addresses and the kernel to agree");
  CO_TRY(co_await collect());
  scope_.spawn("collect attachments", collect_forever());
  co_return ok();
}

// The journal says what shall be, links say what is. An ADD that was cut off is undone; a link that nobody knows is
// deleted; what is whole on both sides lives, and the plane hears of it.
Task<Status> CniServer::reconcile() {
  CO_TRY(CO_TRY(co_await workers_.run([wiring = &wiring_] { return wiring->reap(); })));
  auto links = CO_TRY(CO_TRY(co_await workers_.run([wiring = &wiring_] { return wiring->observe(); })));
  std::vector<cluster::Attachment> living;
  std::set<std::string> known;
  std::vector<Key> unfinished;
  const auto records = ipam_->records();  // a copy: what follows waits in between
  for (const auto& [key, record] : records) {
    if (record.state == State::Reserved) {
      unfinished.push_back(key);
      continue;
    }
    if (record.role == Role::Ipam) continue;
    if (record.role == Role::Main) known.insert(host_ifname(key));
    if (auto attachment = CO_TRY(co_await present(record)))
      living.push_back(std::move(*attachment));
    else
      log::warning("the link of {} is gone; its addresses are kept until its DEL", key);
  }
  for (const auto& link : links) {
    if (known.contains(link.name)) continue;
    log::info("link {} is left over from an ADD that did not end; it is deleted", link.name);
    CO_TRY(wiring_.discard(link.name));
    reaper_.add({{}, link.name});
  }
  for (const auto& key : unfinished) {
    if (const Record& record = records.at(key); record.role == Role::Chained)
      if (auto undone =
              CO_TRY(co_await workers_.run([wiring = &wiring_, record] { return wiring->untune_foreign(record); }));
          !undone)
        log::warning("undo the ADD of {} that did not end: {}", key, undone.error().message());
    CO_TRY(co_await release_extras(records.at(key)));
    CO_TRY(ipam_->release(key, loop_.now()));
  }
  plane_.restore(std::move(living));
  co_return ok();
}

Task<Status> CniServer::drain_spool() {
  for (const auto& del : CO_TRY(read_spool(options_.spool))) {
    const auto turn = CO_TRY(co_await turns_.take(del.key));
    for (const Key& key : {del.key, ipam_key(del.key)}) {
      const auto* record = ipam_->find(key);
      if (record && record->begun <= del.when) CO_TRY(co_await disconnect(key));
    }
    CO_TRY(remove_spooled(del.file));
  }
  for (const auto& gc : CO_TRY(read_spooled_gcs(options_.spool))) {
    auto config = parse_config(gc.config, Command::Gc);
    if (!config)
      log::warning("a GC that found no agent cannot be read and is dropped: {}", config.error().message);
    else if (config->valid_attachments)
      CO_TRY(co_await collect_network(config->name, std::move(*config->valid_attachments), gc.when));
    CO_TRY(remove_spooled(gc.file));
  }
  co_return ok();
}

// A namespace takes its veth along when it dies, so an attachment is stale only when both are gone, and stays so for
// two passes: a runtime's DEL may be on its way.
Task<Result<bool>> CniServer::is_stale(Record record) {
  co_return CO_TRY(co_await workers_.run([wiring = &wiring_, record]() -> bool {
    if (wiring->namespace_lives(record)) return false;
    if (record.role != Role::Main) return true;
    const auto link = wiring->find(record);
    return link && !*link;
  }));
}

// A sandbox that its runtime has forgotten keeps namespace and link. Its Pod tells: an attachment whose Pod the API
// had, by its uid, and has not had for long is nobody's (a kubelet that is alive ends such a Pod within minutes). What
// the API never had is not judged: containers without a Pod, and static Pods before their mirror.
bool CniServer::is_orphan(const Record& record) {
  if (!options_.pods || record.pod.name.empty() || record.pod_uid.empty()) return false;
  switch (options_.pods->known(record.pod, record.pod_uid)) {
    case PodSource::Known::Unknown: return false;
    case PodSource::Known::Here: orphans_[record.key] = {record.generation, std::nullopt}; return false;
    case PodSource::Known::Gone: break;
  }
  const auto seen = orphans_.find(record.key);
  if (seen == orphans_.end() || seen->second.generation != record.generation) return false;
  if (!seen->second.gone_since) seen->second.gone_since = loop_.now();
  return loop_.now() - *seen->second.gone_since >= options_.orphan_after;
}

Task<Status> CniServer::collect() {
  // A failed spool must not keep the rest from being collected.
  if (auto drained = co_await drain_spool(); !drained) {
    if (drained.error().code() == Errc::Cancelled) co_return drained;
    log::warning("{}", drained.error().message());
  }
  CO_TRY(co_await settle_returned());
  std::vector<Record> candidates;
  for (const auto& [key, record] : ipam_->records())
    if (record.state == State::Committed) candidates.push_back(record);
  std::map<Key, uint64_t> suspects;
  for (const auto& record : candidates) {
    if (is_orphan(record)) {
      const auto turn = CO_TRY(co_await turns_.take(attachment_key(record.key)));
      const auto* now = ipam_->find(record.key);
      if (!now || now->generation != record.generation) continue;
      log::warning("{}: the API has had no Pod {} ({}) for {} s, and no DEL came; its addresses are free",
                   attachment_key(record.key), record.pod, record.pod_uid, options_.orphan_after / 1s);
      CO_TRY(co_await disconnect(record.key));
      continue;
    }
    if (!CO_TRY(co_await is_stale(record))) continue;
    const auto before = suspects_.find(record.key);
    if (before == suspects_.end() || before->second != record.generation) {
      suspects.emplace(record.key, record.generation);
      continue;
    }
    const auto turn = CO_TRY(co_await turns_.take(attachment_key(record.key)));
    const auto* now = ipam_->find(record.key);
    if (!now || now->generation != record.generation) continue;
    log::info("{} is gone without a DEL; its addresses are free", attachment_key(record.key));
    CO_TRY(co_await disconnect(record.key));
  }
  suspects_ = std::move(suspects);
  std::erase_if(orphans_, [&](const auto& entry) { return !ipam_->find(entry.first); });
  co_return ok();
}

Task<Status> CniServer::collect_forever() {
  for (;;) {
    CO_TRY(co_await loop_.sleep(options_.collect_every));
    if (auto collected = co_await collect(); !collected) {
      if (collected.error().code() == Errc::Cancelled) co_return collected;
      log::warning("collect attachments: {}", collected.error().message());
    }
  }
}

}  // namespace causeway::pod
