// Host ports on the netfilter plane: the plugin, the CNI server, the applier and the kernel together, judged by
// connections from the node, from another machine, from other Pods and from the Pod itself.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <thread>

#include "base/file.h"
#include "base/socket_address.h"
#include "pod/record.h"
#include "world.h"

using namespace causeway;
using namespace causeway::pod;
using namespace causeway::pod::test;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
const Ip kNode = ip("172.18.0.2"), kOther = ip("172.18.0.3"), kClient = ip("172.18.0.9"), kNode6 = ip("fd00:18::2"),
         kClient6 = ip("fd00:18::9"), kLoopback = ip("127.0.0.1"), kLoopback6 = ip("::1");

Fd open_socket(int netns, const Ip& ip, int type) {
  return netns::call_in(
             netns,
             [&]() -> Result<Fd> { return Fd(::socket(ip.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0)); })
      .value();
}

// Answers on a port of a namespace, TCP and UDP of both families, with its name and the peer's address.
class Echo {
 public:
  Echo(int netns, std::string name, uint16_t port) : name_(std::move(name)) {
    for (const Ip& any : {ip("0.0.0.0"), ip("::")})
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        Fd fd = open_socket(netns, any, type);
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (any.is_v6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        SocketAddress address({any, port});
        REQUIRE(::bind(fd.get(), address.get(), address.size) == 0);
        if (type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 16) == 0);
        sockets_.emplace_back(std::move(fd), type);
      }
    REQUIRE(::pipe2(stop_, O_CLOEXEC) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~Echo() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
  }

 private:
  void serve() {
    std::vector<pollfd> polled{{stop_[0], POLLIN, 0}};
    for (const auto& [fd, type] : sockets_) polled.push_back({fd.get(), POLLIN, 0});
    for (;;) {
      ::poll(polled.data(), polled.size(), -1);
      if (polled[0].revents) return;
      for (size_t i = 0; i < sockets_.size(); ++i) {
        if (!(polled[i + 1].revents & POLLIN)) continue;
        SocketAddress peer;
        char byte[16];
        if (sockets_[i].second == SOCK_STREAM) {
          Fd connection(::accept(sockets_[i].first.get(), peer.get(), &peer.size));
          const std::string answer = name_ + " " + to_string(peer.endpoint().ip);
          (void)!::write(connection.get(), answer.data(), answer.size());
        } else if (::recvfrom(sockets_[i].first.get(), byte, sizeof byte, MSG_DONTWAIT, peer.get(), &peer.size) >= 0) {
          const std::string answer = name_ + " " + to_string(peer.endpoint().ip);
          ::sendto(sockets_[i].first.get(), answer.data(), answer.size(), 0, peer.get(), peer.size);
        }
      }
    }
  }
  std::string name_;
  std::vector<std::pair<Fd, int>> sockets_;
  int stop_[2];
  std::thread thread_;
};

// A client's socket, connected; what it hears is "NAME ADDRESS", or why not.
class Client {
 public:
  Client(int netns, int type, const Ip& to, uint16_t port, std::optional<Ip> from = {}, uint16_t from_port = 0)
      : fd_(open_socket(netns, to, type)) {
    const timeval limit{.tv_sec = 2};
    for (int option : {SO_RCVTIMEO, SO_SNDTIMEO}) ::setsockopt(fd_.get(), SOL_SOCKET, option, &limit, sizeof limit);
    if (from || from_port) {
      const int on = 1;
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      SocketAddress address({from.value_or(to.is_v4() ? ip("0.0.0.0") : ip("::")), from_port});
      if (::bind(fd_.get(), address.get(), address.size) != 0) error_ = std::strerror(errno);
    }
    SocketAddress address({to, port});
    if (::connect(fd_.get(), address.get(), address.size) != 0) error_ = std::strerror(errno);
    datagrams_ = type == SOCK_DGRAM;
  }
  std::string ask() {
    if (!error_.empty()) return error_;
    if (datagrams_ && ::send(fd_.get(), "x", 1, 0) < 0) return std::strerror(errno);
    char answer[128];
    const ssize_t count = ::recv(fd_.get(), answer, sizeof answer, 0);
    return count < 0 ? std::strerror(errno) : std::string(answer, size_t(count));
  }

