// Rules to the kernel's instructions. Pure.
#pragma once

#include "kernel/nftables/instruction.h"
#include "kernel/nftables/rule.h"

namespace causeway::nftables {

// Invalid: a value whose length does not fit its field, fields that do not fit the registers.
Result<code::Program> lower(const Rule& rule);

}  // namespace causeway::nftables
