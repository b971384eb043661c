#include "pod/mtu_wish.h"

#include <algorithm>
#include <charconv>

namespace causeway::pod {

CniResult<uint32_t> mtu_wish(const cluster::Labels& annotations, const NodeMtu& node, bool has_v6) {
  const auto asked = annotations.find(std::string(kPodMtu));
  if (asked == annotations.end()) return node.own;
  const auto no = [&](std::string_view why) {
    return refuse(CniCode::InvalidConfig, fmt::format("annotation {}: \"{}\" {}", kPodMtu, asked->second, why));
  };
  uint32_t mtu = 0;
  const char *begin = asked->second.data(), *last = begin + asked->second.size();
  if (const auto [end, error] = std::from_chars(begin, last, mtu); error != std::errc() || end != last)
    return no("is no number of bytes");
  if (const uint32_t most = std::min(node.own, node.fabric); mtu > most)
    return no(fmt::format("is more than the {} that Pods of this node have", most));
  if (has_v6 && mtu < kMinMtuV6) return no(fmt::format("is below {}, which the Pod's IPv6 needs", kMinMtuV6));
  if (mtu < kMinMtu) return no(fmt::format("is below {}, which IPv4 needs", kMinMtu));
  return mtu;
}

}  // namespace causeway::pod
