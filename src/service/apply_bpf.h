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
      : desired_(std::move(options)), maps_(std::move(doors), desired_), prober_(prober) {}

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  void forget() override { maps_.forget(); }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return maps_.writes(); }
  Result<std::vector<std::string>> differences() override { return maps_.differences(); }

  BpfMaps& maps() { return maps_; }

 private:
  Desired desired_;
  BpfMaps maps_;
  Prober* prober_;
  bool complete_ = false;
  bool ranges_ = false;  // the ServiceCIDRs are known
};

}  // namespace causeway::service
