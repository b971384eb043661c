// What of ours is attached to devices, as the kernel says: by pinned tcx links, and by clsact.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "datapath/datapath.h"
#include "kernel/bpf/attach.h"

namespace causeway::datapath {

// The folders of a node's pins. No dots: bpffs reserves them.
inline std::string maps_of(const std::string& pins) { return pins + "/maps"; }
inline std::string programs_of(const std::string& pins) { return pins + "/programs"; }
inline std::string links_of(const std::string& pins) { return pins + "/links"; }
inline std::string link_of(const std::string& pins, IfIndex ifindex, Hook hook) {
  return fmt::format("{}/{}-{}", links_of(pins), ifindex, to_string(hook));
}

using Found = std::vector<std::pair<Attachment, bpf::ProgramId>>;
// Pins of devices that are gone are removed.
Result<Found> attached_by_tcx(const std::string& pins);
Result<Found> attached_by_clsact();

}  // namespace causeway::datapath
