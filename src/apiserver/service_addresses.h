// Cluster IPs: every Service that needs one gets a free address of each range that it asks for.
//
// An address is taken while a visible Service has it, or while a write that will give it to one is under way.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "apiserver/json_tree.h"
#include "apiserver/object.h"
#include "apiserver/status.h"
#include "base/ip.h"

namespace causeway::apiserver {

class ServiceAddresses {
 public:
  // One or two ranges, of different families; the first is the default family.
  explicit ServiceAddresses(std::vector<Cidr> ranges) : ranges_(std::move(ranges)) {}

  const std::vector<Cidr>& ranges() const { return ranges_; }
  // The address of the Service `kubernetes`.
  Ip first() const { return ranges_.front().address().plus(1); }

  // Follows the Services of the store.
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
  bool is_free(const Ip& ip) const { return !used_.contains(ip) && !held_.contains(ip); }
  std::optional<Ip> find_free(const Cidr& range);

  std::vector<Cidr> ranges_;
  std::map<Ip, Key> used_;
  std::set<Ip> held_;
};

}  // namespace causeway::apiserver
