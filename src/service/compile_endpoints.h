// Which endpoints one port of a Service has, and which of them may get new flows. Pure.
#pragma once

#include "service/options.h"
#include "service/tables.h"

namespace causeway::service {

// Which pools a Service uses at all.
struct PoolsUsed {
  bool cluster = true;
  bool local = false;
  bool node_last = false;  // an address of this node only where there is no other endpoint (Options::own_first)
};

struct Endpoints {
  std::vector<Backend> backends;  // sorted by address
  bool any = false;               // somebody could serve, here or elsewhere
  bool in_cluster_pool = false, in_local_pool = false;
  std::vector<Endpoint> ready;  // whose health may be looked after
};

// The Service's slices but those that a label leaves to others; DNS has the agent keep them all.
std::vector<const cluster::EndpointSlice*> balanced_slices(const cluster::ServiceKey& key, const cluster::Model& model);

// `load`: backends carry what their nodes report. What cannot be served is added to `refused`.
Endpoints endpoints_of(const cluster::Service& service, const cluster::ServicePort& port, Family family, PoolsUsed use,
                       bool load, const cluster::Model& model, std::vector<std::string>& refused);

// Which pools this port of the Service uses. ClusterIPs use that of the internal policy, all else that of the external.
PoolsUsed pools_used(const cluster::Service& service, const cluster::ServicePort& port);

// An endpoint that gets no new flows of a pool that is used, and why. For people.
struct LeftOut {
  Endpoint at;
  Name node;
  std::string why;
};
std::vector<LeftOut> left_out(const cluster::Service& service, const cluster::ServicePort& port, Family family,
                              const cluster::Model& model);

// Ready endpoints of the Service on this node, by address, in the family that has most (healthCheckNodePort).
uint32_t local_ready(const cluster::ServiceKey& key, const cluster::Model& model);

}  // namespace causeway::service
