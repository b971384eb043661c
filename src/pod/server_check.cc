// CHECK, GC and STATUS: what looks at attachments that are there.
#include "base/log.h"
#include "pod/server.h"

namespace causeway::pod {
namespace {

// The addresses that we keep must be those that the runtime was told of; other plugins may have added theirs.
CniResult<void> check_reservation(const Record& record, const PrevResult& previous, std::string_view ifname) {
  const auto told = previous.addresses_of(ifname);
  for (const auto& ip : record.addresses) {
    bool found = false;
    for (const auto& address : told) found = found || address.ip == ip;
    if (!found)
      return refuse(CniCode::Failed, fmt::format("address {} of {} is reserved, but prevResult does not have it", ip,
                                                 attachment_key(record.key)));
  }
  return {};
}

}  // namespace

Task<CniResult<Reply>> CniServer::check(Call call) {
  auto key = parse_key(call.request);
  if (!key) co_return std::unexpected(key.error());
  auto path = parse_netns(call.request);
  if (!path) co_return std::unexpected(path.error());
  auto args = parse_args(call.request.field[wire::kArgs].value_or(""));
  if (!args) co_return std::unexpected(args.error());
  auto config = parse_config(call.request.field[wire::kConfig].value_or(""), Command::Check);
  if (!config) co_return std::unexpected(config.error());
  if (!config->previous)
    co_return refuse(CniCode::InvalidConfig, "prevResult is missing", "CHECK compares the Pod with what ADD answered");
  if (!ipam_) co_return refuse(CniCode::TryAgainLater, "the agent is starting");
  // In its turn: an ADD that is on its way is waited for.
  auto turn = co_await turns_.take(*key);
  if (!turn) co_return std::unexpected(to_cni(std::move(turn.error()), "CHECK"));
  const auto* found = ipam_->find(config->role == Role::Ipam ? ipam_key(*key) : *key);
  if (!found || found->state != State::Committed)
    co_return refuse(CniCode::UnknownContainer, fmt::format("{} is not connected by this node's causeway", *key));
  const Record record = *found;
  if (!record.network.empty() && record.network != config->name)
    co_return refuse(CniCode::UnknownContainer,
                     fmt::format("{} is connected to network {}, not {}", *key, record.network, config->name));
  if (auto same = check_reservation(record, *config->previous, key->ifname); !same)
    co_return std::unexpected(std::move(same.error()));
  if (record.role == Role::Ipam) co_return empty_reply();

  auto netns = wiring_.open_namespace(call.netns, *path);
  if (!netns)
    co_return refuse(CniCode::InvalidEnvironment, "CNI_NETNS " + *path + " cannot be used", netns.error().message());
  if (netns->id != record.netns)
    co_return refuse(CniCode::Failed, fmt::format("{} was connected in another namespace than {}", *key, *path));
  auto kernel = co_await workers_.run([wiring = &wiring_, record, fd = netns->fd, previous = *config->previous] {
    return wiring->check(record, fd, previous);
  });
  if (!kernel) co_return std::unexpected(to_cni(std::move(kernel.error()), "CHECK"));
  if (!*kernel)
    co_return refuse(CniCode::Failed, fmt::format("{} is not as it was made", *key), kernel->error().message());
  if (auto plane = plane_.check(*key); !plane)
    co_return std::unexpected(to_cni(std::move(plane.error()), fmt::format("packets of {} may not pass", *key)));
  co_return empty_reply();
}

Task<CniResult<Reply>> CniServer::gc(RawRequest request) {
  auto config = parse_config(request.field[wire::kConfig].value_or(""), Command::Gc);
  if (!config) co_return std::unexpected(config.error());
  if (!ipam_) co_return refuse(CniCode::TryAgainLater, "the agent is starting");
  if (!config->valid_attachments) {
    // libcni leaves the key out where its caller named no attachments at all, and has sent the DELs itself.
    log::warning("CNI GC of network {}: cni.dev/valid-attachments is missing, so nothing can be called stale",
                 config->name);
    co_return empty_reply();
  }
  auto done = co_await collect_network(config->name, std::move(*config->valid_attachments), loop_.now());
  if (!done) co_return std::unexpected(to_cni(std::move(done.error()), "some stale attachments are left"));
  co_return empty_reply();
}

Task<Status> CniServer::collect_network(std::string network, std::set<Key> valid, TimePoint since) {
  std::vector<Record> stale;
  for (const auto& [key, record] : ipam_->records())
    if (record.state == State::Committed && record.network == network && record.begun <= since &&
        !valid.contains(attachment_key(key)))
      stale.push_back(record);
  Status first = ok();
  for (const auto& record : stale) {
    const auto turn = CO_TRY(co_await turns_.take(attachment_key(record.key)));
    const auto* now = ipam_->find(record.key);
    if (!now || now->generation != record.generation) continue;
    log::info("{} of network {} is not listed as valid; it is released", attachment_key(record.key), network);
    if (auto done = co_await disconnect(record.key); !done) {
      if (done.error().code() == Errc::Cancelled) co_return done;
      if (first) first = std::move(done);
    }
  }
  co_return first;
}

CniResult<Reply> CniServer::status(const RawRequest& request) const {
  if (auto config = parse_config(request.field[wire::kConfig].value_or(""), Command::Status); !config)
    return std::unexpected(config.error());
  if (auto state = ready(); !state)
    return refuse(network_.all_suffer ? CniCode::LimitedConnectivity : CniCode::NotAvailable,
                  "no Pod can be connected now", state.error().message());
  return empty_reply();
}

}  // namespace causeway::pod
