#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernel/netlink/encode.h"

namespace causeway::netlink {
namespace {

constexpr uint32_t kLowerUp = 1u << 16;          // IFF_LOWER_UP of linux/if.h, which clashes with net/if.h
constexpr uint32_t kIpv6DefaultPriority = 1024;  // IP6_RT_PRIO_USER

// The attributes behind a message's header, by type; the last of a type wins.
template <size_t N>
class Attributes {
 public:
  explicit Attributes(const nlmsghdr* message, size_t header) {
    const auto* start = static_cast<const char*>(mnl_nlmsg_get_payload(message));
    walk(start + MNL_ALIGN(header), static_cast<const char*>(mnl_nlmsg_get_payload_tail(message)));
  }
  explicit Attributes(const nlattr* nest) {
    const auto* start = static_cast<const char*>(mnl_attr_get_payload(nest));
    walk(start, start + mnl_attr_get_payload_len(nest));
  }
  const nlattr* get(size_t type) const { return type < N ? found_[type] : nullptr; }

  uint32_t u32(size_t type, uint32_t otherwise = 0) const {
    const auto* found = get(type);
    return found && mnl_attr_get_payload_len(found) >= 4 ? mnl_attr_get_u32(found) : otherwise;
  }
  uint16_t u16_be(size_t type) const {
    const auto* found = get(type);
    return found && mnl_attr_get_payload_len(found) >= 2 ? ntohs(mnl_attr_get_u16(found)) : uint16_t{0};
  }
  uint8_t u8(size_t type) const {
    const auto* found = get(type);
    return found && mnl_attr_get_payload_len(found) >= 1 ? mnl_attr_get_u8(found) : uint8_t{0};
  }
  std::string text(size_t type) const {
    const auto* found = get(type);
    if (!found) return {};
    const auto* start = static_cast<const char*>(mnl_attr_get_payload(found));
    return std::string(start, ::strnlen(start, mnl_attr_get_payload_len(found)));
  }
  std::optional<Mac> mac(size_t type) const {
    const auto* found = get(type);
    if (!found || mnl_attr_get_payload_len(found) != 6) return std::nullopt;
    Mac mac;
    std::memcpy(mac.bytes.data(), mnl_attr_get_payload(found), 6);
    return mac;
  }
  std::optional<Ip> ip(size_t type) const {
    const auto* found = get(type);
    if (!found) return std::nullopt;
    const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(found));
    if (mnl_attr_get_payload_len(found) == 4) return Ip::v4(std::span<const uint8_t, 4>(bytes, 4));
    if (mnl_attr_get_payload_len(found) == 16) return Ip::v6(std::span<const uint8_t, 16>(bytes, 16));
    return std::nullopt;
  }

 private:
  void walk(const char* start, const char* end) {
    const auto* attribute = reinterpret_cast<const nlattr*>(start);
    for (; mnl_attr_ok(attribute, int(end - reinterpret_cast<const char*>(attribute)));
         attribute = mnl_attr_next(attribute))
      if (mnl_attr_get_type(attribute) < N) found_[mnl_attr_get_type(attribute)] = attribute;
  }
  std::array<const nlattr*, N> found_{};
};

template <class T>
const T* header_of(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(T)) return nullptr;
  return static_cast<const T*>(mnl_nlmsg_get_payload(message));
}

bool is_inet(uint8_t family) { return family == AF_INET || family == AF_INET6; }
Ip any(uint8_t family) { return family == AF_INET ? Ip() : Ip::v6(std::array<uint8_t, 16>{}); }

std::optional<Vxlan> vxlan_of(const nlattr* data) {
  const Attributes<IFLA_VXLAN_MAX + 1> attributes(data);
  auto local = attributes.ip(IFLA_VXLAN_LOCAL);
  if (!local) local = attributes.ip(IFLA_VXLAN_LOCAL6);
  if (!local) return std::nullopt;
  return Vxlan{.vni = attributes.u32(IFLA_VXLAN_ID),
               .port = attributes.u16_be(IFLA_VXLAN_PORT),
               .local = *local,
               .learning = attributes.u8(IFLA_VXLAN_LEARNING) != 0};
}

}  // namespace

