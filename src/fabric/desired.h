// The tables that shall be, kept up to date by compiling only the keys that a change affects.
#pragma once

#include "fabric/compile.h"
#include "fabric/rows.h"

namespace causeway::fabric {

class Desired {
 public:
  explicit Desired(Options options) : options_(std::move(options)) {}

  void update(const cluster::ChangeSet& changes, const cluster::Model& model);
  // Equal to compile(model, options).
  Tables tables() const;

  Rows<Cidr, Route> routes;
  Rows<Ip, std::string> peers;
  Rows<Ip, PodRow> pods;
  Rows<IfIndex, UplinkRow> uplinks;
  Rows<Cidr, KernelRoute> kernel_routes;
  Rows<NeighbourKey, Mac> neighbours;
  Rows<IfIndex, Hooks> hooks;
  Rows<Family, TunnelRow> tunnels;
  Rows<TunnelNeighbourKey, Mac> tunnel_neighbours;
  Rows<ForwardingKey, Ip> forwarding;
  Rows<Cidr, KernelRoute> pod_routes;
  Rows<Cidr, Present> rules;
  Rows<Cidr, Present> masquerade_from;
  Rows<Cidr, Present> masquerade_except_to;
  Rows<std::string, std::string> refused;  // dirty: not reported yet

 private:
  Options options_;
};

}  // namespace causeway::fabric
