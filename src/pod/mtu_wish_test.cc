#include "pod/mtu_wish.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::pod;

namespace {

std::string wished(const char* mtu, NodeMtu node = {1450, 1450}, bool has_v6 = true) {
  cluster::Labels annotations;
  if (mtu) annotations["causeway.io/mtu"] = mtu;
  const auto wish = mtu_wish(annotations, node, has_v6);
  return wish ? std::to_string(*wish) : wish.error().message;
}

}  // namespace

TEST_CASE("a Pod has the node's MTU, or the smaller one that it asks for") {
  CHECK(wished(nullptr) == "1450");
  CHECK(wished(nullptr, {9000, 1450}) == "9000");
  CHECK(wished("1450") == "1450");
  CHECK(wished("1280") == "1280");
  CHECK(wished("576", {1450, 1450}, false) == "576");
  CHECK(wished("1400", {9000, 1450}) == "1400");
}

TEST_CASE("an MTU that cannot be is refused with its reason") {
  for (const char* text : {"", "x", "1400 ", " 1400", "+1400", "-1", "1400.0", "0x500", "99999999999"})
    CHECK(wished(text) == fmt::format("annotation causeway.io/mtu: \"{}\" is no number of bytes", text));
  CHECK(wished("1451") == "annotation causeway.io/mtu: \"1451\" is more than the 1450 that Pods of this node have");
  CHECK(wished("1451", {9000, 1450}) ==
        "annotation causeway.io/mtu: \"1451\" is more than the 1450 that Pods of this node have");
  CHECK(wished("1401", {1400, 1450}) ==
        "annotation causeway.io/mtu: \"1401\" is more than the 1400 that Pods of this node have");
  CHECK(wished("1279") == "annotation causeway.io/mtu: \"1279\" is below 1280, which the Pod's IPv6 needs");
  CHECK(wished("575", {1450, 1450}, false) == "annotation causeway.io/mtu: \"575\" is below 576, which IPv4 needs");
}
