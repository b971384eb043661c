// Services on the bpf plane: the model compiled to tables, the tables to maps (bpf_maps.h).
#pragma once

#include "service/apply.h"
#include "service/bpf_maps.h"
#include "service/prober.h"

namespace causeway::service {

class BpfApplier final : public Applier {
 public:
  // `prober`: told which endpoints to ask; null: none.
  BpfApplier(Options options, BpfDoors doors, Prober* prober = nullptr)
      : loop_(doors.loop), desired_(std::move(options)), maps_(std::move(doors), desired_), prober_(prober) {}

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  // The next apply() compares the maps with what was written to them, a part at a time, and looks at all of them where
  // they differ.
  void forget() override { audit_ = true; }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return maps_.writes(); }
  Result<std::vector<std::string>> differences() override { return maps_.differences(); }

  BpfMaps& maps() { return maps_; }

 private:
  Task<Result<std::vector<cluster::Failure>>> audit();

  Loop& loop_;
  Desired desired_;
  BpfMaps maps_;
  Prober* prober_;
  bool complete_ = false;
  bool audit_ = false;
  bool ranges_ = false;  // the ServiceCIDRs are known
};

}  // namespace causeway::service
