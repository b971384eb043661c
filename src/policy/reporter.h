// Tells the owners of policies what of them is not enforced as it is written, as Events on the object
// (cluster/feed/told.h).
#pragma once

#include "cluster/feed/told.h"
#include "kube/client/events.h"
#include "policy/desired.h"

namespace causeway::policy {

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
  Task<Status> tell(PolicyKey key, std::string reason);

  kube::Client& api_;
  kube::EventRecorder& events_;
  const cluster::Model& model_;
  const Desired& desired_;
  cluster::Told told_;
};

}  // namespace causeway::policy
