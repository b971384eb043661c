// A question about the cluster's names: the reply, or who else shall answer it. Kubernetes DNS-based service discovery
// 1.1.0, multi-cluster DNS (KEP-1645), and what users rely on beyond them (docs/dns.md).
#pragma once

#include "dns/tables.h"
#include "dns/wire.h"

namespace causeway::dns {

// Names of Pods by their address, 10-1-0-5.default.pod.cluster.local (Corefile: pods).
enum class PodMode : uint8_t {
  Disabled,  // there are none
  Insecure,  // any address, in a namespace that exists
  Verified,  // that of a Pod of that namespace
};

// How one server shows the tables (one `kubernetes` block of the Corefile). Plain values; many may show one Tables.
struct View {
  std::vector<WireName> zones{WireName::parse("cluster.local").value()};
  std::vector<WireName> clusterset_zones;  // where ServiceImports are: clusterset.local
  std::vector<WireName> reverse_zones;     // in-addr.arpa and ip6.arpa, or parts of them
  uint32_t ttl = 5;                        // seconds, 0-3600, of every record and of what does not exist
  PodMode pods = PodMode::Disabled;
  bool endpoint_pod_names = false;           // endpoints without a hostname are called as their Pod
  bool ignore_empty_services = false;        // a Service without ready endpoints does not exist
  bool no_endpoints = false;                 // there are no endpoints: headless Services and their names do not exist
  bool fall_through = false;                 // what does not exist in one of these zones goes on
  std::vector<WireName> fall_through_zones;  // none: every zone
  uint8_t filter = 0;                        // which of the Tables' filters it has; without filters it hides nothing
  std::vector<Ip> server_addresses;          // of ns.dns.<zone>: where this DNS is asked
};

enum class Outcome : uint8_t {
  Answered,      // the writer holds the reply
  NotOurs,       // in none of the zones; nothing is written
  FallsThrough,  // does not exist here, and the view says to ask on; nothing is written
  Follow,        // the writer holds the alias (CNAME): the records of `target` shall follow it in the answer section
  NotLoaded,     // nothing is known yet: the reply is SERVFAIL
};
std::string_view to_string(Outcome outcome);

// What was found, for people (`causeway dns lookup`, query log).
enum class What : uint8_t {
  Nothing,
  Zone,
  Version,
  NameServer,
  Service,
  Headless,
  Endpoint,
  Port,
  ExternalName,
  Pod,
  Reverse,
  Namespace
};
std::string_view to_string(What what);

struct Answer {
  Outcome outcome = Outcome::NotOurs;
  What what = What::Nothing;
  Rcode rcode = Rcode::NoError;
  WireName target;  // Follow
};

// The reply to `query` (a Verdict of Answer) into `writer`, which is new. `rotation`: which address comes first, any
// number; the same number gives the same order. The caller finishes the writer. On a thread with a Reader.
Answer answer(const Tables& tables, const View& view, const Query& query, Writer& writer, uint32_t rotation = 0);

// All records of a zone for AXFR (RFC 5936), whose first and last is the SOA. Made and used on one thread with a
// Reader that is not quiet() meanwhile: what it lists is as it was at the beginning.
class Transfer {
 public:
  // nullopt: the name is no zone of the view, or the tables are not complete.
  static std::optional<Transfer> begin(const Tables& tables, const View& view, const Query& query);
  // The next message, in `room` (65,535 octets); empty: that was all.
  std::span<const uint8_t> next(std::span<uint8_t> room);

 private:
  struct Line {
    WireName owner;
    Type type;
    std::vector<uint8_t> data;  // names in it uncompressed
  };
  Transfer(const View& view, const Query& query, NameView zone) : view_(view), query_(query), zone_(zone) {}
  void apex(const Tables& tables);
  void add(WireName owner, Type type, std::vector<uint8_t> data);
  void add(WireName owner, std::span<const uint8_t> ip);
  void add_srv(WireName owner, uint16_t port, NameView target);
  void lines_of(const Entry& entry);
  void pointers_of(const Entry& entry);
  void pointer(std::span<const uint8_t> ip, NameView target);

  const View view_;
  const Query query_;
  WireName zone_;
  bool clusterset_ = false, reverse_ = false;
  std::vector<Entry> entries_;
  size_t next_entry_ = 0;
  std::vector<Line> lines_;  // those of an entry that are not written yet, the last one first
  bool last_ = false, done_ = false;
  Line soa_;
};

// The Pod that has the address, as far as the tables know Pods: "ns/name"; "" where unknown.
std::string pod_at(const Tables& tables, const Ip& ip);

}  // namespace causeway::dns
