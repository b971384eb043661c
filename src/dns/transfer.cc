// AXFR: every record of a zone, object by object.
#include <set>

#include "dns/answer_parts.h"

namespace causeway::dns {

namespace {

std::vector<uint8_t> octets_of(NameView name) { return {name.bytes().begin(), name.bytes().end()}; }

}  // namespace

std::optional<Transfer> Transfer::begin(const Tables& tables, const View& view, const Query& query) {
  const auto is_one_of = [&](const std::vector<WireName>& zones) {
    return std::ranges::any_of(zones, [&](NameView zone) { return zone == query.question.name; });
  };
  const bool clusterset = is_one_of(view.clusterset_zones), reverse = is_one_of(view.reverse_zones);
  if (!tables.complete() || !(is_one_of(view.zones) || clusterset || reverse)) return std::nullopt;
  Transfer out(view, query, query.question.name);
  out.clusterset_ = clusterset;
  out.reverse_ = reverse && !view.zones.empty();
  const Kind wanted = clusterset ? Kind::Import : Kind::Service;
  tables.all([&](const Tables::Found& found) {
    if (found.entry.kind() == wanted && !(found.hidden >> view.filter & 1)) out.entries_.push_back(found.entry);
  });
  std::ranges::sort(out.entries_, [](const Entry& a, const Entry& b) {
    return std::pair(a.ns(), a.name()) < std::pair(b.ns(), b.name());
  });
  out.apex(tables);
  return out;
}

void Transfer::add(WireName owner, Type type, std::vector<uint8_t> data) {
  lines_.push_back({owner, type, std::move(data)});
}
void Transfer::add(WireName owner, std::span<const uint8_t> ip) {
  add(owner, ip.size() == 4 ? Type::A : Type::AAAA, {ip.begin(), ip.end()});
}
void Transfer::add_srv(WireName owner, uint16_t port, NameView target) {
  std::vector<uint8_t> data{0, 0, 0, 100, static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)};
  data.insert(data.end(), target.bytes().begin(), target.bytes().end());
  add(owner, Type::SRV, std::move(data));
}

void Transfer::apex(const Tables& tables) {
  WireName server = WireName::parse("ns.dns").value(), mailbox = WireName::parse("hostmaster").value();
  server.append(zone_);
  mailbox.append(zone_);
  soa_ = {zone_, Type::SOA, octets_of(server)};
  soa_.data.insert(soa_.data.end(), mailbox.bytes().begin(), mailbox.bytes().end());
  const Writer::Soa numbers{.serial = tables.serial(), .minimum = view_.ttl};
  for (const uint32_t number : {numbers.serial, numbers.refresh, numbers.retry, numbers.expire, numbers.minimum}) {
    soa_.data.resize(soa_.data.size() + 4);
    write32(soa_.data, soa_.data.size() - 4, number);
  }
  if (!reverse_) {
    for (const Ip& ip : view_.server_addresses) add(server, ip.bytes());
    WireName version = WireName::parse("dns-version").value();
    version.append(zone_);
    const std::string_view text = version_of(clusterset_);
    std::vector<uint8_t> data{static_cast<uint8_t>(text.size())};
    data.insert(data.end(), text.begin(), text.end());
    add(version, Type::TXT, std::move(data));
  }
  add(zone_, Type::NS, octets_of(server));
  lines_.push_back(soa_);
}

