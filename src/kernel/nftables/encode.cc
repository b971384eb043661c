#include "kernel/nftables/encode.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/socket.h>

#include <cstring>

#include "kernel/nftables/lower.h"

namespace causeway::nftables {
namespace {

constexpr size_t kMaxName = NFT_NAME_MAXLEN - 1;
constexpr size_t kMaxComment = 127;          // NFT_USERDATA_MAXLEN is 256; nft itself takes 128 with the 0
constexpr size_t kElementBytes = 48 * 1024;  // of one message: an attribute ends at 64 KiB
constexpr size_t kMaxFields = 5;             // of 6 bits each in NFTA_SET_KEY_TYPE
constexpr uint32_t kTypeBits = 6;
// User data is libnftnl's, which nft reads back: tag, length, value.
constexpr uint8_t kCommentTag = 0;                      // NFTNL_UDATA_RULE_COMMENT, NFTNL_UDATA_SET_ELEM_COMMENT
constexpr uint8_t kKeyOrderTag = 0, kDataOrderTag = 1;  // NFTNL_UDATA_SET_KEYBYTEORDER, _DATABYTEORDER
constexpr uint32_t kHostOrder = 1, kNetworkOrder = 2;   // nft's own enum byteorder

uint16_t message_type(uint16_t message) { return uint16_t(NFNL_SUBSYS_NFTABLES << 8 | message); }

std::string comment_bytes(const std::string& comment) {
  return std::string{char(kCommentTag), char(comment.size() + 1)} + comment + '\0';
}

// Without it nft lists marks and device names backwards.
std::string order_bytes(uint8_t tag, const std::vector<Type>& types) {
  const uint32_t order = types.size() == 1 && is_host_order(types.front()) ? kHostOrder : kNetworkOrder;
  return std::string{char(tag), char(sizeof order)} + std::string(reinterpret_cast<const char*>(&order), sizeof order);
}

uint32_t type_word(const std::vector<Type>& types) {
  uint32_t word = 0;
  for (const Type type : types) word = word << kTypeBits | uint32_t(type);
  return word;
}

// Of one field the kernel counts its bytes, of several whole registers.
uint32_t wire_length(const std::vector<Type>& types) {
  return types.size() == 1 ? bytes_of(types.front()) : bytes_of(types);
}

uint32_t hook_number(Hook hook) {
  switch (hook) {
    case Hook::Prerouting: return NF_INET_PRE_ROUTING;
    case Hook::Input: return NF_INET_LOCAL_IN;
    case Hook::Forward: return NF_INET_FORWARD;
    case Hook::Output: return NF_INET_LOCAL_OUT;
    case Hook::Postrouting: return NF_INET_POST_ROUTING;
  }
  __builtin_unreachable();
}

std::string_view type_name(ChainType type) {
  switch (type) {
    case ChainType::Filter: return "filter";
    case ChainType::Nat: return "nat";
    case ChainType::Route: return "route";
  }
  __builtin_unreachable();
}

Status check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxName)
    return fail(Errc::Invalid, "name \"{}\": must have 1..{} bytes", name, kMaxName);
  return ok();
}

Status check_comment(const std::string& comment) {
  if (comment.size() > kMaxComment)
    return fail(Errc::Invalid, "comment \"{}\": has {} bytes, at most {} are possible", comment, comment.size(),
                kMaxComment);
  return ok();
}

Status check_set(const Set& set) {
  if (set.key.empty() || set.key.size() > kMaxFields || set.data.size() > kMaxFields)
    return fail(Errc::Invalid, "key and data must have 1..{} fields", kMaxFields);
  if (set.verdicts && !set.data.empty()) return fail(Errc::Invalid, "a map has either verdicts or data");
  if (set.timeout_ms && !set.has_timeout) return fail(Errc::Invalid, "a timeout without has_timeout");
  return ok();
}

// The key behind the last one of a range; none behind the last of all.
std::optional<std::string> successor(std::string key) {
  for (size_t i = key.size(); i-- > 0;)
    if (key[i] = char(uint8_t(key[i]) + 1); key[i] != '\0') return key;
  return std::nullopt;
}

class Encoder {
 public:
  Encoder(const std::function<uint32_t()>& next) : next_(next) {}

