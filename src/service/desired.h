// The tables that shall be, kept up to date by compiling only the keys that a change affects.
#pragma once

#include "cluster/model/rows.h"
#include "service/compile.h"

namespace causeway::service {

template <class K, class V>
using Rows = cluster::Rows<Key, K, V>;

class Desired {
 public:
  explicit Desired(Options options) : options_(std::move(options)) {}

  void update(const cluster::ChangeSet& changes, const cluster::Model& model);
  // Rows of Services are held back until the model is complete(); an applier removes nothing before.
  bool complete() const { return complete_; }
  // Whether all ServiceCIDRs are known: until then a range that nobody names may be one of theirs, and stays.
  bool ranges_complete() const { return ranges_complete_; }
  // All rows of one key.
  void replace(const Key& key, Tables now);
  // Once complete, equal to compile(model, options).
  Tables tables() const;

  Rows<FrontendKey, Frontend> frontends;
  Rows<PortId, Port> ports;
  Rows<Ip, cluster::ServiceKey> addresses;
  Rows<Cidr, Present> ranges;
  Rows<Ip, NodeAddress> node_addresses;
  Rows<uint16_t, HealthCheck> health_checks;
  Rows<ProbeKey, Probe> probes;
  Rows<uint64_t, Client> clients;
  Rows<std::string, std::string> refused;  // dirty: not reported yet

 private:
  Options options_;
  bool complete_ = false;
  bool ranges_complete_ = false;
};

}  // namespace causeway::service
