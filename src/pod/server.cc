#include "pod/server.h"

#include <algorithm>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "pod/mtu_wish.h"
#include "pod/spool.h"
#include "pod/tuning/sysctls.h"

namespace causeway::pod {
namespace {

// A retry of the call that made it, and no other wish for the same key.
bool same_wish(const Record& known, const Record& wish) {
  return known.netns == wish.netns && known.role == wish.role && known.network == wish.network &&
         known.host_ports == wish.host_ports && known.tuning == wish.tuning && known.mtu == wish.mtu &&
         known.host_link == wish.host_link;
}

AddResult result_of(const Record& record, const std::string& dns) {
  return {.host_ifname = host_ifname(record.key),
          .host_mac = gateway_mac(),
          .ifname = record.key.ifname,
          .mac = mac_of(record),
          .sandbox = record.netns_path,
          .mtu = record.mtu,
          .addresses = record.addresses,
          .dns = dns};
}

Reaper::Place place_of(const Record& record) { return {record.netns, record.key.ifname}; }

std::string name_of(const Record& record) {
  if (record.pod.name.empty()) return "container " + to_string(record.key);
  return fmt::format("Pod {} ({})", record.pod, record.key);
}

}  // namespace

cluster::Attachment attachment_of(const Record& record, IfIndex host) {
  return {.key = record.key,
          .pod = record.pod,
          .pod_uid = record.pod_uid,
          .addresses = record.addresses,
          .host_ifname = record.role == Role::Chained ? record.host_link : host_ifname(record.key),
          .host_ifindex = host,
          .host_mac = gateway_mac(),
          .pod_mac = mac_of(record),
          .netns_cookie = record.netns_cookie,
          .generation = record.generation,
          .host_ports = record.host_ports,
          .foreign = record.role == Role::Chained,
          .by_host_side = record.role == Role::Main && record.tuning.bandwidth.ingress.has_value()};
}

// An ADD on its way: unless it is kept, its link is discarded and its addresses come back, in this order.
class CniServer::Attempt {
 public:
  Attempt(CniServer& server, Lease lease) : server_(server), lease_(std::move(lease)) {}
  Attempt(const Attempt&) = delete;
  ~Attempt() {
    if (kept_ || !wired_) return;
    const Record& record = lease_.record();
    if (auto gone = server_.wiring_.discard(host_ifname(record.key)); !gone)
      log::error("undo the ADD of {}: {}", name_of(record), gone.error().message());
    server_.reaper_.add(place_of(record));
    lease_.mark_used(server_.loop_.now());
  }
  const Record& record() const { return lease_.record(); }
  void set_wired() { wired_ = true; }
  Status keep(uint64_t netns_cookie) {
    TRY(lease_.commit(netns_cookie));
    kept_ = true;
    return ok();
  }

