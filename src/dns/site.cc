#include "dns/site.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

std::vector<WireName> names_of(const std::vector<ZoneText>& zones) {
  std::vector<WireName> names;
  for (const ZoneText& zone : zones)
    if (auto name = WireName::parse(zone)) names.push_back(*name);
  return names;
}
bool within_any(NameView name, const std::vector<WireName>& zones) {
  return std::ranges::any_of(zones, [&](const WireName& zone) { return name.within(zone); });
}

View view_of(const KubernetesDirective& directive, uint8_t filter, const std::vector<Ip>& addresses) {
  View view;
  view.zones.clear();
  static const WireName kV4 = WireName::parse("in-addr.arpa.").value(), kV6 = WireName::parse("ip6.arpa.").value();
  const auto multi = names_of(directive.multicluster);
  for (const WireName& zone : names_of(directive.zones)) {
    if (zone.view().within(kV4) || zone.view().within(kV6))
      view.reverse_zones.push_back(zone);
    else if (std::ranges::find(multi, zone) != multi.end())
      view.clusterset_zones.push_back(zone);
    else
      view.zones.push_back(zone);
  }
  view.ttl = directive.ttl;
  switch (directive.pods) {
    case KubernetesDirective::Pods::Disabled: view.pods = PodMode::Disabled; break;
    case KubernetesDirective::Pods::Insecure: view.pods = PodMode::Insecure; break;
    case KubernetesDirective::Pods::Verified: view.pods = PodMode::Verified; break;
  }
  view.endpoint_pod_names = directive.endpoint_pod_names;
  view.ignore_empty_services = directive.ignore_empty_service;
  view.no_endpoints = directive.noendpoints;
  view.fall_through = directive.fallthrough.on;
  view.fall_through_zones = names_of(directive.fallthrough.zones);
  view.filter = filter;
  view.server_addresses = addresses;
  return view;
}

Step reply_of(Stage stage, std::span<uint8_t> room, size_t size) {
  return {.next = Step::Next::Reply, .stage = stage, .size = size, .rcode = static_cast<Rcode>(room[3] & 0xF)};
}

}  // namespace

Result<std::unique_ptr<Site>> Site::make(Loop& loop, const ServerBlock& block, uint8_t filter,
                                         const std::vector<Ip>& addresses, std::shared_ptr<Meter> meter,
                                         const Site* before) {
  std::unique_ptr<Site> site(new Site(block));
  site->meter = std::move(meter);
  if (!block.rewrite.empty()) site->rewriter = std::make_unique<Rewriter>(block.rewrite);
  for (const TemplateDirective& directive : block.templates) site->templates_.push_back(TRY(Template::make(directive)));
  for (const LogRule& rule : block.log) site->logs.push_back(TRY(QueryLog::make(rule)));
  for (const AclRule& rule : block.acl) site->acl_zones_.push_back({names_of(rule.zones)});
  if (block.hosts) {
    site->hosts_zones_ = names_of(block.hosts->zones);
    site->hosts_fall_ = names_of(block.hosts->fallthrough.zones);
    if (!block.hosts->file.empty())
      site->hosts_text_ = TRY(read_file(block.hosts->file), "{}: hosts", to_string(block.hosts->place));
    site->hosts_ = Hosts::parse(*block.hosts, site->hosts_text_);
  }
  if (block.kubernetes) site->view = view_of(*block.kubernetes, filter, addresses);
  if (block.cache)
    site->cache = before != nullptr && before->cache && before->cache->options() == *block.cache
                      ? before->cache
                      : std::make_shared<Cache>(*block.cache);
  for (const ForwardDirective& directive : block.forward) {
    std::shared_ptr<Forwarder> forwarder;
    if (before != nullptr)
      for (const auto& old : before->forwarders)
        if (old->directive() == directive) forwarder = old;
    if (!forwarder) forwarder = std::shared_ptr<Forwarder>(TRY(Forwarder::make(loop, directive)));
    site->forwarders.push_back(std::move(forwarder));
    site->forward_zones_.push_back({TRY(WireName::parse(directive.zone)), names_of(directive.except)});
  }
  return site;
}

Site::Judgement Site::judge(const Question& question, const Ip& from) const {
  for (size_t i = 0; i < block.acl.size(); ++i) {
    const AclRule& rule = block.acl[i];
    if (!within_any(question.name, acl_zones_[i].zones)) continue;
    if (!rule.types.empty() && !rule.types.contains(static_cast<uint16_t>(question.type))) continue;
    if (!rule.sources.empty() &&
        std::ranges::none_of(rule.sources, [&](const Cidr& cidr) { return cidr.contains(from); }))
      continue;
    switch (rule.action) {
      case AclRule::Action::Allow: return Judgement::Pass;
      case AclRule::Action::Block: return Judgement::Block;
      case AclRule::Action::Filter: return Judgement::Filter;
      case AclRule::Action::Drop: return Judgement::Drop;
    }
  }
  return Judgement::Pass;
}

std::optional<Site::Looping> Site::looping(const Question& question) const {
  if (static_cast<uint16_t>(question.type) != 13 || !question.name.first().starts_with("l-")) return std::nullopt;
  for (const auto& forwarder : forwarders)
    for (size_t i = 0; i < forwarder->loop_names().size(); ++i)
      if (question.name == forwarder->loop_names()[i].view()) return Looping{forwarder.get(), i};
  return std::nullopt;
}

