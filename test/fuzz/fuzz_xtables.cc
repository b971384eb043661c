// Dumps of IP sets and of IPVS, and the text of iptables-save, to values, whatever the bytes.
// deps: kernel_ipset kernel_ipvs kernel_xtables
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernel/ipset/decode.h"
#include "kernel/ipset/encode.h"
#include "kernel/ipvs/decode.h"
#include "kernel/ipvs/encode.h"
#include "kernel/xtables/save.h"

using namespace causeway;

namespace {

constexpr uint16_t kListSets = 6 << 8 | 7;  // NFNL_SUBSYS_IPSET, IPSET_CMD_LIST

// What was read can be written and read as the same again.
void check_elements(const nlmsghdr* message, const ipset::Set& set) {
  const auto found = ipset::decode_set(message, set);
  if (!found) return;
  for (const auto& element : found->elements) {
    uint32_t sequence = 0;
    const auto& as = found->header ? *found->set : set;
    auto messages = ipset::encode(ipset::AddElements{"x", as, {element}}, [&] { return ++sequence; });
    if (!messages) continue;
    auto* again = reinterpret_cast<nlmsghdr*>(messages->front().data());
    again->nlmsg_type = kListSets;
    if (ipset::decode_set(again, as)->elements != ipset::Elements{element}) std::abort();
  }
}

void check_service(const nlmsghdr* message) {
  const auto found = ipvs::decode_service(message);
  if (!found) return;
  const auto again = ipvs::encode(ipvs::CreateService{found->first, found->second}, 1, 1);
  if (again && ipvs::decode_service(reinterpret_cast<const nlmsghdr*>(again->data()))->first != found->first)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)xtables::parse_save({reinterpret_cast<const char*>(data), size});
  if (size < sizeof(nlmsghdr) || size > 65536) return 0;
  std::vector<nlmsghdr> room((size + sizeof(nlmsghdr) - 1) / sizeof(nlmsghdr));  // aligned as the kernel's are
  std::memcpy(room.data(), data, size);
  nlmsghdr* message = room.data();
  message->nlmsg_len = uint32_t(size);
  check_service(message);
  (void)ipvs::decode_family(message);
  for (const Family family : {Family::V4, Family::V6}) (void)ipvs::decode_destination(message, family);
  message->nlmsg_type = kListSets;
  for (const auto type :
       {ipset::Type::Ip, ipset::Type::Net, ipset::Type::IpPort, ipset::Type::IpPortIp, ipset::Type::IpPortNet})
    for (const Family family : {Family::V4, Family::V6}) check_elements(message, {type, family});
  return 0;
}
