// What IPVS shall hold for the tables of Services. Pure.
#pragma once

#include <optional>
#include <set>

#include "kernel/ipvs/ipvs.h"
#include "service/tables.h"

namespace causeway::service {

struct IpvsRow {
  ipvs::Service service;
  std::map<Endpoint, uint32_t> weights;  // of those that get new flows
  bool operator==(const IpvsRow&) const = default;
};
struct IpvsRows {
  std::map<ipvs::ServiceKey, IpvsRow> services;
  // Addresses that must be local for IPVS to see what is sent to them, and are none of the node's own: a local route
  // each.
  // With the address that the node itself shall have as a client, where it has one: it would take the Service's.
  std::map<Ip, std::optional<Ip>> bound;
  bool operator==(const IpvsRows&) const = default;
};

// `scheduler`: of Services that name none.
IpvsRows ipvs_rows(const Tables& tables, const std::string& scheduler);
// As `ipvsadm` would list it.
std::string render(const IpvsRows& rows);

// The schedulers that Linux has; whether this kernel does shows when one is used. For flags and annotations.
const std::set<std::string>& ipvs_schedulers();

}  // namespace causeway::service
