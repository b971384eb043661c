#include "peers.h"

namespace causeway::bench {

using test::ip;
using test::path;

namespace {

const Ip kTwo = Ip::parse("172.31.0.2").value();

// A Pod's veth into a bridge of the node.
void plug(const test::Ns& node, const test::Ns& pod, const std::string& device, const std::string& address, int mtu) {
  ip(node,
     fmt::format(
         "link add {0} mtu {3} type veth peer name eth0 mtu {3} netns {1}\nlink set {0} master br0\nlink set {0} up\n",
         device, path(pod), 0, mtu));
  ip(pod, fmt::format("link set eth0 up\naddr add {}/24 dev eth0\n", address));
}

}  // namespace

BareVeth::BareVeth() {
  ip(one,
     fmt::format("link add eth0 type veth peer name eth0 netns {}\nlink set eth0 up\naddr add 172.31.0.1/24 dev eth0\n",
                 test::path(two)));
  ip(two, "link set eth0 up\naddr add 172.31.0.2/24 dev eth0\n");
  // Measured before every subject, so often that its closed connections would use up the ports for their minute.
  test::sysctl(one, "ipv4/tcp_tw_reuse", "1");
}
Path BareVeth::path() const { return {.client = &one, .server = &two, .address = kTwo}; }

Bridge::Bridge() {
  ip(node, "link add br0 type bridge\nlink set br0 up\n");
  plug(node, one, "one", "172.31.0.1", 1500);
  plug(node, two, "two", "172.31.0.2", 1500);
}
Path Bridge::path() const { return {.client = &one, .server = &two, .address = kTwo}; }

BridgeVxlan::BridgeVxlan() {
  ip(node_one, fmt::format("link add eth0 type veth peer name eth0 netns {}\n", test::path(node_two)));
  int number = 1;
  for (const auto& [node, pod] : {std::pair{&node_one, &one}, std::pair{&node_two, &two}}) {
    ip(*node,
       fmt::format("link set eth0 up\naddr add 192.0.2.{0}/24 dev eth0\n"
                   "link add vx0 mtu 1450 type vxlan id 7 local 192.0.2.{0} remote 192.0.2.{1} dstport 4789 dev eth0\n"
                   "link add br0 mtu 1450 type bridge\nlink set vx0 master br0\nlink set vx0 up\nlink set br0 up\n",
                   number, 3 - number));
    plug(*node, *pod, "pod", fmt::format("172.31.0.{}", number), 1450);
    ++number;
  }
}
Path BridgeVxlan::path() const { return {.client = &one, .server = &two, .address = kTwo}; }

}  // namespace causeway::bench
