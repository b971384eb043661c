// What a kube-proxy shows of itself and is told, as the agent has it: the servers' flags and the configuration file.
#pragma once

#include "apps/agent.h"
#include "kube/client/events.h"
#include "service/proxy/face.h"

namespace causeway::apps {

// What --kube-proxy-config FILE names is set in place of the flags, as kube-proxy itself does; what of it is ignored is
// logged. Errors: Invalid, Unsupported; they name the field.
Status take_kube_proxy_config(AgentOptions& options);

// The face of this agent's Services. `exposition`: text of /metrics. Borrows all but the options.
std::unique_ptr<service::proxy::Face> make_proxy_face(Loop& loop, service::Applier& applier,
                                                      const cluster::Model& model, kube::EventRecorder& events,
                                                      const AgentOptions& options,
                                                      std::function<std::string()> exposition);

}  // namespace causeway::apps
