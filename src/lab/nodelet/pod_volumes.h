// The volumes of one Pod on this node: made before its containers, kept as the API's objects change, removed with it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lab/nodelet/node_context.h"
#include "lab/nodelet/volumes.h"
#include "lab/root.h"

namespace causeway::lab {

class PodVolumes {
 public:
  // Borrows both; the Pod's owner keeps it up to date.
  PodVolumes(NodeContext& context, const kube::Pod& pod) : context_(context), pod_(pod) {}

  // Makes those that are not there. Errors name the first that cannot be.
  Task<Status> make();
  // Brings what shows API objects up to date, forever. A change that does not work is said in an Event.
  Task<Status> follow();
  // What a container mounts, in the order of its paths. `variables`: for subPathExpr.
  Result<std::vector<BindMount>> mounts_of(const kube::Container& container,
                                           const std::map<std::string, std::string>& variables) const;
  // The file that a container of this number of restarts may leave its last words in.
  Result<std::string> message_file(const kube::Container& container, int restart) const;
  void remove();

 private:
  static constexpr Duration kFollow = 5s;

  Task<Status> refresh(const kube::Volume& volume);

  NodeContext& context_;
  const kube::Pod& pod_;
  std::map<std::string, std::string> folders_;               // volume -> path on the node
  std::map<std::string, std::vector<VolumeFile>> contents_;  // of what shows API objects
};

}  // namespace causeway::lab
