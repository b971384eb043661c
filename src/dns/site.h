// One server block of the Corefile, ready to answer, and the set of them. Immutable but for what its cache and
// forwarders keep: any thread may ask it.
#pragma once

#include <mutex>

#include "dns/answer.h"
#include "dns/cache.h"
#include "dns/forward.h"
#include "dns/hosts.h"
#include "dns/meter.h"
#include "dns/query_log.h"
#include "dns/rewrite.h"
#include "dns/template.h"

namespace causeway::dns {

// Who asks, and how.
struct Client {
  Endpoint from;
  Endpoint to;  // what it asked
  bool tcp = false;
};

// What the stages that need no waiting make of a question.
struct Step {
  enum class Next : uint8_t {
    Reply,    // it lies in the room
    Forward,  // `forwarder` shall be asked
    Follow,   // the room holds an alias; the records of `target` belong behind it
    Nobody,   // no stage answers: REFUSED
  };
  Next next = Next::Nobody;
  Stage stage = Stage::None;
  size_t size = 0;
  Rcode rcode = Rcode::NoError;
  bool prefetch = false;  // ask `forwarder` beside the reply
  Forwarder* forwarder = nullptr;
  WireName target;
};

class Site {
 public:
  // `filter`: the index of its kubernetes filter in Tables::set_filters(). `before`: the site of the same place in the
  // configuration before, whose cache and forwarders are kept where their lines are the same. On the loop's thread.
  // Errors: Invalid, with file and line.
  static Result<std::unique_ptr<Site>> make(Loop& loop, const ServerBlock& block, uint8_t filter,
                                            const std::vector<Ip>& addresses, std::shared_ptr<Meter> meter,
                                            const Site* before);

  // Stages in CoreDNS' order: template, hosts, kubernetes, cache, forward. `room` takes what is written, at most
  // `limit`.
  Step step(const Tables& tables, const Query& query, TimePoint now, uint32_t rotation, std::span<uint8_t> room,
            size_t limit) const;
  enum class Judgement : uint8_t { Pass, Block, Filter, Drop };
  Judgement judge(const Question& question, const Ip& from) const;
  // Whose own question this is (find_loops()).
  struct Looping {
    Forwarder* forwarder;
    size_t upstream;
  };
  std::optional<Looping> looping(const Question& question) const;
  // The forwarder that the name goes to; null: none.
  Forwarder* forwarder_for(NameView name) const;
  bool translates(const Query& query, const Client& client) const;  // dns64

  size_t most_udp() const { return block.bufsize.value_or(kUdpMost); }
  size_t hosts_entries() const;
  // Reads the hosts file again where it has changed.
  void reload_hosts() const;

  const ServerBlock block;
  std::unique_ptr<Rewriter> rewriter;
  std::optional<View> view;
  std::shared_ptr<Cache> cache;
  std::vector<std::shared_ptr<Forwarder>> forwarders;
  std::vector<QueryLog> logs;
  std::shared_ptr<Meter> meter;

 private:
  explicit Site(ServerBlock block) : block(std::move(block)) {}
  std::optional<Step> from_templates(const Query& query, std::span<uint8_t> room, size_t limit) const;
  std::optional<Step> from_hosts(const Query& query, std::span<uint8_t> room, size_t limit) const;

  std::vector<Template> templates_;
  struct AclZones {
    std::vector<WireName> zones;
  };
  std::vector<AclZones> acl_zones_;
  std::vector<WireName> hosts_zones_, hosts_fall_;
  struct ForwardZone {
    WireName zone;
    std::vector<WireName> except;
  };
  std::vector<ForwardZone> forward_zones_;  // as `forwarders`
  mutable std::mutex hosts_mutex_;
  mutable std::shared_ptr<const Hosts> hosts_;
  mutable std::string hosts_text_;
};

// Every site, by port and zone.
class Plan {
 public:
  void add(std::unique_ptr<Site> site);
  // The one with the longest zone that holds the name; null: none.
  const Site* find(uint16_t port, NameView name) const;
  const std::vector<std::unique_ptr<Site>>& sites() const { return sites_; }
  std::vector<uint16_t> ports() const;

 private:
  struct Key {
    uint16_t port;
    WireName zone;
    size_t labels;
    const Site* site;
  };
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<Key> keys_;  // more labels first
};

}  // namespace causeway::dns
