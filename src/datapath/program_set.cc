#include "datapath/program_set.h"

#include <algorithm>
#include <future>

#include "kernel/bpf/pins.h"

namespace causeway::datapath {

namespace {

Result<Program> open_program(const std::string& pins, Hook hook, const abi::datapath_config& config,
                             const Sizes& sizes) {
  Program program{.pin = fmt::format("{}/programs/{}", pins, fingerprint(hook, config, sizes))};
  if (auto pinned = bpf::open_pin(program.pin))
    program.fd = std::move(*pinned);
  else
    program.fd = TRY(load_program(hook, config, sizes, pins + "/maps"));
  program.id = TRY(bpf::program_id(program.fd.get()));
  return program;
}

}  // namespace

bool ProgramSet::has_pin(const std::string& path) const {
  return std::ranges::any_of(programs, [&](const Program& program) { return program.pin == path; }) ||
         (sockets && sockets->has_pin(path));
}

Result<ProgramSet> ProgramSet::open(const std::string& pins, const std::string& cgroup, const Features& features,
                                    const Sizes& sizes) {
  ProgramSet set;
  if (features.socket_hooks)
    set.cgroup =
        TRY(bpf::open_cgroup(cgroup.empty() ? TRY(bpf::find_cgroup_root(), "socket hooks") : cgroup), "socket hooks");
  const auto config = config_of(features);
  std::array<std::future<Result<Program>>, std::size(kHooks)> loading;
  for (auto hook : kHooks)
    loading[static_cast<size_t>(hook)] =
        std::async(std::launch::async, [&, hook] { return open_program(pins, hook, config, sizes); });
  Result<SocketPrograms> sockets = fail(Errc::Internal, "the socket hooks are off");
  if (features.socket_hooks) sockets = SocketPrograms::open(pins, config, sizes);
  std::optional<Error> error;  // all have ended before anybody leaves
  for (auto hook : kHooks) {
    auto program = loading[static_cast<size_t>(hook)].get();
    if (program)
      set.programs[static_cast<size_t>(hook)] = std::move(*program);
    else if (!error)
      error = std::move(program.error());
  }
  if (error) return fail(std::move(*error));
  if (features.socket_hooks) set.sockets = TRY(std::move(sockets));
  return set;
}

}  // namespace causeway::datapath
