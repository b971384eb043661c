// Tells the owners of Services and Pods what of them is not served, as Events on the object. Many nodes find the same:
// for each object the few that a hash of names picks report it, under one name, so that a thousand nodes write one.
#pragma once

#include "cluster/model/model.h"
#include "kube/client/events.h"
#include "service/desired.h"

namespace causeway::service {

class Reporter {
 public:
  static constexpr Duration kLook = 5s;
  static constexpr Duration kAgain = 1h;  // Events expire; what still stands is told again
  // The first node of an object tells at once, the others in case it is away.
  static constexpr size_t kReporters = 3;
  static constexpr Duration kNext = 60s;

  // Borrows all.
  Reporter(kube::Client& api, kube::EventRecorder& events, const cluster::Model& model, const Desired& desired)
      : api_(api), events_(events), model_(model), desired_(desired) {}

  // Endless.
  Task<Status> run();
  // Tells what is due now.
  Task<Status> look();

 private:
  struct Told {
    std::string reason;
    TimePoint due{};
  };
  Task<Status> tell(Key key, std::string reason);

  kube::Client& api_;
  kube::EventRecorder& events_;
  const cluster::Model& model_;
  const Desired& desired_;
  std::map<std::string, Told> told_;  // by object
};

// How many nodes come before this one as reporters of the object. Pure.
size_t reporters_before(const std::string& node, const std::map<std::string, cluster::Node>& nodes,
                        const std::string& object);

}  // namespace causeway::service
