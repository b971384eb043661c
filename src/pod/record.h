// What the node knows of one attachment: the unit that the journal keeps and that a link's alias repeats.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "async/loop.h"
#include "cluster/model/objects.h"
#include "kernel/netns/netns.h"
#include "pod/extra/extra.h"
#include "pod/tuning/tuning.h"

namespace causeway::pod {

// (container id, interface name). Never the Pod's name: after a reboot the old sandbox of a Pod is deleted when the new
// one has its address already, and a name would free it.
using Key = cluster::AttachmentKey;

enum class State : uint8_t {
  Reserved,   // ADD has begun; what it made is removed if it does not end
  Committed,  // ADD was answered, or is about to be
};

// What of the attachment is ours.
enum class Role : uint8_t {
  Main,     // all: we made the Pod's interface
  Chained,  // what we added to an interface that another plugin made; its link, addresses and routes are not ours
  Ipam,     // the addresses alone: another plugin makes the interface and asks us as its `ipam`
};
std::string_view to_string(Role role);  // main, chained, ipam
std::optional<Role> parse_role(std::string_view text);

struct Record {
  Key key;  // of Role::Ipam: ipam_key()
  State state = State::Reserved;
  TimePoint begun;          // when its ADD came in; the epoch where the record was rebuilt
  uint64_t generation = 0;  // counts the ADDs of this node's journal: tells two lives of one key apart
  std::vector<Ip> addresses;
  std::string netns_path;
  netns::Id netns;
  uint64_t netns_cookie = 0;  // 0: not known yet
  cluster::PodKey pod;        // empty outside Kubernetes
  std::string pod_uid;
  std::vector<cluster::HostPort> host_ports;  // in the order of the request, no two alike
  std::string network;  // name of the network configuration; "": not known (an alias that had no room, an old journal)
  Role role = Role::Main;
  bool asked = false;     // the addresses were asked for, not chosen by us
  uint32_t mtu = 0;       // of the Pod's interface, bytes; 0: not known
  std::string host_link;  // Role::Chained: the node's end; "": none that we know. Else host_ifname(key)
  Tuning tuning;
  std::vector<ExtraInterface> extras;  // further interfaces; a journal keeps of each what to_word() tells
  bool operator==(const Record&) const = default;
};

// Under which key the addresses are kept that another plugin asked us for. No interface can have such a name, so one
// (container, interface) may have both: addresses for another plugin, and what we add to its interface.
Key ipam_key(const Key& key);
bool is_ipam_key(const Key& key);
// The attachment that a key belongs to, whatever its role.
Key attachment_key(const Key& key);

// "cw" and 12 hex digits of a hash: the same for the same attachment, so that a retry finds what a crash left.
std::string host_ifname(const Key& key);
// Locally administered, derived from the address: an address that is used again keeps its MAC, so no neighbour
// entry anywhere is ever stale.
Mac mac_of(const Ip& ip);
// Of the Pod's interface: what was asked for, else that of its first address.
Mac mac_of(const Record& record);

// "tcp", "udp", "sctp".
std::optional<cluster::Protocol> parse_protocol(std::string_view name);
// Host ports as one word of the journal and the alias: "80:8080/tcp,53:53/udp@10.0.0.1". Empty for none.
std::string host_ports_text(const std::vector<cluster::HostPort>& ports);
std::optional<std::vector<cluster::HostPort>> parse_host_ports(std::string_view text);

// The link's alias: `causeway KEY NETNS GENERATION ADDRESSES [HOST-PORTS] [WORD]...` (record_words.h), enough to
// rebuild the journal: without the Pod's name, and of the rest what fits the kernel's 255 bytes.
std::string alias_of(const Record& record);
// Empty: not an alias of ours.
std::optional<Record> parse_alias(std::string_view alias);

}  // namespace causeway::pod
