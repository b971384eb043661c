// The Corefile as values: the subset of CoreDNS' configuration that `causeway dns` takes. What it does not do it
// refuses, with file, line and what to do instead: a directive that is silently ignored would be worse than none.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ip.h"
#include "dns/corefile_lexer.h"

namespace causeway::dns {

// A zone or name as people write it, in lower case, with the dot at its end: "cluster.local.", "." is the root.
using ZoneText = std::string;
using Seconds = std::chrono::seconds;

// Zones whose names the next stage may answer where this one does not know them.
struct Fallthrough {
  bool on = false;
  std::vector<ZoneText> zones;  // empty: all
};

struct KubernetesDirective {
  Place place;
  std::vector<ZoneText> zones;
  std::vector<ZoneText> multicluster;                          // of the zones above, those of KEP-1645
  enum class Pods : uint8_t { Disabled, Insecure, Verified };  // names of Pods by their address
  Pods pods = Pods::Disabled;
  uint32_t ttl = 5;  // seconds, 0..3600
  bool endpoint_pod_names = false;
  std::vector<std::string> namespaces;  // empty: all
  std::string namespace_labels;         // a label selector; empty: all
  std::string labels;                   // of Services, the same
  bool ignore_empty_service = false;
  bool noendpoints = false;
  Fallthrough fallthrough;
};

struct UpstreamAddress {
  Endpoint endpoint;
  bool tls = false;
  std::string server_name;  // of tls://ADDRESS%NAME; empty: the directive's tls_servername, else the address
  auto operator<=>(const UpstreamAddress&) const = default;
};

struct ForwardDirective {
  enum class Policy : uint8_t { Fastest, RoundRobin, Sequential };  // CoreDNS' "random" is Fastest here

  Place place;
  ZoneText zone;
  std::vector<UpstreamAddress> upstreams;  // of a file: its nameservers
  std::vector<ZoneText> except;
  bool force_tcp = false;
  Policy policy = Policy::Fastest;
  std::chrono::milliseconds expire{10000};      // an idle connection is closed after it
  std::chrono::milliseconds health_check{500};  // between probes of an upstream that is down
  bool health_check_recursion = true;           // RD of these probes
  std::string health_check_domain = ".";
  uint32_t max_fails = 2;       // in a row, until an upstream is down; 0: never
  uint32_t max_concurrent = 0;  // queries under way for the directive; 0: no limit but each upstream's
  std::set<uint8_t> failover;   // rcodes that make another upstream try; SERVFAIL and REFUSED always do
  std::string tls_certificate, tls_key, tls_ca;  // files; empty: none, the system's CAs
  std::string tls_server_name;
  bool operator==(const ForwardDirective&) const = default;
};

struct CacheDirective {
  struct Kind {
    uint64_t entries = 9984;
    Seconds ttl{3600}, min_ttl{0};
    std::vector<ZoneText> disabled;  // zones
    bool all_disabled = false;
    bool operator==(const Kind&) const = default;
  };
  Place place;
  std::vector<ZoneText> zones;
  Kind success{}, denial{.ttl = Seconds(1800)};
  uint32_t prefetch = 0;  // hits within `prefetch_window` that make an entry be fetched before it ends; 0: never
  Seconds prefetch_window{60};
  int prefetch_percent = 10;  // of the TTL left
  Seconds serve_stale{3600};  // how long after its end an answer may stand in for one (RFC 8767); 0: never
  bool stale_verify = true;   // only where asking fails or takes long; else at once, and asked beside that
  Seconds servfail{5};
  bool operator==(const CacheDirective&) const = default;
};

struct HostsDirective {
  struct Line {
    Ip ip;
    std::vector<ZoneText> names;
  };
  Place place;
  std::string file;  // "": inline lines only
  std::vector<ZoneText> zones;
  std::vector<Line> lines;
  uint32_t ttl = 3600;
  bool reverse = true;
  std::chrono::milliseconds reload{5000};
  Fallthrough fallthrough;
};

struct RewriteRule {
  enum class Field : uint8_t { Name, Type, Class, Ttl };
  enum class Match : uint8_t { Exact, Prefix, Suffix, Substring, Regex };

  Place place;
  Field field = Field::Name;
  bool stop = true;  // no rule after the one that fits
  Match match = Match::Exact;
  std::string from, to;
  bool answer_auto = false;                     // owner names and values of answers are turned back
  std::string answer_from, answer_to;           // a pattern for owner names of answers and what it becomes
  std::string value_from, value_to;             // the same for names in their data
  uint32_t ttl_low = 0, ttl_high = UINT32_MAX;  // Field::Ttl
};

struct AclRule {
  enum class Action : uint8_t { Allow, Block, Filter, Drop };
  Place place;
  std::vector<ZoneText> zones;
  Action action = Action::Allow;
  std::set<uint16_t> types;   // empty: all
  std::vector<Cidr> sources;  // empty: all
};

struct LogRule {
  Place place;
  std::vector<ZoneText> zones;
  std::string format;  // "": CoreDNS' common format
  bool denial = false, failure = false, success = false, all = true;
};

struct TemplateDirective {
  Place place;
  uint16_t cls = 1;   // 255: any
  uint16_t type = 0;  // 255: any
  std::vector<ZoneText> zones;
  std::vector<std::string> match;  // regular expressions; none: every name
  std::vector<std::string> answer, additional, authority;
  uint8_t rcode = 0;
  Fallthrough fallthrough;
};

struct Dns64Directive {
  Place place;
  Cidr prefix;  // of 96 bits
  bool translate_all = false;
  bool allow_ipv4 = false;
};

// One server block. Stages run in CoreDNS' order, whatever the order in the file.
struct ServerBlock {
  struct Key {
    ZoneText zone;
    uint16_t port = 53;
    auto operator<=>(const Key&) const = default;
  };
  Place place;
  std::vector<Key> keys;

  bool errors = false;
  bool loadbalance = false;
  bool loop = false;
  std::optional<uint16_t> bufsize;  // octets of UDP answers, 512..4096
  std::optional<Dns64Directive> dns64;
  std::vector<LogRule> log;
  std::vector<AclRule> acl;
  std::optional<CacheDirective> cache;
  std::vector<RewriteRule> rewrite;
  std::vector<TemplateDirective> templates;
  std::optional<HostsDirective> hosts;
  std::optional<KubernetesDirective> kubernetes;
  std::vector<ForwardDirective> forward;
};

struct Corefile {
  std::vector<ServerBlock> blocks;
  // Of the whole process.
  std::string health, ready, prometheus;  // ADDRESS:PORT; empty: not asked for
  Seconds lameduck{0};
  std::optional<std::chrono::milliseconds> reload;  // how often the file is looked at; none: it is not read again
};

// `file` names the text in errors. Reads the files that the text names (imports, nameservers of a resolv.conf).
// Errors: Invalid, "FILE:LINE: what, and what to do".
Result<Corefile> parse_corefile(const std::string& text, const std::string& file);

}  // namespace causeway::dns
