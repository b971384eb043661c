// The bytes of nfnetlink messages, one behind the other, as a batch wants them.
#pragma once

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace causeway::nftables {

class Writer {
 public:
  // Begins a message: header and nfgenmsg.
  void begin(uint16_t type, uint16_t flags, uint32_t sequence, uint8_t family, uint16_t resource);
  void end();

  void u8(uint16_t type, uint8_t value);
  void u32(uint16_t type, uint32_t value);  // network order, as all of nf_tables
  void u64(uint16_t type, uint64_t value);
  void text(uint16_t type, std::string_view value);
  void bytes(uint16_t type, std::string_view value);
  // Nesting; the result goes to close().
  size_t open(uint16_t type);
  void close(size_t nest);

  size_t size() const { return out_.size(); }
  const std::string& data() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  size_t message_ = 0;
};

}  // namespace causeway::nftables
