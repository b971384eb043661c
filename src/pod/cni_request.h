// What the runtime asks: the environment and the network configuration of one call, checked.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "pod/cni_error.h"
#include "pod/cni_wire.h"
#include "pod/record.h"

namespace causeway::pod {

enum class Command { Add, Del, Version, Status };

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

struct NetworkConfig {
  CniVersion version = CniVersion::V0_1;  // the specification's default when the key is absent
  std::string name;
  std::optional<uint32_t> mtu;                // bytes; absent: the fabric's
  std::vector<cluster::HostPort> host_ports;  // runtimeConfig.portMappings
};

// CNI_ARGS, as kubelet's runtimes fill it.
struct Args {
  cluster::PodKey pod;
  std::string pod_uid;
};

// The command, or InvalidEnvironment.
CniResult<Command> parse_command(const RawRequest& request);
// CNI_CONTAINERID and CNI_IFNAME, by the rules of the specification.
CniResult<Key> parse_key(const RawRequest& request);
CniResult<Args> parse_args(std::string_view args);
// The configuration in full: codes 1, 2, 6 and 7, the message names the key.
CniResult<NetworkConfig> parse_config(std::string_view json);
// Only its version, for the shape of an answer; V1_1 when the text does not tell.
CniVersion version_of(std::string_view json);

}  // namespace causeway::pod
