// Tells the API server how a Pod is, whenever that has changed.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "async/event.h"
#include "lab/nodelet/node_context.h"
#include "lab/nodelet/pod_status.h"

namespace causeway::lab {

class StatusWriter {
 public:
  // `view`: how the Pod is now; none when there is nothing to write about it any more.
  StatusWriter(NodeContext& context, std::function<std::optional<PodView>()> view);

  // Something has changed. A burst of changes is one write.
  void changed() { dirty_.push(true); }
  // Writes until it is cancelled.
  Task<Status> run();
  // Writes it now if it has changed since it was last written.
  Task<Status> write();

 private:
  NodeContext& context_;
  std::function<std::optional<PodView>()> view_;
  std::string written_;  // the last status, encoded
  Channel<bool> dirty_;
};

}  // namespace causeway::lab
