// Addresses that stay a Pod's own (API: AddressReservation). What outlives the node lives in the API, and the name of
// the object is the address: two nodes that want the same find out there who was first.
#pragma once

#include <memory>

#include "cluster/feed/watches.h"
#include "kube/client/client.h"

namespace causeway::pod {

class Reservations {
 public:
  virtual ~Reservations() = default;
  // Whose each address is, of all of which we have heard.
  virtual std::map<Ip, cluster::PodKey> all() const = 0;
  // What is promised to the Pod of this name, of which we have heard.
  virtual std::vector<Ip> of(const cluster::PodKey& pod) const = 0;
  // These are the Pod's from now on, and it is here: what there is not yet is made. Ok: every node hears of it, and our
  // model has it. Denied: one is another Pod's, or in use by one. Unavailable, Timeout: the API server is away.
  virtual Task<Status> claim(cluster::PodKey pod, cluster::PodNotes notes, std::vector<Ip> addresses) = 0;
};

// Borrows both. `node` is our own.
std::unique_ptr<Reservations> api_reservations(cluster::Feed& feed, kube::Client& api, std::string node);

}  // namespace causeway::pod
