#include "pod/wiring.h"

#include <sys/socket.h>

#include <mutex>
#include <thread>

#include "base/log.h"
#include "pod/cni_reply.h"
#include "pod/extra/apply.h"
#include "pod/foreign.h"
#include "pod/inspect.h"
#include "pod/tuning/apply.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace causeway::pod {
namespace {

using netlink::Change;
using netlink::Rtnetlink;

// For so long the kernel may take to make an IPv6 address receive; a healthy one takes less than a millisecond.
constexpr std::chrono::seconds kReceiveWithin(5);

class KernelDoors final : public Doors {
 public:
  Result<std::unique_ptr<Rtnetlink>> node() override { return netlink::open_rtnetlink(); }
  Result<std::unique_ptr<Rtnetlink>> pod() override { return netlink::open_rtnetlink(); }
};

bool has(const Record& record, Family family) {
  for (const auto& ip : record.addresses)
    if (ip.family() == family) return true;
  return false;
}

// A veth that is deleted unless it is kept.
class NewVeth {
 public:
  NewVeth(Rtnetlink& net, std::string name) : net_(&net), name_(std::move(name)) {}
  NewVeth(NewVeth&& other) noexcept : net_(std::exchange(other.net_, nullptr)), name_(std::move(other.name_)) {}
  ~NewVeth() {
    if (!net_) return;
    if (auto deleted = net_->apply_one(netlink::DeleteLink{name_}); !deleted)
      log::error("undo a failed ADD: {}", deleted.error().message());
  }
  void keep() { net_ = nullptr; }

 private:
  Rtnetlink* net_;
  std::string name_;
};

// IPv6 in the Pod: on, and without anything that comes by itself.
Status set_pod_sysctls(const Record& record) {
  if (!has(record, Family::V6)) return ok();
  const std::string conf = "ipv6/conf/" + record.key.ifname + "/";
  TRY(netns::write_sysctl(conf + "disable_ipv6", "0"), "IPv6 in the Pod");
  return netns::write_sysctl(conf + "accept_ra", "0");
}

// Whether a host port of it is one of 127.0.0.1 too.
bool reached_by_loopback(const Record& record) {
  for (const auto& port : record.host_ports)
    if (has(record, Family::V4) && (!port.host_ip || port.host_ip->is_v4()) &&
        (!port.host_ip || port.host_ip->is_unspecified() || port.host_ip->is_loopback()))
      return true;
  return false;
}

Status set_host_sysctls(const std::string& name, const Record& record) {
  const std::string v4 = "ipv4/conf/" + name + "/";
  TRY(netns::write_sysctl(v4 + "forwarding", "1"));
  // Source addresses are checked at the veth by the program there; the kernel's own check sees asymmetric paths (a
  // packet that came in encapsulated) and would drop them.
  TRY(netns::write_sysctl(v4 + "rp_filter", "0"));
  // Only then may a packet from 127.0.0.1 leave by the veth, and its answer come in to 127.0.0.1 again. What else a Pod
  // sends there the chain hostport-guard drops, which is in place before any Pod.
  if (reached_by_loopback(record)) TRY(netns::write_sysctl(v4 + "route_localnet", "1"));
  const std::string v6 = "ipv6/conf/" + name + "/";
  if (!has(record, Family::V6)) {
    // Else the kernel gives the device routes of its own, and looks through those of all devices for it.
    auto off = netns::write_sysctl(v6 + "disable_ipv6", "1");
    return !off && off.error().code() == Errc::NotFound ? ok() : off;  // a kernel without IPv6
  }
  TRY(netns::write_sysctl(v6 + "disable_ipv6", "0"));
  TRY(netns::write_sysctl(v6 + "accept_ra", "0"));  // a Pod must not move the node's routes
  return netns::write_sysctl(v6 + "forwarding", "1");
}

Result<uint64_t> cookie_here() {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "open a socket");
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) return 0;  // before kernel 5.14
  return cookie;
}

// The Pod's end: up, addresses without duplicate detection (DAD would cost a second), the gateway as a permanent
// neighbour and the way to everywhere through it. Runs inside the Pod's namespace; its cookie comes back. `net` is a
// door of it.
Result<uint64_t> wire_pod_end(Rtnetlink& net, const Record& record) {
  const auto eth0 = TRY(net.index_of(record.key.ifname));
  TRY(set_pod_sysctls(record));
  std::vector<Change> changes{
      netlink::SetLink{.link = "lo", .up = true},
      netlink::SetLink{.link = eth0,
                       .ipv6_autoconf = false},  // before it is up: the Pod has its own address and no other
      netlink::SetLink{.link = eth0, .up = true},
  };
  for (const auto& ip : record.addresses) {
    const Ip gateway = gateway_of(ip.family());
    changes.push_back(netlink::PutAddress{{.link = eth0, .ip = ip, .prefix = ip.bits()}});
    changes.push_back(netlink::PutNeighbour{{.link = eth0, .ip = gateway, .mac = gateway_mac()}});
    changes.push_back(netlink::PutRoute{{.destination = Cidr(ip.is_v4() ? Ip() : Ip::v6(std::array<uint8_t, 16>{}), 0),
                                         .gateway = gateway,
                                         .link = eth0,
                                         .onlink = true}});
  }
  add_shaping(changes, eth0, record.tuning.bandwidth.egress, record.mtu);
  TRY(net.apply_all(changes));
  TRY(apply_sysctls(record.tuning, record.key.ifname));
  return cookie_here();
}

