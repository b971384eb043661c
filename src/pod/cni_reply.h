// What the runtime gets on standard output, in the shape of the version that it speaks.
#pragma once

#include "pod/cni_request.h"

namespace causeway::pod {

struct Reply {
  std::string output;   // JSON, or nothing
  bool success = true;  // the plugin exits with 0
};

// The Pod's interface and addresses, as a result of the specification.
struct AddResult {
  std::string host_ifname;
  Mac host_mac;
  std::string ifname;
  Mac mac;
  std::string sandbox;  // CNI_NETNS
  uint32_t mtu = 0;
  std::vector<Ip> addresses;
  std::string dns;  // a JSON object; "" for none
};

// What stands for the node at the other end of every Pod's link; no interface has these addresses.
Ip gateway_of(Family family);

Reply add_reply(const AddResult& result, CniVersion version);
// Addresses for another plugin's interface: each with its range, whose first address is the gateway.
struct IpamResult {
  struct Address {
    Ip ip;
    Cidr block;
  };
  std::vector<Address> addresses;
  std::string dns;
};
Ip gateway_of(const Cidr& block);
Reply ipam_reply(const IpamResult& result, CniVersion version);
// The result of the plugin before us, handed on.
Reply pass_on(const PrevResult& previous, CniVersion version);
Reply version_reply(CniVersion version);
Reply empty_reply();
Reply error_reply(const CniError& error, CniVersion version);

}  // namespace causeway::pod
