// Messages of an ipset dump to values, whatever the bytes. Pure.
#pragma once

#include <linux/netlink.h>

#include "kernel/ipset/ipset.h"

namespace causeway::ipset {

struct SetMessage {
  std::string name;
  bool header = false;     // it tells what the set is; those that follow carry only elements
  std::optional<Set> set;  // with header: absent for a type that we do not speak
  Elements elements;
};
// Empty: another message. A set's elements may come in several messages: only the first has the header.
// `known`: what the set is, as an earlier message told.
std::optional<SetMessage> decode_set(const nlmsghdr* message, const std::optional<Set>& known = std::nullopt);

}  // namespace causeway::ipset
