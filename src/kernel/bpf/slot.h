// Our slot among the filters of a hook: a priority and handle that others do not use by default (they take 1, or what
// the kernel gives from 49152 down).
#pragma once

#include <cstdint>

namespace causeway::bpf {

inline constexpr uint32_t kPriority = 0xca5;
inline constexpr uint32_t kHandle = 0xca5e;

}  // namespace causeway::bpf
