// How endpoints are laid out in EndpointSlices so that a change touches few of them. Pure, and the same for the
// slices of Services and for those that mirror Endpoints.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kube/api/types.h"

namespace causeway::control {

// What makes an endpoint the same one: everything else about it is changed in place.
struct EndpointKey {
  std::vector<std::string> addresses;
  std::string hostname, ns, name;  // the last two of targetRef
  auto operator<=>(const EndpointKey&) const = default;
};
EndpointKey key_of(const kube::SliceEndpoint& endpoint);
using EndpointSet = std::map<EndpointKey, kube::SliceEndpoint>;

// The endpoints that have the same ports; slices differ by their ports.
struct EndpointGroup {
  std::vector<kube::EndpointPort> ports;
  EndpointSet endpoints;
};
// Equal for lists of the same ports in any order.
std::string ports_key(const std::vector<kube::EndpointPort>& ports);
using EndpointGroups = std::map<std::string, EndpointGroup>;  // by ports_key

// What all slices of one owner have in common.
struct SliceOwner {
  kube::OwnerReference reference;
  std::string ns;
  kube::StringMap labels;
  std::optional<kube::StringMap> annotations;  // absent: what is there stays
  size_t max_endpoints = 100;                  // of one slice
  bool placeholder = true;                     // without endpoints: one empty slice, so that "none" is not "not yet"
};

struct SliceSet {
  std::vector<kube::EndpointSlice> create;  // without names
  std::vector<kube::EndpointSlice> update;  // of slices that are there, by name
  std::vector<kube::EndpointSlice> remove;
  std::vector<kube::EndpointSlice> unchanged;
};

// Lays out `wanted` in slices of one address type, of which `existing` are there.
//   1. What is there loses the endpoints that are not wanted, gets the changes of the others, and goes when empty.
//   2. New endpoints fill up the slices that are written anyway, the fullest first.
//   3. What is left goes into the one untouched slice that it fills best, else into new ones.
// Untouched slices are never merged. Hints of endpoints in `unchanged` stay; elsewhere there are none yet.
SliceSet pack(const SliceOwner& owner, const std::string& address_type, std::vector<kube::EndpointSlice> existing,
              EndpointGroups wanted);

// Last step, after the hints: a slice that would be made takes the place of one that would be removed.
void reuse_removed(SliceSet& slices, const kube::OwnerReference& owner);

}  // namespace causeway::control
