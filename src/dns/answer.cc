#include "dns/answer.h"

#include <arpa/inet.h>

#include "dns/answer_parts.h"

namespace causeway::dns {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Answered: return "answered";
    case Outcome::NotOurs: return "not ours";
    case Outcome::FallsThrough: return "falls through";
    case Outcome::Follow: return "follow";
    case Outcome::NotLoaded: return "not loaded";
  }
  return "?";
}
std::string_view to_string(What what) {
  switch (what) {
    case What::Nothing: return "nothing";
    case What::Zone: return "zone";
    case What::Version: return "version";
    case What::NameServer: return "name server";
    case What::Service: return "service";
    case What::Headless: return "headless service";
    case What::Endpoint: return "endpoint";
    case What::Port: return "port";
    case What::ExternalName: return "external name";
    case What::Pod: return "pod";
    case What::Reverse: return "address";
    case What::Namespace: return "namespace";
  }
  return "?";
}

std::string_view version_of(bool clusterset) { return clusterset ? "1.0.0" : "1.1.0"; }

Ip ip_of(std::span<const uint8_t> octets) {
  return octets.size() == 4 ? Ip::v4(std::span<const uint8_t, 4>(octets))
                            : Ip::v6(std::span<const uint8_t, 16>(octets));
}

std::optional<Ip> parse_dashed(std::string_view label) {
  std::array<char, kMostLabel + 1> text{};
  if (label.size() > kMostLabel) return std::nullopt;
  std::ranges::copy(label, text.begin());
  const bool four = std::ranges::count(label, '-') == 3 && label.find("--") == label.npos;
  std::ranges::replace(text, '-', four ? '.' : ':');
  std::array<uint8_t, 16> octets;
  if (::inet_pton(four ? AF_INET : AF_INET6, text.data(), octets.data()) != 1) return std::nullopt;
  return four ? Ip::v4(std::span<const uint8_t, 4>(octets.data(), 4)) : Ip::v6(octets);
}

EndName::EndName(const View& view, const Entry& entry, size_t end) {
  const auto hostname = entry.end_name(end);
  if (!hostname.empty()) {
    size_ = std::min(hostname.size(), wire_.size());
    std::memcpy(wire_.data(), hostname.data(), size_);
    return;
  }
  std::array<char, INET6_ADDRSTRLEN + 1> text{};
  std::string_view label = view.endpoint_pod_names ? entry.end_pod(end) : std::string_view();
  if (label.empty()) {
    const auto ip = entry.end_ip(end);
    ::inet_ntop(ip.size() == 4 ? AF_INET : AF_INET6, ip.data(), text.data(), INET6_ADDRSTRLEN);
    size_t size = std::strlen(text.data());
    if (text[size - 1] == ':') text[size++] = '0';  // "fd00::" is fd00--0, as CoreDNS calls it
    std::ranges::replace_if(text, [](char c) { return c == '.' || c == ':'; }, '-');
    label = {text.data(), size};
  }
  wire_[0] = static_cast<uint8_t>(label.size());
  std::memcpy(&wire_[1], label.data(), label.size());
  size_ = label.size() + 1;
}

std::optional<WireName> below(std::span<const uint8_t> labels, NameView under) {
  WireName out;
  for (size_t at = 0; at < labels.size(); at += 1u + labels[at])
    if (!out.append(std::string_view(reinterpret_cast<const char*>(&labels[at + 1]), labels[at]))) return std::nullopt;
  return out.append(under) ? std::optional(out) : std::nullopt;
}

WireName service_name(const Entry& entry, NameView zone) {
  WireName out;
  if (auto name = below(entry.key(), NameView()); name && name->append("svc") && name->append(zone)) out = *name;
  return out;
}

bool Answering::find_zone() {
  const NameView name = name_;
  size_t longest = 0;
  const auto look = [&](const std::vector<WireName>& zones, ZoneKind kind) {
    for (const WireName& zone : zones)
      if (zone.size() > longest && name.within(zone)) {
        longest = zone.size();
        kind_ = kind;
      }
  };
  look(view_.zones, ZoneKind::Cluster);
  look(view_.clusterset_zones, ZoneKind::Clusterset);
  look(view_.reverse_zones, ZoneKind::Reverse);
  if (!longest) return false;
  size_t at = 0;
  while (at + longest < name.size() && count_ < kMostDepth) {
    labels_[count_++] = static_cast<uint8_t>(at);
    at += 1u + name.data()[at];
  }
  labels_[count_] = static_cast<uint8_t>(name.size() - longest);
  return true;
}

bool Answering::namespace_exists(std::string_view ns) const {
  const auto* at = reinterpret_cast<const uint8_t*>(ns.data()) - 1;  // its length
  const auto found = tables_.find(Kind::Namespace, {at, ns.size() + 1});
  return found && shown(*found);
}

void Answering::begin(What what) {
  out_.what = what;
  writer_.reply(query_, Rcode::NoError, true);
}

