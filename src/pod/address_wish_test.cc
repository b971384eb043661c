#include "pod/address_wish.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::pod;

namespace {

std::string wished(const char* addresses, const char* keep = nullptr, std::vector<const char*> asked = {}) {
  cluster::Labels annotations;
  if (addresses) annotations["causeway.io/addresses"] = addresses;
  if (keep) annotations["causeway.io/keep-addresses"] = keep;
  std::vector<Ip> ips;
  for (const char* text : asked) ips.push_back(Ip::parse(text).value());
  const auto wish = address_wish(annotations, ips);
  if (!wish) return wish.error().message;
  std::string text = wish->keep ? "keep" : "";
  for (const Ip& ip : wish->addresses) text += " " + to_string(ip);
  return text;
}

}  // namespace

TEST_CASE("a Pod's annotations and its runtime say which addresses it is to have") {
  CHECK(wished(nullptr) == "");
  CHECK(wished("10.1.0.5") == " 10.1.0.5");
  CHECK(wished(" 10.1.0.5 , fd00::5", "true") == "keep 10.1.0.5 fd00::5");
  CHECK(wished(nullptr, "false") == "");
  CHECK(wished("10.1.0.5", nullptr, {"10.1.0.5", "fd00::7"}) == " 10.1.0.5 fd00::7");
}

TEST_CASE("a wish that cannot be understood is refused by its annotation's name") {
  CHECK(wished("") == "annotation causeway.io/addresses: \"\" is no address");
  CHECK(wished("10.1.0.5,") == "annotation causeway.io/addresses: \"\" is no address");
  CHECK(wished("10.1.0.5/24") == "annotation causeway.io/addresses: \"10.1.0.5/24\" is no address");
  CHECK(wished("10.1.0.5,10.1.0.6") == "annotation causeway.io/addresses: two addresses of one family");
  CHECK(wished("127.0.0.1") == "annotation causeway.io/addresses: 127.0.0.1 is no address that a Pod can have");
  CHECK(wished("10.1.0.5", nullptr, {"10.1.0.6"}) ==
        "annotation causeway.io/addresses asks for 10.1.0.5, the runtime for 10.1.0.6");
  CHECK(wished(nullptr, "yes") == "annotation causeway.io/keep-addresses: \"yes\" is neither \"true\" nor \"false\"");
}
