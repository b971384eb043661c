// The socket hooks on their cgroup: eight programs, loaded together, each with a pinned link.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "abi/config.h"
#include "base/fd.h"
#include "base/result.h"
#include "datapath/sizes.h"
#include "kernel/bpf/attach.h"
#include "kernel/bpf/cgroup.h"

namespace causeway::datapath {

// In the order in which they are attached: what shows the application its Service's address is there before anything is
// translated.
enum class SocketHook : uint8_t {
  Getpeername4,
  Getpeername6,
  Recvmsg4,
  Recvmsg6,
  Sendmsg4,
  Sendmsg6,
  Connect4,
  Connect6,
};
inline constexpr SocketHook kSocketHooks[] = {
    SocketHook::Getpeername4, SocketHook::Getpeername6, SocketHook::Recvmsg4, SocketHook::Recvmsg6,
    SocketHook::Sendmsg4,     SocketHook::Sendmsg6,     SocketHook::Connect4, SocketHook::Connect6,
};
std::string_view to_string(SocketHook hook);  // connect4, ...: the programs' names
bpf_attach_type attach_type_of(SocketHook hook);

struct SocketAttachment {
  SocketHook hook{};
  uint64_t cgroup = 0;   // the kernel's number
  bool current = false;  // the program of the present features
  auto operator<=>(const SocketAttachment&) const = default;
};
std::string to_string(const SocketAttachment& attachment);  // cgroup 1234 connect4

class SocketPrograms {
 public:
  // Those that are pinned under `pins` and have this configuration, else freshly loaded ones.
  static Result<SocketPrograms> open(const std::string& pins, const abi::datapath_config& config, const Sizes& sizes);

  // Attaches what is missing on this cgroup, replaces what is older, leaves the rest alone; then pins the programs.
  Status attach(const bpf::Cgroup& cgroup) const;
  Result<std::vector<SocketAttachment>> attached() const;
  bool has_pin(const std::string& path) const;

  // No attachment is no error.
  static Status detach(const std::string& pins);

 private:
  struct Program {
    Fd fd;
    bpf::ProgramId id{};
    std::string pin;
  };
  std::string pins_;
  std::array<Program, std::size(kSocketHooks)> programs_;
};

}  // namespace causeway::datapath
