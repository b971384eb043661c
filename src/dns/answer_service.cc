// Names of Services, their ports and their endpoints.
#include "dns/answer_parts.h"

namespace causeway::dns {

Answering::Is Answering::service() {
  if (count_ == 1) return out_.what = What::Zone, Is::NoData;
  if (count_ == 2) {
    out_.what = What::Namespace;
    return namespace_exists(label(0)) ? Is::NoData : Is::Missing;
  }
  const auto found =
      tables_.find(kind_ == ZoneKind::Clusterset ? Kind::Import : Kind::Service, octets(count_ - 3, count_ - 1));
  if (!found || !shown(*found)) return Is::Missing;
  const Entry entry = found->entry;
  const size_t deeper = count_ - 3;
  if (entry.external() || entry.external_is_no_name()) return deeper ? Is::Missing : external(entry);
  const bool ends = entry.ends() > 0 && !view_.no_endpoints;
  if (view_.ignore_empty_services && !entry.headless() && entry.kind() == Kind::Service && entry.ends() == 0)
    return Is::Missing;
  if (entry.headless() ? !ends : entry.ips(Family::V4).empty() && entry.ips(Family::V6).empty()) return Is::Missing;
  if (deeper == 0) return whole(entry);
  const bool underscore = label(deeper - 1).starts_with('_');
  if (deeper == 1 && underscore) return protocol(entry);
  if (deeper == 2 && underscore) return label(0).starts_with('_') ? port(entry) : Is::Missing;
  if (!ends) return Is::Missing;
  if (deeper == 1 && entry.kind() == Kind::Import) {
    const Is is = clusters(entry, octets(0, 1));
    return is == Is::Missing ? endpoint(entry, octets(0, 1)) : is;
  }
  if (deeper == 1 || entry.kind() == Kind::Import) return endpoint(entry, octets(0, deeper));
  return Is::Missing;
}

Answering::Is Answering::external(const Entry& entry) {
  const auto target = entry.external();
  if (!target) return Is::Missing;  // an address is nobody's alias
  begin(What::ExternalName);
  writer_.name(query_.question.name, Type::CNAME, view_.ttl, *target);
  if (type() == Type::CNAME || type() == Type::ANY) return Is::Written;
  out_.outcome = Outcome::Follow;
  out_.target = *target;
  return Is::Written;
}

// Addresses whose owner is the question's name. `repeats`: some are there twice, side by side.
Answering::Is Answering::addresses(std::span<const uint8_t> octets, bool repeats) {
  if (octets.empty()) return Is::NoData;
  const size_t each = family() == Family::V4 ? 4 : 16;
  begin(out_.what);
  if (!repeats) {
    writer_.addresses_of_question(octets, each, view_.ttl, rotation_);
    return Is::Written;
  }
  for (size_t at = 0; at < octets.size() && !writer_.truncated(); at += each)
    if (at == 0 || std::memcmp(&octets[at - each], &octets[at], each) != 0)
      writer_.address(query_.question.name, view_.ttl, ip_of(octets.subspan(at, each)));
  return Is::Written;
}

Answering::Is Answering::whole(const Entry& entry) {
  out_.what = entry.headless() ? What::Headless : What::Service;
  if (type() == Type::SRV) return ports(entry, [](const Entry::Port&) { return true; });
  if (!for_addresses()) return Is::NoData;
  return entry.headless() ? addresses(entry.ends(family()), entry.repeats()) : addresses(entry.ips(family()), false);
}

namespace {
template <class Matches>
bool any_port(const Entry& entry, Matches matches) {
  if (!entry.headless()) {
    for (size_t i = 0; i < entry.ports(); ++i)
      if (matches(entry.port(i))) return true;
    return false;
  }
  for (size_t end = 0; end < entry.ends(); ++end)
    for (auto range = entry.end_ports(end); !range.empty(); ++range.first)
      if (matches(entry.port(range.first))) return true;
  return false;
}
bool is_protocol(std::string_view label, cluster::Protocol protocol) {
  return label.substr(1) == cluster::to_string(protocol);
}
}  // namespace

// "_tcp.web...": there are names below it, so it exists (RFC 8020).
Answering::Is Answering::protocol(const Entry& entry) {
  out_.what = What::Port;
  return any_port(entry,
                  [&](const Entry::Port& port) { return !port.name.empty() && is_protocol(label(0), port.protocol); })
             ? Is::NoData
             : Is::Missing;
}

Answering::Is Answering::port(const Entry& entry) {
  out_.what = What::Port;
  const std::string_view name = label(0).substr(1);
  if (name.empty()) return Is::Missing;
  const auto matches = [&](const Entry::Port& port) {
    return port.name == name && is_protocol(label(1), port.protocol);
  };
  if (!any_port(entry, matches)) return Is::Missing;
  return ports(entry, matches);
}

template <class Matches>
Answering::Is Answering::ports(const Entry& entry, Matches matches) {
  if (for_addresses() && !entry.headless()) return addresses(entry.ips(family()), false);
  if (for_addresses()) {
    // Only endpoints that have the port.
    bool any = false;
    for (size_t end = 0; end < entry.ends(); ++end) {
      if (entry.end_family(end) != family()) continue;
      auto range = entry.end_ports(end);
      while (!range.empty() && !matches(entry.port(range.first))) ++range.first;
      if (range.empty()) continue;
      if (!any) begin(out_.what);
      any = true;
      if (end == 0 || entry.end_family(end - 1) != family() ||
          !std::ranges::equal(entry.end_ip(end - 1), entry.end_ip(end)))
        writer_.address(query_.question.name, view_.ttl, ip_of(entry.end_ip(end)));
    }
    return any ? Is::Written : Is::NoData;
  }
  if (type() != Type::SRV || !any_port(entry, matches)) return Is::NoData;
  begin(out_.what);
  if (entry.headless())
    write_end_ports(entry, matches);
  else
    write_service_ports(entry, matches);
  return Is::Written;
}

namespace {
// All alike; as CoreDNS, so that what reads weights sees no difference.
uint16_t weight_of(size_t records) { return static_cast<uint16_t>(std::max<size_t>(1, 100 / records)); }
}  // namespace

template <class Matches>
void Answering::write_service_ports(const Entry& entry, Matches matches) {
  const NameView target = from(count_ - 3);
  size_t count = 0;
  for (size_t i = 0; i < entry.ports(); ++i) count += matches(entry.port(i));
  const auto v4 = entry.ips(Family::V4), v6 = entry.ips(Family::V6);
  const uint16_t weight = weight_of(count * (v4.size() / 4 + v6.size() / 16));
  for (size_t i = 0; i < entry.ports(); ++i)
    if (matches(entry.port(i))) writer_.srv(query_.question.name, view_.ttl, 0, weight, entry.port(i).number, target);
  writer_.section(Section::Additional);
  for (size_t at = 0; at < v4.size(); at += 4) writer_.address(target, view_.ttl, ip_of(v4.subspan(at, 4)));
  for (size_t at = 0; at < v6.size(); at += 16) writer_.address(target, view_.ttl, ip_of(v6.subspan(at, 16)));
}

// Whether an endpoint before this one has the same name, and this port: one SRV is enough for two families.
bool Answering::said_before(const Entry& entry, size_t end, const Entry::Port& port) const {
  const auto has_port = [&](size_t other) {
    for (auto range = entry.end_ports(other); !range.empty(); ++range.first) {
      const Entry::Port each = entry.port(range.first);
      if (each.number == port.number) return true;
    }
    return false;
  };
  if (const auto name = entry.end_name(end); !name.empty()) {
    for (auto range = entry.find_name(name); !range.empty() && entry.named(range.first) < end; ++range.first)
      if (has_port(entry.named(range.first))) return true;
    return false;
  }
  if (end > 0 && std::ranges::equal(entry.end_ip(end - 1), entry.end_ip(end)) && entry.end_name(end - 1).empty() &&
      has_port(end - 1))
    return true;
  constexpr size_t kMostPods = 1000;  // a search for each would take its square of them
  const std::string_view pod = view_.endpoint_pod_names ? entry.end_pod(end) : std::string_view();
  if (pod.empty() || entry.ends() > kMostPods) return false;
  for (size_t other = 0; other < end; ++other)
    if (entry.end_name(other).empty() && entry.end_pod(other) == pod && has_port(other)) return true;
  return false;
}

template <class Matches>
void Answering::write_end_ports(const Entry& entry, Matches matches) {
  const NameView service = from(count_ - 3);
  size_t count = 0;
  const auto each = [&](auto write) {
    for (size_t end = 0; end < entry.ends() && !writer_.truncated(); ++end)
      for (auto range = entry.end_ports(end); !range.empty(); ++range.first)
        if (const Entry::Port port = entry.port(range.first); matches(port)) write(end, port);
  };
  each([&](size_t, const Entry::Port&) { ++count; });
  const uint16_t weight = weight_of(count);
  each([&](size_t end, const Entry::Port& port) {
    if (said_before(entry, end, port)) return;
    if (const auto target = below(EndName(view_, entry, end).wire(), service))
      writer_.srv(query_.question.name, view_.ttl, 0, weight, port.number, *target);
  });
  writer_.section(Section::Additional);
  size_t last = entry.ends();
  each([&](size_t end, const Entry::Port&) {
    if (end == last) return;
    last = end;
    if (const auto target = below(EndName(view_, entry, end).wire(), service))
      writer_.address(*target, view_.ttl, ip_of(entry.end_ip(end)));
  });
}

// "<cluster>.web.default.svc.clusterset.local" is above names of endpoints, and selects nothing (KEP-1645).
Answering::Is Answering::clusters(const Entry& entry, std::span<const uint8_t> label) {
  for (size_t end = 0; end < entry.ends(); ++end) {
    const auto name = entry.end_name(end);
    if (name.size() > label.size() && name.size() == 1u + name[0] + label.size() &&
        std::ranges::equal(name.last(label.size()), label))
      return out_.what = What::Endpoint, Is::NoData;
  }
  return Is::Missing;
}

Answering::Is Answering::endpoint(const Entry& entry, std::span<const uint8_t> labels) {
  std::array<size_t, 512> found;
  size_t count = 0;
  const auto add = [&](size_t end) {
    if (count < found.size()) found[count++] = end;
  };
  for (auto range = entry.find_name(labels); !range.empty(); ++range.first) add(entry.named(range.first));
  const auto called = [&](size_t end) { return std::ranges::equal(EndName(view_, entry, end).wire(), labels); };
  if (labels.size() == 1u + labels[0]) {
    const std::string_view label(reinterpret_cast<const char*>(&labels[1]), labels[0]);
    if (const auto ip = parse_dashed(label))
      for (auto range = entry.find(ip->bytes()); !range.empty(); ++range.first)
        if (entry.end_name(range.first).empty() && called(range.first)) add(range.first);
    if (view_.endpoint_pod_names)
      for (size_t end = 0; end < entry.ends(); ++end)
        if (entry.end_name(end).empty() && entry.end_pod(end) == label) add(end);
  }
  if (count == 0) return Is::Missing;
  out_.what = What::Endpoint;
  const std::span<const size_t> ends(found.data(), count);
  if (for_addresses()) return end_addresses(entry, ends);
  if (type() != Type::SRV) return Is::NoData;
  size_t records = 0;
  for (const size_t end : ends) records += entry.end_ports(end).last - entry.end_ports(end).first;
  if (records == 0) return Is::NoData;
  begin(What::Endpoint);
  for (const size_t end : ends)
    for (auto range = entry.end_ports(end); !range.empty(); ++range.first) {
      const Entry::Port port = entry.port(range.first);
      if (!said_before(entry, end, port))
        writer_.srv(query_.question.name, view_.ttl, 0, weight_of(records), port.number, from(0));
    }
  writer_.section(Section::Additional);
  for (const size_t end : ends) writer_.address(from(0), view_.ttl, ip_of(entry.end_ip(end)));
  return Is::Written;
}

Answering::Is Answering::end_addresses(const Entry& entry, std::span<const size_t> ends) {
  bool any = false;
  std::span<const uint8_t> last;
  for (const size_t end : ends) {
    const auto ip = entry.end_ip(end);
    if (entry.end_family(end) != family() || std::ranges::equal(ip, last)) continue;
    last = ip;
    if (!any) begin(What::Endpoint);
    any = true;
    writer_.address(query_.question.name, view_.ttl, ip_of(ip));
  }
  return any ? Is::Written : Is::NoData;
}

}  // namespace causeway::dns
