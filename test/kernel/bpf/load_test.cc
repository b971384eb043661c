// What the programs cost the verifier, so that they stay loadable: instructions it walks and stack of the deepest
// chain.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>

#include <functional>

#include "datapath/programs.h"
#include "datapath/resize.h"
#include "world.h"

namespace causeway::test {

namespace {

// Bytes of the stack's deepest chain of calls, as check_max_stack_depth() of 6.1 counts them: every frame is rounded up
// to 32 bytes (to 16 since 6.8). `stats` names the depth of each function ("stack depth 152+0+64"), the program's
// instructions who calls whom.
uint32_t deepest_stack(int program, const std::string& stats) {
  std::vector<uint32_t> depths;
  for (size_t at = stats.find("stack depth ") + 11; at < stats.size() && stats[at] != '\n';
       at = stats.find_first_of("+\n", at + 1))
    depths.push_back((static_cast<uint32_t>(std::atoi(stats.c_str() + at + 1)) + 31) / 32 * 32);
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_obj_get_info_by_fd(program, &info, &size) == 0);
  std::vector<bpf_insn> code(info.xlated_prog_len / sizeof(bpf_insn));
  std::vector<bpf_func_info> functions(info.nr_func_info);
  bpf_prog_info wanted{};
  wanted.xlated_prog_len = info.xlated_prog_len;
  wanted.xlated_prog_insns = reinterpret_cast<uint64_t>(code.data());
  wanted.nr_func_info = info.nr_func_info;
  wanted.func_info_rec_size = sizeof(bpf_func_info);
  wanted.func_info = reinterpret_cast<uint64_t>(functions.data());
  REQUIRE(bpf_obj_get_info_by_fd(program, &wanted, &size) == 0);
  REQUIRE(functions.size() == depths.size());
  auto function_at = [&](size_t instruction) {
    size_t i = functions.size() - 1;
    while (functions[i].insn_off > instruction) --i;
    return i;
  };
  std::function<uint32_t(size_t)> chain = [&](size_t function) {
    uint32_t deepest = 0;
    const size_t end = function + 1 < functions.size() ? functions[function + 1].insn_off : code.size();
    for (size_t i = functions[function].insn_off; i < end; ++i)
      if (code[i].code == (BPF_JMP | BPF_CALL) && code[i].src_reg == BPF_PSEUDO_CALL)
        deepest = std::max(deepest, chain(function_at(i + 1 + static_cast<size_t>(code[i].off))));
    return depths[function] + deepest;
  };
  return chain(0);
}

datapath::Sizes sizes_of(const Node& node) {
  return datapath::sizes_at_least(node.pins + "/maps", datapath::sizes_for(4096)).value();
}

}  // namespace

TEST_CASE("the verifier walks few enough instructions of each program, and its stack is shallow enough") {
  // The kernel's limit is 1,000,000. Older verifiers walk more than the one that these were measured with.
  // The limit of the stack is 512 bytes over all frames of a chain of calls.
  struct Cap {
    uint32_t instructions, stack;
  };
  const std::map<datapath::Hook, Cap> caps = {
      {datapath::Hook::FromPod, {100'000, 512}},
      {datapath::Hook::ToPod, {100'000, 512}},
      {datapath::Hook::UplinkIngress, {100'000, 512}},
      {datapath::Hook::UplinkEgress, {120'000, 512}},
  };
  const Cap socket_cap = {20'000, 512};
  World world({.policy = true, .services = true});
  auto judge = [](std::string_view name, int program, const std::string& stats, const Cap& cap) {
    CAPTURE(name);
    const uint32_t stack = deepest_stack(program, stats);
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_obj_get_info_by_fd(program, &info, &size) == 0);
    MESSAGE(name << ": " << info.verified_insns << " instructions verified, " << info.xlated_prog_len / 8
                 << " in the program, stack of " << stack << " bytes");
    CHECK(info.verified_insns < cap.instructions);
    CHECK(stack <= cap.stack);
  };
  auto features = world.a.plane->features();
  features.dns = {world.a.ip4, world.a.ip6, world.b.ip4, world.b.ip6};
  features.socket_hooks = true;
  std::map<std::string_view, std::string> logs;
  auto sockets =
      datapath::load_sockets(datapath::config_of(features), sizes_of(world.a), world.a.pins + "/maps", &logs);
  REQUIRE(sockets);
  for (const auto& [name, fd] : *sockets) judge(name, fd.get(), logs[name], socket_cap);
  for (auto hook : datapath::kHooks) {
    std::string stats;
    auto fd =
        datapath::load_program(hook, datapath::config_of(features), sizes_of(world.a), world.a.pins + "/maps", &stats);
    REQUIRE(fd);
    judge(to_string(hook), fd->get(), stats, caps.at(hook));
  }
}

TEST_CASE("switched off features cost nothing") {
  World world;
  auto length = [&](datapath::Features features) {
    auto fd = datapath::load_program(datapath::Hook::UplinkIngress, datapath::config_of(features), sizes_of(world.a),
                                     world.a.pins + "/maps");
    REQUIRE(fd);
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_obj_get_info_by_fd(fd->get(), &info, &size) == 0);
    return info.xlated_prog_len;
  };
  auto all = length({});
  CHECK(length({.masquerade = false}) < all);
  CHECK(length({.overlay = false}) < all);
  CHECK(length({.ipv6 = false}) < all);
}

}  // namespace causeway::test
