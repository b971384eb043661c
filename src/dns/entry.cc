#include "dns/entry.h"

#include <algorithm>
#include <cstddef>
#include <map>

namespace causeway::dns {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::Service: return "service";
    case Kind::Import: return "serviceimport";
    case Kind::Namespace: return "namespace";
    case Kind::Pod: return "pod";
  }
  return "?";
}
std::string to_string(const Key& key) {
  return key.ns.empty() ? fmt::format("{} {}", to_string(key.kind), key.name)
                        : fmt::format("{} {}/{}", to_string(key.kind), key.ns, key.name);
}

namespace {

bool is_protocol(cluster::Protocol protocol) {
  return protocol == cluster::Protocol::Tcp || protocol == cluster::Protocol::Udp ||
         protocol == cluster::Protocol::Sctp;
}
bool is_label(std::string_view text) { return !text.empty() && text.size() <= kMostLabel; }

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(lower(static_cast<uint8_t>(c)));
  return out;
}
void add_label(std::string& to, std::string_view label) {
  to += static_cast<char>(label.size());
  to += lowered(label);
}
std::string_view view_of(std::span<const uint8_t> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// "host", or "host.cluster" of an Import, as labels; "" where they cannot be.
std::string wire_hostname(std::string_view text, Kind kind) {
  std::string out;
  const size_t dot = kind == Kind::Import ? text.find('.') : text.npos;
  if (!is_label(text.substr(0, dot))) return "";
  add_label(out, text.substr(0, dot));
  if (dot == text.npos) return out;
  if (!is_label(text.substr(dot + 1)) || text.find('.', dot + 1) != text.npos) return "";
  add_label(out, text.substr(dot + 1));
  return out;
}

}  // namespace

std::string encode_key(const Key& key) {
  std::string out;
  for (const std::string_view label : {key.name.view(), key.ns.view()}) {
    if (label.data() == key.ns.view().data() && key.kind == Kind::Namespace) continue;
    if (!is_label(label)) {
      // The name of a Pod may have more octets, and dots: it is no part of a domain name.
      if (key.kind != Kind::Pod || label.empty() || label.size() > 253) return "";
      out += static_cast<char>(label.size());
      out += lowered(label);
      continue;
    }
    add_label(out, label);
  }
  return out;
}

class Encoder {
 public:
  explicit Encoder(const Facts& facts) : facts_(facts) {}

  std::string run() {
    const std::string key = encode_key(facts_.key);
    if (key.empty()) return "";
    out_.resize(sizeof(Entry::Head));
    head_.kind = static_cast<uint8_t>(facts_.key.kind);
    head_.headless = facts_.headless;
    add_ends();
    head_.key = part(key);
    for (const Ip& ip : facts_.ips) (ip.is_v4() ? ips4_ : ips6_) += view_of(ip.bytes());
    head_.ips4 = part(ips4_);
    head_.ips6 = part(ips6_);
    if (!facts_.external.empty()) {
      const auto target =
          Ip::parse(facts_.external) ? fail(Errc::Invalid, "an address") : WireName::parse(facts_.external);
      if (target && !target->view().is_root())
        head_.external = part(view_of(target->bytes()));
      else
        head_.external_is_no_name = true;
    }
    add_ports();
    std::string labels;
    for (const auto& [label, value] : facts_.labels)
      for (const std::string& each : {label, value}) {
        const auto size = static_cast<uint16_t>(std::min<size_t>(each.size(), UINT16_MAX));
        labels.append(reinterpret_cast<const char*>(&size), sizeof size).append(each, 0, size);
      }
    head_.labels = part(labels);
    head_.text = part(text_);
    head_.size = static_cast<uint32_t>(out_.size());
    std::memcpy(out_.data(), &head_, sizeof head_);
    return std::move(out_);
  }

