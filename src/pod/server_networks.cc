// Further networks of a Pod: which it asks for, which addresses they get, and telling the Pod of them.
#include <algorithm>

#include "base/log.h"
#include "pod/extra/definition.h"
#include "pod/server.h"

namespace causeway::pod {

Task<Result<std::vector<WantedNetwork>>> CniServer::wanted_networks(Record wish, cluster::Labels annotations) {
  std::vector<WantedNetwork> wanted;
  const auto found = annotations.find(kNetworksAnnotation);
  if (found == annotations.end() || found->second.empty()) co_return wanted;
  // Called for a further interface itself, or by one who makes them: no Pod gets two of each.
  if (wish.key.ifname != kMainInterface) co_return wanted;
  if (const std::string other = options_.other_network ? options_.other_network() : ""; !other.empty()) {
    log::info("Pod {}: its further networks are left to {}", wish.pod, other);
    co_return wanted;
  }
  auto selections = CO_TRY(parse_networks(found->second, wish.pod.ns, wish.key.ifname));
  if (!options_.networks && !selections.empty())
    co_return fail(Errc::Unsupported, "annotation {}: this agent has no API to read definitions from",
                   kNetworksAnnotation);
  for (auto& selection : selections) {
    auto config = co_await options_.networks->config_of(selection.ns, selection.name);
    if (!config && config.error().code() == Errc::NotFound)
      co_return fail(Errc::NotFound, "annotation {}: there is no NetworkAttachmentDefinition {}/{}",
                     kNetworksAnnotation, selection.ns, selection.name);
    wanted.push_back({std::move(selection), CO_TRY(std::move(config))});
  }
  co_return wanted;
}

// What the runtime says of it (FailedCreatePodSandBox) is long; this names the reason alone.
void CniServer::tell_refused(const Record& wish, const Error& error) const {
  // Of these an Event is written anyway, or the next try is on its way.
  if (error.code() == Errc::Exhausted || error.code() == Errc::Cancelled) return;
  if (options_.tell) options_.tell(wish, "NetworkAttachmentFailed", error.message());
}

// On the loop's thread, right before the journal: nobody else chooses meanwhile.
Result<std::vector<ExtraInterface>> CniServer::choose_extras(const Key& key,
                                                             const std::vector<WantedNetwork>& wanted) const {
  std::vector<ExtraInterface> extras;
  for (const auto& one : wanted) {
    const std::string network = one.selection.ns + "/" + one.selection.name;
    std::set<Ip> taken;
    const auto take = [&](const std::vector<ExtraInterface>& list) {
      for (const auto& extra : list)
        if (extra.network == network)
          for (const auto& address : extra.addresses) taken.insert(address.ip);
    };
    for (const auto& [other, record] : ipam_->records())
      if (other != key) take(record.extras);
    take(extras);
    extras.push_back(TRY(parse_definition(one.config, one.selection, taken, options_.space)));
  }
  return extras;
}

bool CniServer::same_networks(const Record& known, const std::vector<WantedNetwork>& wanted) {
  return std::ranges::equal(known.extras, wanted, [](const ExtraInterface& extra, const WantedNetwork& one) {
    return extra.ifname == one.selection.ifname && extra.network == one.selection.ns + "/" + one.selection.name;
  });
}

Task<Status> CniServer::release_extras(Record record) {
  if (record.extras.empty()) co_return ok();
  for (const auto& extra : record.extras) devices_move_ = devices_move_ || extra.kind == ExtraKind::Device;
  auto released = CO_TRY(co_await workers_.run([wiring = &wiring_, record] { return wiring->release_extras(record); }));
  if (!released) log::warning("{}: give back its further interfaces: {}", record.key, released.error().message());
  co_return ok();
}

Task<Status> CniServer::settle_returned() {
  std::set<std::string> containers;
  for (const auto& [key, record] : ipam_->records())
    for (const auto& extra : record.extras)
      if (extra.kind == ExtraKind::Device) containers.insert(key.container);
  if (!std::exchange(devices_move_, false)) co_return ok();
  auto settled =
      CO_TRY(co_await workers_.run([wiring = &wiring_, containers] { return wiring->settle_returned(containers); }));
  if (!settled) log::warning("give names back to devices: {}", settled.error().message());
  co_return ok();
}

void CniServer::publish_networks(const Record& record) {
  if (record.extras.empty() || record.pod.name.empty() || !options_.networks) return;
  std::vector<StatusOf> all{{.network = record.network,
                             .ifname = record.key.ifname,
                             .ips = record.addresses,
                             .mac = mac_of(record),
                             .main = true}};
  for (const auto& extra : record.extras) {
    StatusOf one{.network = extra.network, .ifname = extra.ifname, .ips = {}, .mac = extra.mac};
    for (const auto& address : extra.addresses) one.ips.push_back(address.ip);
    all.push_back(std::move(one));
  }
  scope_.spawn("network status", tell_networks(record.pod, record.pod_uid, status_text(all)));
}

// The Pod runs without it: who reads it waits for it anyway, so a failure is told and no more.
Task<Status> CniServer::tell_networks(cluster::PodKey pod, std::string uid, std::string status) {
  auto told = co_await options_.networks->publish(std::move(pod), std::move(uid), std::move(status));
  if (!told && told.error().code() == Errc::Cancelled) co_return told;
  if (!told) log::warning("{}", told.error().message());
  co_return ok();
}

}  // namespace causeway::pod
