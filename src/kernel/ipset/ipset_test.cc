#include <doctest/doctest.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include <cstring>

#include "kernel/ipset/decode.h"
#include "kernel/ipset/encode.h"
#include "kernel/ipset/fake.h"

using namespace causeway;
using namespace causeway::ipset;

namespace {

Cidr cidr(const char* text) { return Cidr::parse(text).value(); }
Cidr host(const char* text) { return host_cidr(Ip::parse(text).value()); }

std::vector<std::string> encoded(const Change& change) {
  uint32_t sequence = 0;
  return encode(change, [&] { return ++sequence; }).value();
}

// What a dump would bring of the set: the message of an addition has the same elements.
std::optional<SetMessage> as_listed(std::string bytes, const Set& known) {
  auto* message = reinterpret_cast<nlmsghdr*>(bytes.data());
  message->nlmsg_type = NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST;
  return decode_set(message, known);
}

}  // namespace

TEST_CASE("elements of every type are written and read as the same") {
  const std::vector<std::pair<Set, Element>> cases = {
      {{Type::Ip, Family::V4}, {host("10.96.0.1")}},
      {{Type::Ip, Family::V6}, {host("fd00::1")}},
      {{Type::Net, Family::V4}, {cidr("10.96.0.0/12")}},
      {{Type::Net, Family::V6}, {cidr("fd00::/108")}},
      {{Type::IpPort, Family::V4}, {host("10.96.0.1"), IPPROTO_TCP, 443}},
      {{Type::IpPort, Family::V6}, {host("fd00::1"), IPPROTO_SCTP, 65535}},
      {{Type::IpPortIp, Family::V4}, {host("10.1.0.5"), IPPROTO_UDP, 53, host("10.1.0.5")}},
      {{Type::IpPortNet, Family::V4}, {host("203.0.113.1"), IPPROTO_TCP, 80, cidr("198.51.100.0/24")}},
      {{Type::IpPortNet, Family::V6}, {host("2001:db8::1"), IPPROTO_TCP, 80, cidr("2001:db8:1::/48")}},
      {{Type::Port, Family::V4}, {.port = 30080}},
  };
  for (const auto& [set, element] : cases) {
    const auto messages = encoded(AddElements{"causeway-x", set, {element}});
    REQUIRE(messages.size() == 1);
    const auto found = as_listed(messages[0], set);
    REQUIRE(found);
    CHECK(found->name == "causeway-x");
    CHECK_MESSAGE(found->elements == Elements{element}, to_string(element));
  }
}

TEST_CASE("a set is made with its type, family and timeout") {
  auto bytes = encoded(CreateSet{"causeway-a", {Type::IpPort, Family::V6, 10800}})[0];
  auto* message = reinterpret_cast<nlmsghdr*>(bytes.data());
  CHECK(message->nlmsg_len == bytes.size());
  message->nlmsg_type = NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST;
  const auto found = decode_set(message);
  REQUIRE(found);
  CHECK(found->header);
  CHECK(found->set == Set{Type::IpPort, Family::V6, 10800});
}

TEST_CASE("many elements go in several messages, none longer than an attribute can say") {
  AddElements many{"causeway-x", {Type::IpPortNet, Family::V6}, {}};
  for (uint64_t i = 0; i < 1000; ++i)
    many.elements.push_back({host_cidr(Ip::parse("fd00::").value().plus(i)), IPPROTO_TCP, 80, cidr("2001:db8::/48")});
  const auto messages = encoded(many);
  CHECK(messages.size() == 3);
  size_t elements = 0;
  for (const auto& message : messages) {
    CHECK(message.size() < 65536);
    elements += as_listed(message, many.set)->elements.size();
  }
  CHECK(elements == 1000);
}

TEST_CASE("what no set can hold is refused before it is sent") {
  uint32_t sequence = 0;
  const auto refused = [&](const Change& change) {
    const auto done = encode(change, [&] { return ++sequence; });
    return done ? "" : done.error().message();
  };
  CHECK(refused(AddElements{"x", {Type::Net, Family::V4}, {{cidr("0.0.0.0/0")}}}) ==
        "set x: 0.0.0.0/0: a set holds no prefix of length 0; its two halves, it does");
  CHECK(refused(AddElements{"x", {Type::Ip, Family::V4}, {{host("fd00::1")}}}) ==
        "set x: fd00::1 is no element of a set of type hash:ip (IPv4)");
  CHECK(refused(AddElements{"x", {Type::IpPort, Family::V4}, {{host("10.0.0.1")}}}) ==
        "set x: 10.0.0.1 is no element of a set of type hash:ip,port (IPv4)");
  CHECK(refused(CreateSet{std::string(32, 'a'), {}}) ==
        "the set name \"" + std::string(32, 'a') + "\" is not 1 to 31 bytes long");
}

TEST_CASE("the kernel's own codes are told in words") {
  CHECK(error_of(IPSET_ERR_BUSY, DestroySet{"x"}).message() == "destroy set x: a rule uses it");
  CHECK(error_of(IPSET_ERR_BUSY, DestroySet{"x"}).code() == Errc::Conflict);
  CHECK(error_of(EPERM, DestroySet{"x"}).message() == "destroy set x: Operation not permitted");
}
