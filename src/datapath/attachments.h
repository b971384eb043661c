// What of ours is attached to devices, as the kernel says: by pinned tcx links, and by clsact.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "datapath/datapath.h"
#include "kernel/bpf/blocks.h"

namespace causeway::datapath {

// The folders of a node's pins. No dots: bpffs reserves them.
inline std::string maps_of(const std::string& pins) { return pins + "/maps"; }
inline std::string programs_of(const std::string& pins) { return pins + "/programs"; }
inline std::string links_of(const std::string& pins) { return pins + "/links"; }
inline std::string link_of(const std::string& pins, IfIndex ifindex, Hook hook) {
  return fmt::format("{}/{}-{}", links_of(pins), ifindex, to_string(hook));
}

// The programs of every Pod's veth, by clsact (docs/decisions/attach-costs-a-grace-period.md). The numbers are seen
// with `tc qdisc show` and `tc filter show block 51792`.
inline constexpr bpf::BlockPair kPodBlocks{.ingress = bpf::Block{0xca50}, .egress = bpf::Block{0xca51}};

using Found = std::vector<std::pair<Attachment, bpf::ProgramId>>;
// Pins of devices that are gone are removed.
Result<Found> attached_by_tcx(const std::string& pins);
// Those of blocks that devices share, and those that a device has of its own.
Result<Found> attached_by_clsact(bpf::Blocks& blocks);
// Takes our programs off: the whole qdisc where it is of blocks that Pods share.
Status detach_by_clsact(bpf::Blocks& blocks, IfIndex ifindex);

}  // namespace causeway::datapath