 private:
  Fd fd_;
  bool datagrams_ = false;
  std::string error_;
};

// The pod tests' node with an uplink, a client behind it, and host ports.
struct PortWorld : World {
  Fd client = netns::create().value();

  PortWorld() {
    host_ports = true;
    auto door = netlink::open_rtnetlink_in(client.get()).value();
    REQUIRE(net().apply_one(netlink::CreateVeth{{.name = "up0"}, {.name = "eth0", .netns_fd = client.get()}}));
    const auto up0 = net().link("up0")->index, eth0 = door->link("eth0")->index;
    const auto address = [](IfIndex link, const Ip& ip) {
      return netlink::PutAddress{{.link = link, .ip = ip, .prefix = ip.is_v4() ? 24 : 64}};
    };
    REQUIRE(net().apply_all(std::vector<netlink::Change>{netlink::SetLink{.link = up0, .up = true}, address(up0, kNode),
                                                         address(up0, kOther), address(up0, kNode6)}));
    REQUIRE(door->apply_all(std::vector<netlink::Change>{netlink::SetLink{.link = eth0, .up = true},
                                                         address(eth0, kClient), address(eth0, kClient6)}));
    REQUIRE(start_agent());
  }
  Ran add_with(const std::string& name, const std::string& mappings) {
    return cni("ADD", "id-" + name, path_of(name),
               R"({"cniVersion":"1.1.0","name":"causeway","type":"causeway-cni","agentSocket":"RUN/agent.sock",)"
               R"("runtimeConfig":{"portMappings":)" +
                   mappings + "}}");
  }
  // A Pod that has these host ports and answers on 8080.
  Ran run_pod(const std::string& name, const std::string& mappings) {
    make_pod(name);
    auto ran = add_with(name, mappings);
    if (ran.exit == 0) servers_[name] = std::make_unique<Echo>(pod(name), name, 8080);
    return ran;
  }
  void stop_pod(const std::string& name) {
    servers_.erase(name);
    CHECK(del(name).exit == 0);
  }
  std::string tcp(int netns, const Ip& to, uint16_t port, std::optional<Ip> from = {}) {
    return Client(netns, SOCK_STREAM, to, port, from).ask();
  }
  std::string udp(int netns, const Ip& to, uint16_t port, std::optional<Ip> from = {}) {
    return Client(netns, SOCK_DGRAM, to, port, from).ask();
  }
  std::string nft(const std::string& command) {
    return netns::call_in(node(),
                          [&]() -> Result<std::string> {
                            FILE* pipe = ::popen(("nft " + command + " 2>&1").c_str(), "r");
                            std::string out;
                            std::array<char, 4096> buffer;
                            for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
                              out.append(buffer.data(), n);
                            ::pclose(pipe);
                            return out;
                          })
        .value();
  }
  std::string writes() { return read_file(run() + "/hostport.writes").value_or("none"); }

 private:
  std::map<std::string, std::unique_ptr<Echo>> servers_;
};

std::string seen(const std::string& name, const Ip& from) { return name + " " + to_string(from); }

constexpr const char* kBoth = R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp"},
                                  {"hostPort":80,"containerPort":8080,"protocol":"udp"}])";

}  // namespace

TEST_CASE("a host port is reached from another machine with its own address, by TCP and UDP of both families") {
  PortWorld world;
  REQUIRE(world.run_pod("web", kBoth).exit == 0);
  CHECK(world.tcp(world.client.get(), kNode, 80) == seen("web", kClient));
  CHECK(world.udp(world.client.get(), kNode, 80) == seen("web", kClient));
  CHECK(world.tcp(world.client.get(), kOther, 80) == seen("web", kClient));
  CHECK(world.tcp(world.client.get(), kNode6, 80) == seen("web", kClient6));
  CHECK(world.udp(world.client.get(), kNode6, 80) == seen("web", kClient6));
  CHECK(world.tcp(world.client.get(), kNode, 81) == "Connection refused");
}

