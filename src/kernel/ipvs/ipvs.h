// The door to the virtual services of one network namespace.
//
//   TRY(ipvs->apply_one(ipvs::CreateService{{vip, 80, IPPROTO_TCP}, {.scheduler = "rr"}}));
//   TRY(ipvs->apply_one(ipvs::CreateDestination{{vip, 80, IPPROTO_TCP}, {pod, 8080}, 1}));
//
// Calls block: some 5 us for each change. One thread at a time.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/ip.h"

namespace causeway::ipvs {

struct ServiceKey {
  Ip ip;
  uint16_t port = 0;
  uint8_t protocol = 0;  // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP
  auto operator<=>(const ServiceKey&) const = default;
};
std::string to_string(const ServiceKey& key);  // "10.96.0.1:80/tcp"

// Bits of Service::flags that mean something to a scheduler (IP_VS_SVC_F_SCHED1 ...).
inline constexpr uint32_t kFallback = 0x8;   // sh, mh: another destination when the chosen one has weight 0
inline constexpr uint32_t kHashPort = 0x10;  // sh, mh: the source's port counts too
// One that no scheduler reads: a service with it is ours, after a restart too. Others' (keepalived's) are left alone.
inline constexpr uint32_t kOurs = 0x20;

struct Service {
  std::string scheduler = "rr";  // 1-15 bytes; the kernel loads its module ip_vs_NAME
  uint32_t persistence = 0;      // s: a client stays with its destination so long after its last connection; 0: not
  uint32_t flags = 0;
  auto operator<=>(const Service&) const = default;
};

struct Destination {
  uint32_t weight = 0;                                // 0: keeps its connections and gets no new one
  uint32_t active = 0, inactive = 0, persistent = 0;  // connections, as the kernel counts them
  bool operator==(const Destination&) const = default;
};

struct Held {
  Service service;
  std::map<Endpoint, Destination> destinations;
};

struct CreateService {
  ServiceKey key;
  Service service;
};
struct UpdateService {
  ServiceKey key;
  Service service;
};
struct DeleteService {  // with its destinations; not there: no error
  ServiceKey key;
};
struct CreateDestination {
  ServiceKey key;
  Endpoint to;
  uint32_t weight = 1;
};
struct UpdateDestination {
  ServiceKey key;
  Endpoint to;
  uint32_t weight = 1;
};
struct DeleteDestination {  // not there: no error
  ServiceKey key;
  Endpoint to;
};
using Change =
    std::variant<CreateService, UpdateService, DeleteService, CreateDestination, UpdateDestination, DeleteDestination>;
std::string to_string(const Change& change);  // "add 10.1.0.5:8080 to 10.96.0.1:80/tcp with weight 1"

class Ipvs {
 public:
  virtual ~Ipvs() = default;
  // All virtual services but those of packet marks.
  virtual Result<std::map<ServiceKey, Held>> observe() = 0;
  virtual Result<std::map<Endpoint, Destination>> destinations(
      const ServiceKey& key) = 0;  // none where it is not there
  // All are sent; one status each, in order.
  virtual std::vector<Status> apply(std::span<const Change> changes) = 0;

  Status apply_one(const Change& change) { return std::move(apply(std::span(&change, 1)).front()); }
};

// A socket in the caller's namespace. Unsupported: this kernel has no IPVS.
Result<std::unique_ptr<Ipvs>> open_ipvs();

}  // namespace causeway::ipvs
