// Plane bpf: the map `dns_here` (bpf/abi/dns.h).
#pragma once

#include "dns/apply_local.h"
#include "kernel/bpf/table.h"

namespace causeway::dns {

class BpfLocal final : public LocalDoor {
 public:
  // `addresses`: those of datapath::Features::dns, in that order. Borrows the table.
  BpfLocal(bpf::Table<uint32_t, uint32_t>& table, std::vector<Ip> addresses)
      : table_(table), addresses_(std::move(addresses)) {}

  Status answer(const std::set<Ip>& here) override {
    for (uint32_t i = 0; i < addresses_.size(); ++i) TRY(table_.put(i, here.contains(addresses_[i])), "map dns_here");
    return ok();
  }
  Result<std::set<Ip>> answering() override {
    std::set<Ip> out;
    for (uint32_t i = 0; i < addresses_.size(); ++i)
      if (TRY(table_.get(i), "map dns_here").value_or(0)) out.insert(addresses_[i]);
    return out;
  }

 private:
  bpf::Table<uint32_t, uint32_t>& table_;
  const std::vector<Ip> addresses_;
};

}  // namespace causeway::dns
