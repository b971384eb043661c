// Cluster IPs: every Service that needs one gets a free address of each family that it asks for, out of the ranges of
// the flags and of the ServiceCIDR objects (KEP-1880).
//
// An address is taken while a visible Service has it, while an IPAddress object that is not ours names it, or while a
// write that will give it to a Service is under way.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apiserver/json_tree.h"
#include "apiserver/object.h"
#include "apiserver/status.h"
#include "base/ip.h"

namespace causeway::apiserver {

// The ServiceCIDR of the flags.
inline constexpr const char* kDefaultServiceCidr = "kubernetes";
inline constexpr const char* kServiceCidrFinalizer = "networking.k8s.io/service-cidr-finalizer";
// IPAddresses of Services carry these.
inline constexpr const char* kAddressFamilyLabel = "ipaddress.kubernetes.io/ip-family";
inline constexpr const char* kAddressManagedByLabel = "ipaddress.kubernetes.io/managed-by";
inline constexpr const char* kAddressManager = "ipallocator.k8s.io";

class ServiceAddresses {
 public:
  // One or two ranges of the flags, of different families; the first is the default family.
  explicit ServiceAddresses(std::vector<Cidr> ranges) : flags_(std::move(ranges)) {}

  const std::vector<Cidr>& flag_ranges() const { return flags_; }
  // The address of the Service `kubernetes`.
  Ip first() const { return flags_.front().address().plus(1); }
  // Out of which addresses of this family are given now. Ranges that are being deleted give none.
  std::vector<Cidr> ranges(Family family) const;
  // The Service that has the address, or null.
  const Key* owner_of(const Ip& ip) const;

  // Follows the Services, ServiceCIDRs and IPAddresses of the store.
  void observe(const Event& event);

  // Addresses of one write that is under way; returns them on destruction.
  class Hold {
   public:
    Hold() = default;
    Hold(ServiceAddresses& owner, std::set<Ip> addresses) : owner_(&owner), addresses_(std::move(addresses)) {}
    Hold(Hold&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), addresses_(std::move(other.addresses_)) {}
    Hold& operator=(Hold&& other) noexcept;
    ~Hold();

   private:
    ServiceAddresses* owner_ = nullptr;
    std::set<Ip> addresses_;
  };

  // Completes clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy of a Service. `old` is null for a new one.
  // Errors: 422 naming the field (an address that is taken, or of no range), 422 when a range is full.
  ApiResult<Hold> assign(json::object& service, const json::object* old);

 private:
  struct Object {  // a ServiceCIDR
    std::vector<Cidr> cidrs;
    bool deleting = false;
  };
  struct Wish;
  ApiResult<void> choose_families(Wish& wish, const json::object& service, const json::object* old) const;
  ApiResult<Ip> choose_address(const Wish& wish, size_t index, const json::object& service,
                               const std::vector<Ip>& mine);
  void observe_service(const Event& event);
  void observe_range(const Event& event);
  void observe_address(const Event& event);
  // "; ServiceCIDR extra is being deleted and gives no more addresses", where that may be the cause; else "".
  std::string deleting(Family family, const std::optional<Ip>& ip) const;
  bool is_free(const Ip& ip) const { return !used_.contains(ip) && !held_.contains(ip) && !reserved_.contains(ip); }
  std::optional<Ip> find_free(const Cidr& range);

  std::vector<Cidr> flags_;
  std::map<std::string, Object> objects_;  // by name
  std::map<Ip, Key> used_;
  std::set<Ip> reserved_;          // by IPAddress objects that somebody else made
  std::map<Cidr, uint64_t> next_;  // offset to look at next: an address that was given back rests for a while
  std::set<Ip> held_;
};

}  // namespace causeway::apiserver
