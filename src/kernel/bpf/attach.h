// Programs on the tc hooks of a device: by tcx links (kernel 6.6; raw bpf(2), which Debian 12's libbpf does not know)
// and by clsact filters (any kernel). Both replace atomically. All calls work in the caller's network namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace causeway::bpf {

enum class Direction : uint8_t { Ingress, Egress };
std::string_view to_string(Direction direction);

// The kernel's number of a loaded program.
enum class ProgramId : uint32_t {};
Result<ProgramId> program_id(int program_fd);
// Its function's name, cut to 15 characters by the kernel.
Result<std::string> program_name(ProgramId id);

// Can this kernel attach by tcx?
bool has_tcx();

struct TcxLink {
  IfIndex ifindex{};  // 0: the device is gone
  Direction direction = Direction::Ingress;
  ProgramId program{};
};

// Behind what is attached already. The link detaches when its last descriptor and pin are gone. NotFound: no such
// device.
Result<Fd> attach_tcx(int program_fd, IfIndex ifindex, Direction direction);
// The packet after this call meets the new program, none meets neither.
Status update_tcx(int link_fd, int program_fd);
// Invalid: not a tcx link.
Result<TcxLink> tcx_link(int link_fd);
// Programs on the hook, in the order in which they run (whoever attached them).
Result<std::vector<ProgramId>> query_tcx(IfIndex ifindex, Direction direction);

// Our filter on the clsact qdisc (made when missing): one slot for each direction, replaced when taken.
Status attach_clsact(int program_fd, IfIndex ifindex, Direction direction);
// What runs in our slot.
Result<std::optional<ProgramId>> query_clsact(IfIndex ifindex, Direction direction);
// No filter or no device is no error.
Status detach_clsact(IfIndex ifindex, Direction direction);

}  // namespace causeway::bpf
