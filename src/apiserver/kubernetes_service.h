// The Service `kubernetes`, its Endpoints and EndpointSlices come back, whoever deletes or changes them: Pods find the
// API server by them. On a Kubernetes cluster this is kube-apiserver's (controlplane/controller/kubernetesservice).
#pragma once

#include "apiserver/background.h"
#include "async/event.h"

namespace causeway::apiserver {

class KubernetesService {
 public:
  // `advertise`: where the cluster reaches this server.
  KubernetesService(Context context, std::vector<Endpoint> advertise)
      : context_(context), advertise_(std::move(advertise)), bell_(context.loop) {}

  // Notes what concerns them. Writes that leave all as it is come to rest.
  void observe(const Event& event);
  // Makes what is missing, within a second or so. Runs until cancelled.
  Task<Status> run();

 private:
  Context context_;
  std::vector<Endpoint> advertise_;
  bool rung_ = false;
  Channel<char> bell_;
};

}  // namespace causeway::apiserver
