// Sections and changes as text: what `nft list` prints, and what an error names.
#include "kernel/nftables/table.h"

#include <algorithm>
#include <bit>

#include "kernel/nftables/observed.h"

namespace causeway::nftables {
namespace {

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::Prerouting: return "prerouting";
    case Hook::Input: return "input";
    case Hook::Forward: return "forward";
    case Hook::Output: return "output";
    case Hook::Postrouting: return "postrouting";
  }
  __builtin_unreachable();
}

std::string_view to_string(ChainType type) {
  switch (type) {
    case ChainType::Filter: return "filter";
    case ChainType::Nat: return "nat";
    case ChainType::Route: return "route";
  }
  __builtin_unreachable();
}

// "dstnat + 5": by the nearest name that is at most 10 away, as nft does it. Two names are those of one hook.
std::string priority_text(Hook hook, int32_t priority) {
  static constexpr std::array<std::pair<int32_t, const char*>, 6> kNames{{{kRaw, "raw"},
                                                                          {kMangle, "mangle"},
                                                                          {kDstnat, "dstnat"},
                                                                          {kFilter, "filter"},
                                                                          {kSecurity, "security"},
                                                                          {kSrcnat, "srcnat"}}};
  for (const auto& [value, name] : kNames) {
    if ((value == kDstnat && hook != Hook::Prerouting) || (value == kSrcnat && hook != Hook::Postrouting)) continue;
    const int32_t offset = priority - value;
    if (offset == 0) return name;
    if (offset >= -10 && offset <= 10) return fmt::format("{} {} {}", name, offset < 0 ? '-' : '+', std::abs(offset));
  }
  return std::to_string(priority);
}

std::string text_of(const Base& base) {
  return fmt::format("type {} hook {} priority {}; policy {};", to_string(base.type), to_string(base.hook),
                     priority_text(base.hook, base.priority), base.drop ? "drop" : "accept");
}

std::string types_text(const std::vector<Type>& types) {
  std::string text;
  for (const Type type : types) text += (text.empty() ? "" : " . ") + std::string(to_string(type));
  return text;
}

std::string duration_text(uint64_t milliseconds) {
  if (milliseconds % 1000) return fmt::format("{}ms", milliseconds);
  std::string text;
  uint64_t seconds = milliseconds / 1000;
  for (const auto& [unit, name] : {std::pair{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}}) {
    if (seconds / unit) text += fmt::format("{}{}", seconds / unit, name);
    seconds %= unit;
  }
  return text;
}

std::string data_text(const Set& set, const Value& value) {
  if (const auto* verdict = std::get_if<Verdict>(&value.data)) return " : " + to_string(*verdict);
  if (const auto* data = std::get_if<Tuple>(&value.data)) return " : " + to_string(*data, set.data);
  return "";
}

// "10.0.0.0/8", "80-90", "10.0.0.1".
std::string range_text(const Tuple& first, const Tuple& last, Type type) {
  const std::vector<Type> types{type};
  const std::string from = to_string(first, types);
  if (first == last) return from;
  if (type == Type::Ipv4 || type == Type::Ipv6) {
    // A prefix: the bits behind it are zeros in the one and ones in the other.
    int prefix = 0;
    const size_t size = first.bytes().size();
    size_t i = 0;
    while (i < size && first.bytes()[i] == last.bytes()[i]) ++i, prefix += 8;
    bool rest = true;
    if (i < size) {
      const auto differ = uint8_t(first.bytes()[i] ^ last.bytes()[i]);
      prefix += std::countl_zero(differ);
      rest = std::has_single_bit(unsigned(differ) + 1) && (uint8_t(first.bytes()[i]) & differ) == 0;
      for (++i; i < size; ++i) rest = rest && first.bytes()[i] == '\0' && last.bytes()[i] == '\xff';
    }
    if (rest) return fmt::format("{}/{}", from, prefix);
  }
  return fmt::format("{}-{}", from, to_string(last, types));
}

std::string key_text(const Set& set, const Tuple& key, const Value& value) {
  if (!value.last || key.bytes().size() != bytes_of(set.key) || value.last->bytes().size() != key.bytes().size())
    return to_string(key, set.key);
  std::string text;
  size_t at = 0;
  for (const Type type : set.key) {
    const size_t size = (bytes_of(type) + 3) / 4 * 4;
    text += (text.empty() ? "" : " . ") + range_text(Tuple::from_bytes(key.bytes().substr(at, size)),
                                                     Tuple::from_bytes(value.last->bytes().substr(at, size)), type);
    at += size;
  }
  return text;
}

