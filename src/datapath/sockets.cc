#include "datapath/sockets.h"

#include <optional>

#include "datapath/programs.h"
#include "kernel/bpf/pins.h"

namespace causeway::datapath {

namespace {

std::string folder_of(const std::string& pins) { return pins + "/sockets"; }
std::string pin_of(const std::string& pins, SocketHook hook) {
  return fmt::format("{}/{}", folder_of(pins), to_string(hook));
}

}  // namespace

std::string_view to_string(SocketHook hook) {
  switch (hook) {
    case SocketHook::Getpeername4: return "getpeername4";
    case SocketHook::Getpeername6: return "getpeername6";
    case SocketHook::Recvmsg4: return "recvmsg4";
    case SocketHook::Recvmsg6: return "recvmsg6";
    case SocketHook::Sendmsg4: return "sendmsg4";
    case SocketHook::Sendmsg6: return "sendmsg6";
    case SocketHook::Connect4: return "connect4";
    case SocketHook::Connect6: return "connect6";
  }
  return "?";
}

std::string to_string(const SocketAttachment& attachment) {
  return fmt::format("cgroup {} {}{}", attachment.cgroup, to_string(attachment.hook),
                     attachment.current ? "" : " (old program)");
}

bpf_attach_type attach_type_of(SocketHook hook) {
  switch (hook) {
    case SocketHook::Getpeername4: return BPF_CGROUP_INET4_GETPEERNAME;
    case SocketHook::Getpeername6: return BPF_CGROUP_INET6_GETPEERNAME;
    case SocketHook::Recvmsg4: return BPF_CGROUP_UDP4_RECVMSG;
    case SocketHook::Recvmsg6: return BPF_CGROUP_UDP6_RECVMSG;
    case SocketHook::Sendmsg4: return BPF_CGROUP_UDP4_SENDMSG;
    case SocketHook::Sendmsg6: return BPF_CGROUP_UDP6_SENDMSG;
    case SocketHook::Connect4: return BPF_CGROUP_INET4_CONNECT;
    case SocketHook::Connect6: return BPF_CGROUP_INET6_CONNECT;
  }
  return BPF_CGROUP_INET4_CONNECT;
}

Result<SocketPrograms> SocketPrograms::open(const std::string& pins, const abi::datapath_config& config,
                                            const Sizes& sizes) {
  SocketPrograms result;
  result.pins_ = pins;
  bool all = true;
  for (auto hook : kSocketHooks) {
    auto& program = result.programs_[static_cast<size_t>(hook)];
    program.pin = fmt::format("{}/programs/{}", pins, fingerprint(hook, config, sizes));
    auto pinned = bpf::open_pin(program.pin);
    if (pinned) program.fd = std::move(*pinned);
    all = all && pinned;
  }
  if (!all) {
    auto loaded = TRY(load_sockets(config, sizes, pins + "/maps"));
    for (auto hook : kSocketHooks) {
      auto it = loaded.find(to_string(hook));
      if (it == loaded.end()) return fail(Errc::Internal, "the socket hooks have no program {}", to_string(hook));
      result.programs_[static_cast<size_t>(hook)].fd = std::move(it->second);
    }
  }
  for (auto& program : result.programs_) program.id = TRY(bpf::program_id(program.fd.get()));
  return result;
}

Status SocketPrograms::attach(const bpf::Cgroup& cgroup) const {
  TRY(bpf::make_pin_folder(folder_of(pins_)));
  for (auto hook : kSocketHooks) {
    const auto& program = programs_[static_cast<size_t>(hook)];
    const auto path = pin_of(pins_, hook);
    if (auto pinned = bpf::open_pin(path)) {
      auto link = TRY(bpf::cgroup_link(pinned->get()), "pin {}", path);
      if (link.cgroup == cgroup.id) {
        if (link.program != program.id) TRY(bpf::update_cgroup(pinned->get(), program.fd.get()), "hook {}", hook);
        continue;
      }
      TRY(bpf::unpin_link(path));  // of a cgroup that is gone or no longer meant
    }
    Fd link = TRY(bpf::attach_cgroup(program.fd.get(), cgroup, attach_type_of(hook)), "hook {}", hook);
    TRY(bpf::pin(link.get(), path));
  }
  for (const auto& program : programs_)
    if (!bpf::open_pin(program.pin)) TRY(bpf::pin(program.fd.get(), program.pin));
  return ok();
}

Result<std::vector<SocketAttachment>> SocketPrograms::attached() const {
  std::vector<SocketAttachment> found;
  for (auto hook : kSocketHooks) {
    auto pinned = bpf::open_pin(pin_of(pins_, hook));
    if (!pinned) continue;
    auto link = TRY(bpf::cgroup_link(pinned->get()));
    if (!link.cgroup) continue;
    found.push_back(
        {.hook = hook, .cgroup = link.cgroup, .current = link.program == programs_[static_cast<size_t>(hook)].id});
  }
  return found;
}

bool SocketPrograms::has_pin(const std::string& path) const {
  for (const auto& program : programs_)
    if (program.pin == path) return true;
  return false;
}

Status SocketPrograms::detach(const std::string& pins) {
  for (size_t i = std::size(kSocketHooks); i-- > 0;) TRY(bpf::unpin_link(pin_of(pins, kSocketHooks[i])));
  return bpf::remove_pins(folder_of(pins));
}

}  // namespace causeway::datapath
