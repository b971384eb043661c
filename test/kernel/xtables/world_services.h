// A node with Services by rules of iptables or by IPVS: the node a of the bpf tests' world, without programs. Node b is
// the outside, and has one endpoint of its own.
#pragma once

#include "async/scope.h"
#include "async/virtual_loop.h"
#include "kernel/netns/netns.h"
#include "service/iptables_kernel.h"
#include "service/ipvs_kernel.h"
#include "talk.h"
#include "world.h"

namespace causeway::test {

struct ServiceWorld {
  World world{{.wire = true, .programs = false}};
  Node& node = world.a;
  Ns& outside = world.b.ns;
  service::XtBackend backend;
  service::Tables tables;
  VirtualLoop loop;
  std::unique_ptr<ipset::IpSets> sets;
  std::unique_ptr<xtables::Xtables> xtables;
  std::unique_ptr<ipvs::Ipvs> ipvs;
  std::unique_ptr<netlink::Rtnetlink> net;
  WorkerPool workers{loop, 0};  // the programs of iptables run on the calling thread: in the node's namespace
  std::unique_ptr<service::XtKernel> rules;
  std::unique_ptr<service::IpvsKernel> virtual_services;

  explicit ServiceWorld(service::XtBackend with);
  // One for all checks of a backend: making it takes longer than most of them, above all in an emulated machine. So
  // each finds the kernel as the one before left it, and brings it to its own tables.
  static ServiceWorld& shared(service::XtBackend backend);
  // The tables of a node without Services.
  void reset();

  static Ip address(const char* text) { return Ip::parse(text).value(); }
  template <class T>
  static T value(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return std::move(*result);
  }
  static void check(Status status) {
    if (!status) throw std::runtime_error(status.error().message());
  }

  Pod& local() { return world.a1(); }
  Pod& client() { return world.a2(); }
  Pod& remote() { return world.b1(); }

  // The endpoints of a port: Pods that listen on `port`.
  service::Port& serve(const service::PortId& id, std::initializer_list<const Pod*> pods, uint16_t port,
                       service::Protocol protocol = service::Protocol::Tcp);
  // Brings the kernel to the tables; what was written, or "error: ...".
  std::string bring();
  std::string differences();

  std::string scheduler = "rr";
};

// Listens on the port in each namespace, and tells who was reached.
class Listeners {
 public:
  Listeners(std::vector<const Ns*> where, Family family, uint16_t port);
  struct Reached {
    int who = -1;   // index; -1: nobody
    int error = 0;  // of connect()
    Ip client;      // as it was seen
    Fd near, far;   // of the connection
  };
  Reached connect(const Ns& from, Ip to, uint16_t port);

 private:
  std::vector<Fd> sockets_;
};

// A byte each way.
bool carries(const Fd& near, const Fd& far);
// Closes by a reset: no side waits for anything afterwards.
void reset(Fd fd);

}  // namespace causeway::test
