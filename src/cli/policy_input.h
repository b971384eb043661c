// What `causeway policy` judges: the objects of a cluster, or those of manifests with no cluster at all.
#pragma once

#include <string>
#include <vector>

#include "cli/manifest.h"
#include "cluster/model/model.h"

namespace causeway::cli {

struct PolicySource {
  std::string lab;                     // a lab's API server
  std::string kubeconfig;              // "": as kubectl finds one
  std::vector<std::string> manifests;  // files and folders, instead of any API server
};

struct PolicyWorld {
  cluster::Model model;
  std::vector<std::string> notes;  // what people should know of the input
};
Result<PolicyWorld> load_policy_world(const PolicySource& source);

// Puts Pods, Namespaces, policies, Nodes and Services into the world; other kinds are passed over, but for workloads:
// one stands there as a Pod of its template, named like it. What an API server would refuse, unknown fields too, is an
// error (Invalid) that names the file; so is an object that stands there twice.
Status add_manifests(const std::vector<std::string>& paths, PolicyWorld& world);
Status add_manifests(const std::vector<Manifest>& manifests, PolicyWorld& world);

}  // namespace causeway::cli
