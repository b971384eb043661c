#include "kernel/nftables/decode.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>

#include "kernel/nftables/attributes.h"
#include "kernel/nftables/encode.h"

namespace causeway::nftables {

std::string_view body_of(const nlmsghdr* message) {
  const std::string_view all(static_cast<const char*>(mnl_nlmsg_get_payload(message)),
                             mnl_nlmsg_get_payload_len(message));
  return all.size() < sizeof(nfgenmsg) ? std::string_view() : all.substr(sizeof(nfgenmsg));
}

namespace {

constexpr uint32_t kTypeBits = 6;
constexpr size_t kTableAttribute = 1;  // NFTA_*_TABLE of every kind of object, NFTA_TABLE_NAME
// Declared for a set but of no weight for us: flags that only say how the kernel stores it.
constexpr uint32_t kKnownSetFlags = NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT | NFT_SET_EVAL | NFT_SET_CONCAT;

bool is_message(const nlmsghdr* message, uint16_t type) {
  return message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type);
}

bool is_of_our_table(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) return false;
  const auto* general = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
  return general->nfgen_family == NFPROTO_INET &&
         Attributes<kTableAttribute + 1>(body_of(message)).text(kTableAttribute) == kTable;
}

std::string comment_of(std::string_view user_data) {
  while (user_data.size() >= 2) {
    const size_t length = uint8_t(user_data[1]);
    if (2 + length > user_data.size()) break;
    if (user_data[0] == 0) {
      const auto text = user_data.substr(2, length);
      return std::string(text.substr(0, text.find('\0')));
    }
    user_data.remove_prefix(2 + length);
  }
  return {};
}

bool is_known(uint32_t type) {
  switch (Type(type)) {
    case Type::NfProto:
    case Type::Ipv4:
    case Type::Ipv6:
    case Type::Protocol:
    case Type::Port:
    case Type::Mark:
    case Type::CtState:
    case Type::CtDirection:
    case Type::ClassId:
    case Type::CtStatus:
    case Type::Icmp6Type:
    case Type::DeviceGroup:
    case Type::AddressKind:
    case Type::Ifname: return true;
    case Type::Integer: return false;
  }
  return false;
}

std::optional<std::vector<Type>> types_of(uint32_t word) {
  std::vector<Type> types;
  for (; word; word >>= kTypeBits) {
    const uint32_t type = word & ((1u << kTypeBits) - 1);
    if (!is_known(type)) return std::nullopt;
    types.push_back(Type(type));
  }
  std::reverse(types.begin(), types.end());
  return types;
}

std::optional<Hook> hook_of(uint32_t number) {
  switch (number) {
    case NF_INET_PRE_ROUTING: return Hook::Prerouting;
    case NF_INET_LOCAL_IN: return Hook::Input;
    case NF_INET_FORWARD: return Hook::Forward;
    case NF_INET_LOCAL_OUT: return Hook::Output;
    case NF_INET_POST_ROUTING: return Hook::Postrouting;
    default: return std::nullopt;
  }
}

std::string key_bytes(std::string_view data) {
  return std::string(Attributes<NFTA_DATA_MAX + 1>(data).bytes(NFTA_DATA_VALUE));
}

}  // namespace

std::optional<NamedChain> decode_chain(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWCHAIN) || !is_of_our_table(message)) return std::nullopt;
  const Attributes<NFTA_CHAIN_MAX + 1> a(body_of(message));
  NamedChain named{.name = a.text(NFTA_CHAIN_NAME), .chain = {}};
  if (!a.has(NFTA_CHAIN_HOOK)) return named;
  const Attributes<NFTA_HOOK_MAX + 1> hook(a.bytes(NFTA_CHAIN_HOOK));
  const std::string type = a.text(NFTA_CHAIN_TYPE);
  const auto where = hook_of(hook.u32(NFTA_HOOK_HOOKNUM));
  if (!where) return named;  // ingress: none of ours, so it will be made again
  named.chain.base = Base{.type = type == "nat"     ? ChainType::Nat
                                  : type == "route" ? ChainType::Route
                                                    : ChainType::Filter,
                          .hook = *where,
                          .priority = int32_t(hook.u32(NFTA_HOOK_PRIORITY)),
                          .drop = a.u32(NFTA_CHAIN_POLICY) == NF_DROP};
  return named;
}

std::optional<ForeignDrop> decode_foreign_drop(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWCHAIN) || is_of_our_table(message)) return std::nullopt;
  const Attributes<NFTA_CHAIN_MAX + 1> a(body_of(message));
  if (!a.has(NFTA_CHAIN_HOOK) || a.u32(NFTA_CHAIN_POLICY) != NF_DROP) return std::nullopt;
  std::string_view family;
  switch (static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family) {
    case NFPROTO_IPV4: family = "ip"; break;
    case NFPROTO_IPV6: family = "ip6"; break;
    case NFPROTO_INET: family = "inet"; break;
    default: return std::nullopt;  // bridge, arp, netdev: not on our packets' way
  }
  const auto hook = hook_of(Attributes<NFTA_HOOK_MAX + 1>(a.bytes(NFTA_CHAIN_HOOK)).u32(NFTA_HOOK_HOOKNUM));
  if (!hook) return std::nullopt;
  return ForeignDrop{fmt::format("{} {}", family, a.text(NFTA_CHAIN_TABLE)), a.text(NFTA_CHAIN_NAME), *hook};
}

