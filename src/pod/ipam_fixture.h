// What the tests of IPAM share: short words for values, and an Ipam on a storage that can fail.
#pragma once

#include "pod/fault_storage.h"
#include "pod/ipam.h"

namespace causeway::pod {

inline Cidr cidr(const char* text) { return Cidr::parse(text).value(); }
inline Ip ip(const char* text) { return Ip::parse(text).value(); }
inline TimePoint at(int64_t seconds) { return TimePoint(std::chrono::seconds(seconds)); }

inline Record wish(std::string container) {
  return Record{.key = {std::move(container), "eth0"},
                .netns_path = "/run/netns/a b",
                .netns = {4, 4026532000},
                .pod = {"shop", "web-1"},
                .pod_uid = "u"};
}
inline Result<std::vector<Record>> nothing() { return std::vector<Record>{}; }

inline std::unique_ptr<Ipam> open_ipam(FaultStorage& storage, std::vector<Cidr> blocks, TimePoint now = at(0)) {
  auto ipam = Ipam::open(storage, {.boot_id = "boot"}, nothing).value();
  ipam->set_blocks(blocks, now);
  return ipam;
}
inline std::string add(Ipam& ipam, const char* container, TimePoint now = at(0)) {
  auto lease = ipam.reserve(wish(container), now);
  if (!lease) return lease.error().message();
  std::string text;
  for (const auto& address : lease->record().addresses) text += (text.empty() ? "" : " ") + to_string(address);
  if (auto done = lease->commit(7); !done) return done.error().message();
  return text;
}

}  // namespace causeway::pod
