// Brings IPVS to the virtual services of the tables: observe -> diff -> apply; and lets endpoints that leave finish
// what they have.
#pragma once

#include <functional>

#include "kernel/netlink/rtnetlink.h"
#include "service/ipvs_rows.h"

namespace causeway::service {

using WriteSysctl = std::function<Status(const std::string& name, std::string_view value)>;

// Borrowed; all of one node.
struct IpvsKernelDoors {
  ipvs::Ipvs& ipvs;
  netlink::Rtnetlink& net;
};

// What the node's namespace must allow: IPVS in connection tracking (so that masquerading and rules see its flows),
// flows of endpoints that are gone forgotten with their next packet, clients of a draining endpoint not held to it; and
// no answer to ARP for addresses that are local only for IPVS.
Status set_ipvs_sysctls(const WriteSysctl& write);

class IpvsKernel {
 public:
  explicit IpvsKernel(IpvsKernelDoors doors) : doors_(doors) {}

  struct Outcome {
    uint64_t writes = 0;
    std::vector<std::pair<ipvs::ServiceKey, Error>> failures;  // what the kernel refused; tried again next time
  };
  Result<Outcome> bring(const IpvsRows& desired);
  // Removes the endpoints of weight 0 that have no connection left; how many still have some.
  Result<size_t> drain();
  bool draining() const { return !draining_.empty(); }
  // The next bring() looks at the kernel.
  void forget() { held_.reset(); }
  Result<std::vector<std::string>> differences(const IpvsRows& desired);

 private:
  struct Held {
    std::map<ipvs::ServiceKey, ipvs::Held> services;  // ours, and others' of the same address and port
    std::map<Ip, netlink::Route> bound;
  };
  Result<Held> observe();
  std::vector<ipvs::Change> changes(const IpvsRows& desired) const;
  void note(const ipvs::Change& change);
  Result<uint64_t> bind(const IpvsRows& desired);
  Result<uint64_t> unbind(const IpvsRows& desired);

  IpvsKernelDoors doors_;
  std::optional<Held> held_;
  std::set<std::pair<ipvs::ServiceKey, Endpoint>> draining_;
};

}  // namespace causeway::service
