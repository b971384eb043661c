// What a domain (fabric, later service, policy, dns) registers with the feed: compile the change, then apply it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "async/task.h"
#include "cluster/model/model.h"

namespace causeway::cluster {

// One object whose rows the kernel refused. The rest of the tables is applied all the same, so that a bad Node does not
// keep Pods from starting; the consumer retries it on the next apply().
struct Failure {
  std::string object;  // object_of(...) below
  Error error;
};
inline std::string object_of(const AttachmentKey& key) { return "attachment " + to_string(key); }
inline std::string object_of_node(const std::string& name) { return "node " + name; }
inline std::string object_of(const ServiceKey& key) { return "service " + to_string(key); }

class Consumer {
 public:
  virtual ~Consumer() = default;
  virtual std::string_view name() const = 0;
  // Compiles the change into the desired tables. Pure and quick; on the loop's thread.
  virtual void changed(const ChangeSet& changes, const Model& model) = 0;
  // Brings the kernel to the desired tables (observes it on the first call). What it could not apply comes back by
  // object; an Error means that nothing can be said of any row. Either is retried with back-off. Never called twice
  // at once.
  virtual Task<Result<std::vector<Failure>>> apply() = 0;
  // The next apply() observes the kernel again: somebody else may have changed it.
  virtual void forget() {}
};

}  // namespace causeway::cluster
