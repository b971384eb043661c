// A flow as the node's flow log keeps it, with names: one JSON object on a line (docs/observe.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "async/loop.h"
#include "base/ip.h"

namespace causeway::observe {

struct FlowEnd {
  Ip address;
  uint16_t port = 0;
  std::string pod;  // "NAMESPACE/NAME"; "": no Pod of the cluster
  bool operator==(const FlowEnd&) const = default;
};

struct Flow {
  uint64_t number = 0;  // counts what this node has told; given by the log
  WallTime time;
  std::string node;
  std::string verdict;          // allowed, dropped, cut, closed
  std::string protocol;         // tcp, udp, sctp, icmp, or its number
  FlowEnd source, destination;  // who opened it; behind a Service's address the endpoint
  bool from_node = false;       // opened by the node itself
  std::string direction;        // of what was dropped or cut: ingress or egress; else ""
  std::string policy, rule;     // who decided, e.g. "NetworkPolicy shop/web", "ingress[0]"; "": nothing judges it
  std::string reason;           // why it was dropped, where no policy says so
  bool operator==(const Flow&) const = default;
};

std::string to_json(const Flow& flow);  // one line, without its end
// Errors: Invalid, and what is missing. Fields that are not known are passed over.
Result<Flow> parse_flow(std::string_view line);
// For people: 2026-11-22T16:20:01.123Z shop/web:41234 -> shop/db:5432/tcp DROPPED by ingress: NetworkPolicy shop/db
std::string to_text(const Flow& flow);

// What somebody wants to see.
struct FlowFilter {
  std::optional<WallTime> from;
  uint64_t after = 0;   // numbers above this one
  std::string verdict;  // "": all
  std::string pod;      // NAMESPACE/NAME at either end; "": all
  bool matches(const Flow& flow) const;
};
// Errors: Invalid for a verdict that there is not; says which there are.
Status check_verdict(std::string_view verdict);
// 90s, 10m, 2h, 1d; 0 is refused. Errors: Invalid.
Result<Duration> parse_age(std::string_view text);

std::string to_text(WallTime time);                       // 2026-11-22T16:20:01.123456Z
Result<WallTime> parse_wall_time(std::string_view text);  // as to_text() writes it

}  // namespace causeway::observe
