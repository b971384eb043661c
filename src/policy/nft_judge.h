// What the section "policy" says of a packet, from its elements as the kernel holds them: as its chains do. Pure.
#pragma once

#include <optional>

#include "kernel/nftables/observed.h"
#include "policy/nft_ruleset.h"

namespace causeway::policy::nft {

// Absent: `own` is nobody whom these rows judge or let pass.
std::optional<bool> judge(const nftables::Observed& section, Direction direction, const Ip& own, const Packet& packet);

}  // namespace causeway::policy::nft
