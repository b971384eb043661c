#include "kernel/conntrack/decode.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "kernel/nftables/attributes.h"

namespace causeway::conntrack {
namespace {

using nftables::Attributes;

std::optional<Ip> ip_of(std::string_view v4, std::string_view v6) {
  if (v4.size() == 4) return Ip::v4(std::span<const uint8_t, 4>(reinterpret_cast<const uint8_t*>(v4.data()), 4));
  if (v6.size() == 16) return Ip::v6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(v6.data()), 16));
  return std::nullopt;
}

std::optional<Tuple> tuple_of(std::string_view bytes, uint8_t& protocol) {
  const Attributes<CTA_TUPLE_MAX + 1> tuple(bytes);
  const Attributes<CTA_IP_MAX + 1> ip(tuple.bytes(CTA_TUPLE_IP));
  const Attributes<CTA_PROTO_MAX + 1> proto(tuple.bytes(CTA_TUPLE_PROTO));
  const auto source = ip_of(ip.bytes(CTA_IP_V4_SRC), ip.bytes(CTA_IP_V6_SRC));
  const auto destination = ip_of(ip.bytes(CTA_IP_V4_DST), ip.bytes(CTA_IP_V6_DST));
  if (!source || !destination) return std::nullopt;
  protocol = proto.u8(CTA_PROTO_NUM);
  const auto icmp = [&](uint16_t id, uint16_t type, uint16_t code) -> std::optional<Tuple> {
    if (!proto.has(id) || !proto.has(type) || !proto.has(code)) return std::nullopt;
    return Tuple{{*source, proto.u16(id)}, {*destination, uint16_t(proto.u8(type) << 8 | proto.u8(code))}};
  };
  if (protocol == IPPROTO_ICMP) return icmp(CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE);
  if (protocol == IPPROTO_ICMPV6) return icmp(CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE);
  if (!proto.has(CTA_PROTO_SRC_PORT) || !proto.has(CTA_PROTO_DST_PORT)) return std::nullopt;
  return Tuple{{*source, proto.u16(CTA_PROTO_SRC_PORT)}, {*destination, proto.u16(CTA_PROTO_DST_PORT)}};
}

std::string_view name_of(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    case IPPROTO_ICMP: return "icmp";
    case IPPROTO_ICMPV6: return "icmpv6";
    default: return "other";
  }
}

}  // namespace

std::string to_string(const Flow& flow) {
  return fmt::format("{} {} -> {} answered by {}", name_of(flow.protocol), flow.original.source,
                     flow.original.destination, flow.reply.source);
}

std::optional<Flow> decode_flow(const nlmsghdr* message) {
  if (message->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)) return std::nullopt;
  const Attributes<CTA_MAX + 1> a(nftables::body_of(message));
  Flow flow;
  uint8_t protocol = 0;
  const auto original = tuple_of(a.bytes(CTA_TUPLE_ORIG), flow.protocol);
  const auto reply = tuple_of(a.bytes(CTA_TUPLE_REPLY), protocol);
  if (!original || !reply || protocol != flow.protocol) return std::nullopt;
  flow.original = *original;
  flow.reply = *reply;
  flow.replied = (a.u32(CTA_STATUS) & IPS_SEEN_REPLY) != 0;
  flow.timeout = a.u32(CTA_TIMEOUT);
  const Attributes<CTA_PROTOINFO_MAX + 1> info(a.bytes(CTA_PROTOINFO));
  flow.tcp_state = Attributes<CTA_PROTOINFO_TCP_MAX + 1>(info.bytes(CTA_PROTOINFO_TCP)).u8(CTA_PROTOINFO_TCP_STATE);
  return flow;
}

}  // namespace causeway::conntrack
