#include "lab/dns_files.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::lab;

TEST_CASE("the outside host answers for its zone with its own addresses, and denies every other name") {
  const std::string text = outside_corefile({*Ip::parse("203.0.113.2"), *Ip::parse("2001:db8:113::2")});
  CHECK(text.find("outside.example:53 {") != text.npos);
  CHECK(text.find("answer \"{{ .Name }} 60 IN A 203.0.113.2\"") != text.npos);
  CHECK(text.find("answer \"{{ .Name }} 60 IN AAAA 2001:db8:113::2\"") != text.npos);
  CHECK(text.find("rcode NXDOMAIN") > text.find(".:53 {\n    errors\n    template ANY ANY"));
}

TEST_CASE("nodes ask the outside host, and nobody in a lab without DNS") {
  CHECK(node_resolv_conf({*Ip::parse("203.0.113.2")}) == "nameserver 203.0.113.2\n");
  CHECK(node_resolv_conf({}).starts_with("#"));
}