 private:
  CniServer& server_;
  Lease lease_;
  bool wired_ = false;
  bool kept_ = false;
};

CniServer::CniServer(Loop& loop, WorkerPool& workers, Storage& storage, Wiring& wiring, Plane& plane,
                     ServerOptions options)
    : loop_(loop),
      workers_(workers),
      storage_(storage),
      wiring_(wiring),
      plane_(plane),
      options_(std::move(options)),
      turns_(loop),
      reaper_(loop, workers, wiring),
      scope_(loop) {}

void CniServer::set_network(NodeNetwork network) {
  network_ = std::move(network);
  if (ipam_) ipam_->set_blocks(network_.pod_cidrs, loop_.now());
}

Status CniServer::ready() const {
  if (!ipam_) return fail(Errc::Unavailable, "the agent is starting");
  if (!network_.not_ready.empty()) return fail(Errc::Unavailable, "{}", network_.not_ready);
  return ipam_->available(loop_.now());
}

Task<Reply> CniServer::serve(Call call) {
  const CniVersion version = version_of(call.request.field[wire::kConfig].value_or(""));
  const auto command = parse_command(call.request);
  if (!command) co_return error_reply(command.error(), version);
  CniResult<Reply> reply = refuse(CniCode::Failed, "not served");
  switch (*command) {
    case Command::Add: reply = co_await add(call); break;
    case Command::Check: reply = co_await check(call); break;
    case Command::Del: reply = co_await del(call); break;
    case Command::Gc: reply = co_await gc(call.request); break;
    case Command::Status: reply = status(call.request); break;
    case Command::Version: reply = version_reply(version); break;
  }
  if (reply) co_return std::move(*reply);
  if (*command != Command::Status)
    log::warning("CNI {} of {}: {}: {}", *call.request.field[wire::kCommand],
                 call.request.field[wire::kContainer].value_or("?"), reply.error().message, reply.error().details);
  co_return error_reply(reply.error(), version);
}

CniResult<void> CniServer::check_host_ports(const NetworkConfig& config) const {
  if (config.host_ports.empty()) return {};
  if (!options_.no_host_ports.empty())
    return refuse(CniCode::UnsupportedField,
                  "unsupported field runtimeConfig.portMappings: " + host_ports_text(config.host_ports),
                  options_.no_host_ports);
  for (const auto& port : config.host_ports) {
    if (!port.host_ip) continue;
    bool has_family = false;
    for (const auto& cidr : network_.pod_cidrs) has_family = has_family || cidr.family() == port.host_ip->family();
    if (!has_family)
      return refuse(CniCode::InvalidConfig,
                    fmt::format("runtimeConfig.portMappings: hostIP {} of port {}/{} is of a family that Pods of this "
                                "node have no address of",
                                *port.host_ip, port.port, port.protocol));
  }
  return {};
}

Task<CniResult<Reply>> CniServer::add(Call call) {
  const auto& field = call.request.field;
  auto key = parse_key(call.request);
  if (!key) co_return std::unexpected(key.error());
  auto path = parse_netns(call.request);
  if (!path) co_return std::unexpected(path.error());
  auto args = parse_args(field[wire::kArgs].value_or(""));
  if (!args) co_return std::unexpected(args.error());
  auto config = parse_config(field[wire::kConfig].value_or(""));
  if (!config) co_return std::unexpected(config.error());
  if (!ipam_ || !network_.not_ready.empty())
    co_return refuse(CniCode::TryAgainLater, "no Pod can be connected now",
                     ipam_ ? network_.not_ready : "the agent is starting");
  // As it is now: it may go away while the Pod is asked for, and a repeated ADD would seem to ask for something else.
  const NodeNetwork network = network_;
  if (auto good = check_host_ports(*config); !good) co_return std::unexpected(std::move(good.error()));
  auto netns = wiring_.open_namespace(call.netns, *path);
  if (!netns)
    co_return refuse(CniCode::InvalidEnvironment, "CNI_NETNS " + *path + " cannot be used", netns.error().message());
  call.netns = std::move(netns->fd);

  // What the configuration asks for goes before what the environment does (CONVENTIONS.md, "CNI_ARGS").
  if (config->ips.empty()) config->ips = std::move(args->ips);
  if (!config->tuning.mac) config->tuning.mac = args->mac;
  for (const auto& [name, value] : config->tuning.sysctls)
    if (auto good = check_sysctl(name, value, key->ifname); !good)
      co_return refuse(CniCode::InvalidConfig, "sysctl." + name + " cannot be set", good.error().message());
  Record wish{.key = std::move(*key),
              .netns_path = std::move(*path),
              .netns = netns->id,
              .pod = std::move(args->pod),
              .pod_uid = std::move(args->pod_uid),
              .host_ports = config->host_ports,
              .network = config->name,
              .role = config->role,
              .tuning = config->tuning};
  switch (config->role) {
    case Role::Chained: co_return co_await add_behind(std::move(*config), std::move(wish));
    case Role::Ipam: co_return co_await add_addresses(std::move(*config), std::move(wish));
    case Role::Main: break;
  }
  const auto notes = co_await notes_of(wish, *config);
  if (!notes) co_return std::unexpected(notes.error());
  auto asked = wanted(wish, *config, *notes);
  if (!asked) co_return std::unexpected(std::move(asked.error()));
  wish.asked = !asked->addresses.empty();
  wish.mtu = config->mtu.value_or(network.mtu);
  bool has_v6 = false;
  for (const auto& cidr : network.pod_cidrs) {
    has_v6 = has_v6 || cidr.family() == Family::V6;
    if (cidr.family() == Family::V6 && wish.mtu < kMinMtuV6)
      co_return refuse(CniCode::InvalidConfig, fmt::format("mtu {} is below {}, which the IPv6 of Pod CIDR {} needs",
                                                           wish.mtu, kMinMtuV6, cidr));
  }
  const auto own_mtu = mtu_wish(notes->annotations, {.own = wish.mtu, .fabric = network.mtu}, has_v6);
  if (!own_mtu) {
    if (options_.tell) options_.tell(wish, "InvalidMtuAnnotation", own_mtu.error().message);
    co_return std::unexpected(own_mtu.error());
  }
  wish.mtu = *own_mtu;
  const std::string who = name_of(wish);
  const uint32_t mtu = wish.mtu;
  auto networks = co_await wanted_networks(wish, notes->annotations);
  if (!networks) {
    tell_refused(wish, networks.error());
    co_return std::unexpected(to_cni(std::move(networks.error()), "cannot connect " + who));
  }
  auto result = co_await connect({.record = wish, .netns = std::move(call.netns), .mtu = mtu}, config->dns, *asked,
                                 std::move(*networks));
  if (!result) {
    const bool exists = result.error().code() == Errc::AlreadyExists;
    co_return std::unexpected(
        refused(wish, asked->by_name(), std::move(result.error()),
                exists ? who + " has an interface of that name already" : "cannot connect " + who));
  }
  co_return add_reply(*result, config->version);
}

Task<Result<AddResult>> CniServer::connect(WireRequest request, std::string dns, Wanted wanted,
                                           std::vector<WantedNetwork> networks) {
  const Key key = request.record.key;
  const auto turn = CO_TRY(co_await turns_.take(key));
  if (const auto* record = ipam_->find(key)) {
    // A retry whose first answer was lost (the agent was killed behind its commit) gets that answer.
    const Record known = *record;
    auto attachment = CO_TRY(co_await present(known));
    const auto has = [&](const Ip& ip) { return std::ranges::find(known.addresses, ip) != known.addresses.end(); };
    if (attachment && same_wish(known, request.record) && std::ranges::all_of(wanted.addresses, has) &&
        same_networks(known, networks)) {
      CO_TRY(co_await plane_.attach(std::move(*attachment)), "data path");
      co_return result_of(known, dns);
    }
    log::info("{} is connected anew: {}", name_of(known),
              !attachment                         ? "its link is gone"
              : !same_wish(known, request.record) ? "this ADD asks for something else than the one that made it"
              : !same_networks(known, networks)   ? "it asks for other networks"
                                                  : "it asks for other addresses");
    CO_TRY(co_await disconnect(key));
  }
  CO_TRY(co_await reaper_.cleared(place_of(request.record)));

  hear_reservations();
  if (wanted.keep)  // what it had before, where nothing else is asked for
    for (const Ip& ip : options_.reservations->of(request.record.pod))
      if (std::ranges::find(wanted.addresses, ip.family(), &Ip::family) == wanted.addresses.end())
        wanted.addresses.push_back(ip);
  auto chosen = choose_extras(key, networks);
  if (!chosen) {
    tell_refused(request.record, chosen.error());
    co_return fail(std::move(chosen.error()));
  }
  request.record.extras = std::move(*chosen);
  auto extras = request.record.extras;  // with their routes, which the journal does not keep
  Attempt attempt(*this, CO_TRY(ipam_->reserve(std::move(request.record), loop_.now(), wanted.addresses)));
  request.record = attempt.record();
  request.record.extras = std::move(extras);
  if (wanted.keep)
    CO_TRY(co_await options_.reservations->claim(request.record.pod, *wanted.keep, request.record.addresses));
  auto link = CO_TRY(co_await workers_.run([wiring = &wiring_, request] { return wiring->wire(request); }));
  if (!link && !request.record.extras.empty()) tell_refused(request.record, link.error());
  Wired wired = CO_TRY(std::move(link), "link");
  attempt.set_wired();
  request.record.netns_cookie = wired.netns_cookie;
  request.record.extras = std::move(wired.extras);
  if (auto attached = co_await plane_.attach(attachment_of(request.record, wired.host)); !attached) {
    CO_TRY(co_await release_extras(request.record));
    co_return fail(std::move(attached.error()).with("data path"));
  }
  if (auto committed = attempt.keep(wired.netns_cookie); !committed) {
    if (auto undone = co_await plane_.detach(key); !undone)
      log::error("undo the ADD of {}: {}", name_of(request.record), undone.error().message());
    CO_TRY(co_await release_extras(request.record));
    co_return fail(std::move(committed.error()));
  }
  publish_networks(request.record);
  co_return result_of(request.record, dns);
}

Task<Result<std::optional<cluster::Attachment>>> CniServer::present(Record record) {
  if (record.state != State::Committed || record.role == Role::Ipam) co_return std::nullopt;
  if (record.role == Role::Chained) {
    const auto link =
        CO_TRY(co_await workers_.run([wiring = &wiring_, record] { return wiring->find_foreign(record); }));
    if (!link) co_return std::nullopt;
    co_return attachment_of(record, link->host);
  }
  const auto host = CO_TRY(CO_TRY(co_await workers_.run([wiring = &wiring_, record] { return wiring->find(record); })));
  if (!host) co_return std::nullopt;
  co_return attachment_of(record, *host);
}

Task<CniResult<Reply>> CniServer::del(Call call) {
  // Whatever the configuration says now: what an ADD made under another one must go all the same.
  auto key = parse_key(call.request);
  const auto& field = call.request.field;
  // An ADD with a name that cannot be was refused, so there is nothing to delete, and the runtime must get on.
  if (!key && !field[wire::kContainer].value_or("").empty() && !field[wire::kIfname].value_or("").empty())
    co_return empty_reply();
  if (!key) co_return std::unexpected(key.error());
  if (!ipam_) co_return refuse(CniCode::TryAgainLater, "the agent is starting");
  auto turn = co_await turns_.take(*key);
  if (!turn) co_return std::unexpected(to_cni(std::move(turn.error()), "DEL"));
  for (const Key& one : {*key, ipam_key(*key)})
    if (auto done = co_await disconnect(one); !done) co_return std::unexpected(to_cni(std::move(done.error()), "DEL"));
  co_return empty_reply();
}

// The caller holds the key's turn. Goes on over every failure: the address cools, and what is left of the link dies
// with the Pod's namespace. Only cancellation is an error.
Task<Status> CniServer::disconnect(Key key) {
  const auto* found = ipam_->find(key);
  if (!found) co_return ok();
  const Record record = *found;
  if (record.role != Role::Ipam)
    if (auto detached = co_await plane_.detach(key); !detached) {
      if (detached.error().code() == Errc::Cancelled) co_return detached;
      log::warning("disconnect {}: data path: {}", name_of(record), detached.error().message());
    }
  if (record.role == Role::Main) {
    if (auto discarded = wiring_.discard(host_ifname(key)); !discarded)
      log::warning("disconnect {}: {}", name_of(record), discarded.error().message());
    reaper_.add(place_of(record));
  } else if (record.role == Role::Chained) {
    auto undone = co_await workers_.run([wiring = &wiring_, record] { return wiring->untune_foreign(record); });
    if (!undone) co_return fail(std::move(undone.error()));
    if (!*undone) log::warning("disconnect {}: {}", name_of(record), undone->error().message());
  }
  // Behind the link, which tells a repeated ADD that the attachment is whole.
  CO_TRY(co_await release_extras(record));
  suspects_.erase(key);
  if (auto released = ipam_->release(key, loop_.now()); !released)
    log::error("disconnect {}: {}; a restarted agent frees the address when it finds the Pod gone", name_of(record),
               released.error().message());
  co_return ok();
}

std::string CniServer::render() const {
  std::string text = network_.not_ready.empty() ? "ready" : "not ready: " + network_.not_ready;
  text += fmt::format("\nmtu {}\nlinks to delete {}\n", network_.mtu, reaper_.waiting());
  if (ipam_) text += ipam_->render(loop_.now());
  return text;
}

Result<IpamOptions> this_boot() {
  auto boot_id = TRY(read_file("/proc/sys/kernel/random/boot_id"));
  if (!boot_id.empty() && boot_id.back() == '\n') boot_id.pop_back();
  return IpamOptions{.boot_id = std::move(boot_id), .seed = std::random_device()()};
}

}  // namespace causeway::pod
