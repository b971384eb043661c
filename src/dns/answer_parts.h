// The parts of answer(). Only for the files of this folder.
#pragma once

#include "dns/answer.h"

namespace causeway::dns {

// The name of an endpoint below its Service, as the view calls it: one label, or two of an Import.
class EndName {
 public:
  EndName(const View& view, const Entry& entry, size_t end);
  // In wire form without a root: "\5web-0", "\x0810-1-0-5".
  std::span<const uint8_t> wire() const { return {wire_.data(), size_}; }

 private:
  std::array<uint8_t, 2 * (kMostLabel + 1)> wire_;
  size_t size_ = 0;
};
// `under`, which begins with `labels`; nullopt: above 255 octets.
std::optional<WireName> below(std::span<const uint8_t> labels, NameView under);
// "\3web\7default", then "svc" and the zone.
WireName service_name(const Entry& entry, NameView zone);
Ip ip_of(std::span<const uint8_t> octets);
// "10-1-0-5" or "fd00--1", as endpoints and Pods are called by their addresses.
std::optional<Ip> parse_dashed(std::string_view label);
std::string_view version_of(bool clusterset);  // of the specification

// One question on its way.
class Answering {
 public:
  Answering(const Tables& tables, const View& view, const Query& query, Writer& writer, uint32_t rotation)
      : tables_(tables), view_(view), query_(query), writer_(writer), rotation_(rotation), name_(query.question.name) {
    name_.to_lower();
  }
  Answer run();

 private:
  enum class Is : uint8_t { Written, NoData, Missing };
  enum class ZoneKind : uint8_t { Cluster, Clusterset, Reverse };

  bool find_zone();
  Is judge();
  Is apex();
  Is name_server();
  Is version();
  Is pod_names();
  Is service();
  Is reverse();

  Is external(const Entry& entry);
  Is whole(const Entry& entry);
  Is port(const Entry& entry);
  Is protocol(const Entry& entry);
  Is endpoint(const Entry& entry, std::span<const uint8_t> labels);
  Is clusters(const Entry& entry, std::span<const uint8_t> label);
  // Records of ports, or the addresses behind them. `matches(port)`.
  template <class Matches>
  Is ports(const Entry& entry, Matches matches);
  template <class Matches>
  void write_service_ports(const Entry& entry, Matches matches);
  template <class Matches>
  void write_end_ports(const Entry& entry, Matches matches);
  bool said_before(const Entry& entry, size_t end, const Entry::Port& port) const;
  Is addresses(std::span<const uint8_t> octets, bool repeats);
  Is end_addresses(const Entry& entry, std::span<const size_t> ends);
  void negative(Rcode rcode);
  void begin(What what);
  bool add_pointer(const Entry& entry, std::span<const uint8_t> ip);

  Type type() const { return query_.question.type; }
  bool for_addresses() const { return type() == Type::A || type() == Type::AAAA; }
  Family family() const { return type() == Type::A ? Family::V4 : Family::V6; }
  bool shown(const Tables::Found& found) const { return !(found.hidden >> view_.filter & 1); }
  bool namespace_exists(std::string_view ns) const;
  // Labels in front of the zone, from the left.
  std::string_view label(size_t index) const {
    const uint8_t* const at = name_.bytes().data() + labels_[index];
    return {reinterpret_cast<const char*>(at) + 1, *at};
  }
  std::span<const uint8_t> octets(size_t from, size_t to) const {
    return name_.bytes().subspan(labels_[from], labels_[to] - labels_[from]);
  }
  // The zone, or the name from a label on, as it stands in the question: it can be pointed to.
  NameView zone() const { return NameView::trusted(query_.question.name.data() + labels_[count_]); }
  NameView from(size_t index) const { return NameView::trusted(query_.question.name.data() + labels_[index]); }

  static constexpr size_t kMostDepth = 34;  // labels in front of a zone: those of an IPv6 address, and more

  const Tables& tables_;
  const View& view_;
  const Query& query_;
  Writer& writer_;
  const uint32_t rotation_;
  WireName name_;  // lower-cased
  ZoneKind kind_ = ZoneKind::Cluster;
  std::array<uint8_t, kMostDepth + 1> labels_;  // offsets; the last is the zone's
  size_t count_ = 0;                            // labels in front of the zone; kMostDepth: too many
  Answer out_;
};

}  // namespace causeway::dns