std::string element_text(const Set& set, const Tuple& key, const Value& value) {
  std::string text = key_text(set, key, value);
  if (!value.comment.empty()) text += fmt::format(" comment \"{}\"", value.comment);
  return text + data_text(set, value);
}

std::string set_text(const std::string& name, const Set& set, const Elements* elements) {
  std::string text = fmt::format("\t{} {} {{\n\t\ttype {}", set.is_map() ? "map" : "set", name, types_text(set.key));
  if (set.is_map()) text += " : " + (set.verdicts ? "verdict" : types_text(set.data));
  text += "\n";
  if (set.size) text += fmt::format("\t\tsize {}\n", set.size);
  std::string flags;
  const auto flag = [&](bool on, const char* flag_name) {
    if (on) flags += (flags.empty() ? "" : ",") + std::string(flag_name);
  };
  flag(set.interval, "interval");
  flag(set.dynamic, "dynamic");
  flag(set.has_timeout, "timeout");
  if (!flags.empty()) text += fmt::format("\t\tflags {}\n", flags);
  if (set.timeout_ms) text += fmt::format("\t\ttimeout {}\n", duration_text(set.timeout_ms));
  if (elements && !elements->empty()) {
    std::string list;
    for (const auto& [key, value] : *elements)
      list += (list.empty() ? "" : ",\n\t\t\t     ") + element_text(set, key, value);
    text += fmt::format("\t\telements = {{ {} }}\n", list);
  }
  return text + "\t}\n";
}

std::string elements_text(std::string_view verb, const std::string& name, const Set& set, const Elements& elements) {
  std::string text = fmt::format("{} element inet {} {} {{ ", verb, kTable, name);
  if (!elements.empty()) text += element_text(set, elements.begin()->first, elements.begin()->second);
  if (elements.size() > 1) text += fmt::format(", and {} more", elements.size() - 1);
  return text + " }";
}

struct Printer {
  std::string operator()(const AddChain& change) const {
    return fmt::format("add chain inet {} {}{}", kTable, change.name,
                       change.base ? fmt::format(" {{ {} }}", text_of(*change.base)) : "");
  }
  std::string operator()(const DeleteChain& change) const {
    return fmt::format("delete chain inet {} {}", kTable, change.name);
  }
  std::string operator()(const FlushChain& change) const {
    return fmt::format("flush chain inet {} {}", kTable, change.name);
  }
  std::string operator()(const AddRule& change) const {
    return fmt::format("add rule inet {} {} {}", kTable, change.chain, change.rule);
  }
  std::string operator()(const AddSet& change) const {
    return fmt::format("add {} inet {} {}", change.set.is_map() ? "map" : "set", kTable, change.name);
  }
  std::string operator()(const DeleteSet& change) const {
    return fmt::format("delete set inet {} {}", kTable, change.name);
  }
  std::string operator()(const AddElements& change) const {
    return elements_text("add", change.name, change.set, change.elements);
  }
  std::string operator()(const DeleteElements& change) const {
    return elements_text("delete", change.name, change.set, change.elements);
  }
};

}  // namespace

Elements::value_type range(const Cidr& cidr) {
  std::string last(reinterpret_cast<const char*>(cidr.address().bytes().data()), cidr.address().bytes().size());
  for (int bit = cidr.prefix(); bit < cidr.address().bits(); ++bit)
    last[size_t(bit) / 8] = char(last[size_t(bit) / 8] | 0x80 >> bit % 8);
  Tuple first = Tuple().ip(cidr.address());
  Value value;
  if (last != first.bytes()) value.last = Tuple::from_bytes(std::move(last));
  return {std::move(first), std::move(value)};
}

std::string render(const Section& section) {
  std::string text;
  for (const auto& [name, set] : section.sets) {
    const auto elements = section.elements.find(name);
    text += (text.empty() ? "" : "\n") +
            set_text(name, set, elements == section.elements.end() ? nullptr : &elements->second);
  }
  for (const auto& [name, chain] : section.chains) {
    text += fmt::format("{}\tchain {} {{\n", text.empty() ? "" : "\n", name);
    if (chain.base) text += fmt::format("\t\t{}\n", text_of(*chain.base));
    for (const auto& rule : chain.rules) text += fmt::format("\t\t{}\n", rule);
    text += "\t}\n";
  }
  return fmt::format("table inet {} {{\n{}}}\n", kTable, text);
}

std::string to_string(const Change& change) { return std::visit(Printer{}, change); }

bool belongs(std::string_view name, std::string_view section) {
  return name.size() > section.size() && name.starts_with(section) && name[section.size()] == '-';
}

}  // namespace causeway::nftables
