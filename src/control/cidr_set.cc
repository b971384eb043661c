#include "control/cidr_set.h"

#include <algorithm>
#include <array>

namespace causeway::control {
namespace {

// A /8 cut into /30 is the largest set anybody has; more would be a bitmap of gigabytes.
constexpr int kMaxBits = 24;
constexpr int kMaxBitsV6 = 16;

}  // namespace

Result<CidrSet> CidrSet::make(Cidr cluster, int prefix) {
  if (prefix < cluster.prefix() || prefix > cluster.address().bits())
    return fail(Errc::Invalid, "cluster CIDR {}: a node mask of /{} does not fit in it; give one from /{} to /{}",
                cluster, prefix, cluster.prefix(), cluster.address().bits());
  const int most = cluster.family() == Family::V6 ? kMaxBitsV6 : kMaxBits;
  if (prefix - cluster.prefix() > most)
    return fail(Errc::Invalid, "cluster CIDR {}: a node mask of /{} is more than {} bits longer; give at most /{}",
                cluster, prefix, most, cluster.prefix() + most);
  return CidrSet(cluster, prefix);
}

std::optional<Cidr> CidrSet::take() {
  for (size_t step = 0; step < used_.size(); ++step) {
    const size_t index = (next_ + step) % used_.size();
    if (used_[index]) continue;
    used_[index] = true;
    ++count_;
    next_ = (index + 1) % used_.size();
    return block(index);
  }
  return std::nullopt;
}

// The index is the bits of the address between the two prefix lengths.
Cidr CidrSet::block(size_t index) const {
  std::array<uint8_t, 16> bytes{};
  std::ranges::copy(cluster_.address().bytes(), bytes.begin());
  for (int bit = prefix_ - 1; bit >= cluster_.prefix(); --bit, index >>= 1)
    if (index & 1) bytes[bit / 8] |= uint8_t(0x80 >> (bit % 8));
  const Ip ip = cluster_.address().is_v4() ? Ip::v4(std::span<const uint8_t, 4>(bytes.data(), 4)) : Ip::v6(bytes);
  return Cidr(ip, prefix_);
}

size_t CidrSet::index_of(const Ip& ip) const {
  size_t index = 0;
  const auto bytes = ip.bytes();
  for (int bit = cluster_.prefix(); bit < prefix_; ++bit) index = index << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1);
  return index;
}

void CidrSet::mark(const Cidr& cidr, bool used) {
  if (!cluster_.overlaps(cidr)) return;
  size_t first = 0, last = used_.size() - 1;
  if (cluster_.contains(cidr)) {
    first = index_of(cidr.address());
    last = cidr.prefix() >= prefix_ ? first : first + (size_t{1} << (prefix_ - cidr.prefix())) - 1;
  }
  for (size_t index = first; index <= last; ++index) {
    if (used_[index] == used) continue;
    used_[index] = used;
    used ? ++count_ : --count_;
  }
}

}  // namespace causeway::control
