// ADD where the Pod's interface is another plugin's: behind it in its list (we add to what it made), or as its `ipam`
// (we give it addresses).
#include <algorithm>

#include "base/log.h"
#include "pod/address_wish.h"
#include "pod/mtu_wish.h"
#include "pod/server.h"

namespace causeway::pod {
namespace {

// What only who makes the interface can do.
CniResult<void> check_asked_behind(const NetworkConfig& config) {
  const auto no = [](std::string what) {
    return refuse(CniCode::UnsupportedField, "unsupported field " + what,
                  "behind another plugin its interface stays as it is: ask that plugin for it");
  };
  if (config.mtu) return no(fmt::format("mtu: {}", *config.mtu));
  if (!config.ips.empty()) return no(fmt::format("ips: {}", config.ips.front()));
  if (config.tuning.mac) return no(fmt::format("mac: {}", *config.tuning.mac));
  return {};
}

}  // namespace

Task<CniResult<Reply>> CniServer::add_behind(NetworkConfig config, Record wish) {
  if (auto good = check_asked_behind(config); !good) co_return std::unexpected(std::move(good.error()));
  if (!config.host_ports.empty() && !options_.no_foreign_host_ports.empty())
    co_return refuse(CniCode::UnsupportedField,
                     "unsupported field runtimeConfig.portMappings: " + host_ports_text(config.host_ports),
                     options_.no_foreign_host_ports);
  const PrevResult& previous = *config.previous;
  if (!previous.interfaces.empty() && !previous.in_sandbox(wish.key.ifname))
    co_return refuse(CniCode::InvalidConfig,
                     fmt::format("prevResult has no interface {} in a sandbox", wish.key.ifname));
  for (const auto& address : previous.addresses_of(wish.key.ifname)) {
    const auto same = [&](const Ip& ip) { return ip.family() == address.ip.family(); };
    if (std::ranges::none_of(wish.addresses, same)) wish.addresses.push_back(address.ip);
  }
  if (wish.addresses.empty() && !wish.host_ports.empty())
    co_return refuse(CniCode::InvalidConfig, "prevResult has no address that a host port could lead to");

  const std::string who = fmt::format("{} behind another plugin", wish.key);
  if (auto done = co_await adopt(std::move(wish)); !done)
    co_return std::unexpected(to_cni(std::move(done.error()), "cannot add to " + who));
  co_return pass_on(previous, config.version);
}

Task<Status> CniServer::adopt(Record wish) {
  const Key key = wish.key;
  const auto turn = CO_TRY(co_await turns_.take(key));
  const ForeignLink link =
      CO_TRY(CO_TRY(co_await workers_.run([wiring = &wiring_, wish] { return wiring->find_foreign(wish); })));
  wish.host_link = link.host_name;
  wish.mtu = link.mtu;
  if (const auto* known = ipam_->find(key)) {
    if (known->role == Role::Main)
      co_return fail(Errc::AlreadyExists, "causeway made this interface itself: name it once in the list");
    CO_TRY(co_await disconnect(key));  // a retry: done once more, from the start
  }
  auto lease = CO_TRY(ipam_->adopt(std::move(wish), loop_.now()));
  const Record record = lease.record();
  CO_TRY(CO_TRY(co_await workers_.run([wiring = &wiring_, record] { return wiring->tune_foreign(record); })));
  auto attached = co_await plane_.attach(attachment_of(record, link.host));
  if (attached) attached = lease.commit(record.netns_cookie);
  if (attached) co_return ok();
  if (auto undone = co_await plane_.detach(key); !undone) log::error("undo {}: {}", key, undone.error().message());
  if (auto undone = co_await workers_.run([wiring = &wiring_, record] { return wiring->untune_foreign(record); });
      undone && !*undone)
    log::error("undo {}: {}", key, undone->error().message());
  co_return attached;
}

Task<CniResult<Reply>> CniServer::add_addresses(NetworkConfig config, Record wish) {
  // What else the runtime passes is for the plugin that asks us: it makes the interface.
  const auto notes = co_await notes_of(wish, config);
  if (!notes) co_return std::unexpected(notes.error());
  auto asked = wanted(wish, config, *notes);
  if (!asked) co_return std::unexpected(std::move(asked.error()));
  if (asked->keep)
    co_return refuse(CniCode::UnsupportedField, fmt::format("unsupported annotation {}", kKeepAddresses),
                     "another plugin makes the interface, so nobody would announce its address to the other nodes");
  if (notes->annotations.contains(std::string(kPodMtu)))
    co_return refuse(CniCode::UnsupportedField, fmt::format("unsupported annotation {}", kPodMtu),
                     "another plugin makes the interface: ask that plugin for its MTU");
  wish.asked = !asked->addresses.empty();
  wish.key = ipam_key(wish.key);
  wish.tuning = {};
  wish.host_ports.clear();
  const Key key = attachment_key(wish.key);
  auto record = co_await reserve_only(wish, asked->addresses);
  if (!record)
    co_return std::unexpected(
        refused(wish, asked->by_name(), std::move(record.error()), fmt::format("no address for {}", key)));
  IpamResult result{.addresses = {}, .dns = config.dns};
  for (const auto& ip : record->addresses) {
    Cidr block = host_cidr(ip);
    for (const auto& one : ipam_->blocks())
      if (one.contains(ip)) block = one;
    result.addresses.push_back({ip, block});
  }
  co_return ipam_reply(result, config.version);
}

Task<Result<Record>> CniServer::reserve_only(Record wish, std::vector<Ip> addresses) {
  const auto turn = CO_TRY(co_await turns_.take(attachment_key(wish.key)));
  if (const auto* known = ipam_->find(wish.key)) {
    if (known->state == State::Committed && known->netns == wish.netns && known->network == wish.network)
      co_return *known;
    CO_TRY(co_await disconnect(wish.key));
  }
  hear_reservations();
  auto lease = CO_TRY(ipam_->reserve(std::move(wish), loop_.now(), addresses));
  Record record = lease.record();
  CO_TRY(lease.commit(0));
  co_return record;
}

}  // namespace causeway::pod
