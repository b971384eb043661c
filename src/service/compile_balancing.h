// How a Service wants to be balanced beyond what Kubernetes has words for: its annotations. Pure.
#pragma once

#include "service/options.h"
#include "service/tables.h"

namespace causeway::service {

struct Balancing {
  Algorithm algorithm = Algorithm::Random;
  bool retry = false;
  std::optional<Probe> probe;
  Name scheduler;
};

// Values that cannot be obeyed are added to `refused` by name; the others hold.
Balancing balancing_of(const cluster::Service& service, const Options& options, std::vector<std::string>& refused);

}  // namespace causeway::service
