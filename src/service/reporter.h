// Tells the owners of Services and Pods what of them is not served, as Events on the object (cluster/feed/told.h).
#pragma once

#include "cluster/feed/told.h"
#include "kube/client/events.h"
#include "service/desired.h"

namespace causeway::service {

class Reporter {
 public:
  static constexpr Duration kLook = 5s;

  // Borrows all.
  Reporter(kube::Client& api, kube::EventRecorder& events, const cluster::Model& model, const Desired& desired)
      : api_(api), events_(events), model_(model), desired_(desired) {}

  // Endless.
  Task<Status> run();
  // Tells what is due now.
  Task<Status> look();

 private:
  Task<Status> tell(Key key, std::string reason);

  kube::Client& api_;
  kube::EventRecorder& events_;
  const cluster::Model& model_;
  const Desired& desired_;
  cluster::Told told_;
};

}  // namespace causeway::service
