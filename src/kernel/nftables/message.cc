#include "kernel/nftables/message.h"

#include <arpa/inet.h>
#include <endian.h>

#include <cstddef>
#include <cstring>

namespace causeway::nftables {

void Writer::begin(uint16_t type, uint16_t flags, uint32_t sequence, uint8_t family, uint16_t resource) {
  message_ = out_.size();
  const nlmsghdr header{.nlmsg_type = type, .nlmsg_flags = uint16_t(NLM_F_REQUEST | flags), .nlmsg_seq = sequence};
  const nfgenmsg general{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
  out_.append(reinterpret_cast<const char*>(&header), sizeof header);
  out_.append(reinterpret_cast<const char*>(&general), sizeof general);
}

void Writer::end() {
  const auto length = uint32_t(out_.size() - message_);
  std::memcpy(out_.data() + message_ + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof length);
}

void Writer::bytes(uint16_t type, std::string_view value) {
  const nlattr header{.nla_len = uint16_t(NLA_HDRLEN + value.size()), .nla_type = type};
  out_.append(reinterpret_cast<const char*>(&header), sizeof header);
  out_.append(value);
  out_.resize(NLMSG_ALIGN(out_.size()));
}

void Writer::u8(uint16_t type, uint8_t value) { bytes(type, {reinterpret_cast<const char*>(&value), 1}); }
void Writer::u32(uint16_t type, uint32_t value) {
  const uint32_t wire = htonl(value);
  bytes(type, {reinterpret_cast<const char*>(&wire), sizeof wire});
}
void Writer::u64(uint16_t type, uint64_t value) {
  const uint64_t wire = htobe64(value);
  bytes(type, {reinterpret_cast<const char*>(&wire), sizeof wire});
}
void Writer::text(uint16_t type, std::string_view value) { bytes(type, std::string(value) + '\0'); }

size_t Writer::open(uint16_t type) {
  const size_t at = out_.size();
  bytes(uint16_t(type | NLA_F_NESTED), {});
  return at;
}
void Writer::close(size_t nest) {
  const auto length = uint16_t(out_.size() - nest);
  std::memcpy(out_.data() + nest + offsetof(struct nlattr, nla_len), &length, sizeof length);
}

}  // namespace causeway::nftables
