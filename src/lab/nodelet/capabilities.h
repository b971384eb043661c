// The capabilities of a container: what runtimes give by default, and what its securityContext adds and drops. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "kube/api/pod.h"

namespace causeway::lab {

// Those of containerd and CRI-O for a container that says nothing, one bit each: CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD
// NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE.
uint64_t default_capabilities();
// Null: the container has no securityContext. Errors: Invalid, naming what is no capability.
Result<uint64_t> compile_capabilities(const kube::SecurityContext* context);

}  // namespace causeway::lab
