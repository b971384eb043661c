// What the runtime asks: the environment and the network configuration of one call, checked.
//
// Nothing in it is trusted: every name, length and number is bounded here, and what nobody here would honour is refused
// by its key (code 2), never ignored.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pod/cni_error.h"
#include "pod/cni_wire.h"
#include "pod/record.h"

namespace causeway::pod {

enum class Command { Add, Del, Check, Gc, Status, Version };

// One call as it came in: empty optionals are variables that were not set.
struct RawRequest {
  std::array<std::optional<std::string>, wire::kFields> field;
};
// Refuses a message whose lengths do not add up.
Result<RawRequest> parse_message(std::string_view bytes);

// Versions of the specification that we speak, oldest first.
enum class CniVersion { V0_1, V0_2, V0_3_0, V0_3_1, V0_4, V1_0, V1_1 };
std::string_view to_string(CniVersion version);
inline constexpr std::array kCniVersions{CniVersion::V0_1, CniVersion::V0_2, CniVersion::V0_3_0, CniVersion::V0_3_1,
                                         CniVersion::V0_4, CniVersion::V1_0, CniVersion::V1_1};
// CHECK came with 0.4.0, GC and STATUS with 1.1.0.
bool has(CniVersion version, Command command);

// What the ADD before made: of the plugin before us in its list, or (CHECK, DEL) of the whole list.
struct PrevResult {
  struct Interface {
    std::string name;
    std::optional<Mac> mac;
    std::string sandbox;  // "": of the node
    uint32_t mtu = 0;     // bytes; 0: not told
  };
  struct Address {
    Ip ip;
    int prefix = 0;
    std::optional<Ip> gateway;
    std::optional<size_t> interface;  // index of `interfaces`; absent: not told (always before 0.3.0)
  };
  struct Route {
    Cidr destination;
    std::optional<Ip> gateway;
  };
  std::vector<Interface> interfaces;
  std::vector<Address> addresses;
  std::vector<Route> routes;
  std::string json;  // as it came, for who hands it on

  // The interface of that name inside a sandbox; null: none is told of.
  const Interface* in_sandbox(std::string_view ifname) const;
  // Addresses of that interface, and those that are told without one.
  std::vector<Address> addresses_of(std::string_view ifname) const;
};

struct NetworkConfig {
  CniVersion version = CniVersion::V0_1;  // the specification's default when the key is absent
  std::string name;
  Role role = Role::Main;                     // Chained with a prevResult, Ipam where `ipam.type` names us
  std::optional<uint32_t> mtu;                // bytes; absent: the fabric's
  std::vector<cluster::HostPort> host_ports;  // runtimeConfig.portMappings
  std::vector<Ip> ips;                        // asked for, at most one of each family: runtimeConfig, else args.cni
  Tuning tuning;                              // bandwidth, mac, sysctl
  std::map<std::string, std::string> annotations;  // of the Pod, where the runtime passes them
  std::string dns;                                 // a JSON object for the result; "" for none
  std::optional<PrevResult> previous;              // prevResult
  std::optional<std::set<Key>> valid_attachments;  // absent: the key is
};

// CNI_ARGS, as kubelet's runtimes fill it.
struct Args {
  cluster::PodKey pod;
  std::string pod_uid;
  std::vector<Ip> ips;     // IP=, where the configuration asks for none
  std::optional<Mac> mac;  // MAC=, likewise
};

// The command, or InvalidEnvironment.
CniResult<Command> parse_command(const RawRequest& request);
// CNI_CONTAINERID and CNI_IFNAME, by the rules of the specification.
CniResult<Key> parse_key(const RawRequest& request);
CniResult<Key> parse_key(std::string_view container, std::string_view ifname);
// CNI_NETNS: an absolute path without "." and "..".
CniResult<std::string> parse_netns(const RawRequest& request);
// Refuses (4) a Pod's name, namespace or uid that Kubernetes could not have given: they go into API paths and
// selectors.
CniResult<Args> parse_args(std::string_view args);
// The configuration in full: codes 1, 2, 6 and 7, the message names the key. `command` decides which versions will do
// and whether a prevResult makes it a chained call (ADD: somebody was before us; CHECK and DEL always carry one).
CniResult<NetworkConfig> parse_config(std::string_view json, Command command = Command::Add);
// Only its version, for the shape of an answer; V1_1 when the text does not tell.
CniVersion version_of(std::string_view json);

}  // namespace causeway::pod
