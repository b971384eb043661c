// What the programs cost the verifier, so that they stay loadable: instructions it walks and stack of the deepest
// chain.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>

#include "datapath/programs.h"
#include "world.h"

namespace causeway::test {

TEST_CASE("the verifier walks few enough instructions of each program") {
  // The kernel's limit is 1,000,000. Older verifiers walk more than the one that these were measured with.
  const std::map<datapath::Hook, uint32_t> caps = {
      {datapath::Hook::FromPod, 40'000},
      {datapath::Hook::ToPod, 1'000},
      {datapath::Hook::UplinkIngress, 80'000},
      {datapath::Hook::UplinkEgress, 200'000},
  };
  World world;
  for (auto hook : datapath::kHooks) {
    CAPTURE(to_string(hook));
    auto fd =
        datapath::load_program(hook, datapath::config_of(world.a.plane->features()), 4096, world.a.pins + "/maps");
    REQUIRE(fd);
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_obj_get_info_by_fd(fd->get(), &info, &size) == 0);
    MESSAGE(to_string(hook) << ": " << info.verified_insns << " instructions verified, " << info.xlated_prog_len / 8
                            << " in the program");
    CHECK(info.verified_insns < caps.at(hook));
  }
}

TEST_CASE("switched off features cost nothing") {
  World world;
  auto length = [&](datapath::Features features) {
    auto fd = datapath::load_program(datapath::Hook::UplinkIngress, datapath::config_of(features), 4096,
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