// Until the Pod receives by each IPv6 address: its route in the table local is made by a work queue that waits for the
// lock of all network settings (addrconf_dad_work), also without duplicate detection, and before that what comes is
// dropped (Ip6InAddrErrors). Asked behind all else of an ADD it is there nearly always, and the question waits for no
// lock. `net` is a door of the Pod's namespace.
Status receives(Rtnetlink& net, const Record& record) {
  const auto deadline = std::chrono::steady_clock::now() + kReceiveWithin;
  for (const auto& ip : record.addresses) {
    if (!ip.is_v6()) continue;  // IPv4's is there when the address is
    for (Duration pause = 200us;; pause = std::min<Duration>(pause * 2, 5ms)) {
      const auto way = net.route_to(ip);
      if (way && way->type == netlink::RouteType::Local) break;
      if (std::chrono::steady_clock::now() > deadline)
        return fail(Errc::Timeout, "the Pod does not receive by {} within {} s: {}", ip, kReceiveWithin.count(),
                    way ? "the kernel (its work queue ipv6_addrconf) has not made the address's local route"
                        : way.error().message());
      std::this_thread::sleep_for(pause);
    }
  }
  return ok();
}

// The node's end: who it belongs to, quiet, up, and the Pod as a permanent neighbour.
Status wire_node_end(Rtnetlink& net, IfIndex host, const Record& record, const Mac& pod_mac) {
  std::vector<Change> changes{
      netlink::SetLink{.link = host, .alias = alias_of(record), .ipv6_autoconf = false},
      netlink::SetLink{.link = host, .up = true},
  };
  for (const auto& ip : record.addresses)
    changes.push_back(netlink::PutNeighbour{{.link = host, .ip = ip, .mac = pod_mac}});
  add_shaping(changes, host, record.tuning.bandwidth.ingress, record.mtu);
  return net.apply_all(changes);
}

// A link of this name that nobody else could have made is what an agent left that was killed inside the system call:
// the kernel ended the call after the next agent had looked for leftovers. It goes, and its end in the Pod with it. An
// interface that somebody else put into the Pod stays, and is the caller's error.
Status create_veth(Rtnetlink& net, const WireRequest& request, const std::string& name, const Mac& pod_mac) {
  const netlink::CreateVeth create{
      {.name = name, .mac = gateway_mac(), .mtu = request.mtu, .group = kPodGroup},
      {.name = request.record.key.ifname, .mac = pod_mac, .mtu = request.mtu, .netns_fd = request.netns->get()}};
  auto created = net.apply_one(create);
  if (created || created.error().code() != Errc::AlreadyExists || !net.link(name)) return created;
  log::info("link {} is left over from an ADD that did not end; it is deleted", name);
  TRY(net.apply_one(netlink::DeleteLink{name}));
  return net.apply_one(create);
}

class KernelWiring final : public Wiring {
 public:
  explicit KernelWiring(std::unique_ptr<Doors> doors) : doors_(std::move(doors)) {}

  Result<PodNamespace> open_namespace(std::shared_ptr<Fd> given, std::string path) override {
    auto fd = TRY(netns::open(given && *given ? "/proc/self/fd/" + std::to_string(given->get()) : path));
    const auto own = TRY(netns::open_self());
    const auto id = TRY(netns::id_of(fd.get()));
    if (id == TRY(netns::id_of(own.get()))) return fail(Errc::Invalid, "{} is the node's own network namespace", path);
    return PodNamespace{std::make_shared<Fd>(std::move(fd)), id};
  }

  Result<Wired> wire(WireRequest request) override {
    const Record& record = request.record;
    auto net = TRY(node_door());
    const std::string name = host_ifname(record.key);
    const Mac pod_mac = mac_of(record);
    TRY(create_veth(*net, request, name, pod_mac));
    NewVeth veth(*net, name);
    const IfIndex host = TRY(net->index_of(name));
    TRY(set_host_sysctls(name, record));
    uint64_t cookie = 0;
    std::unique_ptr<Rtnetlink> inside;
    TRY(netns::visit(request.netns->get(), [&]() -> Status {
      inside = TRY(doors_->pod());
      cookie = TRY(wire_pod_end(*inside, record));
      return ok();
    }));
    TRY(wire_node_end(*net, host, record, pod_mac));
    TRY(receives(*inside, record));
    auto extras = record.extras;
    TRY(attach_extras(*net, [this] { return doors_->pod(); }, request.netns->get(), record.key.container, extras));
    veth.keep();
    return_door(std::move(net));
    return Wired{.host = host, .netns_cookie = cookie, .extras = std::move(extras)};
  }

