// The applier of Services as the feed sees it, with a clock beside it: State hears when a change came and when it was
// applied.
#pragma once

#include "async/loop.h"
#include "service/apply.h"
#include "service/proxy/state.h"

namespace causeway::service::proxy {

// What of the change concerns Services; absent: nothing.
std::optional<Change> change_of(const cluster::ChangeSet& changes, const cluster::Model& model);

class Watched final : public cluster::Consumer {
 public:
  // Borrows all; `applied` is called after each application that succeeded.
  Watched(Loop& loop, Applier& inner, State& state, std::function<void()> applied)
      : loop_(loop), inner_(inner), state_(state), applied_(std::move(applied)) {}

  std::string_view name() const override { return inner_.name(); }
  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override;

 private:
  Loop& loop_;
  Applier& inner_;
  State& state_;
  std::function<void()> applied_;
  bool whole_ = true;
};

}  // namespace causeway::service::proxy