std::optional<Link> decode_link(const nlmsghdr* message) {
  const auto* info = header_of<ifinfomsg>(message);
  if (message->nlmsg_type != RTM_NEWLINK || !info) return std::nullopt;
  const Attributes<IFLA_MAX + 1> attributes(message, sizeof *info);
  Link link{
      .index = IfIndex(info->ifi_index),
      .name = attributes.text(IFLA_IFNAME),
      .alias = attributes.text(IFLA_IFALIAS),
      .mac = attributes.mac(IFLA_ADDRESS).value_or(Mac{}),
      .mtu = attributes.u32(IFLA_MTU),
      .group = attributes.u32(IFLA_GROUP),
      .master = IfIndex(attributes.u32(IFLA_MASTER)),
      .peer = IfIndex(attributes.u32(IFLA_LINK)),
      .up = (info->ifi_flags & IFF_UP) != 0,
      .running = (info->ifi_flags & kLowerUp) != 0,
      .loopback = (info->ifi_flags & IFF_LOOPBACK) != 0,
  };
  if (const auto* nsid = attributes.get(IFLA_LINK_NETNSID)) link.peer_netns = int32_t(mnl_attr_get_u32(nsid));
  if (const auto* nest = attributes.get(IFLA_LINKINFO)) {
    const Attributes<IFLA_INFO_MAX + 1> kind(nest);
    link.kind = kind.text(IFLA_INFO_KIND);
    if (const auto* data = kind.get(IFLA_INFO_DATA); data && link.kind == "vxlan") link.vxlan = vxlan_of(data);
  }
  return link;
}

std::optional<Address> decode_address(const nlmsghdr* message) {
  const auto* info = header_of<ifaddrmsg>(message);
  if (message->nlmsg_type != RTM_NEWADDR || !info || !is_inet(info->ifa_family)) return std::nullopt;
  const Attributes<IFA_MAX + 1> attributes(message, sizeof *info);
  // On a point-to-point link IFA_ADDRESS is the peer's; ours is IFA_LOCAL, which IPv6 leaves out otherwise.
  auto ip = attributes.ip(IFA_LOCAL);
  if (!ip) ip = attributes.ip(IFA_ADDRESS);
  if (!ip) return std::nullopt;
  return Address{.link = IfIndex(info->ifa_index),
                 .ip = *ip,
                 .prefix = info->ifa_prefixlen,
                 .nodad = ip->is_v4() || (attributes.u32(IFA_FLAGS, info->ifa_flags) & IFA_F_NODAD) != 0};
}

std::optional<Route> decode_route(const nlmsghdr* message) {
  const auto* info = header_of<rtmsg>(message);
  if (message->nlmsg_type != RTM_NEWROUTE || !info || !is_inet(info->rtm_family)) return std::nullopt;
  const Attributes<RTA_MAX + 1> attributes(message, sizeof *info);
  if (attributes.get(RTA_MULTIPATH) || attributes.get(RTA_NH_ID)) return std::nullopt;
  Route route{
      .destination = Cidr(attributes.ip(RTA_DST).value_or(any(info->rtm_family)), info->rtm_dst_len),
      .gateway = attributes.ip(RTA_GATEWAY),
      .link = IfIndex(attributes.u32(RTA_OIF)),
      .onlink = (info->rtm_flags & RTNH_F_ONLINK) != 0,
      .table = attributes.u32(RTA_TABLE, info->rtm_table),
      .protocol = info->rtm_protocol,
      .priority = attributes.u32(RTA_PRIORITY),
      .source = attributes.ip(RTA_PREFSRC),
  };
  if (info->rtm_family == AF_INET6 && route.priority == kIpv6DefaultPriority) route.priority = 0;
  if (const auto* nest = attributes.get(RTA_METRICS)) {
    const Attributes<RTAX_MAX + 1> metrics(nest);
    route.mtu = metrics.u32(RTAX_MTU);
    route.mtu_locked = (metrics.u32(RTAX_LOCK) & (1u << RTAX_MTU)) != 0;
  }
  switch (info->rtm_type) {
    case RTN_UNICAST: route.type = RouteType::Unicast; break;
    case RTN_LOCAL: route.type = RouteType::Local; break;
    case RTN_BLACKHOLE: route.type = RouteType::Blackhole; break;
    case RTN_UNREACHABLE: route.type = RouteType::Unreachable; break;
    case RTN_PROHIBIT: route.type = RouteType::Prohibit; break;
    default: return std::nullopt;  // broadcast, anycast, multicast: the kernel's own
  }
  // IPv6 hangs routes without a link on lo; for our types they have none.
  if (route.type != RouteType::Unicast && route.type != RouteType::Local) route.link = IfIndex{};
  return route;
}

