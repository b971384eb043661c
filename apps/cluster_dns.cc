#include "apps/cluster_dns.h"

#include <algorithm>

#include "base/log.h"

namespace causeway::apps {

namespace {

constexpr Duration kPatience = 3s;    // a DNS process connects again after 1 s at most
constexpr Duration kLookEvery = 30s;  // somebody else may take away a route
constexpr Duration kTryAgainAfter = 1s;

}  // namespace

ClusterDns::ClusterDns(Loop& loop, const cluster::Model& model, netlink::Rtnetlink& net, dns::LocalDoor& door,
                       std::vector<Ip> addresses)
    : loop_(loop), model_(model), local_(net, door), addresses_(std::move(addresses)), woken_(loop) {}

void ClusterDns::heard() {
  heard_ = true;
  if (woken_.size() == 0) woken_.push(true);
}

// The kernel refuses a source that is no address of a device.
std::map<Family, Ip> ClusterDns::sources() const {
  std::map<Family, Ip> out;
  const cluster::Node* self = model_.self();
  if (!self) return out;
  for (const Ip& ip : self->addresses)
    if (std::ranges::binary_search(model_.facts().addresses, ip)) out.emplace(ip.family(), ip);
  return out;
}

Task<Status> ClusterDns::run(const dns::FeedServer& names) {
  auto patience = loop_.call_after(kPatience, [this] { heard(); });
  while (!heard_) CO_TRY(co_await woken_.next());
  for (;;) {
    const std::set<Ip> here = dns::answered(addresses_, names.answers());
    const Status done = local_.bring(here, sources());
    if (done && here != here_)
      log::info("cluster DNS: {}", here.empty() ? "no process of this node answers, so others of the Service do"
                                                : fmt::format("answered here: {}", fmt::join(here, ", ")));
    if (done) here_ = here;
    std::string trouble = done ? "" : fmt::format("cluster DNS of this node: {}", done.error().message());
    if (!trouble.empty() && trouble != trouble_) log::warning("{}", trouble);
    trouble_ = std::move(trouble);
    auto again = loop_.call_after(done ? kLookEvery : kTryAgainAfter, [this] { heard(); });
    CO_TRY(co_await woken_.next());
  }
}

std::string ClusterDns::render() const {
  std::string out;
  for (const Ip& ip : addresses_)
    out += fmt::format("{}: {}\n", ip,
                       here_.contains(ip) ? "answered by `causeway dns` of this node"
                                          : "no process of this node answers: a Service's address like any other");
  return trouble_.empty() ? out : out + trouble_ + "\n";
}

std::string ClusterDns::trace(const Ip& to, uint16_t port) const {
  if (port != dns::kDnsPort || !here_.contains(to)) return "";
  return fmt::format(
      "{}:53 is cluster DNS, and `causeway dns` of this node answers it: the packet goes there as it is, past "
      "Services. Were it away:\n",
      to);
}

}  // namespace causeway::apps
