// All programs of one configuration, loaded and ready to be swapped in.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "datapath/programs.h"

namespace causeway::datapath {

struct Program {
  Fd fd;
  bpf::ProgramId id{};
  std::string pin;  // its path, also while nothing is pinned there
};

struct ProgramSet {
  std::array<Program, std::size(kHooks)> programs;
  std::optional<SocketPrograms> sockets;  // with socket_hooks
  std::optional<bpf::Cgroup> cgroup;      // where those are attached

  const Program& of(Hook hook) const { return programs[static_cast<size_t>(hook)]; }
  bool has_pin(const std::string& path) const;

  // Those that are pinned under `pins` and have this configuration; the others are loaded side by side, because the
  // verifier takes 0.1 s for each. `cgroup`: "" is the root of all.
  static Result<ProgramSet> open(const std::string& pins, const std::string& cgroup, const Features& features,
                                 const Sizes& sizes);
};

}  // namespace causeway::datapath
