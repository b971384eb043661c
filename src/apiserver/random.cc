#include "apiserver/random.h"

#include <fmt/core.h>

#include <string_view>

namespace causeway::apiserver {

uint64_t Random::fresh_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

std::string Random::uid() {
  const uint64_t high = (next() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (next() & ~(uint64_t{3} << 62)) | uint64_t{1} << 63;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48,
                     low & 0xffffffffffff);
}

std::string Random::name_suffix() {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string text;
  for (int i = 0; i < 5; ++i) text += kLetters[next() % kLetters.size()];
  return text;
}

}  // namespace causeway::apiserver
