// Services as the section "services" of our nftables table: the sets and maps, and the rules, whose number does not
// depend on how many Services there are. Pure.
//
// A first packet: where it comes from (inside or outside) and where it goes (address, protocol, port) lead by one
// look-up to a chain for "one of k endpoints" (a Pick); there one number by chance and one look-up say which. Nothing
// of it is seen again by the connection: nf_conntrack remembers.
#pragma once

#include "kernel/nftables/table.h"
#include "service/tables.h"

namespace causeway::service::nft {

inline constexpr const char* kSection = "services";

// "The endpoint shall see an address of this node": on a connection's first packet, from prerouting to postrouting.
inline constexpr uint32_t kMasqueradeMark = 0x20000000;
// Scratch paper of one packet, from the look-up of a client to that of its endpoint: meta priority, whose value nobody
// reads before the packet leaves, where it is wiped. Numbers of endpoints have this in their highest byte.
inline constexpr uint32_t kNumberTag = 0xca000000, kNumberTagMask = 0xff000000;
// Clients that ClientIP affinity remembers at once, of one family.
inline constexpr uint32_t kMaxKept = 65536;

// A key of one address beats one of a port of every address of the node, which has a map of its own.
enum class Where : uint8_t { Address, Port };
enum class From : uint8_t { Inside, Outside };

std::string verdict_map(Family family, Where where, From from);  // {ip . protocol . port} -> verdict
std::string slot_map(Family family, Where where, Pool pool);     // {... . number} -> {ip . port}
std::string sticky_map(Family family, Where where, Pool pool);   // {... . number} -> number of an endpoint
std::string member_map(Family family, Pool pool);                // number of an endpoint -> {ip . port}
std::string kept_map(Family family);                             // {ip . protocol . port . client} -> number
std::string fenced_set(Family family);                           // {ip . protocol . port}
std::string source_set(Family family);                           // {ip . protocol . port . client range}
std::string hairpin_set(Family family);                          // {ip . ip}
std::string address_set(Family family);                          // addresses of Services
std::string range_set(Family family);                            // where those come from
std::string node_set(Family family);                             // addresses with node ports
inline constexpr const char* kNumbers = "services-numbers";      // 0 -> numbers up to here were given
inline constexpr const char* kReject = "services-reject";        // chain

// The fields of the packet that a map of `where` asks for.
std::vector<nftables::Selector> packet_key(Family family, Where where);
nftables::Tuple key_of(const FrontendKey& key, Where where);
Where where_of(const FrontendKey& key);
// The key of an element of a verdict map; none if it is no key of ours.
std::optional<FrontendKey> frontend_of(const nftables::Tuple& element, Family family, Where where);

// Everything but elements and the chains of Picks.
nftables::Section skeleton();

}  // namespace causeway::service::nft
