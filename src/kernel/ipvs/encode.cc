#include "kernel/ipvs/encode.h"

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel/nftables/message.h"

namespace causeway::ipvs {
namespace {

using nftables::Writer;

// A generic message has the header {command, version, 0}: of nfgenmsg's size, and its first byte at the same place. The
// version is not looked at by IPVS.
void begin(Writer& out, uint16_t family, uint8_t command, uint16_t flags, uint32_t sequence) {
  out.begin(family, flags, sequence, command, 0);
}

void host16(Writer& out, uint16_t type, uint16_t value) {
  out.bytes(type, {reinterpret_cast<const char*>(&value), sizeof value});
}
void host32(Writer& out, uint16_t type, uint32_t value) {
  out.bytes(type, {reinterpret_cast<const char*>(&value), sizeof value});
}
void port(Writer& out, uint16_t type, uint16_t value) {
  const char bytes[]{char(value >> 8), char(value)};
  out.bytes(type, {bytes, sizeof bytes});
}
uint16_t family_of(const Ip& ip) { return ip.is_v4() ? AF_INET : AF_INET6; }
// Always 16 bytes: union nf_inet_addr.
void address(Writer& out, uint16_t type, const Ip& ip) {
  std::string bytes(reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size());
  bytes.resize(16);
  out.bytes(type, bytes);
}

size_t open_service(Writer& out, const ServiceKey& key) {
  const size_t nest = out.open(IPVS_CMD_ATTR_SERVICE);
  host16(out, IPVS_SVC_ATTR_AF, family_of(key.ip));
  host16(out, IPVS_SVC_ATTR_PROTOCOL, key.protocol);
  address(out, IPVS_SVC_ATTR_ADDR, key.ip);
  port(out, IPVS_SVC_ATTR_PORT, key.port);
  return nest;
}

Status put_service(Writer& out, const ServiceKey& key, const Service& service) {
  if (service.scheduler.empty() || service.scheduler.size() >= IP_VS_SCHEDNAME_MAXLEN)
    return fail(Errc::Invalid, "\"{}\" is no name of an IPVS scheduler", service.scheduler);
  const size_t nest = open_service(out, key);
  out.text(IPVS_SVC_ATTR_SCHED_NAME, service.scheduler);
  const uint32_t flags = service.flags | (service.persistence ? IP_VS_SVC_F_PERSISTENT : 0u);
  const ip_vs_flags wire{.flags = flags, .mask = ~0u};
  out.bytes(IPVS_SVC_ATTR_FLAGS, {reinterpret_cast<const char*>(&wire), sizeof wire});
  host32(out, IPVS_SVC_ATTR_TIMEOUT, service.persistence);
  // Persistence by single clients: a mask of all ones, or the length of an IPv6 prefix.
  host32(out, IPVS_SVC_ATTR_NETMASK, key.ip.is_v4() ? ~0u : 128);
  out.close(nest);
  return ok();
}

void put_destination(Writer& out, const ServiceKey& key, const Endpoint& to, const uint32_t* weight) {
  out.close(open_service(out, key));
  const size_t nest = out.open(IPVS_CMD_ATTR_DEST);
  address(out, IPVS_DEST_ATTR_ADDR, to.ip);
  port(out, IPVS_DEST_ATTR_PORT, to.port);
  host16(out, IPVS_DEST_ATTR_ADDR_FAMILY, family_of(to.ip));
  if (weight) {
    host32(out, IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
    host32(out, IPVS_DEST_ATTR_WEIGHT, *weight);
    host32(out, IPVS_DEST_ATTR_U_THRESH, 0);
    host32(out, IPVS_DEST_ATTR_L_THRESH, 0);
  }
  out.close(nest);
}

uint8_t command_of(const Change& change) {
  constexpr uint8_t kCommands[] = {IPVS_CMD_NEW_SERVICE, IPVS_CMD_SET_SERVICE, IPVS_CMD_DEL_SERVICE,
                                   IPVS_CMD_NEW_DEST,    IPVS_CMD_SET_DEST,    IPVS_CMD_DEL_DEST};
  return kCommands[change.index()];
}

Status same_family(const ServiceKey& key, const Endpoint& to) {
  if (key.ip.family() == to.ip.family()) return ok();
  return fail(Errc::Invalid, "{} cannot serve {}: another family", to, key);
}

struct Put {
  Writer& out;
  Status operator()(const CreateService& c) const { return put_service(out, c.key, c.service); }
  Status operator()(const UpdateService& c) const { return put_service(out, c.key, c.service); }
  Status operator()(const DeleteService& c) const {
    out.close(open_service(out, c.key));
    return ok();
  }
  Status operator()(const CreateDestination& c) const {
    TRY(same_family(c.key, c.to));
    put_destination(out, c.key, c.to, &c.weight);
    return ok();
  }
  Status operator()(const UpdateDestination& c) const {
    TRY(same_family(c.key, c.to));
    put_destination(out, c.key, c.to, &c.weight);
    return ok();
  }
  Status operator()(const DeleteDestination& c) const {
    put_destination(out, c.key, c.to, nullptr);
    return ok();
  }
};

}  // namespace

Result<std::string> encode(const Change& change, uint16_t family, uint32_t sequence) {
  Writer out;
  begin(out, family, command_of(change), NLM_F_ACK, sequence);
  TRY(std::visit(Put{out}, change), "{}", change);
  out.end();
  return out.take();
}

std::string encode_family_query(uint32_t sequence) {
  Writer out;
  begin(out, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK, sequence);
  out.text(CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME);
  out.end();
  return out.take();
}

std::string encode_services_dump(uint16_t family, uint32_t sequence) {
  Writer out;
  begin(out, family, IPVS_CMD_GET_SERVICE, NLM_F_DUMP, sequence);
  out.end();
  return out.take();
}

std::string encode_destinations_dump(uint16_t family, uint32_t sequence, const ServiceKey& key) {
  Writer out;
  begin(out, family, IPVS_CMD_GET_DEST, NLM_F_DUMP, sequence);
  out.close(open_service(out, key));
  out.end();
  return out.take();
}

}  // namespace causeway::ipvs
