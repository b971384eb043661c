#include "kernel/ipvs/decode.h"

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel/nftables/attributes.h"

namespace causeway::ipvs {
namespace {

using nftables::Attributes;

template <class T, size_t N>
std::optional<T> host(const Attributes<N>& a, size_t type) {
  const auto bytes = a.bytes(type);
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::optional<Ip> ip_of(std::string_view bytes, Family family) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (family == Family::V4 && bytes.size() >= 4) return Ip::v4(std::span<const uint8_t, 4>(data, 4));
  if (family == Family::V6 && bytes.size() >= 16) return Ip::v6(std::span<const uint8_t, 16>(data, 16));
  return std::nullopt;
}

std::string_view name_of(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    default: return "other";
  }
}

struct Say {
  std::string operator()(const CreateService& c) const { return fmt::format("add {} {}", c.key, c.service.scheduler); }
  std::string operator()(const UpdateService& c) const { return fmt::format("set {} {}", c.key, c.service.scheduler); }
  std::string operator()(const DeleteService& c) const { return fmt::format("delete {}", c.key); }
  std::string operator()(const CreateDestination& c) const {
    return fmt::format("add {} to {} with weight {}", c.to, c.key, c.weight);
  }
  std::string operator()(const UpdateDestination& c) const {
    return fmt::format("set {} of {} to weight {}", c.to, c.key, c.weight);
  }
  std::string operator()(const DeleteDestination& c) const { return fmt::format("delete {} from {}", c.to, c.key); }
};

}  // namespace

std::string to_string(const ServiceKey& key) {
  return fmt::format("{}/{}", Endpoint{key.ip, key.port}, name_of(key.protocol));
}

std::string to_string(const Change& change) { return std::visit(Say(), change); }

std::optional<uint16_t> decode_family(const nlmsghdr* message) {
  if (message->nlmsg_type != GENL_ID_CTRL) return std::nullopt;
  const Attributes<CTRL_ATTR_FAMILY_NAME + 1> a(nftables::body_of(message));
  if (a.text(CTRL_ATTR_FAMILY_NAME) != IPVS_GENL_NAME) return std::nullopt;
  return host<uint16_t>(a, CTRL_ATTR_FAMILY_ID);
}

std::optional<std::pair<ServiceKey, Service>> decode_service(const nlmsghdr* message) {
  const Attributes<IPVS_CMD_ATTR_MAX + 1> outer(nftables::body_of(message));
  if (!outer.has(IPVS_CMD_ATTR_SERVICE)) return std::nullopt;
  const Attributes<IPVS_SVC_ATTR_MAX + 1> a(outer.bytes(IPVS_CMD_ATTR_SERVICE));
  const auto af = host<uint16_t>(a, IPVS_SVC_ATTR_AF), protocol = host<uint16_t>(a, IPVS_SVC_ATTR_PROTOCOL);
  if (a.has(IPVS_SVC_ATTR_FWMARK) || !af || !protocol || *protocol > UINT8_MAX || (*af != AF_INET && *af != AF_INET6))
    return std::nullopt;
  const auto ip = ip_of(a.bytes(IPVS_SVC_ATTR_ADDR), *af == AF_INET ? Family::V4 : Family::V6);
  if (!ip) return std::nullopt;
  Service service{.scheduler = a.text(IPVS_SVC_ATTR_SCHED_NAME)};
  if (const auto flags = host<ip_vs_flags>(a, IPVS_SVC_ATTR_FLAGS)) {
    service.flags = flags->flags & (kFallback | kHashPort | kOurs);
    if (flags->flags & IP_VS_SVC_F_PERSISTENT)
      service.persistence = host<uint32_t>(a, IPVS_SVC_ATTR_TIMEOUT).value_or(0);
  }
  return std::pair(ServiceKey{*ip, a.u16(IPVS_SVC_ATTR_PORT), uint8_t(*protocol)}, service);
}

std::optional<std::pair<Endpoint, Destination>> decode_destination(const nlmsghdr* message, Family family) {
  const Attributes<IPVS_CMD_ATTR_MAX + 1> outer(nftables::body_of(message));
  if (!outer.has(IPVS_CMD_ATTR_DEST)) return std::nullopt;
  const Attributes<IPVS_DEST_ATTR_MAX + 1> a(outer.bytes(IPVS_CMD_ATTR_DEST));
  const auto af = host<uint16_t>(a, IPVS_DEST_ATTR_ADDR_FAMILY);
  if (af && *af != (family == Family::V4 ? AF_INET : AF_INET6)) return std::nullopt;
  const auto ip = ip_of(a.bytes(IPVS_DEST_ATTR_ADDR), family);
  if (!ip) return std::nullopt;
  const auto number = [&](size_t type) { return host<uint32_t>(a, type).value_or(0); };
  return std::pair(Endpoint{*ip, a.u16(IPVS_DEST_ATTR_PORT)},
                   Destination{number(IPVS_DEST_ATTR_WEIGHT), number(IPVS_DEST_ATTR_ACTIVE_CONNS),
                               number(IPVS_DEST_ATTR_INACT_CONNS), number(IPVS_DEST_ATTR_PERSIST_CONNS)});
}

}  // namespace causeway::ipvs
