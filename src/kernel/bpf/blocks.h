// Programs that the tc hooks of many devices share: a clsact qdisc made of two blocks, each with our filter in the slot
// that clsact.cc uses. A device that joins makes no filter, and a new program is put in place once for all of them
// (tc(8), "ingress_block"; Linux 4.16, egress_block of clsact too).
//
//   auto blocks = TRY(Blocks::open());
//   auto joined = TRY(blocks.join(ifindex, {.ingress = Block{1}, .egress = Block{2}}));
//   if (joined.ingress != program) TRY(blocks.put(Block{1}, program_fd));
//
// A block lives as long as a device has it, its filter with it: the first that joins finds none.
#pragma once

#include "kernel/bpf/attach.h"
#include "kernel/netlink/socket.h"

namespace causeway::bpf {

enum class Block : uint32_t { Own = 0 };  // Own: of this device alone; the numbers are of one network namespace

// What a clsact qdisc runs.
struct BlockPair {
  Block ingress = Block::Own, egress = Block::Own;
  bool operator==(const BlockPair&) const = default;
  Block of(Direction direction) const { return direction == Direction::Ingress ? ingress : egress; }
};

struct Clsact {
  IfIndex ifindex{};
  BlockPair blocks;
  bool operator==(const Clsact&) const = default;
};

class Blocks {
 public:
  // Of the caller's network namespace, whatever thread uses it later; one at a time.
  static Result<Blocks> open();

  struct Joined {
    bool made = false;                         // false: the device had a clsact qdisc already, maybe of other blocks
    std::optional<ProgramId> ingress, egress;  // what runs in the slots of the two blocks
  };
  // Makes the device's clsact qdisc of two blocks, in one call of the kernel. NotFound: no such device.
  Result<Joined> join(IfIndex ifindex, BlockPair blocks);
  // Removes the device's clsact qdisc, whatever it runs. No qdisc or no device is no error.
  Status leave(IfIndex ifindex);

  // Every clsact qdisc of the namespace.
  Result<std::vector<Clsact>> all();
  // That of one device; empty: none, or no such device.
  Result<std::optional<BlockPair>> of(IfIndex ifindex);

  // What runs in our slot of a block; empty too where no device has the block.
  Result<std::optional<ProgramId>> program(Block block);
  // Makes or replaces our filter: no packet of any of its devices meets neither. A block that no device has is an
  // error.
  Status put(Block block, int program_fd);

 private:
  explicit Blocks(netlink::Socket socket) : socket_(std::move(socket)) {}
  enum class Missing : bool { Fine, Fails };
  Status ask(std::string_view request, uint32_t sequence, const std::string& what, Missing missing,
             std::function<void(const nlmsghdr*)> heard = nullptr);
  Result<std::vector<Clsact>> list();
  netlink::Socket socket_;
};

}  // namespace causeway::bpf
