#include "lab/nodelet/capabilities.h"

#include <algorithm>
#include <string>

namespace causeway::lab {
namespace {

// By number (linux/capability.h).
constexpr std::string_view kNames[] = {"CHOWN",
                                       "DAC_OVERRIDE",
                                       "DAC_READ_SEARCH",
                                       "FOWNER",
                                       "FSETID",
                                       "KILL",
                                       "SETGID",
                                       "SETUID",
                                       "SETPCAP",
                                       "LINUX_IMMUTABLE",
                                       "NET_BIND_SERVICE",
                                       "NET_BROADCAST",
                                       "NET_ADMIN",
                                       "NET_RAW",
                                       "IPC_LOCK",
                                       "IPC_OWNER",
                                       "SYS_MODULE",
                                       "SYS_RAWIO",
                                       "SYS_CHROOT",
                                       "SYS_PTRACE",
                                       "SYS_PACCT",
                                       "SYS_ADMIN",
                                       "SYS_BOOT",
                                       "SYS_NICE",
                                       "SYS_RESOURCE",
                                       "SYS_TIME",
                                       "SYS_TTY_CONFIG",
                                       "MKNOD",
                                       "LEASE",
                                       "AUDIT_WRITE",
                                       "AUDIT_CONTROL",
                                       "SETFCAP",
                                       "MAC_OVERRIDE",
                                       "MAC_ADMIN",
                                       "SYSLOG",
                                       "WAKE_ALARM",
                                       "BLOCK_SUSPEND",
                                       "AUDIT_READ",
                                       "PERFMON",
                                       "BPF",
                                       "CHECKPOINT_RESTORE"};

// Of "NET_RAW", "CAP_NET_RAW" or "net_raw"; all of "ALL".
Result<uint64_t> mask_of(std::string name) {
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  if (name == "ALL") return ~0ULL;
  const std::string_view bare = name.starts_with("CAP_") ? std::string_view(name).substr(4) : std::string_view(name);
  const auto* found = std::ranges::find(kNames, bare);
  if (found == std::end(kNames)) return fail(Errc::Invalid, "unknown capability \"{}\"", name);
  return 1ULL << (found - std::begin(kNames));
}

}  // namespace

uint64_t default_capabilities() {
  uint64_t mask = 0;
  for (const char* name : {"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
                           "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"})
    mask |= *mask_of(name);
  return mask;
}

Result<uint64_t> compile_capabilities(const kube::SecurityContext* context) {
  uint64_t mask = default_capabilities();
  if (!context) return mask;
  if (context->privileged.value_or(false)) return ~0ULL;
  if (!context->capabilities) return mask;
  // ALL first, then the single ones: what is named is meant, also beside ALL (containerd, WithCapabilities).
  uint64_t added = 0, dropped = 0;
  bool add_all = false, drop_all = false;
  for (const auto& name : context->capabilities->add) {
    const uint64_t bits = TRY(mask_of(name), "securityContext.capabilities.add");
    if (bits == ~0ULL)
      add_all = true;
    else
      added |= bits;
  }
  for (const auto& name : context->capabilities->drop) {
    const uint64_t bits = TRY(mask_of(name), "securityContext.capabilities.drop");
    if (bits == ~0ULL)
      drop_all = true;
    else
      dropped |= bits;
  }
  if (add_all) mask = ~0ULL;
  if (drop_all) mask = 0;
  return (mask | added) & ~dropped;
}

}  // namespace causeway::lab
