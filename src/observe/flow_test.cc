// Flows as lines, what is asked of them, and the files that keep them.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "observe/flow_log.h"

namespace causeway::observe {

namespace {

const WallTime kNow = parse_wall_time("2026-11-22T16:20:01.123456Z").value();

Flow flow(std::string verdict = "dropped") {
  return {.number = 7,
          .time = kNow,
          .node = "n1",
          .verdict = std::move(verdict),
          .protocol = "tcp",
          .source = {Ip::parse("10.0.0.2").value(), 41234, "shop/web"},
          .destination = {Ip::parse("10.0.1.3").value(), 5432, "shop/db"},
          .direction = "ingress",
          .policy = "NetworkPolicy shop/db"};
}

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/causeway-flows-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

std::string numbers(const std::string& folder, const FlowFilter& filter = {}) {
  std::string out;
  for (const Flow& one : read_flows(folder, filter).value()) out += std::to_string(one.number) + " ";
  return out;
}

}  // namespace

TEST_CASE("a flow is one line of JSON that reads back, and one for people") {
  const Flow one = flow();
  CHECK(to_json(one) ==
        R"({"number":7,"time":"2026-11-22T16:20:01.123456Z","node":"n1","verdict":"dropped","protocol":"tcp",)"
        R"("source":{"address":"10.0.0.2","port":41234,"pod":"shop/web"},)"
        R"("destination":{"address":"10.0.1.3","port":5432,"pod":"shop/db"},)"
        R"("direction":"ingress","policy":"NetworkPolicy shop/db"})");
  CHECK(parse_flow(to_json(one)).value() == one);
  CHECK(to_text(one) ==
        "2026-11-22T16:20:01.123Z shop/web:41234 -> shop/db:5432/tcp DROPPED by ingress: NetworkPolicy shop/db, of "
        "which no rule admits it");
  Flow other = flow("allowed");
  other.direction = "";
  other.rule = "ingress[0]";
  other.source = {Ip::parse("fd00::9").value(), 99, ""};
  other.destination.port = 0;
  other.protocol = "icmp";
  CHECK(parse_flow(to_json(other)).value() == other);
  CHECK(to_text(other) ==
        "2026-11-22T16:20:01.123Z [fd00::9]:99 -> shop/db/icmp allowed: NetworkPolicy shop/db ingress[0]");
  other.from_node = true;
  other.policy = other.rule = "";
  CHECK(to_text(other) == "2026-11-22T16:20:01.123Z node n1:99 -> shop/db/icmp allowed");
}

TEST_CASE("lines, times and ages that cannot be are refused with their reason") {
  CHECK(parse_flow("{").error().message() == "a flow that is no JSON object");
  CHECK(parse_flow(R"({"number":1})").error().message() == "\"\" is no time as 2026-11-22T16:20:01.123456Z");
  CHECK(parse_flow(R"({"time":"2026-11-22T16:20:01.123456Z"})").error().message() == "a flow without number");
  CHECK(parse_flow(R"({"number":1,"time":"2026-11-22T16:20:01.123456Z"})").error().message() ==
        "a flow without source");
  CHECK_FALSE(parse_wall_time("2026-02-30T16:20:01.123456Z"));
  CHECK(to_text(parse_wall_time("2026-11-22T00:00:00.000001Z").value()) == "2026-11-22T00:00:00.000001Z");
  CHECK(parse_age("90s").value() == std::chrono::seconds(90));
  CHECK(parse_age("2h").value() == std::chrono::hours(2));
  for (const char* text : {"", "10", "m", "0s", "-5m", "10 m", "1.5h", "10mm", "400d", "99999999999999999999s"})
    CHECK_MESSAGE(!parse_age(text), text);
  CHECK(check_verdict("denied").error().message() == "\"denied\" is no verdict: allowed, dropped, cut or closed");
}

TEST_CASE("the log numbers flows, finds them by what is asked, and goes on after a restart and a torn line") {
  Folder folder;
  {
    auto log = FlowLog::open(folder.path, {}).value();
    REQUIRE(log.append({flow(), flow("allowed"), flow("cut")}, kNow));
    CHECK(numbers(folder.path) == "1 2 3 ");
    CHECK(numbers(folder.path, {.after = 1}) == "2 3 ");
    CHECK(numbers(folder.path, {.verdict = "cut"}) == "3 ");
    CHECK(numbers(folder.path, {.pod = "shop/db"}) == "1 2 3 ");
    CHECK(numbers(folder.path, {.pod = "shop/other"}) == "");
    CHECK(numbers(folder.path, {.from = kNow + std::chrono::seconds(1)}) == "");
  }
  const auto path = std::filesystem::directory_iterator(folder.path)->path();
  std::ofstream(path, std::ios::app) << R"({"number":4,"ti)";
  auto log = FlowLog::open(folder.path, {}).value();
  REQUIRE(log.append({flow()}, kNow));
  CHECK(numbers(folder.path) == "1 2 3 4 ");
}

TEST_CASE("the log keeps within its size and its age, the oldest going first") {
  Folder folder;
  auto log = FlowLog::open(folder.path, {.age = std::chrono::minutes(10), .bytes = 64u << 10}).value();
  for (int i = 0; i < 100; ++i) REQUIRE(log.append(std::vector<Flow>(20, flow()), kNow));
  CHECK(log.bytes() <= 64u << 10);
  CHECK(log.bytes() > 40u << 10);
  const auto kept = read_flows(folder.path, {}).value();
  CHECK(kept.back().number == 2000);
  CHECK(kept.size() == 2000 - kept.front().number + 1);  // without a gap
  REQUIRE(log.append({flow()}, kNow + std::chrono::minutes(11)));
  CHECK(numbers(folder.path) == "2001 ");
  REQUIRE(log.expire(kNow + std::chrono::minutes(30)));
  CHECK(numbers(folder.path) == "");
  CHECK(std::filesystem::is_empty(folder.path));
  REQUIRE(log.append({flow()}, kNow + std::chrono::minutes(30)));
  CHECK(numbers(folder.path) == "2002 ");
}

TEST_CASE("more flows at once than a file may hold are written to several, and what cannot be written is counted") {
  Folder folder;
  auto log = FlowLog::open(folder.path, {.bytes = 64u << 10}).value();
  REQUIRE(log.append(std::vector<Flow>(150, flow()), kNow));
  CHECK(read_flows(folder.path, {}).value().size() == 150);
  std::filesystem::remove_all(folder.path);
  std::ofstream(folder.path) << "no folder";
  auto other = FlowLog::open(folder.path, {});
  CHECK_FALSE(other);
  for (int i = 0; i < 9 && log.unwritten() == 0; ++i) (void)log.append(std::vector<Flow>(30, flow()), kNow);
  CHECK(log.unwritten() > 0);
}

}  // namespace causeway::observe
