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

ApiResult<ServiceAddresses::Hold> ServiceAddresses::assign(json::object& service, const json::object* old) {
  if (text_at(service, "spec.type") == "ExternalName") return Hold{};
  json::object& spec = make_object_at(service, "spec");

  // clusterIP and clusterIPs[0] are one thing.
  std::vector<std::string> wanted;
  for (const json::value& text : array_at(service, "spec.clusterIPs"))
    if (text.is_string()) wanted.emplace_back(view(text.get_string()));
  const std::string single(text_at(service, "spec.clusterIP"));
  if (wanted.empty() && !single.empty()) wanted = {single};
  if (!wanted.empty() && !single.empty() && wanted[0] != single)
    return refuse(service, cause("FieldValueInvalid", "spec.clusterIPs[0]",
                                 fmt::format("Invalid value: \"{}\": must match spec.clusterIP", wanted[0])));
  const bool headless = !wanted.empty() && wanted[0] == "None";

  // Which families, in which order.
  std::vector<std::string> families;
  for (const json::value& family : array_at(service, "spec.ipFamilies"))
    if (family.is_string()) families.emplace_back(view(family.get_string()));
  auto family_name = [](Family family) { return family == Family::V4 ? "IPv4" : "IPv6"; };
  std::string policy(text_at(service, "spec.ipFamilyPolicy"));
  const bool selectorless = headless && object_at(service, "spec.selector").empty();
  if (policy.empty() && old) policy = text_at(*old, "spec.ipFamilyPolicy");
  if (policy.empty()) policy = selectorless ? "RequireDualStack" : "SingleStack";
  const auto refuse_policy = [&](std::string_view why) {
    return refuse(service, cause("FieldValueInvalid", "spec.ipFamilyPolicy",
                                 fmt::format("Invalid value: \"{}\": {}", policy, why)));
  };
  if (old && policy == "SingleStack") {
    // Without another word this gives the second address back.
    if (wanted.size() > 1 && array_at(service, "spec.clusterIPs") == array_at(*old, "spec.clusterIPs"))
      wanted.resize(1);
    if (families.size() > 1 && array_at(service, "spec.ipFamilies") == array_at(*old, "spec.ipFamilies"))
      families.resize(1);
  } else if (old && needs_address(*old)) {
    if (!wanted.empty() && wanted.size() < array_at(*old, "spec.clusterIPs").size())
      return refuse_policy("must be 'SingleStack' to release the secondary cluster IP");
    if (!families.empty() && families.size() < array_at(*old, "spec.ipFamilies").size())
      return refuse_policy("must be 'SingleStack' to release the secondary IP family");
  }
  if (policy == "SingleStack" && wanted.size() > 1)
    return refuse_policy("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified");
  if (policy == "SingleStack" && families.size() > 1)
    return refuse_policy("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
  const std::vector<Cidr> of_family[] = {ranges(Family::V4), ranges(Family::V6)};
  const auto ranges_of = [&](std::string_view family) -> const std::vector<Cidr>& {
    return of_family[family == "IPv4" ? 0 : 1];
  };
  const size_t configured = size_t(!of_family[0].empty()) + size_t(!of_family[1].empty());
  if (policy == "RequireDualStack" && configured < 2 && !selectorless)
    return refuse(service,
                  cause("FieldValueInvalid", "spec.ipFamilyPolicy",
                        "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"));
  if (families.empty()) {
    if (!wanted.empty() && !headless) {
      if (auto ip = Ip::parse(wanted[0])) families = {family_name(ip->family())};
    }
    if (families.empty()) families = {family_name(flags_.front().family())};
  }
  // A headless Service whose endpoints somebody else writes may have both families wherever it is; and one that prefers
  // both keeps what it has when the cluster's families change.
  const bool kept_both = old && policy == "PreferDualStack" && text_at(*old, "spec.ipFamilyPolicy") == policy &&
                         array_at(*old, "spec.ipFamilies") == array_at(service, "spec.ipFamilies") &&
                         array_at(*old, "spec.clusterIPs") == array_at(service, "spec.clusterIPs");
  const size_t count = policy == "SingleStack" || kept_both ? 1 : selectorless ? 2 : std::max<size_t>(1, configured);
  for (std::string_view family : {"IPv4", "IPv6"})
    if (families.size() < count && std::find(families.begin(), families.end(), family) == families.end())
      families.emplace_back(family);

  std::vector<Ip> mine = old ? addresses_of(*old) : std::vector<Ip>{};
  std::set<Ip> taken;
  Hold hold;
  json::array cluster_ips;
  for (size_t i = 0; i < families.size(); ++i) {
    const auto& candidates = ranges_of(families[i]);
    const std::string field = fmt::format("spec.ipFamilies[{}]", i);
    if (candidates.empty() && !selectorless)
      return refuse(service, cause("FieldValueInvalid", field,
                                   fmt::format("Invalid value: \"{}\": not configured on this cluster", families[i])));
    if (headless) continue;
    if (i < wanted.size()) {
      auto ip = Ip::parse(wanted[i]);
      const std::string at = fmt::format("spec.clusterIPs[{}]", i);
      auto wrong = [&](std::string_view why) {
        return refuse(service,
                      cause("FieldValueInvalid", at, fmt::format("Invalid value: \"{}\": {}", wanted[i], why)));
      };
      if (!ip) return wrong("must be a valid IP address");
      const bool kept = std::find(mine.begin(), mine.end(), *ip) != mine.end();
      const bool inside = std::ranges::any_of(candidates, [&](const Cidr& range) { return range.contains(*ip); });
      if (!kept && !inside)
        return wrong(
            fmt::format("failed to allocate IP: the provided IP is not in the valid range. The range of valid "
                        "IPs is {}",
                        fmt::join(candidates, ",")));
      if (!kept && !is_free(*ip)) return wrong("failed to allocate IP: provided IP is already allocated");
      if (!kept) taken.insert(*ip);
      cluster_ips.push_back(json::value_from(wanted[i]));
      continue;
    }
    std::optional<Ip> ip;
    for (const Cidr& range : candidates)
      if (!ip) ip = find_free(range);
    if (!ip)
      return refuse(service,
                    cause("FieldValueInvalid", fmt::format("spec.clusterIPs[{}]", i),
                          fmt::format("failed to allocate IP: the range {} is full", fmt::join(candidates, ","))));
    taken.insert(*ip);
    cluster_ips.push_back(json::value_from(to_string(*ip)));
  }
  if (headless) cluster_ips = {"None"};
  spec["clusterIP"] = cluster_ips[0];
  spec["clusterIPs"] = std::move(cluster_ips);
  spec["ipFamilies"] = json::value_from(families);
  spec["ipFamilyPolicy"] = policy;
  held_.insert(taken.begin(), taken.end());
  return Hold(*this, std::move(taken));
}

}  // namespace causeway::apiserver
