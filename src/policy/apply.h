// What every plane's applier of policies is to the rest of the agent: a consumer of the model that says what it does.
#pragma once

#include "cluster/feed/consumer.h"
#include "policy/desired.h"

namespace causeway::policy {

class Applier : public cluster::Consumer {
 public:
  std::string_view name() const override { return "policy"; }
  // What the kernel shall hold.
  virtual const Desired& desired() const = 0;
  // Rows written to the kernel (put or removed) since the start.
  virtual uint64_t writes() const = 0;
  // Where the kernel, looked at now, holds something else: one line for each row. Does not repair.
  virtual Result<std::vector<std::string>> differences() = 0;
  // What the kernel's own rows, looked at now, say of a first packet of the Pod of this node that has `own`; absent:
  // the kernel knows no such Pod.
  struct Held {
    bool allowed = false;
    std::optional<RuleId> rule;  // absent: this plane's rows name none
  };
  virtual Result<std::optional<Held>> held(Direction direction, const Ip& own, const Packet& packet) = 0;
};

// An ADD waits until the API server has told all, and fails with this reason if that takes too long.
inline Status may_acknowledge(const Desired& desired) {
  if (!desired.waits()) return ok();
  return fail(Errc::Unavailable, "the API server has not told the policies, Namespaces and Pods yet");
}

// An ADD is answered when its Pod is judged, and fails where that cannot be.
inline std::vector<cluster::Failure> failures_of(const Desired& desired) {
  std::vector<cluster::Failure> out;
  for (const auto& [key, why] : desired.unknown()) out.push_back({object_of(key), Error(Errc::Unavailable, why)});
  return out;
}

}  // namespace causeway::policy
