// What the operator chose for Services on a node.
#pragma once

#include <string>
#include <vector>

#include "base/ip.h"

namespace causeway::service {

struct Options {
  // Node ports are served on: the node's primary address of each family (as kube-proxy's nftables mode; true), or its
  // addresses inside these prefixes. An empty list without `primary`: all of its addresses.
  bool node_ports_on_primary = true;
  std::vector<Cidr> node_port_addresses;
  bool node_ports_on_localhost = true;  // from the node itself, where the plane can
  uint16_t node_port_first = 30000, node_port_last = 32767;
  bool external_ips = true;     // spec.externalIPs are served (KEP-5707: may be switched off)
  bool masquerade_all = false;  // every endpoint sees the node's address
  bool host_ports = false;      // ports that Pods want of the node are rows here (plane bpf)
  bool balancing = true;        // annotations beyond kube-proxy are obeyed (plane bpf)
  bool schedulers = false;      // annotation ipvs-scheduler is obeyed (backend ipvs)
  // Only Services with this label value `service.kubernetes.io/service-proxy-name`; "": only those without the label.
  std::string proxy_name;
  // Port `port` of `address` is served as that of the ClusterIP `of`.
  struct Alias {
    Ip address, of;
    uint16_t port = 0;
  };
  std::vector<Alias> aliases;
  // ClusterIPs whose port the node answers before Services while it can: who comes here found nobody at home, so the
  // node's own address is the last that is asked, wherever hints lead.
  std::vector<Endpoint> own_first;
  // Ranges of Service addresses beside those of ServiceCIDR objects.
  std::vector<Cidr> service_cidrs;
};

}  // namespace causeway::service
