#include "kernel/netlink/encode.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

namespace causeway::netlink {
namespace {

constexpr size_t kMaxName = IFNAMSIZ - 1;
constexpr size_t kMaxAlias = 255;  // IFALIASZ - 1

// A message under construction. Every message of ours is far below one page: names, aliases and addresses are bounded.
class Message {
 public:
  Message(uint16_t type, uint16_t flags, uint32_t sequence) {
    header_ = mnl_nlmsg_put_header(bytes_);
    header_->nlmsg_type = type;
    header_->nlmsg_flags = uint16_t(NLM_F_REQUEST | NLM_F_ACK | flags);
    header_->nlmsg_seq = sequence;
  }
  template <class T>
  T& extra() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  void u8(uint16_t type, uint8_t value) { mnl_attr_put_u8(header_, type, value); }
  void u32(uint16_t type, uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  void u64(uint16_t type, uint64_t value) { mnl_attr_put_u64(header_, type, value); }
  void u16_be(uint16_t type, uint16_t value) { mnl_attr_put_u16(header_, type, htons(value)); }
  void text(uint16_t type, const std::string& value) { mnl_attr_put_strz(header_, type, value.c_str()); }
  // The kernel counts an end as one of the alias' 255 bytes; what has not even an end is no attribute to it.
  void alias(const std::string& value) {
    if (value.empty())
      text(IFLA_IFALIAS, value);
    else
      mnl_attr_put_str(header_, IFLA_IFALIAS, value.c_str());
  }
  void bytes(uint16_t type, std::span<const uint8_t> value) { mnl_attr_put(header_, type, value.size(), value.data()); }
  void ip(uint16_t type, const Ip& ip) { bytes(type, ip.bytes()); }
  void mac(uint16_t type, const Mac& mac) { bytes(type, mac.bytes); }
  nlattr* nest(uint16_t type) { return mnl_attr_nest_start(header_, type); }
  void end(nlattr* nest) { mnl_attr_nest_end(header_, nest); }

  std::string take() const { return std::string(bytes_, header_->nlmsg_len); }

 private:
  alignas(nlmsghdr) char bytes_[4096] = {};
  nlmsghdr* header_;
};

Status check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxName)
    return fail(Errc::Invalid, "link name \"{}\": must have 1..15 bytes", name);
  return ok();
}

// The index goes into the message's header; a name is an attribute.
Status put_ref(Message& message, ifinfomsg& info, const LinkRef& ref) {
  if (const auto* index = std::get_if<IfIndex>(&ref)) {
    if (*index == IfIndex{}) return fail(Errc::Invalid, "link index 0 names no link");
    info.ifi_index = int(*index);
    return ok();
  }
  const auto& name = std::get<std::string>(ref);
  TRY(check_name(name));
  message.text(IFLA_IFNAME, name);
  return ok();
}

Status put_end(Message& message, const LinkEnd& end) {
  TRY(check_name(end.name));
  message.text(IFLA_IFNAME, end.name);
  if (end.mac) message.mac(IFLA_ADDRESS, *end.mac);
  if (end.mtu) message.u32(IFLA_MTU, end.mtu);
  if (end.group) message.u32(IFLA_GROUP, end.group);
  if (end.netns_fd >= 0) message.u32(IFLA_NET_NS_FD, uint32_t(end.netns_fd));
  return ok();
}

// One queue is what a veth uses by default. Unless that is said the kernel makes one for each CPU and takes all but the
// first away again, which waits for two grace periods (veth_init_queues).
void put_one_queue(Message& message) {
  message.u32(IFLA_NUM_TX_QUEUES, 1);
  message.u32(IFLA_NUM_RX_QUEUES, 1);
}

uint8_t address_family(Family family) { return family == Family::V4 ? AF_INET : AF_INET6; }

uint32_t macvlan_mode(MacvlanMode mode) {
  switch (mode) {
    case MacvlanMode::Private: return MACVLAN_MODE_PRIVATE;
    case MacvlanMode::Vepa: return MACVLAN_MODE_VEPA;
    case MacvlanMode::Bridge: return MACVLAN_MODE_BRIDGE;
    case MacvlanMode::Passthru: return MACVLAN_MODE_PASSTHRU;
  }
  __builtin_unreachable();
}

struct Encoder {
  uint32_t sequence;
  using Encoded = Result<std::string>;

  Encoded operator()(const CreateVeth& change) const {
    Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence);
    message.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    TRY(put_end(message, change.link));
    put_one_queue(message);
    auto* info = message.nest(IFLA_LINKINFO);
    message.text(IFLA_INFO_KIND, "veth");
    auto* data = message.nest(IFLA_INFO_DATA);
    auto* peer = message.nest(VETH_INFO_PEER);
    message.extra<ifinfomsg>();  // the peer's own header stands before its attributes
    TRY(put_end(message, change.peer));
    put_one_queue(message);
    message.end(peer);
    message.end(data);
    message.end(info);
    return message.take();
  }

