// The programs, compiled into the binary: loading them for a configuration over pinned maps.
#pragma once

#include <map>
#include <string>

#include "abi/config.h"
#include "base/fd.h"
#include "base/result.h"
#include "datapath/datapath.h"
#include "datapath/sizes.h"
#include "datapath/sockets.h"
#include "kernel/bpf/attach.h"

namespace causeway::datapath {

inline constexpr Hook kHooks[] = {Hook::FromPod, Hook::ToPod, Hook::UplinkIngress, Hook::UplinkEgress};
bpf::Direction direction_of(Hook hook);

// Reads the netns cookie of the calling thread's namespace.
abi::datapath_config config_of(const Features& features);

// Names object and configuration: equal fingerprints are equal programs.
std::string fingerprint(Hook hook, const abi::datapath_config& config, const Sizes& sizes);
std::string fingerprint(SocketHook hook, const abi::datapath_config& config, const Sizes& sizes);

// Creates and pins the maps that are not there yet, before programs are loaded side by side: those of Services, and all
// that the per-packet programs share.
Status create_maps(const Sizes& sizes, const std::string& map_folder);

// Creates and pins the maps under `map_folder` that are not there yet. May run on several threads. The verifier's
// complaint is in the error, its statistics are put into `stats` when somebody asks.
Result<Fd> load_program(Hook hook, const abi::datapath_config& config, const Sizes& sizes,
                        const std::string& map_folder, std::string* stats = nullptr);
// The same for the socket hooks, by the programs' names.
Result<std::map<std::string_view, Fd>> load_sockets(const abi::datapath_config& config, const Sizes& sizes,
                                                    const std::string& map_folder,
                                                    std::map<std::string_view, std::string>* stats = nullptr);

}  // namespace causeway::datapath
