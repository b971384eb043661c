// Names and uids. Seeded, so that a simulation repeats.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace causeway::apiserver {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  static uint64_t fresh_seed();  // from the kernel

  uint64_t next() { return engine_(); }
  std::string uid();          // RFC 9562 version 4
  std::string name_suffix();  // five letters and digits that spell no word (apimachinery/pkg/util/rand)

 private:
  std::mt19937_64 engine_;
};

}  // namespace causeway::apiserver
