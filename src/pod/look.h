// What a node knows of its Pods' addresses, for people: who has which, and whether addresses, kernel and API say the
// same. Pure: what is compared is handed in.
#pragma once

#include "cluster/model/model.h"
#include "pod/ipam.h"
#include "pod/wiring.h"

namespace causeway::pod {

// One moment of a node.
struct Look {
  std::string node;
  TimePoint now;
  std::vector<Record> records;  // in the order of their keys
  std::vector<Ipam::Explained> blocks;
  std::vector<HostLink> links;  // of the kernel
  std::string links_trouble;    // why they could not be read; "" if they were
  std::string api_trouble;      // why the API server tells nothing at the moment; "" while it does
};

// Where addresses, kernel, data path and API differ, one sentence each. What has not been heard of
// yet is not compared, and that it was not is a difference.
std::vector<std::string> differences(const Look& look, const cluster::Model& model);

// `causeway pod ls`: every attachment; as a table, or as JSON for programs.
std::string list_attachments(const Look& look, const cluster::Model& model, bool json);
// `causeway ipam`: every address of the node's ranges, and those of its Pods outside of them.
std::string list_addresses(const Look& look, const cluster::Model& model, bool json);

}  // namespace causeway::pod
