// What is counted of questions, under CoreDNS' names. Each thread counts in a slot of its own, so counting takes no
// lock.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>

#include "async/loop.h"
#include "base/metric.h"
#include "dns/wire.h"

namespace causeway::dns {

// Which stage gave a reply: the label `plugin` of CoreDNS.
enum class Stage : uint8_t { None, Acl, Template, Hosts, Kubernetes, Cache, Forward, Dns64, Loop };
std::string_view to_string(Stage stage);

struct Seen {
  bool tcp = false, v6 = false;
  Type type = Type::A;
  Rcode rcode = Rcode::NoError;
  Stage stage = Stage::None;
  Duration took{0};
  size_t request = 0, reply = 0;  // octets
};

class Meter {
 public:
  // `slots`: threads that count.
  explicit Meter(size_t slots) : slots_(slots) {}
  void count(size_t slot, const Seen& seen);

  // The metrics of several meters, by their labels "server" and "zone".
  static std::vector<Metric> metrics(
      const std::map<std::pair<std::string, std::string>, std::shared_ptr<Meter>>& meters);

 private:
  static constexpr size_t kTypes = 16, kRcodes = 24, kStages = 9, kTimes = 17, kSizes = 15;
  using Count = std::atomic<uint64_t>;
  struct alignas(64) Slot {
    std::array<Count, 4 * kTypes> requests{};  // [protocol, family][type]
    std::array<Count, kRcodes * kStages> responses{};
    std::array<Count, kTimes> times{};
    std::array<Count, 2 * kSizes> request_sizes{}, reply_sizes{};  // [protocol][size]
    Count nanoseconds{0}, octets_in[2]{}, octets_out[2]{};
  };
  template <class Pick>
  uint64_t sum(Pick pick) const {
    uint64_t all = 0;
    for (const Slot& slot : slots_) all += pick(slot).load(std::memory_order_relaxed);
    return all;
  }
  std::vector<Slot> slots_;
};

}  // namespace causeway::dns
