// Changes to the bytes of ipset messages. Pure.
#pragma once

#include <functional>

#include "kernel/ipset/ipset.h"

namespace causeway::ipset {

inline constexpr size_t kMaxName = 31;
inline constexpr uint32_t kMaxElements = 1u << 20;  // of one set
// Elements of one message: an attribute's length has 16 bits.
inline constexpr size_t kElementsInMessage = 400;

// One message or, for many elements, several; each wants an acknowledgement. Invalid: a name that is too long, an
// element that is not of the set's type or family, a prefix of length 0.
Result<std::vector<std::string>> encode(const Change& change, const std::function<uint32_t()>& next_sequence);

// Why the kernel refused: its own codes begin at 4096.
Error error_of(int error, const Change& change);

}  // namespace causeway::ipset