namespace {
template <class Write>
auto with_soa(NameView zone, const Tables& tables, const View& view, Write write) {
  static const WireName kPrimary = WireName::parse("ns.dns").value(), kMailbox = WireName::parse("hostmaster").value();
  WireName primary = kPrimary, mailbox = kMailbox;
  primary.append(zone);
  mailbox.append(zone);
  return write(Writer::Soa{.primary = primary, .mailbox = mailbox, .serial = tables.serial(), .minimum = view.ttl});
}
}  // namespace

// RFC 2308: the SOA says how long nothing is to be remembered; its TTL is not above its MINIMUM.
void Answering::negative(Rcode rcode) {
  writer_.reply(query_, rcode, true);
  writer_.section(Section::Authority);
  writer_.soa_of_question(kHeaderSize + labels_[count_], view_.ttl, tables_.serial());
  out_.rcode = rcode;
}

Answer Answering::run() {
  if (!find_zone()) return out_;
  out_.outcome = Outcome::Answered;
  if (!tables_.complete()) {
    out_.outcome = Outcome::NotLoaded;
    out_.rcode = Rcode::ServFail;
    writer_.reply(query_, Rcode::ServFail, false);
    return out_;
  }
  switch (judge()) {
    case Is::Written: break;
    case Is::NoData: negative(Rcode::NoError); break;
    case Is::Missing:
      out_.what = What::Nothing;
      if (view_.fall_through &&
          (view_.fall_through_zones.empty() ||
           std::ranges::any_of(view_.fall_through_zones, [&](NameView each) { return name_.view().within(each); }))) {
        out_.outcome = Outcome::FallsThrough;
        break;
      }
      negative(Rcode::NxDomain);
      break;
  }
  return out_;
}

Answering::Is Answering::judge() {
  if (count_ == 0) return apex();
  if (kind_ == ZoneKind::Reverse) return reverse();
  if (count_ > 5) return Is::Missing;  // no name is deeper
  const std::string_view kind = label(count_ - 1);
  if (kind == "svc") return service();
  if (kind == "dns-version") return version();
  if (kind == "dns") return name_server();
  if (kind == "pod" && kind_ == ZoneKind::Cluster) return pod_names();
  return Is::Missing;
}

Answering::Is Answering::apex() {
  out_.what = What::Zone;
  if (type() == Type::SOA) {
    begin(What::Zone);
    with_soa(zone(), tables_, view_, [&](const Writer::Soa& soa) { return writer_.soa(zone(), view_.ttl, soa); });
    return Is::Written;
  }
  if (type() != Type::NS) return Is::NoData;
  begin(What::Zone);
  WireName server = WireName::parse("ns.dns").value();
  server.append(zone());
  writer_.name(zone(), Type::NS, view_.ttl, server);
  writer_.section(Section::Additional);
  for (const Ip& ip : view_.server_addresses) writer_.address(server, view_.ttl, ip);
  return Is::Written;
}

Answering::Is Answering::name_server() {
  out_.what = What::NameServer;
  if (count_ == 1) return Is::NoData;
  if (count_ > 2 || label(0) != "ns") return Is::Missing;
  const auto fits = [&](const Ip& ip) { return for_addresses() && ip.family() == family(); };
  if (std::ranges::none_of(view_.server_addresses, fits)) return Is::NoData;
  begin(What::NameServer);
  for (const Ip& ip : view_.server_addresses)
    if (fits(ip)) writer_.address(query_.question.name, view_.ttl, ip);
  return Is::Written;
}

Answering::Is Answering::version() {
  out_.what = What::Version;
  if (count_ > 1) return Is::Missing;
  if (type() != Type::TXT) return Is::NoData;
  begin(What::Version);
  writer_.txt(query_.question.name, view_.ttl, version_of(kind_ == ZoneKind::Clusterset));
  return Is::Written;
}

Answering::Is Answering::pod_names() {
  if (count_ == 1) return out_.what = What::Zone, Is::NoData;
  const std::string_view ns = label(count_ - 2);
  if (view_.pods == PodMode::Disabled || count_ > 3 || !namespace_exists(ns)) return Is::Missing;
  out_.what = What::Namespace;
  if (count_ == 2) return Is::NoData;
  const auto ip = parse_dashed(label(0));
  if (!ip) return Is::Missing;
  if (view_.pods == PodMode::Verified) {
    bool lives = false;
    tables_.at(ip->bytes(), [&](const Tables::Found& found) {
      lives = found.entry.kind() == Kind::Pod && found.entry.ns() == ns;
      return !lives;
    });
    if (!lives) return Is::Missing;
  }
  out_.what = What::Pod;
  if (!for_addresses() || ip->family() != family()) return Is::NoData;
  begin(What::Pod);
  writer_.address(query_.question.name, view_.ttl, *ip);
  return Is::Written;
}

Answer answer(const Tables& tables, const View& view, const Query& query, Writer& writer, uint32_t rotation) {
  return Answering(tables, view, query, writer, rotation).run();
}

std::string pod_at(const Tables& tables, const Ip& ip) {
  std::string out;
  tables.at(ip.bytes(), [&](const Tables::Found& found) {
    if (found.entry.kind() == Kind::Pod) out = fmt::format("{}/{}", found.entry.ns(), found.entry.name());
    return out.empty();
  });
  return out;
}

}  // namespace causeway::dns