TEST_CASE("the node reaches it by its own addresses and by 127.0.0.1, bound to an address or not") {
  PortWorld world;
  REQUIRE(world.run_pod("web", kBoth).exit == 0);
  const int node = world.node();
  CHECK(world.tcp(node, kNode, 80) == seen("web", kNode));
  CHECK(world.udp(node, kNode6, 80) == seen("web", kNode6));
  // From 127.0.0.1 the packet gets an address of the node, else nothing would come back.
  for (const auto& answer : {world.tcp(node, kLoopback, 80), world.udp(node, kLoopback, 80)})
    CHECK((answer.starts_with("web ") && answer != seen("web", kLoopback)));
  CHECK(world.tcp(node, kLoopback, 80, kNode) == seen("web", kNode));  // upstream's conformance test of host ports
  CHECK(world.udp(node, kLoopback, 80, kNode) == seen("web", kNode));
  // The kernel carries nothing from ::1 over a link: refused at once instead of lost. Bound to an address it works.
  CHECK(world.tcp(node, kLoopback6, 80) == "Connection refused");
  CHECK(world.tcp(node, kLoopback6, 80, kNode6) == seen("web", kNode6));
}

TEST_CASE("other Pods reach it by the node's address, and the Pod itself does") {
  PortWorld world;
  REQUIRE(world.run_pod("web", kBoth).exit == 0);
  REQUIRE(world.run_pod("other", "[]").exit == 0);
  CHECK(world.tcp(world.pod("other"), kNode, 80) == seen("web", ip("10.1.0.6")));
  CHECK(world.udp(world.pod("other"), kNode6, 80) == seen("web", ip("fd00:1::6")));
  for (const auto& answer : {world.tcp(world.pod("web"), kNode, 80), world.udp(world.pod("web"), kNode6, 80)})
    CHECK((answer.starts_with("web ") && answer != seen("web", ip("10.1.0.5")) &&
           answer != seen("web", ip("fd00:1::5"))));
}

TEST_CASE("one port on several addresses and protocols leads to several Pods, one address wins over all") {
  PortWorld world;
  REQUIRE(world.run_pod("all", R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp"}])").exit == 0);
  REQUIRE(world.run_pod("lo", R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp","hostIP":"127.0.0.1"}])").exit ==
          0);
  REQUIRE(
      world.run_pod("one", R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp","hostIP":"172.18.0.3"}])").exit ==
      0);
  REQUIRE(
      world.run_pod("udp", R"([{"hostPort":80,"containerPort":8080,"protocol":"udp","hostIP":"172.18.0.3"}])").exit ==
      0);
  REQUIRE(
      world.run_pod("six", R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp","hostIP":"fd00:18::2"}])").exit ==
      0);
  CHECK(world.tcp(world.client.get(), kNode, 80) == seen("all", kClient));
  CHECK(world.tcp(world.client.get(), kOther, 80) == seen("one", kClient));
  CHECK(world.udp(world.client.get(), kOther, 80) == seen("udp", kClient));
  CHECK(world.udp(world.client.get(), kNode, 80) == "Connection refused");
  CHECK(world.tcp(world.client.get(), kNode6, 80) == seen("six", kClient6));
  CHECK(world.tcp(world.node(), kLoopback, 80, kNode) == seen("lo", kNode));
}

TEST_CASE("a port that is taken fails the ADD, names the holder, and nothing of the Pod is left") {
  PortWorld world;
  REQUIRE(world.run_pod("web", kBoth).exit == 0);
  const auto refused =
      world.run_pod("late", R"([{"hostPort":81,"containerPort":81},{"hostPort":80,"containerPort":80}])");
  CHECK(refused.exit == 1);
  CHECK(
      refused.output ==
      R"j({"cniVersion":"1.1.0","code":11,"msg":"cannot connect Pod shop/id-late (id-late/eth0)","details":"data path: attachment id-late/eth0: hostport: host port 80/tcp of every IPv4 address is taken by Pod shop/id-web (attachment id-web/eth0)"})j");
  CHECK(world.nft("list map inet causeway hostport-any4").find("81") == std::string::npos);
  CHECK(world.links() == std::vector<std::string>{"up0", host_ifname({"id-web", "eth0"})});
  world.stop_pod("web");
  CHECK(world.add_with("late", R"([{"hostPort":80,"containerPort":80}])").exit == 0);
}