std::optional<RuleOf> decode_rule(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWRULE) || !is_of_our_table(message)) return std::nullopt;
  const Attributes<NFTA_RULE_MAX + 1> a(body_of(message));
  return RuleOf{a.text(NFTA_RULE_CHAIN),
                {decode_program(a.bytes(NFTA_RULE_EXPRESSIONS)), comment_of(a.bytes(NFTA_RULE_USERDATA))}};
}

std::optional<NamedSet> decode_set(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWSET) || !is_of_our_table(message)) return std::nullopt;
  const Attributes<NFTA_SET_MAX + 1> a(body_of(message));
  NamedSet named{.name = a.text(NFTA_SET_NAME), .set = std::nullopt};
  const uint32_t flags = a.u32(NFTA_SET_FLAGS);
  auto key = types_of(a.u32(NFTA_SET_KEY_TYPE));
  const bool verdicts = a.u32(NFTA_SET_DATA_TYPE) == NFT_DATA_VERDICT;
  auto data = verdicts ? std::vector<Type>{} : types_of(a.u32(NFTA_SET_DATA_TYPE));
  if (!key || !data || (flags & ~kKnownSetFlags)) return named;
  named.set = Set{.key = std::move(*key),
                  .data = std::move(*data),
                  .verdicts = verdicts,
                  .interval = (flags & NFT_SET_INTERVAL) != 0,
                  .dynamic = (flags & NFT_SET_EVAL) != 0,
                  .timeout_ms = a.u64(NFTA_SET_TIMEOUT),
                  .has_timeout = (flags & NFT_SET_TIMEOUT) != 0,
                  .size = Attributes<NFTA_SET_DESC_MAX + 1>(a.bytes(NFTA_SET_DESC)).u32(NFTA_SET_DESC_SIZE)};
  return named;
}

void ElementReader::read(const nlmsghdr* message) {
  if (!is_message(message, NFT_MSG_NEWSETELEM) || !is_of_our_table(message)) return;
  const Attributes<NFTA_SET_ELEM_LIST_MAX + 1> list(body_of(message));
  each_attribute(list.bytes(NFTA_SET_ELEM_LIST_ELEMENTS), [&](const nlattr* element) {
    const Attributes<NFTA_SET_ELEM_MAX + 1> a(payload(element));
    std::string key = key_bytes(a.bytes(NFTA_SET_ELEM_KEY));
    if (a.u32(NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) {
      ends_.push_back(std::move(key));
      return;
    }
    Value value{.comment = comment_of(a.bytes(NFTA_SET_ELEM_USERDATA))};
    Tuple first = Tuple::from_bytes(std::move(key));
    if (a.has(NFTA_SET_ELEM_KEY_END)) {
      Tuple last = Tuple::from_bytes(key_bytes(a.bytes(NFTA_SET_ELEM_KEY_END)));
      if (last != first) value.last = std::move(last);
    }
    if (const Attributes<NFTA_DATA_MAX + 1> data(a.bytes(NFTA_SET_ELEM_DATA)); data.has(NFTA_DATA_VERDICT))
      value.data = decode_verdict(data.bytes(NFTA_DATA_VERDICT));
    else if (data.has(NFTA_DATA_VALUE))
      value.data = Tuple::from_bytes(std::string(data.bytes(NFTA_DATA_VALUE)));
    elements_.insert_or_assign(std::move(first), std::move(value));
  });
}

Elements ElementReader::take() {
  if (!set_.interval || set_.key.size() != 1) return std::move(elements_);
  // A range ends before the first end behind its start; the one that has none goes on to the last key of all.
  std::vector<Tuple> ends;
  const size_t length = bytes_of(set_.key.front());
  for (auto& end : ends_)
    if (end.size() == length) ends.push_back(Tuple::from_bytes(std::move(end)));
  std::sort(ends.begin(), ends.end());
  for (auto& [first, value] : elements_) {
    const auto end = std::upper_bound(ends.begin(), ends.end(), first);
    std::string last = end == ends.end() ? std::string(length, '\xff') : end->bytes().substr(0, length);
    if (end != ends.end())
      for (size_t i = last.size(); i-- > 0;)
        if ((last[i] = char(uint8_t(last[i]) - 1)) != '\xff') break;
    if (Tuple bytes = Tuple::from_bytes(std::move(last)); bytes != first) value.last = std::move(bytes);
  }
  return std::move(elements_);
}

void ElementReader::clear() {
  elements_.clear();
  ends_.clear();
}

bool concerns_us(const nlmsghdr* message) {
  if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return false;
  if (is_message(message, NFT_MSG_NEWGEN)) return false;  // every transaction of anybody
  return is_of_our_table(message);
}

std::optional<std::string> key_at(std::string_view message, size_t offset) {
  constexpr size_t kHeaders = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
  if (message.size() < kHeaders || offset >= message.size()) return std::nullopt;
  const auto* target = message.data() + offset;
  const Attributes<NFTA_SET_ELEM_LIST_MAX + 1> list(message.substr(kHeaders));
  std::optional<std::string> found;
  each_attribute(list.bytes(NFTA_SET_ELEM_LIST_ELEMENTS), [&](const nlattr* element) {
    const auto* begin = reinterpret_cast<const char*>(element);
    if (target < begin || target >= begin + element->nla_len) return;
    found = key_bytes(Attributes<NFTA_SET_ELEM_MAX + 1>(payload(element)).bytes(NFTA_SET_ELEM_KEY));
  });
  return found;
}

}  // namespace causeway::nftables
