// rtnetlink messages to values, whatever the bytes.
// deps: kernel_netlink
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernel/netlink/encode.h"

using namespace causeway::netlink;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < sizeof(nlmsghdr) || size > 65536) return 0;
  std::vector<nlmsghdr> room((size + sizeof(nlmsghdr) - 1) / sizeof(nlmsghdr));  // aligned as the kernel's are
  std::memcpy(room.data(), data, size);
  nlmsghdr* message = room.data();
  message->nlmsg_len = uint32_t(size);
  (void)decode_link(message);
  (void)decode_neighbour(message);
  // What was read can be written, and reads as the same again.
  if (const auto address = decode_address(message); address && address->prefix <= address->ip.bits()) {
    const auto encoded = encode(PutAddress{*address}, 1);
    if (!encoded || decode_address(reinterpret_cast<const nlmsghdr*>(encoded->data())) != address) std::abort();
  }
  if (const auto route = decode_route(message)) {
    if (const auto encoded = encode(PutRoute{*route}, 1))
      if (!decode_route(reinterpret_cast<const nlmsghdr*>(encoded->data()))) std::abort();
  }
  return 0;
}