  Status release_extras(Record record) override {
    auto net = TRY(node_door());
    Fd netns;
    if (auto there = netns::open(record.netns_path))
      if (const auto id = netns::id_of(there->get()); id && *id == record.netns) netns = std::move(*there);
    auto released =
        detach_extras(*net, [this] { return doors_->pod(); }, netns.get(), record.key.container, record.extras);
    return_door(std::move(net));
    return released;
  }
  Status settle_returned(std::set<std::string> containers) override {
    auto net = TRY(node_door());
    auto settled = pod::settle_returned(*net, containers);
    return_door(std::move(net));
    return settled;
  }

  Status discard(std::string host_ifname) override {
    auto net = TRY(node_door());
    auto moved = net->apply_one(netlink::SetLink{.link = host_ifname, .group = kReapGroup});
    if (!moved && moved.error().code() != Errc::NotFound) return moved;
    return_door(std::move(net));
    return ok();
  }

  Status reap() override {
    auto net = TRY(node_door());
    TRY(net->apply_one(netlink::DeleteGroup{kReapGroup}));
    return_door(std::move(net));
    return ok();
  }

  Result<std::vector<HostLink>> observe() override {
    auto net = TRY(node_door());
    std::vector<HostLink> all;
    for (auto& link : TRY(net->links()))
      if (link.group == kPodGroup) all.push_back({link.index, link.name, parse_alias(link.alias)});
    return_door(std::move(net));
    return all;
  }

  Result<std::optional<IfIndex>> find(Record record) override {
    auto net = TRY(node_door());
    auto link = net->link(host_ifname(record.key));
    if (!link && link.error().code() != Errc::NotFound) return fail(std::move(link.error()));
    return_door(std::move(net));
    if (!link || link->group != kPodGroup || !link->up) return std::nullopt;
    const auto alias = parse_alias(link->alias);
    if (!alias || alias->generation != record.generation || alias->key != record.key) return std::nullopt;
    return link->index;
  }

  Status check(Record record, std::shared_ptr<Fd> netns, PrevResult previous) override {
    auto net = TRY(node_door());
    auto checked = check_pod(*doors_, *net, record, netns->get(), previous);
    if (checked) checked = check_extras([this] { return doors_->pod(); }, netns->get(), record.extras);
    return_door(std::move(net));
    return checked;
  }

  Result<ForeignLink> find_foreign(Record record) override {
    const auto netns = TRY(open_namespace({}, record.netns_path));
    if (netns.id != record.netns) return fail(Errc::Gone, "{} is another namespace by now", record.netns_path);
    auto net = TRY(node_door());
    auto found = find_foreign_link(*doors_, *net, netns.fd->get(), record.key.ifname);
    return_door(std::move(net));
    return found;
  }
  Status tune_foreign(Record record) override {
    if (record.tuning == Tuning{}) return ok();
    const auto netns = TRY(open_namespace({}, record.netns_path));
    auto net = TRY(node_door());
    auto tuned = tune_foreign_link(*doors_, *net, netns.fd->get(), record);
    if (!tuned) {
      if (auto undone = untune_foreign_link(*doors_, *net, netns.fd->get(), record); !undone)
        log::error("undo the tuning of {}: {}", record.key, undone.error().message());
      return tuned;
    }
    return_door(std::move(net));
    return ok();
  }
  Status untune_foreign(Record record) override {
    if (record.tuning.bandwidth.none() || !namespace_lives(record)) return ok();
    const auto netns = TRY(open_namespace({}, record.netns_path));
    auto net = TRY(node_door());
    TRY(untune_foreign_link(*doors_, *net, netns.fd->get(), record));
    return_door(std::move(net));
    return ok();
  }

  bool namespace_lives(Record record) override {
    const auto netns = netns::open(record.netns_path);
    if (!netns) return false;
    const auto id = netns::id_of(netns->get());
    return id && *id == record.netns;
  }

 private:
  // A door serves one thread at a time; those that are free are kept.
  Result<std::unique_ptr<Rtnetlink>> node_door() {
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto door = std::move(free_.back());
        free_.pop_back();
        return door;
      }
    }
    return doors_->node();
  }
  void return_door(std::unique_ptr<Rtnetlink> door) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(door));
  }

  std::unique_ptr<Doors> doors_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Rtnetlink>> free_;
};

}  // namespace

std::unique_ptr<Doors> kernel_doors() { return std::make_unique<KernelDoors>(); }
std::unique_ptr<Wiring> kernel_wiring(std::unique_ptr<Doors> doors) {
  return std::make_unique<KernelWiring>(std::move(doors));
}

Mac gateway_mac() { return mac_of(gateway_of(Family::V4)); }

}  // namespace causeway::pod
