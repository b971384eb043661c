#include "dns/nameserver.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

Result<Filter> filter_of(const KubernetesDirective& directive) {
  Filter filter;
  filter.namespaces.insert(directive.namespaces.begin(), directive.namespaces.end());
  const auto selector = [&](const std::string& text) -> Result<kube::Selector> {
    return TRY(kube::Selector::parse(text), "{}: kubernetes", to_string(directive.place));
  };
  filter.namespace_labels = TRY(selector(directive.namespace_labels));
  filter.labels = TRY(selector(directive.labels));
  return filter;
}

}  // namespace

std::string standard_corefile(const std::string& cluster_domain, const std::string& upstreams) {
  return fmt::format(R"(.:53 {{
    errors
    health
    ready
    kubernetes {} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus :9153
    forward . {}
    cache 30
    loop
    reload
    loadbalance
}}
)",
                     cluster_domain, upstreams);
}

Result<std::unique_ptr<Nameserver>> Nameserver::start(Loop& loop, NameserverOptions options, Tables& tables) {
  std::unique_ptr<Nameserver> self(new Nameserver(loop, std::move(options), tables));
  self->text_ = TRY(self->read());
  const std::string& file = self->options_.corefile;
  Corefile corefile = TRY(parse_corefile(self->text_, file.empty() ? "the built-in Corefile" : file));
  std::vector<Filter> filters;
  auto plan = TRY(self->make_plan(corefile, filters));
  tables.set_filters(std::move(filters));
  self->server_ = TRY(Server::start(loop, self->options_.server, tables, std::move(plan)));
  self->begin(corefile);
  return self;
}

Nameserver::~Nameserver() = default;

Result<std::string> Nameserver::read() const {
  if (options_.corefile.empty()) return options_.standard;
  return TRY(read_file(options_.corefile), "the Corefile");
}

Result<std::shared_ptr<Plan>> Nameserver::make_plan(const Corefile& corefile, std::vector<Filter>& filters) {
  auto plan = std::make_shared<Plan>();
  std::vector<Ip> addresses;
  for (const Ip& ip : options_.server.addresses)
    if (!ip.is_unspecified()) addresses.push_back(ip);
  for (size_t i = 0; i < corefile.blocks.size(); ++i) {
    const ServerBlock& block = corefile.blocks[i];
    uint8_t filter = 0;
    if (block.kubernetes) {
      Filter wanted = TRY(filter_of(*block.kubernetes));
      const auto known = std::ranges::find(filters, wanted);
      filter = static_cast<uint8_t>(known - filters.begin());
      if (known == filters.end()) filters.push_back(std::move(wanted));
      if (filters.size() > Tables::kMostFilters)
        return refuse(block.kubernetes->place, "kubernetes: more than {} different filters; use fewer",
                      Tables::kMostFilters);
    }
    const auto& key = block.keys.front();
    auto& meter = meters_[{fmt::format("dns://:{}", options_.server.port.value_or(key.port)), key.zone}];
    if (!meter) meter = std::make_shared<Meter>(Server::meter_slots(options_.server));
    const auto* before = server_ ? server_->plan().get() : nullptr;
    plan->add(TRY(Site::make(loop_, block, filter, addresses, meter,
                             before != nullptr && i < before->sites().size() ? before->sites()[i].get() : nullptr)));
  }
  return plan;
}

// After a plan is in use: what runs by the clock.
void Nameserver::begin(const Corefile& corefile) {
  corefile_ = corefile;
  hosts_timers_.clear();
  for (const auto& site : server_->plan()->sites()) {
    if (site->block.loop)
      for (const auto& forwarder : site->forwarders) forwarder->find_loops();
    if (site->block.hosts && !site->block.hosts->file.empty() && site->block.hosts->reload.count() > 0)
      look_at_hosts(site.get());
  }
  timer_.reset();
  if (corefile_.reload && !options_.corefile.empty())
    timer_ = loop_.call_after(*corefile_.reload, [this] { look_again(); });
}

void Nameserver::look_at_hosts(const Site* site) {
  const size_t index = hosts_timers_.size();
  hosts_timers_.push_back(nullptr);
  // The timer calls itself; a new plan forgets it together with the site.
  struct Again {
    Nameserver* self;
    const Site* site;
    size_t index;
    void operator()() const {
      site->reload_hosts();
      const Again again = *this;
      auto next = self->loop_.call_after(site->block.hosts->reload, again);
      self->hosts_timers_[index] = std::move(next);
    }
  };
  hosts_timers_[index] = loop_.call_after(site->block.hosts->reload, Again{this, site, index});
}

void Nameserver::look_again() {
  timer_ = loop_.call_after(*corefile_.reload, [this] { look_again(); });
  (void)reload();
}

Status Nameserver::reload() {
  const auto attempt = [&]() -> Status {
    std::string text = TRY(read());
    if (text == text_) return ok();
    if (text == bad_text_) return fail(Errc::Invalid, "{}", trouble_);
    bad_text_ = text;
    const Corefile corefile = TRY(parse_corefile(text, options_.corefile));
    std::vector<Filter> filters;
    auto plan = TRY(make_plan(corefile, filters));
    TRY(server_->use(std::move(plan)));
    tables_.set_filters(std::move(filters));
    text_ = std::move(text);
    bad_text_.clear();
    begin(corefile);
    ++reloads_;
    log::info("the Corefile has changed and is in use");
    return ok();
  };
  auto status = attempt();
  if (!status && status.error().message() != trouble_) {
    ++failed_reloads_;
    log::error("the Corefile has changed and cannot be used, so the one before stays: {}", status.error().message());
  }
  trouble_ = status ? "" : status.error().message();
  return status;
}

