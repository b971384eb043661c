// Policies on the bpf plane: what is dirty of the tables, written so that no packet is judged by half of a change.
//
// Order: ports, verdicts and sets that are new; who is in which class; the Pods' own rows; then what is gone; then the
// epoch, by which open flows are judged again with their next packet (bpf/abi/policy.h). A set whose ports are cut
// differently is written under another number, as its verdicts mean other ports by the same atoms. After a start and
// after an error everything is written anew in another bank, and the former one removed once no Pod uses it.
#pragma once

#include "async/loop.h"
#include "datapath/datapath.h"
#include "policy/apply.h"

namespace causeway::policy {

// Borrowed.
struct BpfDoors {
  Loop& loop;
  datapath::PolicyTables maps;
  // Room for so many rows at least.
  std::function<Status(const datapath::PolicyRows&)> make_room;
  // All rows are there for the first time: from here on they count. May be called again.
  std::function<Status()> enforce;
};

class BpfApplier final : public Applier {
 public:
  BpfApplier(std::string node, BpfDoors doors, std::vector<Ip> dns = {})
      : desired_(std::move(node), std::move(dns)), doors_(std::move(doors)) {}

  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override {
    desired_.update(changes, model);
  }
  Task<Result<std::vector<cluster::Failure>>> apply() override;
  // The next apply() compares the kernel with what was written, and writes all of it anew where they differ.
  void forget() override { audit_ = true; }

  const Desired& desired() const override { return desired_; }
  uint64_t writes() const override { return writes_; }
  Result<std::vector<std::string>> differences() override;
  Result<std::optional<Held>> held(Direction direction, const Ip& own, const Packet& packet) override;
  // Whether the kernel judges by our rows.
  bool enforced() const { return enforced_; }

  // Of the rows that count now; 0: none of ours do.
  uint32_t bank() const { return bank_; }

  // Packets that each set denied, since it has its present number.
  struct Denied {
    SetId set{};
    uint64_t packets = 0, bytes = 0;
  };
  Result<std::vector<Denied>> denied() const;

 private:
  struct KernelSet {
    uint32_t number = 0;
    PortsId ports{};
    std::set<std::pair<ClassId, PortAtom>> rows;
  };
  struct Writes;  // of one pass

  Status write();
  Status write_all();
  Result<std::set<uint32_t>> used_banks() const;
  Status keep_banks(const std::set<uint32_t>& banks);
  void put_set(SetId id, Writes& out);
  void forget_set(const KernelSet& set, Writes& out);
  datapath::PodSubject subject_of(const LocalPod& pod) const;
  uint32_t number_of(SetId id) const;
  Status flush(const Writes& writes);
  Status next_epoch();
  datapath::PolicyRows room() const;

  Desired desired_;
  BpfDoors doors_;
  uint32_t bank_ = 0;  // 0: nothing of ours is in the kernel
  bool enforced_ = false;
  bool whole_ = true;
  bool audit_ = false;
  uint64_t writes_ = 0;
  uint32_t next_set_ = 1;
  std::map<SetId, KernelSet> sets_;
  size_t verdicts_ = 0;  // rows of sets_
};

}  // namespace causeway::policy
