// The fabric's section of the table `inet causeway`: is a packet of a Pod the Pod's own, does VXLAN come from a known
// node, and what leaves with the node's address. A constant number of rules; sets carry the rows.
#pragma once

#include "fabric/desired.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/nftables.h"

namespace causeway::fabric {

// Which rows of a former life may go: their source has told all it knows.
struct Synced {
  bool nodes = false, attachments = false;
};

// Whether this kernel does what the plane needs of nf_tables: connection tracking and address translation. Nothing of
// it stays.
Status probe_nat(nftables::Nftables& door);

// Pure: the whole section.
nftables::Section section_of(const Tables& tables, const Options& options);

class Ruleset {
 public:
  Ruleset(nftables::Nftables& door, Options options) : door_(door), options_(std::move(options)) {}

  // Brings the kernel's section, whatever it is, to the rows; returns how much was written. The rows are clean then.
  Result<uint64_t> observe_and_apply(Desired& desired, Synced synced);
  // The dirty rows only. On an error look again (observe_and_apply).
  Result<uint64_t> apply(Desired& desired);

 private:
  nftables::Nftables& door_;
  Options options_;
  // What the rows of the last time became: by the set's name.
  std::map<std::string, nftables::Elements> held_;
  std::map<std::string, nftables::Set> sets_;
  std::map<Ip, nftables::Tuple> sources_;  // of each Pod's address: its element
};

}  // namespace causeway::fabric
