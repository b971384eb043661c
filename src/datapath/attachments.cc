#include "datapath/attachments.h"

#include <map>
#include <optional>

#include "datapath/programs.h"
#include "kernel/bpf/pins.h"

namespace causeway::datapath {

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::FromPod: return "from_pod";
    case Hook::ToPod: return "to_pod";
    case Hook::UplinkIngress: return "uplink_ingress";
    case Hook::UplinkEgress: return "uplink_egress";
  }
  return "?";
}

std::string to_string(const Attachment& attachment) {
  return fmt::format("dev {} {} by {}{}", attachment.ifindex, to_string(attachment.hook), to_string(attachment.by),
                     attachment.current ? "" : " (old program)");
}

namespace {

std::optional<Hook> hook_named(std::string_view name) {
  for (auto hook : kHooks)
    if (name == to_string(hook)) return hook;
  return std::nullopt;
}

}  // namespace

Result<Found> attached_by_tcx(const std::string& pins) {
  Found found;
  for (const auto& name : TRY(bpf::list_pins(links_of(pins)))) {
    auto path = links_of(pins) + "/" + name;
    auto fd = bpf::open_pin(path);
    if (!fd) continue;  // removed meanwhile
    auto link = TRY(bpf::tcx_link(fd->get()), "pin {}", path);
    auto hook = hook_named(std::string_view(name).substr(name.find('-') + 1));
    if (link.ifindex == IfIndex{} || !hook) {
      TRY(bpf::unpin(path));
      continue;
    }
    found.push_back({{.ifindex = link.ifindex, .hook = *hook, .by = Attach::Tcx}, link.program});
  }
  return found;
}

Result<Found> attached_by_clsact(bpf::Blocks& blocks) {
  Found found;
  std::map<bpf::Block, std::optional<bpf::ProgramId>> shared;
  for (const auto& [ifindex, pair] : TRY(blocks.all()))
    for (auto direction : {bpf::Direction::Ingress, bpf::Direction::Egress}) {
      const auto block = pair.of(direction);
      std::optional<bpf::ProgramId> program;
      if (block == bpf::Block::Own) {
        program = TRY(bpf::query_clsact(ifindex, direction));
      } else {
        auto [at, fresh] = shared.try_emplace(block);
        if (fresh) at->second = TRY(blocks.program(block));
        program = at->second;
      }
      if (!program) continue;
      auto name = bpf::program_name(*program);
      if (!name) continue;  // replaced meanwhile
      if (auto hook = hook_named(*name))
        found.push_back({{.ifindex = ifindex, .hook = *hook, .by = Attach::Clsact}, *program});
    }
  return found;
}

Status detach_by_clsact(bpf::Blocks& blocks, IfIndex ifindex) {
  const auto present = TRY(blocks.of(ifindex));
  if (!present) return ok();
  if (*present == kPodBlocks) return blocks.leave(ifindex);
  for (auto direction : {bpf::Direction::Ingress, bpf::Direction::Egress})
    if (present->of(direction) == bpf::Block::Own) TRY(bpf::detach_clsact(ifindex, direction));
  return ok();
}

}  // namespace causeway::datapath
