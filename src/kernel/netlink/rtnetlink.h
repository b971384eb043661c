// The door to links, addresses, routes and neighbours of one network namespace.
//
//   auto net = TRY(netlink::open_rtnetlink());
//   TRY(net->apply_one(netlink::PutRoute{route}));
//
// Calls block for as long as the kernel works (0.02..1 ms; deleting a link 16..20 ms, so delete by group). An object
// is used by one thread at a time: a pool of workers has one each.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <vector>

#include "async/loop.h"
#include "kernel/netlink/messages.h"

namespace causeway::netlink {

class Rtnetlink {
 public:
  virtual ~Rtnetlink() = default;

  // Sends all changes in as few system calls as fit; one status each, in order. The kernel goes on after a change
  // that failed, so a change that needs the one before it belongs into the next call.
  virtual std::vector<Status> apply(std::span<const Change> changes) = 0;

  virtual Result<std::vector<Link>> links() = 0;
  virtual Result<Link> link(LinkRef ref) = 0;  // NotFound
  // Only its index: does not wait for who changes links meanwhile, as link() does.
  virtual Result<IfIndex> index_of(const std::string& name) = 0;  // NotFound
  virtual Result<std::vector<Address>> addresses() = 0;
  virtual Result<std::vector<Route>> routes(RouteFilter filter) = 0;
  virtual Result<std::vector<Neighbour>> neighbours() = 0;               // the permanent ones
  virtual Result<std::vector<Forwarding>> forwarding(IfIndex link) = 0;  // the permanent ones, of a VXLAN device
  virtual Result<std::vector<Rule>> rules(uint8_t protocol) = 0;         // "from PREFIX lookup TABLE"; 0: of all tags
  // The shaping at the root of a link; empty: another kind of queueing. The burst is exact to 64 ns of the rate.
  virtual Result<std::optional<TokenBucket>> token_bucket(IfIndex link) = 0;
  // Which way a packet to `destination` goes from here; `source` is the address it would carry.
  virtual Result<Route> route_to(Ip destination) = 0;

  Status apply_one(Change change) { return std::move(apply(std::span(&change, 1)).front()); }
  // All are sent; the first failure, if any.
  Status apply_all(std::span<const Change> changes);
};

// A socket in the caller's namespace.
Result<std::unique_ptr<Rtnetlink>> open_rtnetlink();
// A socket in the namespace behind `netns_fd` (borrowed, needed only during the call).
Result<std::unique_ptr<Rtnetlink>> open_rtnetlink_in(int netns_fd);

// Says that links, addresses or routes of the namespace changed; what changed is for the observer to read again.
class Watch {
 public:
  virtual ~Watch() = default;
  // Ok after at least one change since the last call; many changes are one.
  virtual Task<Status> changed() = 0;
};
enum class Watched : uint8_t { Links = 1, Addresses = 2, Routes = 4 };
// What happens to links of the groups `but` is no change.
Result<std::unique_ptr<Watch>> open_watch(Loop& loop, std::initializer_list<Watched> what, std::set<uint32_t> but = {});

}  // namespace causeway::netlink
