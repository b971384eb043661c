// What the API says of the Pod that an ADD is for: the wishes in its annotations.
#pragma once

#include <memory>

#include "cluster/feed/watches.h"

namespace causeway::pod {

using cluster::PodNotes;

class PodSource {
 public:
  virtual ~PodSource() = default;
  // Of the Pod of that name and uid ("": whichever); nullopt: the API server has none, or one of another uid. An error
  // (Unavailable, Timeout): it cannot be told now.
  virtual Task<Result<std::optional<PodNotes>>> find(cluster::PodKey key, std::string uid) = 0;
  // What the watch says: the Pod is on this node, it is not, or nothing can be said (the first list is not complete).
  enum class Known { Here, Gone, Unknown };
  virtual Known known(const cluster::PodKey& key, std::string_view uid) const = 0;
};

// Whether it is the Pod that the runtime calls by this uid. A static Pod has two: its kubelet and hence the runtime
// know it by the hash of its file, the API by the uid of its mirror, which names the hash.
bool is_pod(const PodNotes& pod, std::string_view uid);

// The watch; what it has not brought yet is asked for once, and the model learns it. Borrows all.
std::unique_ptr<PodSource> pod_source(cluster::Watches& watches, const cluster::Model& model, kube::Client& api);

}  // namespace causeway::pod
