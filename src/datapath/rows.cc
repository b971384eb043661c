#include "datapath/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace causeway::datapath {

namespace {

constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::string_view protocol(uint8_t proto) {
  switch (proto) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_ICMP: return "icmp";
    case IPPROTO_ICMPV6: return "icmp6";
    case IPPROTO_SCTP: return "sctp";
    default: return "";
  }
}

std::string endpoint(const abi::ip_addr& addr, __be16 port) { return to_string(Endpoint{from_abi(addr), ntohs(port)}); }

std::string mac(const __u8 (&bytes)[6]) {
  Mac value;
  std::memcpy(value.bytes.data(), bytes, sizeof(bytes));
  return to_string(value);
}

std::string ct_state(uint8_t proto, uint32_t flags) {
  if (flags & abi::CT_F_RESET) return "reset";
  if (proto == IPPROTO_TCP) {
    bool forward = flags & abi::CT_F_FIN_FORWARD, reply = flags & abi::CT_F_FIN_REPLY;
    if (forward && reply) return "closed";
    if (forward || reply) return "half-closed";
  }
  return flags & abi::CT_F_SEEN_REPLY ? "established" : "unreplied";
}

}  // namespace

abi::ip_addr to_abi(const Ip& ip) {
  abi::ip_addr addr{};
  auto* bytes = reinterpret_cast<uint8_t*>(addr.word);
  if (ip.is_v4()) {
    std::memcpy(bytes, kMapped, sizeof(kMapped));
    std::memcpy(bytes + 12, ip.bytes().data(), 4);
  } else {
    std::memcpy(bytes, ip.bytes().data(), 16);
  }
  return addr;
}

Ip from_abi(const abi::ip_addr& addr) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(addr.word);
  if (std::memcmp(bytes, kMapped, sizeof(kMapped)) == 0) return Ip::v4(std::span<const uint8_t, 4>(bytes + 12, 4));
  return Ip::v6(std::span<const uint8_t, 16>(bytes, 16));
}

abi::route_key route_key(const Cidr& prefix, uint32_t net) {
  int bits = prefix.prefix() + (prefix.family() == Family::V4 ? 96 : 0);
  return {.prefixlen = static_cast<uint32_t>(32 + bits), .net = net, .addr = to_abi(prefix.address())};
}

Cidr prefix_of(const abi::route_key& key) {
  Ip ip = from_abi(key.addr);
  return Cidr(ip, static_cast<int>(key.prefixlen) - 32 - (ip.is_v4() ? 96 : 0));
}

abi::pod_key pod_key(const Ip& ip, uint32_t net) { return {.net = net, .addr = to_abi(ip)}; }

namespace {

std::string in_net(uint32_t net) { return net == abi::NET_THIS_CLUSTER ? "" : fmt::format(" net {}", net); }

}  // namespace

std::string render(const abi::route_key& key, const abi::route_value& value) {
  std::string text = fmt::format("{}{} -> ", to_string(prefix_of(key)), in_net(key.net));
  switch (static_cast<abi::route_kind>(value.kind)) {
    case abi::ROUTE_OVERLAY:
      text += fmt::format("overlay {} from {} dev {}", to_string(from_abi(value.vtep)),
                          to_string(from_abi(value.source)), value.ifindex);
      if (!is_none(value.next_hop)) text += fmt::format(" via {}", to_string(from_abi(value.next_hop)));
      break;
    case abi::ROUTE_NATIVE:
      text += fmt::format("native dev {}", value.ifindex);
      if (!is_none(value.next_hop)) text += fmt::format(" via {}", to_string(from_abi(value.next_hop)));
      break;
    case abi::ROUTE_THIS_NODE: text += "this node"; break;
    case abi::ROUTE_LOCAL_PODS: text += "local pods"; break;
    case abi::ROUTE_CLUSTER: text += "cluster"; break;
    default: text += fmt::format("kind {}", value.kind); break;
  }
  if (value.mtu) text += fmt::format(" mtu {}", value.mtu);
  if (value.kind == abi::ROUTE_OVERLAY) text += fmt::format(" vni {}", value.vni);
  if (value.flags & abi::ROUTE_F_NODE) text += " node";
  return text;
}

std::string render(const abi::pod_key& key, const abi::pod_value& value) {
  return fmt::format("{}{} -> dev {} mac {} host-mac {}{}", to_string(from_abi(key.addr)), in_net(key.net),
                     value.ifindex, mac(value.mac), mac(value.host_mac),
                     value.flags & abi::POD_F_BY_HOST_SIDE ? " by-host-side" : "");
}

std::string render(const abi::peer_key& key, const abi::peer_value& value) {
  return fmt::format("{} -> node {}", to_string(from_abi(key.addr)), value.node);
}

std::string render(uint32_t ifindex, const abi::uplink_value& value) {
  auto address = [](const abi::ip_addr& addr) { return is_none(addr) ? std::string("-") : to_string(from_abi(addr)); };
  return fmt::format("dev {} -> {} {}", ifindex, address(value.addr4), address(value.addr6));
}

std::string render(const abi::ct_key& key, const abi::ct_value& value, uint32_t now) {
  std::string name(protocol(key.proto));
  if (name.empty()) name = fmt::format("proto-{}", key.proto);
  std::string text =
      fmt::format("{}{} {} > {}", name, in_net(key.net), endpoint(key.src, key.sport), endpoint(key.dst, key.dport));
  if (value.flags & abi::CT_F_REWRITE_SRC) text += fmt::format(" from {}", endpoint(value.to_src, value.to_sport));
  if (value.flags & abi::CT_F_REWRITE_DST) text += fmt::format(" to {}", endpoint(value.to_dst, value.to_dport));
  text += fmt::format(" {}", ct_state(key.proto, value.flags));
  if (value.flags & abi::CT_F_REPLY) text += " reply";
  if (value.flags & abi::CT_F_NODE) text += " node";
  if (value.flags & abi::CT_F_INBOUND) text += " inbound";
  return text + (value.expires > now ? fmt::format(" {}s", value.expires - now) : std::string(" expired"));
}

std::string_view counter_text(abi::counter_reason reason) {
  switch (reason) {
#define COUNTER_TEXT(name, text) \
  case abi::name: return text;
    COUNTER_REASONS(COUNTER_TEXT)
#undef COUNTER_TEXT
    case abi::COUNTER_REASON_COUNT: break;
  }
  return "?";
}

std::string_view counter_name(abi::counter_reason reason) {
  switch (reason) {
#define COUNTER_NAME(name, text) \
  case abi::name: return #name;
    COUNTER_REASONS(COUNTER_NAME)
#undef COUNTER_NAME
    case abi::COUNTER_REASON_COUNT: break;
  }
  return "?";
}

}  // namespace causeway::datapath