 private:
  Entry::Part part(std::string_view octets) {
    const Entry::Part at{static_cast<uint32_t>(out_.size()), static_cast<uint32_t>(octets.size())};
    out_ += octets;
    return at;
  }
  template <class T>
  Entry::Part part_of(const std::vector<T>& elements) {
    return part({reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T)});
  }
  // Equal texts once.
  uint32_t text(std::string_view octets) {
    const auto [it, fresh] = texts_.try_emplace(std::string(octets), static_cast<uint32_t>(text_.size()));
    if (fresh) {
      text_ += static_cast<char>(octets.size());
      text_ += octets;
    }
    return it->second;
  }

  void add_ends() {
    std::vector<Facts::End> ends;
    for (Facts::End end : facts_.ends) {
      end.hostname = wire_hostname(end.hostname, facts_.key.kind);
      end.pod = is_label(end.pod) ? lowered(end.pod) : "";
      ends.push_back(std::move(end));
    }
    const auto less = [](const Facts::End& a, const Facts::End& b) {
      return std::tie(a.ip, a.hostname, a.ports, a.pod) < std::tie(b.ip, b.hostname, b.ports, b.pod);
    };
    std::ranges::sort(ends, less);
    // Slices overlap while endpoints move: the same one twice is one (statement 4).
    const auto same = [](const Facts::End& a, const Facts::End& b) {
      return a.ip == b.ip && a.hostname == b.hostname && a.ports == b.ports;
    };
    ends.erase(std::ranges::unique(ends, same).begin(), ends.end());
    std::string addresses4, addresses6;
    std::vector<uint16_t> lists;
    std::vector<uint32_t> names, pods, by_name;
    std::map<std::vector<Facts::Port>, uint16_t> known;
    bool named = false, with_pods = false;
    for (size_t i = 0; i < ends.size(); ++i) {
      const Facts::End& end = ends[i];
      if (i > 0 && ends[i - 1].ip == end.ip) head_.repeats = 1;
      (end.ip.is_v4() ? addresses4 : addresses6) += view_of(end.ip.bytes());
      const auto [list, fresh] = known.try_emplace(end.ports, static_cast<uint16_t>(lists_.size()));
      if (fresh) lists_.push_back(end.ports);
      lists.push_back(list->second);
      names.push_back(end.hostname.empty() ? Entry::kNoName : text(end.hostname));
      pods.push_back(end.pod.empty() ? Entry::kNoName : text(end.pod));
      if (!end.hostname.empty()) by_name.push_back(static_cast<uint32_t>(i));
      named |= !end.hostname.empty();
      with_pods |= !end.pod.empty();
    }
    std::ranges::sort(by_name, {}, [&](uint32_t end) { return std::pair(std::string_view(ends[end].hostname), end); });
    head_.ends4 = part(addresses4);
    head_.ends6 = part(addresses6);
    if (lists_.size() > 1) head_.end_list = part_of(lists);
    if (named) {
      head_.end_name = part_of(names);
      head_.by_name = part_of(by_name);
    }
    if (with_pods) head_.end_pod = part_of(pods);
  }

  void add_ports() {
    std::vector<Entry::StoredPort> ports;
    std::vector<Entry::List> lists;
    const auto add = [&](const std::vector<Facts::Port>& from) {
      const size_t first = ports.size();
      for (const Facts::Port& port : from)
        if (port.name.size() <= kMostLabel && ports.size() < UINT16_MAX)
          ports.push_back({port.number, static_cast<uint8_t>(port.protocol), 0, text(lowered(port.name))});
      return Entry::List{static_cast<uint16_t>(first), static_cast<uint16_t>(ports.size() - first)};
    };
    head_.service_ports = add(facts_.ports).count;
    for (const auto& list : lists_) lists.push_back(add(list));
    head_.lists = static_cast<uint16_t>(lists.size());
    head_.ports = part_of(ports);
    head_.list = part_of(lists);
  }

  const Facts& facts_;
  Entry::Head head_{};
  std::string out_, text_, ips4_, ips6_;
  std::map<std::string, uint32_t> texts_;
  std::vector<std::vector<Facts::Port>> lists_;
};

std::string encode(const Facts& facts) { return Encoder(facts).run(); }

std::optional<Entry> Entry::parse(std::span<const uint8_t> bytes) {
  const Entry entry(bytes.data());
  return entry.sound(bytes.size()) ? std::optional(entry) : std::nullopt;
}

