// The numbers of backends. What remembers a flow's backend remembers number and generation: a pair is never given
// twice, not after a restart either, because the kernel's array keeps the generation of a number that is free.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "abi/service.h"

namespace causeway::service {

uint32_t next_generation(uint32_t generation);  // never 0

class BackendNumbers {
 public:
  // The array as the kernel has it, by number. Everybody who is not GONE is in use; the rest is free after rested().
  void seed(std::vector<abi::backend_value> rows);

  // A free number, never 0.
  uint32_t take();
  // Whether it was somebody's before.
  bool used_before(uint32_t number) const { return row(number).generation != 0; }
  // The generation for the next who gets it.
  uint32_t generation(uint32_t number) const;
  // Gone, but who read a slot just now may still look: free after rested().
  void release(uint32_t number) { resting_.push_back(number); }
  std::vector<uint32_t> take_resting() { return std::exchange(resting_, {}); }
  void rested(const std::vector<uint32_t>& numbers);

  // What the kernel holds; all zero where nothing was written.
  const abi::backend_value& row(uint32_t number) const;
  void wrote(uint32_t number, const abi::backend_value& value);
  // How many have a row.
  size_t written() const;
  // One above the highest that was ever in use.
  uint32_t end() const { return end_; }

 private:
  std::vector<abi::backend_value> rows_;
  std::vector<uint32_t> free_, resting_;
  uint32_t end_ = 1;
};

}  // namespace causeway::service
