// A namespace in memory, for tests of those who use Rtnetlink: the same answers as the kernel's for what our code
// does, every change recorded, failures on demand.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "kernel/netlink/rtnetlink.h"

namespace causeway::netlink {

class FakeRtnetlink final : public Rtnetlink {
 public:
  FakeRtnetlink();  // holds lo (1)

  std::vector<Status> apply(std::span<const Change> changes) override;
  Result<std::vector<Link>> links() override;
  Result<Link> link(LinkRef ref) override;
  Result<IfIndex> index_of(const std::string& name) override { return TRY(link(name)).index; }
  Result<std::vector<Address>> addresses() override;
  Result<std::vector<Route>> routes(RouteFilter filter) override;
  Result<std::vector<Neighbour>> neighbours() override;
  Result<std::vector<Forwarding>> forwarding(IfIndex link) override;
  Result<std::vector<Rule>> rules(uint8_t protocol) override;
  Result<std::optional<TokenBucket>> token_bucket(IfIndex link) override;
  Result<Route> route_to(Ip destination) override;  // longest prefix of the main table

  // Adds a link as the machine would have it; returns its index.
  IfIndex add_link(Link link);
  // The state, one line for each object.
  std::string render() const;

  // Every change that was applied with success, printed.
  std::vector<std::string> log;
  // Asked before each change: an error makes that change fail.
  std::function<Status(const Change&)> fault;

 private:
  Status apply_change(const Change& change);
  Link* find(const LinkRef& ref);
  void remove_link(IfIndex index);

  struct RouteKey {
    Cidr destination;
    uint32_t table;
    uint32_t priority;
    auto operator<=>(const RouteKey&) const = default;
  };
  uint32_t next_index_ = 2;
  std::map<IfIndex, Link> links_;
  std::map<std::pair<IfIndex, Ip>, Address> addresses_;
  std::map<RouteKey, Route> routes_;
  std::map<std::pair<IfIndex, Ip>, Neighbour> neighbours_;
  std::map<std::pair<IfIndex, Mac>, Forwarding> forwarding_;
  std::set<Rule> rules_;
  std::map<IfIndex, TokenBucket> buckets_;
};

}  // namespace causeway::netlink
