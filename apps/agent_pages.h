// What an agent shows of itself: metrics, readiness and pages of text.
#pragma once

#include "cluster/feed/watches.h"
#include "fabric/apply.h"
#include "fabric/options.h"
#include "observe/endpoint.h"
#include "pod/server.h"

namespace causeway::apps {

// Borrowed; they outlive the endpoints.
struct AgentParts {
  const cluster::Model& model;
  const cluster::Feed& feed;
  const cluster::Watches& watches;
  const fabric::Applier& fabric;
  fabric::Plane plane;
  pod::CniServer& cni;
};

void describe(observe::Endpoint& endpoint, AgentParts parts);

}  // namespace causeway::apps
