#include <doctest/doctest.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>

#include <cstring>

#include "kernel/ipvs/decode.h"
#include "kernel/ipvs/encode.h"
#include "kernel/ipvs/fake.h"

using namespace causeway;
using namespace causeway::ipvs;

namespace {

constexpr uint16_t kFamily = 0x1d;
Ip ip(const char* text) { return Ip::parse(text).value(); }
const ServiceKey kWeb{ip("10.96.0.10"), 80, IPPROTO_TCP}, kDns{ip("fd00::a"), 53, IPPROTO_UDP};

const nlmsghdr* header(const std::string& bytes) { return reinterpret_cast<const nlmsghdr*>(bytes.data()); }
// The command is the first byte behind nlmsghdr (struct genlmsghdr).
int command(const std::string& bytes) { return uint8_t(bytes[sizeof(nlmsghdr)]); }

}  // namespace

TEST_CASE("a service is written as the kernel lists it") {
  const std::vector<std::pair<ServiceKey, Service>> cases = {
      {kWeb, {.scheduler = "rr"}},
      {kDns, {.scheduler = "wlc", .persistence = 10800, .flags = kOurs}},
      {{ip("2001:db8::1"), 65535, IPPROTO_SCTP}, {.scheduler = "mh", .persistence = 1, .flags = kFallback | kHashPort}},
  };
  for (const auto& [key, service] : cases) {
    const auto bytes = encode(CreateService{key, service}, kFamily, 7).value();
    CHECK(header(bytes)->nlmsg_type == kFamily);
    CHECK(header(bytes)->nlmsg_seq == 7);
    CHECK(header(bytes)->nlmsg_len == bytes.size());
    CHECK(command(bytes) == IPVS_CMD_NEW_SERVICE);
    const auto found = decode_service(header(bytes));
    REQUIRE(found);
    CHECK_MESSAGE(*found == std::pair(key, service), to_string(found->first));
  }
}

TEST_CASE("a destination is written as the kernel lists it") {
  const auto bytes = encode(UpdateDestination{kWeb, {ip("10.1.0.5"), 8080}, 0}, kFamily, 8).value();
  CHECK(command(bytes) == IPVS_CMD_SET_DEST);
  CHECK(decode_destination(header(bytes), Family::V4) == std::pair(Endpoint{ip("10.1.0.5"), 8080}, Destination{0}));
  CHECK_FALSE(decode_destination(header(bytes), Family::V6).has_value());
  CHECK(decode_service(header(bytes))->first == kWeb);
}

TEST_CASE("the other commands name what they are about") {
  CHECK(command(encode(DeleteService{kWeb}, kFamily, 1).value()) == IPVS_CMD_DEL_SERVICE);
  CHECK(command(encode(UpdateService{kWeb, {}}, kFamily, 1).value()) == IPVS_CMD_SET_SERVICE);
  CHECK(command(encode(DeleteDestination{kWeb, {ip("10.1.0.5"), 80}}, kFamily, 1).value()) == IPVS_CMD_DEL_DEST);
  CHECK(decode_service(header(encode_destinations_dump(kFamily, 3, kDns)))->first == kDns);
  const auto query = encode_family_query(4);
  CHECK(header(query)->nlmsg_type == GENL_ID_CTRL);
  CHECK(command(query) == CTRL_CMD_GETFAMILY);
}

TEST_CASE("what IPVS cannot do is refused before it is sent") {
  const auto words = [](const Change& change) {
    const auto done = encode(change, kFamily, 1);
    return done ? "" : done.error().message();
  };
  CHECK(words(CreateService{kWeb, {.scheduler = ""}}) ==
        "add 10.96.0.10:80/tcp : \"\" is no name of an IPVS scheduler");
  CHECK(words(CreateDestination{kWeb, {ip("fd00::5"), 80}, 1}) ==
        "add [fd00::5]:80 to 10.96.0.10:80/tcp with weight 1: [fd00::5]:80 cannot serve 10.96.0.10:80/tcp: another "
        "family");
}

TEST_CASE("somebody else's services of packet marks are not seen") {
  auto bytes = encode(CreateService{kWeb, {}}, kFamily, 1).value();
  // The attribute after the first, PROTOCOL, becomes FWMARK.
  auto* protocol = reinterpret_cast<nlattr*>(bytes.data() + sizeof(nlmsghdr) + sizeof(genlmsghdr) + NLA_HDRLEN + 8);
  REQUIRE(protocol->nla_type == IPVS_SVC_ATTR_PROTOCOL);
  protocol->nla_type = IPVS_SVC_ATTR_FWMARK;
  CHECK_FALSE(decode_service(header(bytes)).has_value());
}