std::string Nameserver::not_ready() const {
  for (const auto& site : server_->plan()->sites())
    if (site->view && !tables_.complete()) return "kubernetes: no list of Services has come yet";
  return "";
}

std::vector<Metric> Nameserver::metrics() const {
  std::vector<Metric> all = Meter::metrics(meters_);
  const auto counter = [](std::string name, std::string help) {
    return Metric{.name = std::move(name), .help = std::move(help), .kind = MetricKind::Counter};
  };
  Metric hits = counter("coredns_cache_hits_total", "Answers from the cache");
  Metric misses = counter("coredns_cache_misses_total", "Questions that the cache had no answer to");
  Metric stale = counter("coredns_cache_served_stale_total", "Answers after their end (RFC 8767)");
  Metric prefetches = counter("coredns_cache_prefetch_total", "Entries fetched anew before their end");
  Metric evictions = counter("coredns_cache_evictions_total", "Entries that made room");
  Metric entries{.name = "coredns_cache_entries", .help = "Answers kept"};
  Metric octets{.name = "causeway_dns_cache_bytes", .help = "Octets that the cache takes"};
  Metric hosts{.name = "coredns_hosts_entries", .help = "Addresses of hosts files and lines"};
  for (const auto& site : server_->plan()->sites()) {
    const auto& key = site->block.keys.front();
    const std::string server = fmt::format("dns://:{}", options_.server.port.value_or(key.port));
    const auto labels = [&](std::string type = "") {
      std::map<std::string, std::string> map{{"server", server}, {"zones", key.zone}, {"view", ""}};
      if (!type.empty()) map["type"] = std::move(type);
      return map;
    };
    if (site->cache) {
      const auto counts = site->cache->counts();
      hits.samples.push_back({labels("success"), static_cast<double>(counts.success_hits)});
      hits.samples.push_back({labels("denial"), static_cast<double>(counts.denial_hits)});
      misses.samples.push_back({labels(), static_cast<double>(counts.misses)});
      stale.samples.push_back({labels(), static_cast<double>(counts.stale)});
      prefetches.samples.push_back({labels(), static_cast<double>(counts.prefetches)});
      evictions.samples.push_back({labels(), static_cast<double>(counts.evictions)});
      entries.samples.push_back({labels("success"), static_cast<double>(counts.success_entries)});
      entries.samples.push_back({labels("denial"), static_cast<double>(counts.denial_entries)});
      octets.samples.push_back({labels(), static_cast<double>(counts.octets)});
    }
    if (site->block.hosts) hosts.samples.push_back({labels(), static_cast<double>(site->hosts_entries())});
    // One family of metrics for all forwarders.
    for (const auto& forwarder : site->forwarders)
      for (Metric& metric : forwarder->metrics()) {
        const auto same = std::ranges::find(all, metric.name, &Metric::name);
        if (same == all.end())
          all.push_back(std::move(metric));
        else
          std::ranges::move(metric.samples, std::back_inserter(same->samples));
      }
  }
  for (Metric* metric : {&hits, &misses, &stale, &prefetches, &evictions, &entries, &octets, &hosts})
    if (!metric->samples.empty()) all.push_back(std::move(*metric));
  Metric failed = counter("coredns_reload_failed_total", "Corefiles that could not be used");
  failed.samples.push_back({{}, static_cast<double>(failed_reloads_)});
  Metric reloaded = counter("causeway_dns_reloads_total", "Corefiles that came into use after the first");
  reloaded.samples.push_back({{}, static_cast<double>(reloads_)});
  Metric waiting{.name = "causeway_dns_under_way", .help = "Questions that wait for upstreams"};
  waiting.samples.push_back({{}, static_cast<double>(server_->under_way())});
  Metric connections{.name = "causeway_dns_tcp_connections", .help = "TCP connections of clients"};
  connections.samples.push_back({{}, static_cast<double>(server_->tcp_connections())});
  for (Metric* metric : {&failed, &reloaded, &waiting, &connections}) all.push_back(std::move(*metric));
  return all;
}

std::string Nameserver::page() const {
  std::string text = fmt::format("names: {} objects, {} addresses, serial {}{}\n", tables_.objects(),
                                 tables_.addresses(), tables_.serial(), tables_.complete() ? "" : ", not complete");
  text +=
      fmt::format("waiting for upstreams: {}; TCP connections: {}\n", server_->under_way(), server_->tcp_connections());
  if (!trouble_.empty()) text += fmt::format("the Corefile on disk is not in use: {}\n", trouble_);
  for (const auto& site : server_->plan()->sites()) {
    std::string zones;
    for (const auto& key : site->block.keys)
      zones += fmt::format("{}{}:{}", zones.empty() ? "" : " ", key.zone, key.port);
    text += fmt::format("{} ({})\n", zones, to_string(site->block.place));
    if (site->cache) {
      const auto counts = site->cache->counts();
      text += fmt::format("  cache: {} answers, {} denials, {} octets; hits {}, misses {}, stale {}, evicted {}\n",
                          counts.success_entries, counts.denial_entries, counts.octets,
                          counts.success_hits + counts.denial_hits, counts.misses, counts.stale, counts.evictions);
    }
    for (const auto& forwarder : site->forwarders) text += "  " + forwarder->page();
  }
  return text;
}

}  // namespace causeway::dns
