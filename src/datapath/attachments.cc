#include "datapath/attachments.h"

#include <net/if.h>

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

std::vector<IfIndex> all_devices() {
  std::vector<IfIndex> devices;
  auto* list = ::if_nameindex();
  for (auto* it = list; it && it->if_index; ++it) devices.push_back(IfIndex{it->if_index});
  ::if_freenameindex(list);
  return devices;
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

Result<Found> attached_by_clsact() {
  Found found;
  for (auto ifindex : all_devices())
    for (auto direction : {bpf::Direction::Ingress, bpf::Direction::Egress}) {
      auto program = TRY(bpf::query_clsact(ifindex, direction));
      if (!program) continue;
      auto name = bpf::program_name(*program);
      if (!name) continue;  // replaced meanwhile
      if (auto hook = hook_named(*name))
        found.push_back({{.ifindex = ifindex, .hook = *hook, .by = Attach::Clsact}, *program});
    }
  return found;
}

}  // namespace causeway::datapath
