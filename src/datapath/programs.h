// The four programs, compiled into the binary: loading one for a configuration over pinned maps.
#pragma once

#include <string>

#include "abi/config.h"
#include "base/fd.h"
#include "base/result.h"
#include "datapath/datapath.h"
#include "kernel/bpf/attach.h"

namespace causeway::datapath {

inline constexpr Hook kHooks[] = {Hook::FromPod, Hook::ToPod, Hook::UplinkIngress, Hook::UplinkEgress};
bpf::Direction direction_of(Hook hook);

abi::datapath_config config_of(const Features& features);

// Names object and configuration: equal fingerprints are equal programs.
std::string fingerprint(Hook hook, const abi::datapath_config& config, uint32_t conntrack_entries);

// Creates and pins the maps under `map_folder` that are not there yet. The verifier's complaint is in the error, its
// statistics are put into `stats` when somebody asks.
Result<Fd> load_program(Hook hook, const abi::datapath_config& config, uint32_t conntrack_entries,
                        const std::string& map_folder, std::string* stats = nullptr);

}  // namespace causeway::datapath
