// Cluster DNS at its own addresses: while a `causeway dns` of this node says that it answers there, the node takes
// them, and what Pods ask there never leaves it; else they are a Service's like any other.
#pragma once

#include "apps/agent.h"
#include "async/event.h"
#include "cluster/model/model.h"
#include "dns/apply_local.h"
#include "dns/feed_server.h"

namespace causeway::apps {

class ClusterDns {
 public:
  // Borrows all. `addresses`: dns::cluster_dns_addresses() of the options.
  ClusterDns(Loop& loop, const cluster::Model& model, netlink::Rtnetlink& net, dns::LocalDoor& door,
             std::vector<Ip> addresses);

  // A reader of names said where it answers, or went.
  void heard();
  // Endless: the node's addresses follow what the readers say. Until one has said anything, for a few seconds, what a
  // former agent left stays: the process that answers there may be about to connect again.
  Task<Status> run(const dns::FeedServer& names);

  const std::vector<Ip>& addresses() const { return addresses_; }
  const std::set<Ip>& here() const { return here_; }
  // Why addresses are not as they shall be; "": they are.
  const std::string& trouble() const { return trouble_; }
  // A line for each address.
  std::string render() const;
  // What becomes of a packet from inside to port 53 of one of them, in words; "" where Services decide.
  std::string trace(const Ip& to, uint16_t port) const;

 private:
  std::map<Family, Ip> sources() const;

  Loop& loop_;
  const cluster::Model& model_;
  dns::LocalAddresses local_;
  const std::vector<Ip> addresses_;
  Channel<bool> woken_;
  bool heard_ = false;
  std::set<Ip> here_;
  std::string trouble_;
};

}  // namespace causeway::apps
