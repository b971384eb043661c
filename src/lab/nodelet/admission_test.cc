#include "lab/nodelet/admission.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::lab;

namespace {

kube::Pod pod(std::string name, std::vector<kube::ContainerPort> ports) {
  kube::Pod out;
  out.metadata.ns = "default";
  out.metadata.name = out.metadata.uid = std::move(name);
  out.spec.containers = {{.name = "c", .ports = std::move(ports)}};
  return out;
}

}  // namespace

TEST_CASE("a Pod past the scheduler is refused a host port that another Pod of the node has") {
  const kube::Pod a = pod("a", {{.container_port = 80, .host_port = 8080}});
  const auto conflict = [&](const kube::Pod& one) { return host_port_conflict(one, {&a, &one}); };
  CHECK(conflict(pod("b", {{.container_port = 81, .host_port = 8080, .host_ip = "192.0.2.1"}})) ==
        "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports: Pod default/a has "
        "8080/TCP");
  CHECK(conflict(pod("b", {{.container_port = 80, .host_port = 8080, .protocol = "UDP"}})) == "");
  CHECK(conflict(pod("b", {{.container_port = 8080}})) == "");
  kube::Pod host = pod("b", {{.container_port = 8080}});
  host.spec.host_network = true;
  CHECK(conflict(host) != "");
  CHECK(conflict(a) == "");
}

TEST_CASE("two addresses are two places; a Pod that is over has no port any more") {
  kube::Pod a = pod("a", {{.container_port = 80, .host_port = 8080, .host_ip = "192.0.2.1"}});
  const kube::Pod b = pod("b", {{.container_port = 80, .host_port = 8080, .host_ip = "192.0.2.2"}});
  const kube::Pod c = pod("c", {{.container_port = 80, .host_port = 8080, .host_ip = "0.0.0.0"}});
  CHECK(host_port_conflict(b, {&a}) == "");
  CHECK(host_port_conflict(c, {&a}) != "");
  a.status.phase = "Failed";
  CHECK(host_port_conflict(c, {&a}) == "");
}
