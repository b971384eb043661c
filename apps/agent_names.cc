#include "apps/agent_names.h"

namespace causeway::apps {

cluster::WatchOptions watches_of(const AgentOptions& options, bool policies) {
  return {.node = options.node,
          .services = options.services || options.dns,
          .proxy_name = options.service.proxy_name,
          .policies = policies,
          .names = options.dns,
          .pod_names = options.dns && options.dns_pods,
          .all_pods = options.dns && options.dns_pods};
}

Status tell_names(Loop& loop, const cluster::Model& model, const AgentOptions& options, cluster::Feed& feed,
                  std::unique_ptr<dns::FeedServer>& names, std::function<void()> heard) {
  if (!options.dns) return ok();
  names = TRY(dns::FeedServer::listen(
      loop, model, {.path = options.run + "/dns.sock", .pods = options.dns_pods, .heard = std::move(heard)}));
  feed.add(*names);
  return ok();
}

std::string render(const dns::FeedServer* names) {
  if (!names) return "no DNS process of this node is told names (--dns)\n";
  return fmt::format("{} readers; {} octets told\n", names->readers(), names->sent());
}

}  // namespace causeway::apps