void Transfer::lines_of(const Entry& entry) {
  const WireName service = service_name(entry, zone_);
  if (entry.external_is_no_name()) return;
  if (const auto target = entry.external()) return add(service, Type::CNAME, octets_of(*target));
  if (!entry.headless() && view_.ignore_empty_services && entry.kind() == Kind::Service && entry.ends() == 0) return;
  const auto port_owner = [&](const Entry::Port& port) {
    WireName owner;
    owner.append(fmt::format("_{}", port.name));
    owner.append(fmt::format("_{}", cluster::to_string(port.protocol)));
    return owner.append(service) ? owner : WireName();
  };
  for (const Family family : {Family::V4, Family::V6}) {
    const auto own = entry.ips(family);
    const size_t each = family == Family::V4 ? 4 : 16;
    for (size_t at = 0; at < own.size(); at += each) add(service, own.subspan(at, each));
  }
  if (!entry.headless())
    for (size_t i = 0; i < entry.ports(); ++i)
      if (const Entry::Port port = entry.port(i); !port.name.empty()) add_srv(port_owner(port), port.number, service);
  if (view_.no_endpoints) return;
  std::set<std::vector<uint8_t>> said;
  const auto once = [&](NameView name, std::span<const uint8_t> more) {
    std::vector<uint8_t> key = octets_of(name);
    key.insert(key.end(), more.begin(), more.end());
    return said.insert(std::move(key)).second;
  };
  for (size_t end = 0; end < entry.ends(); ++end) {
    const auto name = below(EndName(view_, entry, end).wire(), service);
    if (!name) continue;
    if (once(*name, entry.end_ip(end))) add(*name, entry.end_ip(end));
    if (!entry.headless()) continue;
    if (once(service, entry.end_ip(end))) add(service, entry.end_ip(end));
    for (auto range = entry.end_ports(end); !range.empty(); ++range.first) {
      const Entry::Port port = entry.port(range.first);
      if (port.name.empty()) continue;
      const WireName owner = port_owner(port);
      const uint8_t number[] = {static_cast<uint8_t>(port.number >> 8), static_cast<uint8_t>(port.number)};
      std::vector<uint8_t> more = octets_of(*name);
      more.insert(more.end(), std::begin(number), std::end(number));
      if (once(owner, more)) add_srv(owner, port.number, *name);
    }
  }
}

void Transfer::pointer(std::span<const uint8_t> ip, NameView target) {
  WireName owner;
  for (size_t i = ip.size(); i-- > 0;) {
    if (ip.size() == 4) {
      owner.append(std::to_string(ip[i]));
      continue;
    }
    owner.append(fmt::format("{:x}", ip[i] & 0xF));
    owner.append(fmt::format("{:x}", ip[i] >> 4));
  }
  owner.append(WireName::parse(ip.size() == 4 ? "in-addr.arpa" : "ip6.arpa").value());
  if (owner.view().within(zone_)) add(owner, Type::PTR, octets_of(target));
}

void Transfer::pointers_of(const Entry& entry) {
  const WireName service = service_name(entry, view_.zones.front());
  for (const Family family : {Family::V4, Family::V6}) {
    const auto own = entry.ips(family);
    const size_t each = family == Family::V4 ? 4 : 16;
    for (size_t at = 0; at < own.size(); at += each) pointer(own.subspan(at, each), service);
  }
  if (view_.no_endpoints) return;
  for (size_t end = 0; end < entry.ends(); ++end)
    if (const auto name = below(EndName(view_, entry, end).wire(), service)) pointer(entry.end_ip(end), *name);
}

std::span<const uint8_t> Transfer::next(std::span<uint8_t> room) {
  if (done_) return {};
  Writer writer(room, kMostMessage);
  writer.reply(query_, Rcode::NoError, true);
  const size_t empty = writer.size();
  while (true) {
    if (lines_.empty() && next_entry_ < entries_.size()) {
      const Entry& entry = entries_[next_entry_++];
      reverse_ ? pointers_of(entry) : lines_of(entry);
      std::ranges::reverse(lines_);
      continue;
    }
    if (lines_.empty() && last_) {
      done_ = true;
      break;
    }
    if (lines_.empty()) {
      last_ = true;
      lines_.push_back(soa_);
    }
    constexpr size_t kOverhead = 10;
    const Line& line = lines_.back();
    if (writer.size() > empty && writer.left() < line.owner.size() + kOverhead + line.data.size()) break;
    writer.raw(line.owner, line.type, view_.ttl, line.data);
    lines_.pop_back();
  }
  return writer.finish();
}

}  // namespace causeway::dns
