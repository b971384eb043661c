// Dumps of nf_tables and of connection tracking to values, whatever the bytes.
// deps: kernel_nftables kernel_conntrack
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernel/conntrack/decode.h"
#include "kernel/nftables/decode.h"
#include "kernel/nftables/encode.h"

using namespace causeway::nftables;

namespace {

// What was read can be printed and, where our own types can say it, written and read as the same again.
void check_set(const NamedSet& named) {
  if (!named.set) return;
  Section section{.name = "x"};
  section.sets[named.name] = *named.set;
  if (render(section).empty()) std::abort();
  uint32_t sequence = 0;
  const auto batch = encode({AddSet{named.name, *named.set}}, [&] { return ++sequence; });
  if (!batch) return;
  const auto& sent = batch->sent.front();
  std::vector<nlmsghdr> room((sent.end - sent.begin) / sizeof(nlmsghdr) + 1);
  std::memcpy(room.data(), batch->bytes.data() + sent.begin, sent.end - sent.begin);
  const auto again = decode_set(room.data());
  if (!again || again->set != named.set) std::abort();
}

void check_elements(const nlmsghdr* message, const Set& set) {
  ElementReader reader(set);
  reader.read(message);
  Section section{.name = "x"};
  section.sets["x-set"] = set;
  section.elements["x-set"] = reader.take();
  if (render(section).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < sizeof(nlmsghdr) || size > 65536) return 0;
  std::vector<nlmsghdr> room((size + sizeof(nlmsghdr) - 1) / sizeof(nlmsghdr));  // aligned as the kernel's are
  std::memcpy(room.data(), data, size);
  nlmsghdr* message = room.data();
  message->nlmsg_len = uint32_t(size);
  (void)concerns_us(message);
  (void)decode_chain(message);
  (void)decode_rule(message);
  (void)causeway::conntrack::decode_flow(message);
  if (const auto named = decode_set(message)) check_set(*named);
  check_elements(message, {.key = {Type::Ipv4}, .interval = true});
  check_elements(message, {.key = {Type::Protocol, Type::Ipv4, Type::Port}, .data = {Type::Ipv4, Type::Port}});
  check_elements(message, {.key = {Type::Ipv6, Type::Port}, .verdicts = true, .interval = true});
  (void)key_at({reinterpret_cast<const char*>(message), size}, size - 1);
  return 0;
}