TEST_CASE("DEL closes the port, and a UDP client that goes on sending reaches the next Pod") {
  PortWorld world;
  REQUIRE(world.run_pod("first", kBoth).exit == 0);
  // Every client keeps its port, as a resolver or a syslog sender does.
  Client node(world.node(), SOCK_DGRAM, kNode, 80);
  Client client(world.client.get(), SOCK_DGRAM, kNode, 80);
  Client client6(world.client.get(), SOCK_DGRAM, kNode6, 80);
  CHECK(client.ask() == seen("first", kClient));
  CHECK(client6.ask() == seen("first", kClient6));
  CHECK(node.ask() == seen("first", kNode));
  world.stop_pod("first");
  CHECK(client.ask() == "Connection refused");  // nobody's any more: and now the flow is tracked without a Pod
  CHECK(client6.ask() == "Connection refused");
  CHECK(world.tcp(world.client.get(), kNode, 80) == "Connection refused");
  REQUIRE(world.run_pod("second", kBoth).exit == 0);
  CHECK(client.ask() == seen("second", kClient));
  CHECK(client6.ask() == seen("second", kClient6));
  CHECK(node.ask() == seen("second", kNode));
}

TEST_CASE("an agent that was killed finds its host ports and writes nothing; what was flushed is there again") {
  PortWorld world;
  REQUIRE(world.run_pod("web", kBoth).exit == 0);
  const std::string before = world.nft("-a list table inet causeway");
  Client client(world.client.get(), SOCK_DGRAM, kNode, 80);
  CHECK(client.ask() == seen("web", kClient));
  world.kill_agent();
  CHECK(client.ask() == seen("web", kClient));
  CHECK(world.tcp(world.client.get(), kNode, 80) == seen("web", kClient));
  REQUIRE(world.start_agent());
  world.make_pod("plain");
  REQUIRE(world.add("plain").exit == 0);
  CHECK(world.writes() == "0");
  CHECK(world.nft("-a list table inet causeway") == before);

  world.nft("flush ruleset");
  for (int i = 0; i < 500 && world.nft("list ruleset").find("8080") == std::string::npos; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(world.tcp(world.client.get(), kNode, 80) == seen("web", kClient));
  CHECK(world.tcp(world.node(), kLoopback, 80, kNode) == seen("web", kNode));
}

TEST_CASE("a Pod with a host port cannot reach what listens on the node's 127.0.0.1") {
  PortWorld world;
  REQUIRE(world.run_pod("web", kBoth).exit == 0);
  Echo secret(world.node(), "secret", 9999);
  CHECK(world.tcp(world.node(), kLoopback, 9999) == seen("secret", kLoopback));
  // As an unruly Pod does: 127.0.0.1 by way of the gateway.
  auto inside = world.inside("web");
  const auto eth0 = inside->link("eth0")->index;
  REQUIRE(inside->apply_one(netlink::DeleteAddress{{.link = IfIndex{1}, .ip = kLoopback, .prefix = 8}}));
  for (const auto& route : inside->routes({.family = Family::V4, .table = netlink::kLocalTable}).value())
    if (route.destination.address().is_loopback()) REQUIRE(inside->apply_one(netlink::DeleteRoute{route}));
  REQUIRE(netns::run_in(world.pod("web"), [] { return netns::write_sysctl("ipv4/conf/eth0/route_localnet", "1"); }));
  REQUIRE(inside->apply_one(netlink::PutRoute{{.destination = Cidr::parse("127.0.0.0/8").value(),
                                               .gateway = ip("169.254.1.1"),
                                               .link = eth0,
                                               .onlink = true,
                                               .source = ip("10.1.0.5")}}));
  CHECK(world.tcp(world.pod("web"), kLoopback, 9999, ip("10.1.0.5")) == "Operation now in progress");
  CHECK(world.tcp(world.pod("web"), kNode, 9999) == seen("secret", ip("10.1.0.5")));
}
