// Node ports: every Service port that wants one gets a free number of the range, and so does the health check of a
// load balancer with externalTrafficPolicy Local.
//
// A number belongs to one Service, which may use it for several protocols. It is taken while a visible Service has it,
// or while a write that will give it to one is under way.
#pragma once

#include <map>
#include <set>

#include "apiserver/json_tree.h"
#include "apiserver/object.h"
#include "apiserver/random.h"
#include "apiserver/status.h"

namespace causeway::apiserver {

struct NodePortRange {
  uint16_t first = 30000, last = 32767;
};

class NodePorts {
 public:
  explicit NodePorts(NodePortRange range) : range_(range) {}

  // Follows the Services of the store.
  void observe(const Event& event);

  // Numbers of one write that is under way; returns them on destruction.
  class Hold {
   public:
    Hold() = default;
    Hold(NodePorts& owner, std::set<uint16_t> ports) : owner_(&owner), ports_(std::move(ports)) {}
    Hold(Hold&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), ports_(std::move(other.ports_)) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(ports_, other.ports_);
      return *this;
    }
    ~Hold();

   private:
    NodePorts* owner_ = nullptr;
    std::set<uint16_t> ports_;
  };

  // Completes nodePort of the ports and healthCheckNodePort. `old` is null for a new Service. Errors: 422 naming the
  // field (a number that is taken or outside of the range), 422 when the range is full.
  ApiResult<Hold> assign(json::object& service, const json::object* old, Random& random);

 private:
  class Allocation;
  bool is_free(int64_t port) const { return !used_.contains(uint16_t(port)) && !held_.contains(uint16_t(port)); }
  std::optional<uint16_t> find_free(Random& random) const;

  NodePortRange range_;
  std::map<uint16_t, Key> used_;
  std::set<uint16_t> held_;
};

}  // namespace causeway::apiserver
