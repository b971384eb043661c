#include <bpf/libbpf.h>
#include <errno.h>

#include <cstdlib>

#include "kernel/bpf/attach.h"
#include "kernel/bpf/slot.h"

namespace causeway::bpf {

namespace {

// A missing filter or device is an ordinary answer for us; libbpf would print it.
struct Quiet {
  libbpf_print_fn_t old = libbpf_set_print(nullptr);
  ~Quiet() { libbpf_set_print(old); }
};

bpf_tc_hook hook_of(IfIndex ifindex, Direction direction) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = direction == Direction::Ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

bpf_tc_opts slot() {
  bpf_tc_opts opts{};
  opts.sz = sizeof(opts);
  opts.handle = kHandle;
  opts.priority = kPriority;
  return opts;
}

// How the kernel says "nothing there": no qdisc (EINVAL), no filter (ENOENT), no device (ENODEV).
bool absent(int error) { return error == -ENOENT || error == -EINVAL || error == -ENODEV; }

}  // namespace

Status attach_clsact(int program_fd, IfIndex ifindex, Direction direction) {
  Quiet quiet;
  auto hook = hook_of(ifindex, direction);
  int error = bpf_tc_hook_create(&hook);
  if (error == -ENODEV) return fail(Errc::NotFound, "attach to {} of device {}: no such device", direction, ifindex);
  if (error && error != -EEXIST) return fail_errno(-error, fmt::format("make the clsact qdisc of device {}", ifindex));
  auto opts = slot();
  opts.prog_fd = program_fd;
  opts.flags = BPF_TC_F_REPLACE;
  error = bpf_tc_attach(&hook, &opts);
  if (error) return fail_errno(-error, fmt::format("attach to {} of device {} by clsact", direction, ifindex));
  return ok();
}

Result<std::optional<ProgramId>> query_clsact(IfIndex ifindex, Direction direction) {
  Quiet quiet;
  auto hook = hook_of(ifindex, direction);
  auto opts = slot();
  int error = bpf_tc_query(&hook, &opts);
  if (!error) return std::optional<ProgramId>(ProgramId{opts.prog_id});
  if (absent(error)) return std::optional<ProgramId>();
  return fail_errno(-error, fmt::format("ask for our filter on {} of device {}", direction, ifindex));
}

Status detach_clsact(IfIndex ifindex, Direction direction) {
  Quiet quiet;
  auto hook = hook_of(ifindex, direction);
  auto opts = slot();
  int error = bpf_tc_detach(&hook, &opts);
  if (!error || absent(error)) return ok();
  return fail_errno(-error, fmt::format("remove our filter on {} of device {}", direction, ifindex));
}

}  // namespace causeway::bpf
