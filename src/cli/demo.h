// The checks of the demo: each is a question to the running cluster, answered by packets.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/api.h"
#include "cli/enter.h"
#include "kube/client/client.h"

namespace causeway::cli {

// What the checks know of the cluster: read once, after everything is Ready.
struct World {
  lab::LabState state;
  lab::Plan plan;
  std::vector<kube::Node> nodes;
  std::vector<kube::Pod> pods;         // Ready, with a network of their own
  std::vector<const kube::Pod*> free;  // of these, those that no policy selects
  std::vector<kube::Service> services;
};

struct Check {
  std::string text;     // "every Pod reaches every Pod on its node: 24 connections, source unchanged"
  std::string problem;  // empty: passed
  double seconds = 0;   // that it took
  std::string told;     // lines that belong to it
};
using Report = std::function<void(const Check&)>;

Task<Result<World>> observe_world(kube::Client& api, lab::LabState state);
// Runs all checks, each family of the lab for itself; returns how many failed.
int run_checks(const World& world, const Report& report);
// Those of Services, by cluster IP, node port and with affinity; returns how many failed.
int run_service_checks(const World& world, const Report& report);
// Those of names, as Pods' own resolvers have them: a Service, a Pod of a StatefulSet, a host of the world; returns how
// many failed. None in a lab without DNS.
int run_name_checks(const World& world, const Report& report);
// The shop under the policies of examples/shop/policies, file by file, and open again when they are gone; packets, and
// what `causeway policy explain` says. Returns how many failed.
int run_policy_checks(Api& api, const World& world, const std::string& examples, const Report& report);
// Replaces all Pods of shop/web while clients keep asking it, by cluster IP and from outside.
Check check_rolling_update(Api& api, const World& world);

}  // namespace causeway::cli
