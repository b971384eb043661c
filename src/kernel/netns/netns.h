// Network namespaces: open, make, pin under a path, tell apart, work inside one.
//
// A network namespace belongs to a thread. What must run inside another one runs on a thread of its own (about 50 us,
// more on a busy machine), which ends with the call; only visit() takes the caller's thread there and back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::netns {

// Identity of a live namespace. An inode number may be used again after the namespace is gone.
struct Id {
  uint64_t device = 0;
  uint64_t inode = 0;
  auto operator<=>(const Id&) const = default;
};
std::string to_string(const Id& id);

// Refuses what is no network namespace (a plain file: Invalid; nothing there: NotFound).
Result<Fd> open(const std::string& path);
Result<Fd> open_self();
Result<Id> id_of(int netns_fd);
// The kernel's 64-bit cookie, never used twice in one boot (SO_NETNS_COOKIE, kernel 5.14).
Result<uint64_t> cookie_of(int netns_fd);

// A new, empty namespace with lo up. It lives as long as the descriptor, a process in it, or a pin.
Result<Fd> create();
// Keeps it alive under a path (bind mount on an empty file, made with its folders). The mount is seen in the
// caller's mount namespace and where that propagates to.
Status pin(int netns_fd, const std::string& path);
// Removes pin and file; no error when they are not there.
Status unpin(const std::string& path);

// Runs `work` on a thread of its own inside the namespace and waits for it.
Status run_in(int netns_fd, std::move_only_function<Status()> work);

template <class F>
auto call_in(int netns_fd, F work) -> std::invoke_result_t<F> {
  std::optional<std::invoke_result_t<F>> result;
  auto entered = run_in(netns_fd, [&]() -> Status {
    result.emplace(work());
    return ok();
  });
  if (!entered) return fail(std::move(entered.error()));
  return std::move(*result);
}

// Runs `work` inside the namespace on the caller's own thread, which is back when this returns. For worker threads that
// nobody else's work runs on meanwhile. A thread that could not come back would work on in a Pod: the process ends
// then.
Status visit(int netns_fd, const std::function<Status()>& work);

// ---- sysctls of the calling thread's network namespace, below /proc/sys/net ("ipv4/conf/eth0/forwarding")

Result<std::string> read_sysctl(const std::string& name);
// Writes only when the value differs, so that it works where /proc/sys is read-only and right already.
Status write_sysctl(const std::string& name, std::string_view value);

}  // namespace causeway::netns
