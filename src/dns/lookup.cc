// What a client would get for a name (`causeway dns lookup`): the search list, step by step.
#include <algorithm>

#include "dns/corefile_words.h"
#include "dns/nameserver.h"

namespace causeway::dns {

namespace {

constexpr long kNdots = 5;  // dnsPolicy ClusterFirst

struct Asker {
  std::string ns;
  Ip ip;
};

// The Pod "NAMESPACE/NAME" that the tables know.
std::optional<Asker> find_pod(const Tables& tables, const std::string& pod) {
  std::optional<Asker> found;
  tables.all([&](const Tables::Found& one) {
    if (one.entry.kind() != Kind::Pod) return;
    if (std::string(one.entry.ns()) + "/" + std::string(one.entry.name()) != pod) return;
    const auto v4 = one.entry.ips(Family::V4), v6 = one.entry.ips(Family::V6);
    if (v4.size() >= 4)
      found = Asker{std::string(one.entry.ns()), Ip::v4(v4.first<4>())};
    else if (v6.size() >= 16)
      found = Asker{std::string(one.entry.ns()), Ip::v6(v6.first<16>())};
  });
  return found;
}

std::string data_of(const Resource& record) {
  if (record.type == Type::A && record.data.size() == 4)
    return to_string(Ip::v4(std::span<const uint8_t, 4>(record.data.data(), 4)));
  if (record.type == Type::AAAA && record.data.size() == 16)
    return to_string(Ip::v6(std::span<const uint8_t, 16>(record.data.data(), 16)));
  if (record.type == Type::SRV && record.data.size() > 6)
    return fmt::format("{} {} {} {}", read16(record.data, 0), read16(record.data, 2), read16(record.data, 4),
                       record.target() ? to_string(*record.target()) : "?");
  if (record.type == Type::TXT && !record.data.empty())
    return "\"" + std::string(record.data.begin() + 1, record.data.end()) + "\"";
  if (const auto target = record.target()) return to_string(*target);
  return fmt::format("{} octets", record.data.size());
}

}  // namespace

Task<Result<std::string>> Nameserver::lookup(std::string name, std::string type, std::string pod) {
  std::vector<Type> types{Type::A, Type::AAAA};
  if (!type.empty()) {
    auto one = parse_type({.text = type, .place = {"--type", 1}});
    if (!one) co_return fail(Errc::Invalid, "\"{}\" is no record type: write it like A, AAAA or SRV", type);
    types = {static_cast<Type>(*one)};
  }
  if (auto wire = WireName::parse(name); !wire || name.empty())
    co_return fail(Errc::Invalid, "\"{}\" is no DNS name{}", name, wire ? "" : ": " + wire.error().message());
  std::string domain = "cluster.local.";
  for (const auto& site : server_->plan()->sites())
    if (site->view && !site->view->zones.empty()) {
      domain = to_string(site->view->zones.front());
      break;
    }
  Asker asker{.ns = "", .ip = Ip::v4(0x7F000001)};
  std::vector<std::string> names;
  std::string text;
  const bool absolute = name.ends_with('.');
  const std::string full = absolute ? name : name + ".";
  if (!pod.empty()) {
    const auto found = find_pod(tables_, pod.find('/') == std::string::npos ? "default/" + pod : pod);
    if (!found)
      co_return fail(Errc::NotFound, "there is no Pod {} with an address among the names of this node's DNS", pod);
    asker = *found;
  }
  if (!absolute && !pod.empty()) {
    for (const std::string& zone : {asker.ns + ".svc." + domain, "svc." + domain, domain}) names.push_back(full + zone);
    text += fmt::format("search {0}.svc.{1} svc.{1} {1}, ndots {2}\n", asker.ns, domain, kNdots);
    names.insert(std::ranges::count(name, '.') >= kNdots ? names.begin() : names.end(), full);
  } else {
    names.push_back(full);
  }
  for (const std::string& candidate : names) {
    const auto wire = WireName::parse(candidate);
    if (!wire) continue;  // a resolver leaves out what is too long
    bool found = false;
    for (const Type asked : types) {
      Bytes packet(kHeaderSize + wire->size() + 4 + 11);
      Writer writer(packet, packet.size());
      writer.ask(1, *wire, asked, kUdpMost);
      packet.resize(writer.finish().size());
      const Client client{.from = {asker.ip, 0}, .to = {Ip(), server_->plan()->ports().front()}, .tcp = true};
      const auto told = CO_TRY(co_await server_->ask(std::move(packet), client));
      const auto message = decode(told.reply);
      if (!message) {
        text += fmt::format("{} {}: no reply\n", candidate, to_string(asked));
        continue;
      }
      const auto stage = to_string(told.stage);
      text += fmt::format("{} {}: {}{}\n", candidate, to_string(asked), to_string(message->rcode),
                          stage.empty() ? "" : fmt::format(" from {}", stage));
      for (const Resource& record : message->records) {
        if (record.section != Section::Answer) continue;
        text += fmt::format("  {} {} {} {}\n", to_string(record.owner), record.ttl, to_string(record.type),
                            data_of(record));
        found = true;
      }
    }
    if (found) break;
  }
  co_return text;
}

}  // namespace causeway::dns
