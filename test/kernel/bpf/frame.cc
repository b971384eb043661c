#include "frame.h"

#include <fmt/format.h>

#include <span>

namespace causeway::test {

namespace {

unsigned get16(const std::string& data, size_t at) {
  return at + 2 > data.size()
             ? 0u
             : static_cast<unsigned>(static_cast<uint8_t>(data[at])) << 8 | static_cast<uint8_t>(data[at + 1]);
}

Ip ip_at(const std::string& data, size_t at, bool v4) {
  auto* raw = reinterpret_cast<const uint8_t*>(data.data()) + at;
  return v4 ? Ip::v4(std::span<const uint8_t, 4>(raw, 4)) : Ip::v6(std::span<const uint8_t, 16>(raw, 16));
}

std::string describe_ip(const std::string& ip);

std::string describe_icmp(const std::string& icmp, bool v4, const std::string& pseudo) {
  int type = static_cast<uint8_t>(icmp[0]), code = static_cast<uint8_t>(icmp[1]);
  bool bad = checksum(pseudo + icmp) != 0;
  bool error = v4 ? type == 3 || type == 11 : type < 128;
  std::string text = fmt::format("icmp {}/{} info {}", type, code, get16(icmp, 4) << 16 | get16(icmp, 6));
  if (error) text += fmt::format(" [{}]", describe_ip(icmp.substr(8)));
  return text + (bad ? " bad checksum" : "");
}

std::string describe_ip(const std::string& ip) {
  bool v4 = static_cast<uint8_t>(ip[0]) >> 4 == 4;
  size_t header = v4 ? (ip[0] & 15) * 4u : 40;
  int protocol = static_cast<uint8_t>(ip[v4 ? 9 : 6]), ttl = static_cast<uint8_t>(ip[v4 ? 8 : 7]);
  Ip from = ip_at(ip, v4 ? 12 : 8, v4), to = ip_at(ip, v4 ? 16 : 24, v4);
  std::string text = fmt::format("{} > {} ttl {}", from, to, ttl), rest = ip.substr(header);
  if (v4 && checksum(ip.substr(0, header)) != 0) text += " bad checksum";
  switch (protocol) {
    case 17:
      if (get16(rest, 2) == 4789 && rest.size() > 30)
        return text + fmt::format(" vxlan {} [{}]", get16(rest, 12) << 8 | static_cast<uint8_t>(rest[14]),
                                  describe_ip(rest.substr(30)));
      return text + fmt::format(" udp {} > {} {} bytes", get16(rest, 0), get16(rest, 2), rest.size() - 8);
    case 1: return text + " " + describe_icmp(rest, true, "");
    case 58:
      return text + " " +
             describe_icmp(
                 rest, false,
                 bytes(from) + bytes(to) + be16(0) + be16(static_cast<unsigned>(rest.size())) + be16(0) + be16(58));
    default: return text + fmt::format(" protocol {} {} bytes", protocol, rest.size());
  }
}

}  // namespace

std::string be16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
std::string bytes(const Mac& mac) { return std::string(mac.bytes.begin(), mac.bytes.end()); }
std::string bytes(Ip ip) { return std::string(ip.bytes().begin(), ip.bytes().end()); }

uint16_t checksum(const std::string& data) {
  uint32_t sum = 0;
  for (size_t i = 0; i < data.size(); i += 2)
    sum += static_cast<unsigned>(static_cast<uint8_t>(data[i])) << 8 |
           (i + 1 < data.size() ? static_cast<uint8_t>(data[i + 1]) : 0u);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::string ethernet(const Mac& to, const Mac& from, unsigned type, const std::string& rest) {
  return bytes(to) + bytes(from) + be16(type) + rest;
}

std::string packet(Ip from, Ip to, int protocol, int ttl, const std::string& payload) {
  if (from.is_v4()) {
    std::string header = std::string("\x45\0", 2) + be16(static_cast<unsigned>(20 + payload.size())) + be16(1) +
                         be16(0x4000) + static_cast<char>(ttl) + static_cast<char>(protocol) + be16(0) + bytes(from) +
                         bytes(to);
    header.replace(10, 2, be16(checksum(header)));
    return header + payload;
  }
  return std::string("\x60\0\0\0", 4) + be16(static_cast<unsigned>(payload.size())) + static_cast<char>(protocol) +
         static_cast<char>(ttl) + bytes(from) + bytes(to) + payload;
}

std::string udp(unsigned from, unsigned to, const std::string& payload) {
  return be16(from) + be16(to) + be16(static_cast<unsigned>(8 + payload.size())) + be16(0) + payload;
}

std::string describe(const std::string& frame) {
  unsigned type = get16(frame, 12);
  return type == 0x0800 || type == 0x86dd ? describe_ip(frame.substr(14)) : fmt::format("type {:04x}", type);
}

}  // namespace causeway::test
