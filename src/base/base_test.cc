#include <doctest/doctest.h>

#include "base/delta.h"
#include "base/ip.h"

using namespace causeway;

static Result<int> half(int value) {
  if (value % 2) return fail(Errc::Invalid, "{} is odd", value);
  return value / 2;
}
static Result<int> quarter(int value) { return TRY(half(TRY(half(value), "quarter of {}", value))); }

TEST_CASE("an error gains context on its way up") {
  CHECK(quarter(12).value() == 3);
  CHECK(quarter(7).error().message() == "quarter of 7: 7 is odd");
  CHECK(quarter(7).error().code() == Errc::Invalid);
}

TEST_CASE("addresses parse strictly and print canonically") {
  CHECK(to_string(*Ip::parse("10.0.0.1")) == "10.0.0.1");
  CHECK(to_string(*Ip::parse("FD00:0::0:1")) == "fd00::1");
  for (auto bad : {"010.0.0.1", "10.0.0", "::ffff:10.0.0.1", "fe80::1%eth0", "", "1.2.3.4 "}) CHECK(!Ip::parse(bad));
  CHECK(to_string(Ip::parse("10.0.0.255")->plus(2)) == "10.0.1.1");
  CHECK(to_string(Ip::parse("fd00::ffff")->plus(1)) == "fd00::1:0");
}

TEST_CASE("prefixes refuse host bits and say what is meant") {
  CHECK(to_string(*Cidr::parse("10.1.0.0/16")) == "10.1.0.0/16");
  CHECK(Cidr::parse("10.1.0.1/16").error().message() ==
        "'10.1.0.1/16' has bits set behind its prefix; '10.1.0.0/16' is meant");
  for (auto bad : {"10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/08", "10.0.0.0/"}) CHECK(!Cidr::parse(bad));
  const auto net = *Cidr::parse("10.1.0.0/16");
  CHECK(net.contains(*Ip::parse("10.1.255.255")));
  CHECK(!net.contains(*Ip::parse("10.2.0.0")));
  CHECK(net.overlaps(*Cidr::parse("10.0.0.0/8")));
  CHECK(!net.overlaps(*Cidr::parse("fd00::/8")));
}

TEST_CASE("diff names what to put and what to remove") {
  const std::map<int, int> actual{{1, 1}, {2, 2}, {3, 3}}, desired{{2, 2}, {3, 4}, {5, 5}};
  const auto delta = diff(actual, desired);
  CHECK(delta.put == std::map<int, int>{{3, 4}, {5, 5}});
  CHECK(delta.remove == std::vector{1});
}
