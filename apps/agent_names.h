// What the agent watches, and what of it a `causeway dns` of this node is told.
#pragma once

#include "apps/agent.h"
#include "cluster/feed/feed.h"
#include "cluster/feed/watches.h"
#include "dns/feed_server.h"
#include "observe/endpoint.h"

namespace causeway::apps {

// `policies`: the plane enforces them.
cluster::WatchOptions watches_of(const AgentOptions& options, bool policies);

// Listens at dns.sock in the run folder, as a consumer of the feed; nothing without --dns. Before the feed starts.
// `heard`: a reader said where it answers.
Status tell_names(Loop& loop, const cluster::Model& model, const AgentOptions& options, cluster::Feed& feed,
                  std::unique_ptr<dns::FeedServer>& names, std::function<void()> heard);
// Page /dns: who reads, and how much was told.
std::string render(const dns::FeedServer* names);

}  // namespace causeway::apps
