// The objects around the addresses of Services (KEP-1880), kept by the server itself: one IPAddress for each cluster
// IP, and of each ServiceCIDR the finalizer, the condition Ready and the end of its deletion. On a Kubernetes cluster
// these are parts of kube-apiserver and kube-controller-manager.
#pragma once

#include <set>

#include "apiserver/write.h"
#include "async/event.h"

namespace causeway::apiserver {

class ServiceObjects {
 public:
  explicit ServiceObjects(Context context) : context_(context), bell_(context.loop) {}

  // Notes what must be looked at. Fed after ServiceAddresses.
  void observe(const Event& event);
  // Writes what is missing, takes away what nobody has any more. Runs until cancelled.
  Task<Status> run();

 private:
  void ring();
  Task<bool> settle_address(Ip ip);           // false: it could not be written
  Task<bool> settle_range(std::string name);  // true: it waits for time to pass
  bool is_needed(const Cidr& cidr, const std::string& name) const;

  Context context_;
  std::set<Ip> addresses_;  // to look at
  bool ranges_ = true;      // to look at
  bool rung_ = false;
  Channel<char> bell_;
};

}  // namespace causeway::apiserver
