#include "apiserver/service_addresses.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "base/format.h"
#include "kube/api/service.h"

namespace causeway::apiserver {

namespace {

std::vector<Ip> addresses_of(const json::object& service) {
  std::vector<Ip> addresses;
  for (const json::value& text : array_at(service, "spec.clusterIPs"))
    if (text.is_string())
      if (auto ip = Ip::parse(view(text.get_string()))) addresses.push_back(*ip);
  return addresses;
}

std::vector<std::string> texts_at(const json::object& service, std::string_view path) {
  std::vector<std::string> texts;
  for (const json::value& text : array_at(service, path))
    if (text.is_string()) texts.emplace_back(view(text.get_string()));
  return texts;
}

const char* name_of(Family family) { return family == Family::V4 ? "IPv4" : "IPv6"; }

bool needs_address(const json::object& service) { return text_at(service, "spec.type") != "ExternalName"; }

Refusal refuse(const json::object& service, kube::StatusCause why) {
  return invalid(kube::Service::kKind, text_at(service, "metadata.name"), {std::move(why)});
}

}  // namespace

ServiceAddresses::Hold& ServiceAddresses::Hold::operator=(Hold&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(addresses_, other.addresses_);
  return *this;
}

ServiceAddresses::Hold::~Hold() {
  if (!owner_) return;
  for (const Ip& ip : addresses_) owner_->held_.erase(ip);
}

void ServiceAddresses::observe(const Event& event) {
  static const std::string kRanges = kube::group_resource(kube::ServiceCidr::kKind);
  static const std::string kAddresses = kube::group_resource(kube::IpAddress::kKind);
  const std::string& resource = event.object->resource;
  if (resource == kube::Service::kKind.plural) observe_service(event);
  if (resource == kRanges) observe_range(event);
  if (resource == kAddresses) observe_address(event);
}

void ServiceAddresses::observe_service(const Event& event) {
  if (event.previous)
    if (auto tree = parse_object(event.previous->json))
      for (const Ip& ip : addresses_of(*tree))
        if (const auto at = used_.find(ip); at != used_.end() && at->second == event.object->key) used_.erase(at);
  if (event.deleted) return;
  if (auto tree = parse_object(event.object->json))
    for (const Ip& ip : addresses_of(*tree)) used_.insert_or_assign(ip, event.object->key);
}

void ServiceAddresses::observe_range(const Event& event) {
  if (event.deleted) {
    objects_.erase(event.object->key.name);
    return;
  }
  auto tree = parse_object(event.object->json);
  if (!tree) return;
  auto& object = objects_[event.object->key.name];
  object = {.cidrs = {}, .deleting = find_at(*tree, "metadata.deletionTimestamp") != nullptr};
  for (const json::value& text : array_at(*tree, "spec.cidrs"))
    if (text.is_string())
      if (auto cidr = Cidr::parse(view(text.get_string()))) object.cidrs.push_back(*cidr);
}

void ServiceAddresses::observe_address(const Event& event) {
  const auto ip = Ip::parse(event.object->key.name);
  if (!ip) return;
  const auto label = event.object->index.labels.find(kAddressManagedByLabel);
  const bool ours = label != event.object->index.labels.end() && label->second == kAddressManager;
  if (event.deleted || ours)
    reserved_.erase(*ip);
  else
    reserved_.insert(*ip);
}

std::vector<Cidr> ServiceAddresses::ranges(Family family) const {
  std::vector<Cidr> ranges;
  const auto add = [&](const Cidr& cidr) {
    if (cidr.family() == family && std::ranges::find(ranges, cidr) == ranges.end()) ranges.push_back(cidr);
  };
  const auto own = objects_.find(kDefaultServiceCidr);
  if (own == objects_.end() || !own->second.deleting) std::ranges::for_each(flags_, add);
  for (const auto& [name, object] : objects_)
    if (!object.deleting) std::ranges::for_each(object.cidrs, add);
  return ranges;
}

const Key* ServiceAddresses::owner_of(const Ip& ip) const {
  const auto found = used_.find(ip);
  return found == used_.end() ? nullptr : &found->second;
}

std::optional<Ip> ServiceAddresses::find_free(const Cidr& range) {
  // KEP-3070: the low band is left for addresses that people choose; the tenth is by custom that of the cluster's DNS.
  const uint64_t size = range.size();
  const uint64_t band = size < 32 ? 1 : std::min<uint64_t>(std::max<uint64_t>(16, size / 16), 256);
  const uint64_t end = range.family() == Family::V4 ? size - 1 : std::min<uint64_t>(size, uint64_t{1} << 20);
  uint64_t& next = next_[range];
  if (next <= band || next >= end) next = band + 1;
  for (uint64_t tried = band + 1, offset = next; tried < end; ++tried, ++offset) {
    if (offset >= end) offset = band + 1;
    const Ip ip = range.address().plus(offset);
    if (!is_free(ip)) continue;
    next = offset + 1;
    return ip;
  }
  for (uint64_t offset = std::min<uint64_t>(2, band); offset <= band; ++offset)
    if (const Ip ip = range.address().plus(offset); is_free(ip)) return ip;
  return std::nullopt;
}

std::string ServiceAddresses::deleting(Family family, const std::optional<Ip>& ip) const {
  for (const auto& [name, object] : objects_)
    for (const Cidr& cidr : object.cidrs)
      if (object.deleting && cidr.family() == family && (!ip || cidr.contains(*ip)))
        return fmt::format("; ServiceCIDR {} ({}) is being deleted and gives no more addresses", name, cidr);
  return "";
}

// What a Service asks for, and what it shall have.
struct ServiceAddresses::Wish {
  std::vector<std::string> addresses;  // clusterIPs; "None" alone: headless
  std::vector<std::string> families;
  std::string policy;
  bool headless = false;
  bool selectorless = false;  // headless, and somebody else writes its endpoints
};

// Which families, in which order (registry/core/service, initIPFamilyFields).
ApiResult<void> ServiceAddresses::choose_families(Wish& wish, const json::object& service,
                                                  const json::object* old) const {
  const auto unchanged = [&](std::string_view field) {
    return old && array_at(service, field) == array_at(*old, field);
  };
  const auto refuse_policy = [&](std::string_view why) {
    return refuse(service, cause("FieldValueInvalid", "spec.ipFamilyPolicy",
                                 fmt::format("Invalid value: \"{}\": {}", wish.policy, why)));
  };
  if (wish.policy.empty() && old) wish.policy = text_at(*old, "spec.ipFamilyPolicy");
  if (wish.policy.empty()) wish.policy = wish.selectorless ? "RequireDualStack" : "SingleStack";
  const bool single = wish.policy == "SingleStack";
  if (old && single) {
    // Without another word this gives the second address back.
    if (wish.addresses.size() > 1 && unchanged("spec.clusterIPs")) wish.addresses.resize(1);
    if (wish.families.size() > 1 && unchanged("spec.ipFamilies")) wish.families.resize(1);
  } else if (old && needs_address(*old)) {
    if (!wish.addresses.empty() && wish.addresses.size() < array_at(*old, "spec.clusterIPs").size())
      return refuse_policy("must be 'SingleStack' to release the secondary cluster IP");
    if (!wish.families.empty() && wish.families.size() < array_at(*old, "spec.ipFamilies").size())
      return refuse_policy("must be 'SingleStack' to release the secondary IP family");
  }
  for (const auto& [count, what] :
       {std::pair(wish.addresses.size(), "cluster IPs"), {wish.families.size(), "IP families"}})
    if (single && count > 1)
      return refuse_policy(
          fmt::format("must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified", what));
  const size_t configured = size_t(!ranges(Family::V4).empty()) + size_t(!ranges(Family::V6).empty());
  if (wish.policy == "RequireDualStack" && configured < 2 && !wish.selectorless)
    return refuse_policy("this cluster is not configured for dual-stack services");
  if (wish.families.empty() && !wish.addresses.empty() && !wish.headless)
    if (auto ip = Ip::parse(wish.addresses[0])) wish.families = {name_of(ip->family())};
  if (wish.families.empty()) wish.families = {name_of(flags_.front().family())};
  // A headless Service whose endpoints somebody else writes may have both families wherever it is; and one that prefers
  // both keeps what it has when the cluster's families change.
  const bool kept = wish.policy == "PreferDualStack" && unchanged("spec.ipFamilies") && unchanged("spec.clusterIPs") &&
                    text_at(*old, "spec.ipFamilyPolicy") == wish.policy;
  const size_t count = single || kept ? 1 : wish.selectorless ? 2 : std::max<size_t>(1, configured);
  for (const char* family : {"IPv4", "IPv6"})
    if (wish.families.size() < count && std::ranges::find(wish.families, family) == wish.families.end())
      wish.families.emplace_back(family);
  return {};
}

// One address of the family at `index` of the wish: the one that is asked for, else any free one.
ApiResult<Ip> ServiceAddresses::choose_address(const Wish& wish, size_t index, const json::object& service,
                                               const std::vector<Ip>& mine) {
  const Family family = wish.families[index] == "IPv4" ? Family::V4 : Family::V6;
  const auto candidates = ranges(family);
  const auto wrong = [&](std::string why) {
    return refuse(service, cause("FieldValueInvalid", fmt::format("spec.clusterIPs[{}]", index), std::move(why)));
  };
  if (index >= wish.addresses.size()) {
    for (const Cidr& range : candidates)
      if (const auto ip = find_free(range)) return *ip;
    return wrong(fmt::format("failed to allocate IP: the range {} is full{}", fmt::join(candidates, ","),
                             deleting(family, std::nullopt)));
  }
  const std::string& text = wish.addresses[index];
  const auto ip = Ip::parse(text);
  if (!ip) return wrong(fmt::format("Invalid value: \"{}\": must be a valid IP address", text));
  if (std::ranges::find(mine, *ip) != mine.end()) return *ip;
  if (std::ranges::none_of(candidates, [&](const Cidr& range) { return range.contains(*ip); }))
    return wrong(
        fmt::format("Invalid value: \"{}\": failed to allocate IP: the provided IP is not in the valid range. "
                    "The range of valid IPs is {}{}",
                    text, fmt::join(candidates, ","), deleting(family, *ip)));
  if (!is_free(*ip))
    return wrong(fmt::format("Invalid value: \"{}\": failed to allocate IP: provided IP is already allocated", text));
  return *ip;
}

ApiResult<ServiceAddresses::Hold> ServiceAddresses::assign(json::object& service, const json::object* old) {
  if (!needs_address(service)) return Hold{};
  // clusterIP and clusterIPs[0] are one thing.
  Wish wish{.addresses = texts_at(service, "spec.clusterIPs"),
            .families = texts_at(service, "spec.ipFamilies"),
            .policy = std::string(text_at(service, "spec.ipFamilyPolicy"))};
  const std::string single(text_at(service, "spec.clusterIP"));
  if (wish.addresses.empty() && !single.empty()) wish.addresses = {single};
  if (!wish.addresses.empty() && !single.empty() && wish.addresses[0] != single)
    return refuse(service, cause("FieldValueInvalid", "spec.clusterIPs[0]",
                                 fmt::format("Invalid value: \"{}\": must match spec.clusterIP", wish.addresses[0])));
  wish.headless = !wish.addresses.empty() && wish.addresses[0] == "None";
  wish.selectorless = wish.headless && object_at(service, "spec.selector").empty();
  TRY(choose_families(wish, service, old));

  const std::vector<Ip> mine = old ? addresses_of(*old) : std::vector<Ip>{};
  std::set<Ip> taken;
  json::array cluster_ips;
  for (size_t i = 0; i < wish.families.size(); ++i) {
    const Family family = wish.families[i] == "IPv4" ? Family::V4 : Family::V6;
    if (ranges(family).empty() && !wish.selectorless)
      return refuse(service, cause("FieldValueInvalid", fmt::format("spec.ipFamilies[{}]", i),
                                   fmt::format("Invalid value: \"{}\": not configured on this cluster{}",
                                               wish.families[i], deleting(family, std::nullopt))));
    if (wish.headless) continue;
    const Ip ip = TRY(choose_address(wish, i, service, mine));
    if (std::ranges::find(mine, ip) == mine.end()) taken.insert(ip);
    // As the client wrote it: an old form of an IPv6 address stays.
    cluster_ips.push_back(json::value_from(i < wish.addresses.size() ? wish.addresses[i] : to_string(ip)));
  }
  if (wish.headless) cluster_ips = {"None"};
  json::object& spec = make_object_at(service, "spec");
  spec["clusterIP"] = cluster_ips[0];
  spec["clusterIPs"] = std::move(cluster_ips);
  spec["ipFamilies"] = json::value_from(wish.families);
  spec["ipFamilyPolicy"] = wish.policy;
  held_.insert(taken.begin(), taken.end());
  return Hold(*this, std::move(taken));
}

}  // namespace causeway::apiserver