Forwarder* Site::forwarder_for(NameView name) const {
  Forwarder* best = nullptr;
  size_t labels = 0;
  for (size_t i = 0; i < forwarders.size(); ++i) {
    const NameView zone = forward_zones_[i].zone;
    if (!name.within(zone) || within_any(name, forward_zones_[i].except)) continue;
    if (best != nullptr && zone.labels() <= labels) continue;
    best = forwarders[i].get();
    labels = zone.labels();
  }
  return best;
}

bool Site::translates(const Query& query, const Client& client) const {
  return block.dns64 && query.question.type == Type::AAAA && query.question.cls == Class::In &&
         (client.from.ip.is_v6() || block.dns64->allow_ipv4) &&
         !(query.edns && query.edns->dnssec_ok && query.flags.has(Flags::kCheckingDisabled));  // RFC 6147 section 5.5
}

std::optional<Step> Site::from_templates(const Query& query, std::span<uint8_t> room, size_t limit) const {
  for (const Template& each : templates_) {
    Message message;
    std::string trouble;
    switch (each.answer(query.question, message, trouble)) {
      case Template::Fit::NotOurs:
      case Template::Fit::Falls: continue;
      case Template::Fit::NoSuch: message.rcode = Rcode::NxDomain; break;
      case Template::Fit::Answered: break;
      case Template::Fit::Failed:
        log::error("{}", trouble);
        message.records.clear();
        message.rcode = Rcode::ServFail;
        break;
    }
    return reply_of(Stage::Template, room, encode(message, query, room, limit));
  }
  return std::nullopt;
}

std::optional<Step> Site::from_hosts(const Query& query, std::span<uint8_t> room, size_t limit) const {
  if (!block.hosts || !within_any(query.question.name, hosts_zones_)) return std::nullopt;
  std::shared_ptr<const Hosts> hosts;
  {
    const std::lock_guard lock(hosts_mutex_);
    hosts = hosts_;
  }
  auto found = hosts->find(query.question.name, query.question.type);
  if (!found.known && block.hosts->fallthrough.on &&
      (hosts_fall_.empty() || within_any(query.question.name, hosts_fall_)))
    return std::nullopt;
  const Message message{.rcode = found.known ? Rcode::NoError : Rcode::NxDomain,
                        .authoritative = true,
                        .records = std::move(found.records)};
  return reply_of(Stage::Hosts, room, encode(message, query, room, limit));
}

Step Site::step(const Tables& tables, const Query& query, TimePoint now, uint32_t rotation, std::span<uint8_t> room,
                size_t limit) const {
  if (!templates_.empty())
    if (auto step = from_templates(query, room, limit)) return *step;
  if (block.hosts)
    if (auto step = from_hosts(query, room, limit)) return *step;
  if (view) {
    Writer writer(room, limit);
    const Answer found = answer(tables, *view, query, writer, block.loadbalance ? rotation : 0);
    switch (found.outcome) {
      case Outcome::Answered: return reply_of(Stage::Kubernetes, room, writer.finish().size());
      case Outcome::Follow:
        return {.next = Step::Next::Follow,
                .stage = Stage::Kubernetes,
                .size = writer.finish().size(),
                .target = found.target};
      case Outcome::NotLoaded: return reply_of(Stage::Kubernetes, room, empty_reply(query, Rcode::ServFail, room));
      case Outcome::NotOurs:
      case Outcome::FallsThrough: break;
    }
  }
  Forwarder* const forwarder = forwarder_for(query.question.name);
  if (forwarder == nullptr) return {};
  if (cache) {
    const auto found = cache->find(Asked::of(query), query, now, false, room, limit);
    if (found.state != Cache::State::Miss) {
      Step step = reply_of(Stage::Cache, room, found.size);
      step.prefetch = found.prefetch;
      step.forwarder = forwarder;
      return step;
    }
  }
  return {.next = Step::Next::Forward, .stage = Stage::Forward, .forwarder = forwarder};
}

size_t Site::hosts_entries() const {
  const std::lock_guard lock(hosts_mutex_);
  return hosts_ ? hosts_->entries() : 0;
}

void Site::reload_hosts() const {
  if (!block.hosts || block.hosts->file.empty()) return;
  auto text = read_file(block.hosts->file);
  if (!text)
    return log::warning("{}: hosts: {}; the names of before stay", to_string(block.hosts->place),
                        text.error().message());
  if (*text == hosts_text_) return;
  hosts_text_ = std::move(*text);
  auto hosts = Hosts::parse(*block.hosts, hosts_text_);
  const std::lock_guard lock(hosts_mutex_);
  hosts_ = std::move(hosts);
}

void Plan::add(std::unique_ptr<Site> site) {
  for (const auto& key : site->block.keys)
    if (auto zone = WireName::parse(key.zone)) keys_.push_back({key.port, *zone, zone->view().labels(), site.get()});
  std::ranges::sort(keys_, std::greater<>(), &Key::labels);
  sites_.push_back(std::move(site));
}

const Site* Plan::find(uint16_t port, NameView name) const {
  for (const Key& key : keys_)
    if (key.port == port && name.within(key.zone)) return key.site;
  return nullptr;
}

std::vector<uint16_t> Plan::ports() const {
  std::vector<uint16_t> ports;
  for (const Key& key : keys_)
    if (std::ranges::find(ports, key.port) == ports.end()) ports.push_back(key.port);
  std::ranges::sort(ports);
  return ports;
}

}  // namespace causeway::dns
