// The one message from causeway-cni to the agent and the one back, over a SOCK_SEQPACKET socket. Both ends are of one
// release, but not always of one moment (the binary is replaced first), so the layout has a version.
//
// Included by the plugin too: nothing but plain C here.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace causeway::pod::wire {

inline constexpr uint32_t kMagic = 0x43574e31;       // "CWN1"
inline constexpr uint32_t kMaxConfig = 1024 * 1024;  // bytes of standard input
inline constexpr uint32_t kMaxMessage = kMaxConfig + 64 * 1024;
inline constexpr const char* kDefaultSocket = "/run/causeway/agent.sock";
inline constexpr const char* kDefaultSpool = "/run/causeway/spool";  // always beside the socket: <folder>/spool

// The environment variables of the CNI specification, in the order of Request::length; the configuration is the last.
enum Field { kCommand, kContainer, kNetns, kIfname, kArgs, kPath, kConfig, kFields };

// Followed by the fields without separators. The network namespace of CNI_NETNS comes along as a descriptor
// (SCM_RIGHTS) when the plugin could open it: the agent may live in another mount namespace.
struct Request {
  uint32_t magic;
  uint32_t present;  // bit n: field n was set, perhaps empty
  uint32_t length[kFields];
};

// Followed by what goes to standard output.
struct Reply {
  uint32_t magic;
  uint32_t exit_status;  // of the plugin: 0 or 1
};

// A DEL that found no agent: <spool>/<16 hex digits of the key's hash>, three lines.
//   container id
//   interface name
//   nanoseconds of CLOCK_MONOTONIC: an attachment that is younger is another life of the same name
// A GC that found no agent: <spool>/gc-<16 hex digits of the hash of its network's name and "">, the time as above in a
// line, then the configuration as it came. A later one of the same network replaces it.
inline uint64_t spool_hash(const char* container, const char* ifname) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const char* p = container; *p; ++p) value = (value ^ (unsigned char)*p) * 0x100000001b3u;
  value = (value ^ (unsigned char)'/') * 0x100000001b3u;
  for (const char* p = ifname; *p; ++p) value = (value ^ (unsigned char)*p) * 0x100000001b3u;
  return value;
}

}  // namespace causeway::pod::wire