  Encoded operator()(const CreateBridge& change) const {
    Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence);
    message.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    TRY(put_end(message, LinkEnd{.name = change.name, .mac = change.mac, .mtu = change.mtu}));
    auto* info = message.nest(IFLA_LINKINFO);
    message.text(IFLA_INFO_KIND, "bridge");
    message.end(info);
    return message.take();
  }

  Encoded operator()(const CreateVxlan& change) const {
    const Vxlan& vxlan = change.vxlan;
    if (vxlan.vni >= 1u << 24) return fail(Errc::Invalid, "VNI {} of {}: has 24 bits", vxlan.vni, change.name);
    Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence);
    message.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    TRY(put_end(message, LinkEnd{.name = change.name, .mac = change.mac, .mtu = change.mtu}));
    auto* info = message.nest(IFLA_LINKINFO);
    message.text(IFLA_INFO_KIND, "vxlan");
    auto* data = message.nest(IFLA_INFO_DATA);
    message.u32(IFLA_VXLAN_ID, vxlan.vni);
    message.u16_be(IFLA_VXLAN_PORT, vxlan.port);
    message.ip(vxlan.local.is_v4() ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, vxlan.local);
    message.u8(IFLA_VXLAN_LEARNING, vxlan.learning);
    message.u8(IFLA_VXLAN_UDP_CSUM, 0);
    message.u8(IFLA_VXLAN_UDP_ZERO_CSUM6_TX, 1);
    message.u8(IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
    message.end(data);
    message.end(info);
    return message.take();
  }

  Encoded operator()(const CreateMacvlan& change) const {
    if (change.parent == IfIndex{}) return fail(Errc::Invalid, "{}: needs a parent", change);
    Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sequence);
    message.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    TRY(put_end(message, change.link));
    message.u32(IFLA_LINK, uint32_t(change.parent));
    auto* info = message.nest(IFLA_LINKINFO);
    message.text(IFLA_INFO_KIND, "macvlan");
    auto* data = message.nest(IFLA_INFO_DATA);
    message.u32(IFLA_MACVLAN_MODE, macvlan_mode(change.mode));
    message.end(data);
    message.end(info);
    return message.take();
  }

  Encoded operator()(const SetLink& change) const {
    // NEWLINK without CREATE rather than SETLINK: only it knows all attributes on every kernel.
    Message message(RTM_NEWLINK, 0, sequence);
    auto& info = message.extra<ifinfomsg>();
    info.ifi_family = AF_UNSPEC;
    if (change.up) {
      info.ifi_change = IFF_UP;
      info.ifi_flags = *change.up ? IFF_UP : 0;
    }
    TRY(put_ref(message, info, change.link));
    if (change.rename) {
      if (std::holds_alternative<std::string>(change.link))
        return fail(Errc::Invalid, "rename of {}: name the link by its index", to_string(change.link));
      TRY(check_name(*change.rename));
      message.text(IFLA_IFNAME, *change.rename);
    }
    if (change.mtu) message.u32(IFLA_MTU, *change.mtu);
    if (change.mac) message.mac(IFLA_ADDRESS, *change.mac);
    if (change.master) message.u32(IFLA_MASTER, uint32_t(*change.master));
    if (change.group) message.u32(IFLA_GROUP, *change.group);
    if (change.alias) {
      if (change.alias->size() > kMaxAlias)
        return fail(Errc::Invalid, "alias of {}: {} bytes, the kernel takes 255", to_string(change.link),
                    change.alias->size());
      message.alias(*change.alias);
    }
    if (change.netns_fd) message.u32(IFLA_NET_NS_FD, uint32_t(*change.netns_fd));
    // To be sent before the change that brings the link up: 6.1 does both the other way round when one message asks.
    if (change.ipv6_autoconf) {
      auto* families = message.nest(IFLA_AF_SPEC);
      auto* inet6 = message.nest(AF_INET6);
      message.u8(IFLA_INET6_ADDR_GEN_MODE, *change.ipv6_autoconf ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE);
      message.end(inet6);
      message.end(families);
    }
    return message.take();
  }

  Encoded operator()(const DeleteLink& change) const {
    Message message(RTM_DELLINK, 0, sequence);
    auto& info = message.extra<ifinfomsg>();
    TRY(put_ref(message, info, change.link));
    return message.take();
  }

  Encoded operator()(const DeleteGroup& change) const {
    if (change.group == 0) return fail(Errc::Invalid, "delete link group 0: it holds every ordinary link");
    Message message(RTM_DELLINK, 0, sequence);
    message.extra<ifinfomsg>();
    message.u32(IFLA_GROUP, change.group);
    return message.take();
  }

  Encoded address(const Address& address, uint16_t type, uint16_t flags) const {
    Message message(type, flags, sequence);
    auto& info = message.extra<ifaddrmsg>();
    info.ifa_family = address_family(address.ip.family());
    info.ifa_prefixlen = uint8_t(address.prefix);
    info.ifa_index = uint32_t(address.link);
    info.ifa_scope = address.ip.is_link_local() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    message.ip(IFA_LOCAL, address.ip);
    message.ip(IFA_ADDRESS, address.ip);
    if (address.nodad && address.ip.is_v6()) message.u32(IFA_FLAGS, IFA_F_NODAD);
    return message.take();
  }
  Encoded operator()(const PutAddress& change) const {
    return address(change.address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  }
  Encoded operator()(const DeleteAddress& change) const { return address(change.address, RTM_DELADDR, 0); }

  Encoded route(const Route& route, uint16_t type, uint16_t flags) const {
    const bool deletes = type == RTM_DELROUTE;
    Message message(type, flags, sequence);
    auto& info = message.extra<rtmsg>();
    info.rtm_family = address_family(route.destination.family());
    info.rtm_dst_len = uint8_t(route.destination.prefix());
    info.rtm_table = route.table < 256 ? uint8_t(route.table) : uint8_t(RT_TABLE_UNSPEC);
    info.rtm_protocol = route.protocol;
    info.rtm_scope = RT_SCOPE_UNIVERSE;
    switch (route.type) {
      case RouteType::Unicast:
        info.rtm_type = RTN_UNICAST;
        if (!route.gateway) info.rtm_scope = RT_SCOPE_LINK;
        break;
      case RouteType::Local:
        info.rtm_type = RTN_LOCAL;
        info.rtm_scope = RT_SCOPE_HOST;
        break;
      case RouteType::Blackhole: info.rtm_type = RTN_BLACKHOLE; break;
      case RouteType::Unreachable: info.rtm_type = RTN_UNREACHABLE; break;
      case RouteType::Prohibit: info.rtm_type = RTN_PROHIBIT; break;
    }
    // A deletion matches what it names: table, destination, priority and tag are the identity, the rest may differ.
    if (deletes) info.rtm_scope = RT_SCOPE_NOWHERE;
    if (deletes) info.rtm_type = RTN_UNSPEC;
    message.ip(RTA_DST, route.destination.address());
    message.u32(RTA_TABLE, route.table);
    if (route.priority) message.u32(RTA_PRIORITY, route.priority);
    if (deletes) return message.take();
    if (route.gateway) message.ip(RTA_GATEWAY, *route.gateway);
    if (route.gateway && route.gateway->family() != route.destination.family())
      return fail(Errc::Invalid, "{}: gateway and destination are of different families", route);
    if (route.link != IfIndex{}) message.u32(RTA_OIF, uint32_t(route.link));
    if (route.onlink) info.rtm_flags |= RTNH_F_ONLINK;
    if (route.source) message.ip(RTA_PREFSRC, *route.source);
    if (route.mtu) {
      auto* metrics = message.nest(RTA_METRICS);
      message.u32(RTAX_MTU, route.mtu);
      if (route.mtu_locked) message.u32(RTAX_LOCK, 1u << RTAX_MTU);
      message.end(metrics);
    }
    return message.take();
  }
  Encoded operator()(const PutRoute& change) const {
    return route(change.route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  }
  Encoded operator()(const DeleteRoute& change) const { return route(change.route, RTM_DELROUTE, 0); }

  Encoded operator()(const PutNeighbour& change) const {
    Message message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sequence);
    auto& info = message.extra<ndmsg>();
    info.ndm_family = address_family(change.neighbour.ip.family());
    info.ndm_ifindex = int(change.neighbour.link);
    info.ndm_state = NUD_PERMANENT;
    message.ip(NDA_DST, change.neighbour.ip);
    message.mac(NDA_LLADDR, change.neighbour.mac);
    return message.take();
  }
  Encoded operator()(const DeleteNeighbour& change) const {
    Message message(RTM_DELNEIGH, 0, sequence);
    auto& info = message.extra<ndmsg>();
    info.ndm_family = address_family(change.ip.family());
    info.ndm_ifindex = int(change.link);
    message.ip(NDA_DST, change.ip);
    return message.take();
  }

  Encoded forwarding(const Forwarding& entry, uint16_t type, uint16_t flags) const {
    Message message(type, flags, sequence);
    auto& info = message.extra<ndmsg>();
    info.ndm_family = AF_BRIDGE;
    info.ndm_ifindex = int(entry.link);
    info.ndm_state = NUD_PERMANENT | NUD_NOARP;
    info.ndm_flags = NTF_SELF;  // the device's own table, not that of a bridge above it
    message.mac(NDA_LLADDR, entry.mac);
    message.ip(NDA_DST, entry.vtep);
    return message.take();
  }
  Encoded operator()(const PutForwarding& change) const {
    return forwarding(change.forwarding, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  }
  Encoded operator()(const DeleteForwarding& change) const { return forwarding(change.forwarding, RTM_DELNEIGH, 0); }

  Encoded rule(const Rule& rule, uint16_t type, uint16_t flags) const {
    Message message(type, flags, sequence);
    auto& info = message.extra<fib_rule_hdr>();
    info.family = address_family(rule.from.family());
    info.src_len = uint8_t(rule.from.prefix());
    info.table = rule.table < 256 ? uint8_t(rule.table) : uint8_t(RT_TABLE_UNSPEC);
    info.action = FR_ACT_TO_TBL;
    message.ip(FRA_SRC, rule.from.address());
    message.u32(FRA_TABLE, rule.table);
    message.u32(FRA_PRIORITY, rule.priority);
    message.u8(FRA_PROTOCOL, rule.protocol);
    return message.take();
  }
  Encoded operator()(const PutRule& change) const { return rule(change.rule, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL); }
  Encoded operator()(const DeleteRule& change) const { return rule(change.rule, RTM_DELRULE, 0); }

  Encoded operator()(const PutTokenBucket& change) const {
    const TokenBucket& bucket = change.bucket;
    if (change.link == IfIndex{} || bucket.rate == 0 || bucket.burst == 0 || bucket.limit == 0)
      return fail(Errc::Invalid, "{}: link, rate, burst and limit must not be 0", change);
    Message message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, sequence);
    auto& info = message.extra<tcmsg>();
    info.tcm_ifindex = int(change.link);
    info.tcm_parent = TC_H_ROOT;
    info.tcm_handle = TC_H_MAKE(1u << 16, 0);
    message.text(TCA_KIND, "tbf");
    auto* options = message.nest(TCA_OPTIONS);
    tc_tbf_qopt parameters{};
    // With the link layer named the kernel computes times by itself and wants no table of them (sch_tbf.c).
    parameters.rate.linklayer = TC_LINKLAYER_ETHERNET;
    parameters.rate.rate = bucket.rate > UINT32_MAX ? UINT32_MAX : uint32_t(bucket.rate);
    parameters.limit = bucket.limit;
    message.bytes(TCA_TBF_PARMS, {reinterpret_cast<const uint8_t*>(&parameters), sizeof parameters});
    message.u32(TCA_TBF_BURST, bucket.burst);
    if (bucket.rate > UINT32_MAX) message.u64(TCA_TBF_RATE64, bucket.rate);
    message.end(options);
    return message.take();
  }
  Encoded operator()(const DeleteTokenBucket& change) const {
    if (change.link == IfIndex{}) return fail(Errc::Invalid, "{}: names no link", change);
    Message message(RTM_DELQDISC, 0, sequence);
    auto& info = message.extra<tcmsg>();
    info.tcm_ifindex = int(change.link);
    info.tcm_parent = TC_H_ROOT;
    return message.take();
  }
};

}  // namespace

Result<std::string> encode(const Change& change, uint32_t sequence) { return std::visit(Encoder{sequence}, change); }

bool means_done(const Change& change, int error) {
  if (std::holds_alternative<DeleteLink>(change) || std::holds_alternative<DeleteGroup>(change)) return error == ENODEV;
  if (std::holds_alternative<DeleteAddress>(change)) return error == EADDRNOTAVAIL || error == ENODEV;
  if (std::holds_alternative<DeleteRoute>(change)) return error == ESRCH || error == ENODEV;
  if (std::holds_alternative<DeleteNeighbour>(change) || std::holds_alternative<DeleteForwarding>(change))
    return error == ENOENT || error == ENODEV || error == ENXIO;
  if (std::holds_alternative<DeleteRule>(change)) return error == ENOENT;
  if (std::holds_alternative<DeleteTokenBucket>(change)) return error == ENOENT || error == ENODEV;
  // A second rule of the same words would be a second rule: EXCL, and the one that is there is what was asked for.
  if (std::holds_alternative<PutRule>(change)) return error == EEXIST;
  return false;
}

}  // namespace causeway::netlink
