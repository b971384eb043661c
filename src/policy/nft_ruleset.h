// Policies as the section "policy" of our nftables table: the sets and maps, and the rules, whose number does not
// depend on how many Pods and policies there are. Pure.
//
// An established flow passes at the first rule. A first packet is judged for each Pod of this node at its ends, behind
// every address translation to an endpoint and before any of the source. What one look-up finds the next one asks for
// by meta priority: nobody reads it before the packet leaves, and it is wiped.
//
//   verdict = egress[source] | ingress[destination]    an open direction returns at once; none: not known yet, so drop
//   class   = addresses[other end], else blocks[other end], else none
//   outcome = ingress-classes[class . own address], else [none . own address]
//   verdict = outcomes[outcome]: allowed, denied, or by ports: ports[outcome . protocol . port], ranges[...], else what
//             the chain says
//
// An outcome is what a set says to a class: every port that is allowed. So own addresses of one set share the outcomes,
// not the rows that lead to them: a map inside the key of another one would need none of this, but nft 1.0.6 aborts
// when it lists such a rule.
#pragma once

#include "kernel/nftables/table.h"
#include "policy/tables.h"

namespace causeway::policy::nft {

inline constexpr const char* kSection = "policy";

// What meta priority holds: a class, an outcome, 0. The highest bits tell which; none is without.
inline constexpr uint32_t kClassTag = 0xd0000000, kOutcomeTag = 0xe0000000, kTagMask = 0xf0000000;
inline constexpr uint32_t kScratch = 0xc0000000;  // both tags have these bits
inline constexpr uint32_t kMaxNumber = ~kTagMask;

// Marks of packets that IPVS may send on through the output hook, as if this node had sent them: "it came in over a
// link", "over the link of a Pod of ours". Cleared before the packet leaves.
inline constexpr uint32_t kCameInMark = 0x10000000, kFromPodMark = 0x08000000;

// For how long the answering end of a flow that was cut cannot take it up again.
inline constexpr uint64_t kCutFor = 24ull * 3600 * 1000;  // ms; how long an idle connection is remembered
inline constexpr uint32_t kMaxCut = 1u << 20;

// How long a first packet is remembered for those who tell of flows, and how many of each family; more are not told.
inline constexpr uint64_t kToldFor = 10'000;  // ms
inline constexpr uint32_t kMaxTold = 4096;

std::string address_map(Family family);                         // {ip} -> class
std::string dns_map(Family family);                             // {ip . protocol . port} -> class: cluster DNS
std::string block_map(Family family);                           // {range of ips} -> class
std::string subject_map(Family family, Direction direction);    // {own ip} -> verdict
std::string class_map(Family family, Direction direction);      // {class . own ip} -> outcome
std::string own_set(Family family);                             // {own ip . own ip}
std::string cut_set(Family family);                             // {ip . protocol . port . ip . port}
std::string passed_set(Family family);                          // {ip . protocol . port . ip . port}, of first packets
std::string denied_set(Family family);                          // the same
inline constexpr const char* kOutcomes = "policy-outcomes";     // {outcome} -> verdict
inline constexpr const char* kPorts = "policy-ports";           // {outcome . protocol . port} -> verdict
inline constexpr const char* kRanges = "policy-ranges";         // {outcome . protocol . range of ports} -> verdict
inline constexpr const char* kDrop = "policy-drop";             // chain: denied
inline constexpr const char* kElseDrop = "policy-else-drop";    // chain: allowed are the outcome's ports
inline constexpr const char* kElseAllow = "policy-else-allow";  // chain: denied are the outcome's ports
std::string judge_chain(Family family, Direction direction);

// `ipvs`: Services are balanced by IPVS, which sends forwarded packets through the output hook.
nftables::Section skeleton(bool ipvs);

}  // namespace causeway::policy::nft