  Result<Batch> run(const Transaction& transaction) {
    batch_.begin_sequence = next_();
    out_.begin(NFNL_MSG_BATCH_BEGIN, 0, batch_.begin_sequence, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    out_.end();
    batch_.table_sequence = next_();
    out_.begin(message_type(NFT_MSG_NEWTABLE), NLM_F_CREATE, batch_.table_sequence, NFPROTO_INET, 0);
    out_.text(NFTA_TABLE_NAME, kTable);
    out_.u32(NFTA_TABLE_FLAGS, 0);
    out_.end();
    for (change_ = 0; change_ < transaction.size(); ++change_)
      TRY(std::visit(*this, transaction[change_]), "{}", transaction[change_]);
    out_.begin(NFNL_MSG_BATCH_END, 0, next_(), AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    out_.end();
    batch_.bytes = out_.take();
    if (!batch_.sent.empty()) {
      auto* header = reinterpret_cast<char*>(batch_.bytes.data()) + batch_.sent.back().begin;
      uint16_t flags = 0;
      std::memcpy(&flags, header + offsetof(struct nlmsghdr, nlmsg_flags), sizeof flags);
      flags |= NLM_F_ACK;
      std::memcpy(header + offsetof(struct nlmsghdr, nlmsg_flags), &flags, sizeof flags);
    }
    return std::move(batch_);
  }

  Status operator()(const AddChain& chain) {
    TRY(check_name(chain.name));
    begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    out_.text(NFTA_CHAIN_TABLE, kTable);
    out_.text(NFTA_CHAIN_NAME, chain.name);
    if (chain.base) {
      const size_t hook = out_.open(NFTA_CHAIN_HOOK);
      out_.u32(NFTA_HOOK_HOOKNUM, hook_number(chain.base->hook));
      out_.u32(NFTA_HOOK_PRIORITY, uint32_t(chain.base->priority));
      out_.close(hook);
      out_.u32(NFTA_CHAIN_POLICY, chain.base->drop ? NF_DROP : NF_ACCEPT);
      out_.text(NFTA_CHAIN_TYPE, type_name(chain.base->type));
    }
    end();
    return ok();
  }
  Status operator()(const DeleteChain& chain) {
    begin(NFT_MSG_DELCHAIN, 0);
    out_.text(NFTA_CHAIN_TABLE, kTable);
    out_.text(NFTA_CHAIN_NAME, chain.name);
    end();
    return ok();
  }
  Status operator()(const FlushChain& chain) {
    begin(NFT_MSG_DELRULE, 0);
    out_.text(NFTA_RULE_TABLE, kTable);
    out_.text(NFTA_RULE_CHAIN, chain.name);
    end();
    return ok();
  }
  Status operator()(const AddRule& add) {
    TRY(check_comment(add.rule.comment));
    const auto program = TRY(lower(add.rule));
    begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    out_.text(NFTA_RULE_TABLE, kTable);
    out_.text(NFTA_RULE_CHAIN, add.chain);
    const size_t expressions = out_.open(NFTA_RULE_EXPRESSIONS);
    for (const auto& instruction : program) put(out_, instruction);
    out_.close(expressions);
    if (!add.rule.comment.empty()) out_.bytes(NFTA_RULE_USERDATA, comment_bytes(add.rule.comment));
    end();
    return ok();
  }
  Status operator()(const AddSet& add) {
    const Set& set = add.set;
    TRY(check_name(add.name));
    TRY(check_set(set));
    const bool concatenated_ranges = set.interval && set.key.size() > 1;
    begin(NFT_MSG_NEWSET, NLM_F_CREATE);
    out_.text(NFTA_SET_TABLE, kTable);
    out_.text(NFTA_SET_NAME, add.name);
    out_.u32(NFTA_SET_FLAGS, uint32_t((set.interval ? NFT_SET_INTERVAL : 0) | (set.is_map() ? NFT_SET_MAP : 0) |
                                      (set.has_timeout ? NFT_SET_TIMEOUT : 0) | (set.dynamic ? NFT_SET_EVAL : 0) |
                                      (concatenated_ranges ? NFT_SET_CONCAT : 0)));
    out_.u32(NFTA_SET_KEY_TYPE, type_word(set.key));
    out_.u32(NFTA_SET_KEY_LEN, wire_length(set.key));
    if (set.verdicts) {
      out_.u32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
    } else if (!set.data.empty()) {
      out_.u32(NFTA_SET_DATA_TYPE, type_word(set.data));
      out_.u32(NFTA_SET_DATA_LEN, wire_length(set.data));
    }
    out_.u32(NFTA_SET_ID, ++set_id_);  // must be there; we name sets by their names
    if (set.timeout_ms) out_.u64(NFTA_SET_TIMEOUT, set.timeout_ms);
    const size_t description = out_.open(NFTA_SET_DESC);
    if (set.size) out_.u32(NFTA_SET_DESC_SIZE, set.size);
    if (concatenated_ranges) {
      const size_t fields = out_.open(NFTA_SET_DESC_CONCAT);
      for (const Type type : set.key) {
        const size_t field = out_.open(NFTA_LIST_ELEM);
        out_.u32(NFTA_SET_FIELD_LEN, bytes_of(type));
        out_.close(field);
      }
      out_.close(fields);
    }
    out_.close(description);
    std::string orders = order_bytes(kKeyOrderTag, set.key);
    if (!set.data.empty()) orders += order_bytes(kDataOrderTag, set.data);
    out_.bytes(NFTA_SET_USERDATA, orders);
    end();
    return ok();
  }
  Status operator()(const DeleteSet& set) {
    begin(NFT_MSG_DELSET, 0);
    out_.text(NFTA_SET_TABLE, kTable);
    out_.text(NFTA_SET_NAME, set.name);
    end();
    return ok();
  }
  Status operator()(const AddElements& add) {
    return elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, add.name, add.set, add.elements, true);
  }
  Status operator()(const DeleteElements& remove) {
    return elements(NFT_MSG_DELSETELEM, 0, remove.name, remove.set, remove.elements, false);
  }

 private:
  void begin(uint16_t message, uint16_t flags) {
    batch_.sent.push_back({.sequence = next_(), .change = change_, .begin = out_.size()});
    out_.begin(message_type(message), flags, batch_.sent.back().sequence, NFPROTO_INET, 0);
  }
  void end() {
    out_.end();
    batch_.sent.back().end = out_.size();
  }

  // As many messages as it takes.
  Status elements(uint16_t message, uint16_t flags, const std::string& name, const Set& set, const Elements& elements,
                  bool values) {
    size_t list = 0;
    size_t started = 0;
    const auto finish = [&] {
      out_.close(list);
      end();
    };
    for (const auto& [key, value] : elements) {
      TRY(check(set, key, value));
      if (list == 0 || out_.size() - started > kElementBytes) {
        if (list) finish();
        begin(message, flags);
        out_.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
        out_.text(NFTA_SET_ELEM_LIST_SET, name);
        started = out_.size();
        list = out_.open(NFTA_SET_ELEM_LIST_ELEMENTS);
      }
      element(set, key, value, values);
    }
    if (list) finish();
    return ok();
  }

  static Status check(const Set& set, const Tuple& key, const Value& value) {
    const auto who = [&] { return nftables::to_string(key, set.key); };
    if (key.bytes().size() != bytes_of(set.key))
      return fail(Errc::Invalid, "key {} has {} bytes, the set's {}", who(), key.bytes().size(), bytes_of(set.key));
    if (value.last && (!set.interval || value.last->bytes().size() != key.bytes().size() || *value.last < key))
      return fail(Errc::Invalid, "the range from {} to {} is none of this set", who(),
                  nftables::to_string(*value.last, set.key));
    const auto* data = std::get_if<Tuple>(&value.data);
    if (data                                          ? set.data.empty() || data->bytes().size() != bytes_of(set.data)
        : std::holds_alternative<Verdict>(value.data) ? !set.verdicts
                                                      : set.is_map())
      return fail(Errc::Invalid, "the value of {} is not of the set's type", who());
    return check_comment(value.comment);
  }

  void element(const Set& set, const Tuple& key, const Value& value, bool with_value) {
    const bool simple_range = set.interval && set.key.size() == 1;
    const std::string first = key.bytes().substr(0, wire_length(set.key));
    const size_t element = out_.open(NFTA_LIST_ELEM);
    put_key(NFTA_SET_ELEM_KEY, first);
    if (set.interval && !simple_range) put_key(NFTA_SET_ELEM_KEY_END, value.last ? value.last->bytes() : key.bytes());
    if (with_value) put_value(set, value);
    out_.close(element);
    if (!simple_range) return;
    // In a tree of ranges the end is an element of its own: the first key that is outside.
    std::string last = value.last ? value.last->bytes() : key.bytes();
    last.resize(first.size());
    if (const auto outside = successor(std::move(last))) {
      const size_t end = out_.open(NFTA_LIST_ELEM);
      put_key(NFTA_SET_ELEM_KEY, *outside);
      out_.u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
      out_.close(end);
    }
  }
  void put_key(uint16_t type, std::string_view bytes) {
    const size_t key = out_.open(type);
    out_.bytes(NFTA_DATA_VALUE, bytes);
    out_.close(key);
  }
  void put_value(const Set& set, const Value& value) {
    if (const auto* verdict = std::get_if<Verdict>(&value.data)) {
      const size_t data = out_.open(NFTA_SET_ELEM_DATA);
      put_verdict(out_, *verdict);
      out_.close(data);
    } else if (const auto* data = std::get_if<Tuple>(&value.data)) {
      put_key(NFTA_SET_ELEM_DATA, std::string_view(data->bytes()).substr(0, wire_length(set.data)));
    }
    if (!value.comment.empty()) out_.bytes(NFTA_SET_ELEM_USERDATA, comment_bytes(value.comment));
  }

  const std::function<uint32_t()>& next_;
  Writer out_;
  Batch batch_;
  size_t change_ = 0;
  uint32_t set_id_ = 0;
};

}  // namespace

Result<Batch> encode(const Transaction& transaction, const std::function<uint32_t()>& next) {
  return Encoder(next).run(transaction);
}

}  // namespace causeway::nftables