bool Entry::sound(size_t room) const {
  if (room < sizeof(Head)) return false;
  const auto head = number<Head>(0);
  if (head.size < sizeof(Head) || head.size > room || head.kind > static_cast<uint8_t>(Kind::Pod)) return false;
  for (const Part& part : {head.key, head.ips4, head.ips6, head.external, head.ports, head.list, head.ends4, head.ends6,
                           head.end_list, head.end_name, head.end_pod, head.by_name, head.text, head.labels})
    if (part.size && (part.at < sizeof(Head) || part.at > head.size || part.size > head.size - part.at)) return false;
  const size_t count = ends();
  const auto each = [](Part part, size_t size, size_t wanted) { return part.size == 0 || part.size == size * wanted; };
  if (head.ips4.size % 4 || head.ips6.size % 16 || head.ends4.size % 4 || head.ends6.size % 16 ||
      head.ports.size % sizeof(StoredPort) || head.list.size != head.lists * sizeof(List) ||
      head.ports.size / sizeof(StoredPort) < head.service_ports || !each(head.end_list, 2, count) ||
      !each(head.end_name, 4, count) || !each(head.end_pod, 4, count) || head.by_name.size % 4 ||
      (count && !head.lists) || (head.lists > 1 && count && !head.end_list.size))
    return false;
  const auto text_at = [&](uint32_t at, bool none) {
    if (at == kNoName) return none;
    return at < head.text.size && at + 1u + at_[head.text.at + at] <= head.text.size;
  };
  for (size_t i = 0; i < head.ports.size / sizeof(StoredPort); ++i)
    if (!text_at(element<StoredPort>(offsetof(Head, ports), i).name, false)) return false;
  for (size_t i = 0; i < head.lists; ++i) {
    const auto list = element<List>(offsetof(Head, list), i);
    if (size_t{list.first} + list.count > head.ports.size / sizeof(StoredPort)) return false;
  }
  for (size_t i = 0; i < head.end_list.size / 2; ++i)
    if (element<uint16_t>(offsetof(Head, end_list), i) >= head.lists) return false;
  for (size_t i = 0; i < head.end_name.size / 4; ++i)
    if (!text_at(element<uint32_t>(offsetof(Head, end_name), i), true)) return false;
  for (size_t i = 0; i < head.end_pod.size / 4; ++i)
    if (!text_at(element<uint32_t>(offsetof(Head, end_pod), i), true)) return false;
  for (size_t i = 0; i < head.by_name.size / 4; ++i) {
    const auto end = element<uint32_t>(offsetof(Head, by_name), i);
    if (end >= count || !head.end_name.size || element<uint32_t>(offsetof(Head, end_name), end) == kNoName)
      return false;
  }
  // Labels that fill their part: two of the key, those of hostnames.
  const auto labels_fill = [](std::span<const uint8_t> octets, size_t least, size_t most, size_t longest) {
    size_t labels = 0, at = 0;
    for (; at < octets.size(); ++labels) {
      if (octets[at] == 0 || octets[at] > longest) return false;
      at += 1u + octets[at];
    }
    return at == octets.size() && labels >= least && labels <= most;
  };
  const size_t wanted = kind() == Kind::Namespace ? 1 : 2;
  if (!labels_fill(key(), wanted, wanted, kind() == Kind::Pod ? 253 : kMostLabel)) return false;
  for (size_t i = 0; i < head.end_name.size / 4; ++i)
    if (element<uint32_t>(offsetof(Head, end_name), i) != kNoName && !labels_fill(end_name(i), 1, 2, kMostLabel))
      return false;
  for (size_t i = 0; i < head.end_pod.size / 4; ++i)
    if (end_pod(i).size() > kMostLabel) return false;
  for (size_t i = 0; i < head.ports.size / sizeof(StoredPort); ++i)
    if (const Port port = this->port(i); port.name.size() > kMostLabel || !is_protocol(port.protocol)) return false;
  if (head.external.size) {
    const auto name = NameView::parse(part(offsetof(Head, external)));
    if (!name || name->size() != head.external.size) return false;
  }
  const auto labels = part(offsetof(Head, labels));
  size_t at = 0, texts = 0;
  for (; at + 2 <= labels.size(); ++texts) at += 2u + number<uint16_t>(head.labels.at + at);
  return at == labels.size() && texts % 2 == 0;
}

std::string_view Entry::name() const {
  const auto key = this->key();
  return view_of(key.subspan(1, key[0]));
}
std::string_view Entry::ns() const {
  const auto key = this->key();
  const size_t at = kind() == Kind::Namespace ? 0 : 1u + key[0];
  return view_of(key.subspan(at + 1, key[at]));
}
std::optional<NameView> Entry::external() const {
  const auto octets = part(offsetof(Head, external));
  return octets.empty() ? std::nullopt : std::optional(NameView::trusted(octets.data()));
}
std::span<const uint8_t> Entry::text(uint32_t offset) const {
  const uint8_t* const at = at_ + number<Part>(offsetof(Head, text)).at + offset;
  return {at + 1, *at};
}
Entry::Port Entry::port(size_t index) const {
  const auto stored = element<StoredPort>(offsetof(Head, ports), index);
  return {stored.number, static_cast<cluster::Protocol>(stored.protocol), view_of(text(stored.name))};
}
std::span<const uint8_t> Entry::end_ip(size_t end) const {
  const size_t four = ends4();
  return end < four ? ends(Family::V4).subspan(end * 4, 4) : ends(Family::V6).subspan((end - four) * 16, 16);
}
Entry::Range Entry::end_ports(size_t end) const {
  const size_t which = part(offsetof(Head, end_list)).empty() ? 0 : element<uint16_t>(offsetof(Head, end_list), end);
  const auto list = element<List>(offsetof(Head, list), which);
  return {list.first, size_t{list.first} + list.count};
}
std::span<const uint8_t> Entry::end_name(size_t end) const {
  if (part(offsetof(Head, end_name)).empty()) return {};
  const auto at = element<uint32_t>(offsetof(Head, end_name), end);
  return at == kNoName ? std::span<const uint8_t>() : text(at);
}
std::string_view Entry::end_pod(size_t end) const {
  if (part(offsetof(Head, end_pod)).empty()) return "";
  const auto at = element<uint32_t>(offsetof(Head, end_pod), end);
  return at == kNoName ? std::string_view() : view_of(text(at));
}

