// Which addresses a Pod is to have, of what it and its runtime ask for. Pure.
//
//   causeway.io/addresses: 10.244.1.50,fd10:244::50     these, at most one for each family
//   causeway.io/keep-addresses: "true"                  whatever it gets stays its own when it is replaced, on any node
#pragma once

#include "cluster/model/objects.h"
#include "pod/cni_error.h"

namespace causeway::pod {

inline constexpr std::string_view kPodAddresses = "causeway.io/addresses";
inline constexpr std::string_view kKeepAddresses = "causeway.io/keep-addresses";

struct AddressWish {
  std::vector<Ip> addresses;
  bool keep = false;
  bool operator==(const AddressWish&) const = default;
};

// `asked`: the capability `ips` and its like. InvalidConfig: what cannot be read, two of a family, or runtime and Pod
// that want different ones; the message names the annotation.
CniResult<AddressWish> address_wish(const cluster::Labels& annotations, const std::vector<Ip>& asked);

}  // namespace causeway::pod
