#include "cluster/feed/snapshot.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::cluster;

TEST_CASE("a snapshot brings the Nodes back as they were") {
  Model model;
  model.put(Node{.name = "n1",
                 .created = 17,
                 .addresses = {Ip::parse("192.0.2.1").value(), Ip::parse("2001:db8::1").value()},
                 .pod_cidrs = {Cidr::parse("10.244.1.0/24").value()}});
  model.put(Node{.name = "n2"});
  const std::string text = encode_snapshot(model);
  CHECK(text == "causeway nodes 1\nn1 17 192.0.2.1,2001:db8::1 10.244.1.0/24\nn2 0 - -\nend 2\n");
  auto nodes = decode_snapshot(text);
  REQUIRE(nodes);
  CHECK(nodes->nodes.size() == 2);
  CHECK(nodes->nodes.at(0) == *model.node("n1"));
  CHECK(nodes->nodes.at(1) == *model.node("n2"));
  CHECK(!nodes->reservations);
}

TEST_CASE("a snapshot tells reserved addresses once they are known: none is not the same as not known") {
  Model model;
  model.set_synced(Source::Reservations);
  CHECK(decode_snapshot(encode_snapshot(model))->reservations == std::vector<Reservation>{});
  const Reservation here{.address = Ip::parse("10.244.1.7").value(), .pod = {"shop", "db-0"}, .node = "n2"};
  const Reservation nowhere{.address = Ip::parse("fd10::7").value(), .pod = {"shop", "db-1"}};
  model.put(here);
  model.put(nowhere);
  CHECK(encode_snapshot(model) ==
        "causeway nodes 1\nreservations\n10.244.1.7 shop db-0 n2\nfd10::7 shop db-1 -\nend 3\n");
  CHECK(decode_snapshot(encode_snapshot(model))->reservations == std::vector{here, nowhere});
}

TEST_CASE("a torn or foreign snapshot is refused, never half read") {
  Model model;
  for (int i = 0; i < 5; ++i) model.put(Node{.name = "n" + std::to_string(i)});
  const std::string text = encode_snapshot(model);
  for (size_t cut = 0; cut + 1 < text.size(); ++cut) CHECK_FALSE(decode_snapshot(text.substr(0, cut)));
  CHECK_FALSE(decode_snapshot("causeway nodes 2\nend 0\n"));
  CHECK_FALSE(decode_snapshot("causeway nodes 1\nn1 x - -\nend 1\n"));
}