namespace {
// [first, last) of 0..count for which compare(i) is 0; it grows with i.
template <class Compare>
Entry::Range equal_range(size_t count, Compare compare) {
  const auto bound = [&](int above) {
    size_t low = 0, high = count;
    while (low < high) {
      const size_t middle = (low + high) / 2;
      compare(middle) < above ? low = middle + 1 : high = middle;
    }
    return low;
  };
  return {bound(0), bound(1)};
}
int sign(std::strong_ordering order) { return order < 0 ? -1 : order > 0; }
}  // namespace

Entry::Range Entry::find(std::span<const uint8_t> ip) const {
  const auto all = ends(ip.size() == 4 ? Family::V4 : Family::V6);
  Range range = equal_range(all.size() / ip.size(),
                            [&](size_t i) { return std::memcmp(&all[i * ip.size()], ip.data(), ip.size()); });
  if (ip.size() == 16) range = {range.first + ends4(), range.last + ends4()};
  return range;
}
size_t Entry::named(size_t index) const { return element<uint32_t>(offsetof(Head, by_name), index); }
Entry::Range Entry::find_name(std::span<const uint8_t> name) const {
  return equal_range(part(offsetof(Head, by_name)).size() / 4,
                     [&](size_t i) { return sign(view_of(end_name(named(i))) <=> view_of(name)); });
}

std::vector<std::pair<std::string, std::string>> Entry::labels() const {
  std::vector<std::pair<std::string, std::string>> out;
  const auto octets = part(offsetof(Head, labels));
  const auto base = number<Part>(offsetof(Head, labels)).at;
  const auto next = [&](size_t& at) {
    const auto size = number<uint16_t>(base + at);
    at += 2u + size;
    return std::string(view_of(octets.subspan(at - size, size)));
  };
  for (size_t at = 0; at < octets.size();) {
    std::string key = next(at);
    out.emplace_back(std::move(key), next(at));
  }
  return out;
}

namespace {
Ip ip_of(std::span<const uint8_t> octets) {
  return octets.size() == 4 ? Ip::v4(std::span<const uint8_t, 4>(octets))
                            : Ip::v6(std::span<const uint8_t, 16>(octets));
}
}  // namespace

Facts Entry::decode() const {
  Facts out{.key = {kind(), kind() == Kind::Namespace ? "" : ns(), name()}, .headless = headless()};
  for (const Family family : {Family::V4, Family::V6}) {
    const auto addresses = ips(family);
    const size_t each = family == Family::V4 ? 4 : 16;
    for (size_t at = 0; at < addresses.size(); at += each) out.ips.push_back(ip_of(addresses.subspan(at, each)));
  }
  if (const auto target = external()) out.external = to_string(*target);
  const auto facts_port = [&](size_t index) {
    const Port port = this->port(index);
    return Facts::Port{std::string(port.name), port.protocol, port.number};
  };
  for (size_t i = 0; i < ports(); ++i) out.ports.push_back(facts_port(i));
  for (size_t end = 0; end < ends(); ++end) {
    Facts::End& each = out.ends.emplace_back(ip_of(end_ip(end)));
    const auto name = end_name(end);
    for (size_t at = 0; at < name.size(); at += 1u + name[at])
      (each.hostname += at ? "." : "") += view_of(name.subspan(at + 1, name[at]));
    each.pod = end_pod(end);
    for (Range range = end_ports(end); !range.empty(); ++range.first) each.ports.push_back(facts_port(range.first));
  }
  out.labels = labels();
  return out;
}

}  // namespace causeway::dns