std::optional<Neighbour> decode_neighbour(const nlmsghdr* message) {
  const auto* info = header_of<ndmsg>(message);
  if (message->nlmsg_type != RTM_NEWNEIGH || !info || !is_inet(info->ndm_family)) return std::nullopt;
  if (!(info->ndm_state & NUD_PERMANENT)) return std::nullopt;
  const Attributes<NDA_MAX + 1> attributes(message, sizeof *info);
  const auto ip = attributes.ip(NDA_DST);
  const auto mac = attributes.mac(NDA_LLADDR);
  if (!ip || !mac) return std::nullopt;
  return Neighbour{.link = IfIndex(info->ndm_ifindex), .ip = *ip, .mac = *mac};
}

std::optional<Forwarding> decode_forwarding(const nlmsghdr* message) {
  const auto* info = header_of<ndmsg>(message);
  if (message->nlmsg_type != RTM_NEWNEIGH || !info || info->ndm_family != AF_BRIDGE) return std::nullopt;
  if (!(info->ndm_state & NUD_PERMANENT)) return std::nullopt;
  const Attributes<NDA_MAX + 1> attributes(message, sizeof *info);
  const auto vtep = attributes.ip(NDA_DST);
  const auto mac = attributes.mac(NDA_LLADDR);
  if (!vtep || !mac) return std::nullopt;
  return Forwarding{.link = IfIndex(info->ndm_ifindex), .mac = *mac, .vtep = *vtep};
}

std::optional<Rule> decode_rule(const nlmsghdr* message) {
  const auto* info = header_of<fib_rule_hdr>(message);
  if (message->nlmsg_type != RTM_NEWRULE || !info || !is_inet(info->family)) return std::nullopt;
  if (info->action != FR_ACT_TO_TBL) return std::nullopt;
  const Attributes<FRA_MAX + 1> attributes(message, sizeof *info);
  const auto from = attributes.ip(FRA_SRC);
  if (!from) return std::nullopt;
  return Rule{.from = Cidr(*from, info->src_len),
              .table = attributes.u32(FRA_TABLE, info->table),
              .priority = attributes.u32(FRA_PRIORITY),
              .protocol = attributes.u8(FRA_PROTOCOL)};
}

std::optional<TokenBucket> decode_token_bucket(const nlmsghdr* message) {
  const auto* info = header_of<tcmsg>(message);
  if (message->nlmsg_type != RTM_NEWQDISC || !info || info->tcm_parent != TC_H_ROOT) return std::nullopt;
  const Attributes<TCA_MAX + 1> attributes(message, sizeof *info);
  if (attributes.text(TCA_KIND) != "tbf" || !attributes.get(TCA_OPTIONS)) return std::nullopt;
  const Attributes<TCA_TBF_MAX + 1> options(attributes.get(TCA_OPTIONS));
  const auto* found = options.get(TCA_TBF_PARMS);
  tc_tbf_qopt parameters;
  if (!found || mnl_attr_get_payload_len(found) < sizeof parameters) return std::nullopt;
  std::memcpy(&parameters, mnl_attr_get_payload(found), sizeof parameters);
  uint64_t rate = parameters.rate.rate;
  if (const auto* rate64 = options.get(TCA_TBF_RATE64); rate64 && mnl_attr_get_payload_len(rate64) >= 8)
    rate = mnl_attr_get_u64(rate64);
  // The burst is told as the time that it takes, in ticks of 64 ns (PSCHED_SHIFT).
  const double burst = double(parameters.buffer) * 64e-9 * double(rate);
  return TokenBucket{.rate = rate, .burst = uint32_t(std::min(burst + 0.5, 4294967295.0)), .limit = parameters.limit};
}

}  // namespace causeway::netlink
