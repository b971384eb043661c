// A scenario is a text file: what the node knows, objects of the API, and the tables that must come of it.
//
//   # Free text: what the scenario shows.
//   -- node --
//   name n1
//   uplink eth0 index 2 mtu 1500 192.0.2.1/24
//   fabric auto
//   cluster-cidr 10.244.0.0/16
//   services WORD...               options of Services: host-ports, masquerade-all, no-external-ips ...
//   -- objects --                  YAML or JSON documents: created or changed
//   -- delete --                   one "Kind [namespace/]name" a line
//   -- attach --                   one "container pod dev IFINDEX ADDRESS... [HOST-PORTS]" a line:
//   80:8080/tcp@10.0.0.1,...
//   -- detach --                   one container a line
//   -- unhealthy --                "NS/SERVICE ADDRESS:PORT..." a line: what the node's probes found
//   -- service --                  what render(service::Tables) must print now, of Services; "service all": of all
//   -- fabric --                   what render(fabric::Tables) must print now
//   -- hostport --                 what render(pod::hostport::Tables) must print now
//
// Sections happen in their order, so a scenario may go on after a table.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::test {

struct Section {
  std::string name;
  std::string text;
};
struct Scenario {
  std::string comment;
  std::vector<Section> sections;
};

Scenario parse_scenario(std::string_view text);
std::string print_scenario(const Scenario& scenario);
// The scenario with each table as it came out. Every table is compiled incrementally and in full; a difference
// between the two is an error.
Result<Scenario> run_scenario(const Scenario& scenario);

}  // namespace causeway::test
