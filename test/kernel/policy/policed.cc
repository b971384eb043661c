#include "policed.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "address.h"
#include "async/scope.h"

namespace causeway::test {

using Text = policy::World;

struct Policed::Side {
  Node* node;
  std::string name;
  cluster::Model model;
  std::unique_ptr<policy::BpfApplier> applier;
};

namespace {

Setup with_policy(Setup setup) {
  setup.policy = true;
  return setup;
}

std::unique_ptr<policy::BpfApplier> open(Loop& loop, const std::string& name, datapath::Datapath& plane) {
  return std::make_unique<policy::BpfApplier>(
      name,
      policy::BpfDoors{loop, plane.policy(),
                       [&plane](const datapath::PolicyRows& rows) { return plane.reserve_policy(rows); },
                       [&plane] { return plane.enforce_policy(); }},
      plane.features().dns);
}

cluster::Labels labels_of(std::string_view text) { return policy::labels(text); }

constexpr abi::counter_reason kReasons[] = {abi::DROP_POLICY_INGRESS, abi::DROP_POLICY_EGRESS, abi::DROP_POLICY_UNKNOWN,
                                            abi::DROP_POLICY_CUT, abi::DROP_POLICY_FULL};
constexpr std::string_view kWords[] = {"ingress", "egress", "unknown", "cut", "full"};

uint16_t next_port() {
  static uint16_t port = 40000;
  return ++port;
}

Ip any(Family family) { return family == Family::V4 ? Ip() : Ip::parse("::").value(); }

// `port`: bound to it; 0: not bound.
Fd open_socket(const Ns& ns, Family family, int type, int protocol, uint16_t port = 0) {
  In in(ns);
  Fd fd(::socket(family == Family::V4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  REQUIRE(fd);
  int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (!port) return fd;
  Address address(any(family), port);
  REQUIRE(::bind(fd.get(), address.get(), address.length) == 0);
  return fd;
}

bool readable(const Fd& fd, short what = POLLIN) {
  pollfd one{.fd = fd.get(), .events = what, .revents = 0};
  return ::poll(&one, 1, 5) == 1;
}

}  // namespace

Policed::Policed(Setup setup) : world(with_policy(std::move(setup))), loop_(make_loop()) {
  for (auto& [node, name] : {std::pair{&world.a, "a"}, {&world.b, "b"}, {&world.c, "c"}}) {
    auto& side = *sides_.emplace_back(std::make_unique<Side>());
    side.node = node;
    side.name = name;
    side.applier = open(*loop_, name, *node->plane);
    for (auto source : {cluster::Source::Policies, cluster::Source::ClusterPolicies, cluster::Source::Namespaces,
                        cluster::Source::Nodes, cluster::Source::Pods, cluster::Source::Attachments})
      side.model.set_synced(source);
    for (auto& one : node->pods) {
      cluster::Attachment attachment{.key = {fmt::format("c{}-{}", name, one->number), "eth0"},
                                     .addresses = {one->ip4, one->ip6}};
      for (std::string_view pod : {"x/a", "x/b", "y/c", "y/d"})
        if (&this->pod(pod) == one.get()) attachment.pod = Text::key(pod);
      attachment.host_ifindex = IfIndex{ifindex(node->ns, one->host_side)};
      side.model.put(std::move(attachment));
    }
  }
  to_all([&](cluster::Model& model) {
    for (std::string ns : {"x", "y"}) model.put(cluster::Namespace{.name = ns, .labels = {{"team", ns}}});
  });
  for (std::string_view name : {"x/a", "x/b", "y/c", "y/d"}) label(name, fmt::format("pod={}", name.substr(2)));
}

Pod& Policed::pod(std::string_view name) {
  if (name == "x/a") return world.a1();
  if (name == "x/b") return world.a2();
  if (name == "y/c") return world.b1();
  return world.c1();
}

Policed::Side& Policed::side(const Node& node) {
  for (auto& one : sides_)
    if (one->node == &node) return *one;
  throw std::runtime_error("no such node");
}
Policed::~Policed() = default;

policy::BpfApplier& Policed::applier(const Node& node) { return *side(node).applier; }

void Policed::to_all(const std::function<void(cluster::Model&)>& change) {
  for (auto& one : sides_) change(one->model);
}

void Policed::change(const std::function<void(cluster::Model&)>& change) {
  to_all(change);
  apply();
}

void Policed::apply() {
  for (auto& one : sides_) {
    In in(one->node->ns);
    one->applier->changed(one->model.take_changes(), one->model);
    auto applied = run_until_done(*loop_, one->applier->apply());
    REQUIRE_MESSAGE(applied, (applied ? "" : applied.error().message()));
  }
}

void Policed::label(std::string_view name, std::string_view labels) {
  const Pod& one = pod(name);
  cluster::Pod object{.key = Text::key(name),
                      .uid = std::string(name),
                      .node = name.starts_with("x") ? "a"
                              : name == "y/c"       ? "b"
                                                    : "c",
                      .addresses = {one.ip4, one.ip6},
                      .ports = {{"dns", kUdp, 53}, {"web", kTcp, 80}},
                      .labels = labels_of(labels)};
  to_all([&](cluster::Model& model) { model.put(object); });
  apply();
}

void Policed::label_namespace(std::string_view ns, std::string_view labels) {
  to_all([&](cluster::Model& model) {
    model.put(cluster::Namespace{.name = std::string(ns), .labels = labels_of(labels)});
  });
  apply();
}

void Policed::policy(std::string_view name, std::string_view spec) {
  const cluster::Policy made = Text::read_policy(name, spec);
  REQUIRE(made.problem == "");
  to_all([&](cluster::Model& model) { model.put(cluster::Policy(made)); });
  apply();
}

void Policed::remove(std::string_view name) {
  to_all([&](cluster::Model& model) { model.remove(Text::policy_key(name)); });
  apply();
}

std::string Policed::differences() {
  std::string out;
  for (auto& one : sides_)
    for (const auto& line : one->applier->differences().value()) out += one->name + ": " + line + "\n";
  return out;
}

void Policed::restart(Node& node) {
  Side& one = side(node);
  one.applier = open(*loop_, one.name, *node.plane);
  In in(node.ns);
  one.applier->changed({}, one.model);
  REQUIRE(run_until_done(*loop_, one.applier->apply()));
}

uint64_t Policed::drops(abi::counter_reason reason) const {
  return world.a.counted(reason) + world.b.counted(reason) + world.c.counted(reason);
}

std::string Policed::ask(const Ns& client, const Ns& server, Ip to, uint16_t port,
                         std::optional<policy::Protocol> protocol) {
  const Family family = to.family();
  uint64_t before[std::size(kReasons)];
  for (size_t i = 0; i < std::size(kReasons); ++i) before[i] = drops(kReasons[i]);
  Fd listener, sender;
  short event = POLLIN;
  const Fd* wanted = &listener;
  Address target(to, protocol && *protocol != kSctp ? port : 0);
  if (protocol == kTcp) {
    listener = open_socket(server, family, SOCK_STREAM, 0, port);
    REQUIRE(::listen(listener.get(), 8) == 0);
    sender = open_socket(client, family, SOCK_STREAM, 0, next_port());
    ::connect(sender.get(), target.get(), target.length);
    wanted = &sender;  // the handshake needs both directions
    event = POLLOUT;
  } else if (protocol == kUdp) {
    listener = open_socket(server, family, SOCK_DGRAM, 0, port);
    sender = open_socket(client, family, SOCK_DGRAM, 0, next_port());
    REQUIRE(::sendto(sender.get(), "hello", 5, 0, target.get(), target.length) == 5);
  } else if (protocol == kSctp) {
    // An INIT chunk is enough: nobody answers, and policies judge the ports only.
    listener = open_socket(server, family, SOCK_RAW, IPPROTO_SCTP);
    sender = open_socket(client, family, SOCK_RAW, IPPROTO_SCTP);
    uint8_t init[32] = {
        0x9c, 0x41, static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port), 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20};
    REQUIRE(::sendto(sender.get(), init, sizeof(init), 0, target.get(), target.length) == sizeof(init));
  } else {
    sender = open_socket(client, family, SOCK_DGRAM, family == Family::V4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    uint8_t echo[16] = {static_cast<uint8_t>(family == Family::V4 ? 8 : 128)};
    REQUIRE(::sendto(sender.get(), echo, sizeof(echo), 0, target.get(), target.length) == sizeof(echo));
    wanted = &sender;
  }
  for (int tries = 0; tries < 2000; ++tries) {
    if (readable(*wanted, event)) {
      int error = 0;
      socklen_t size = sizeof(error);
      ::getsockopt(wanted->get(), SOL_SOCKET, SO_ERROR, &error, &size);
      return error ? std::strerror(error) : "allow";
    }
    for (size_t i = 0; i < std::size(kReasons); ++i)
      if (drops(kReasons[i]) > before[i]) return std::string(kWords[i]);
  }
  return "lost";
}

std::string Policed::ask(std::string_view from, std::string_view to, Family family, uint16_t port,
                         std::optional<policy::Protocol> protocol) {
  return ask(pod(from).ns, pod(to).ns, pod(to).ip(family), port, protocol);
}

}  // namespace causeway::test
