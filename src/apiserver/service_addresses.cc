#include "apiserver/service_addresses.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

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

Refusal refuse(const json::object& service, kube::StatusCause why) {
  return invalid(kube::Service::kKind, text_at(service, "metadata.name"), {std::move(why)});
}

// What of the old addresses an update that does not mention them keeps (registry/core/service, patchAllocatedValues).
void keep_allocated(json::object& service, const json::object& old) {
  if (text_at(service, "spec.type") == "ExternalName" || text_at(old, "spec.type") == "ExternalName") return;
  for (std::string_view field : {"spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy"})
    if (const json::value* value = find_at(old, field); value && !find_at(service, field))
      set_at(service, field, *value);
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
  if (event.object->resource != kube::Service::kKind.plural) return;
  if (event.previous) std::erase_if(used_, [&](const auto& entry) { return entry.second == event.object->key; });
  if (event.deleted) return;
  if (auto tree = parse_object(event.object->json))
    for (const Ip& ip : addresses_of(*tree)) used_.insert_or_assign(ip, event.object->key);
}

std::optional<Ip> ServiceAddresses::find_free(const Cidr& range) {
  // KEP-3070: the low band is left for addresses that people choose.
  const uint64_t size = range.size();
  const uint64_t band = size < 32 ? 1 : std::min<uint64_t>(std::max<uint64_t>(16, size / 16), 256);
  const uint64_t end = range.family() == Family::V4 ? size - 1 : std::min<uint64_t>(size, uint64_t{1} << 20);
  for (uint64_t offset = band + 1; offset < end; ++offset)
    if (const Ip ip = range.address().plus(offset); is_free(ip)) return ip;
  for (uint64_t offset = 2; offset <= band; ++offset)
    if (const Ip ip = range.address().plus(offset); is_free(ip)) return ip;
  return std::nullopt;
}

ApiResult<ServiceAddresses::Hold> ServiceAddresses::assign(json::object& service, const json::object* old) {
  if (text_at(service, "spec.type") == "ExternalName") {
    for (std::string_view field : {"spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy"})
      erase_at(service, field);
    return Hold{};
  }
  if (old) keep_allocated(service, *old);
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
  if (policy.empty()) policy = wanted.size() > 1 || families.size() > 1 ? "RequireDualStack" : "SingleStack";
  if (policy == "RequireDualStack" && ranges_.size() < 2)
    return refuse(service,
                  cause("FieldValueInvalid", "spec.ipFamilyPolicy",
                        "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"));
  if (families.empty()) {
    if (!wanted.empty() && !headless) {
      if (auto ip = Ip::parse(wanted[0])) families = {family_name(ip->family())};
    }
    if (families.empty()) families = {family_name(ranges_.front().family())};
  }
  const size_t count = policy == "SingleStack" ? 1 : std::min<size_t>(2, ranges_.size());
  for (const Cidr& range : ranges_)
    if (families.size() < count &&
        std::find(families.begin(), families.end(), family_name(range.family())) == families.end())
      families.emplace_back(family_name(range.family()));
  families.resize(std::min(families.size(), count));

  std::vector<Ip> mine = old ? addresses_of(*old) : std::vector<Ip>{};
  std::set<Ip> taken;
  Hold hold;
  json::array cluster_ips;
  for (size_t i = 0; i < families.size(); ++i) {
    auto range = std::find_if(ranges_.begin(), ranges_.end(),
                              [&](const Cidr& r) { return family_name(r.family()) == families[i]; });
    const std::string field = fmt::format("spec.ipFamilies[{}]", i);
    if (range == ranges_.end())
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
      if (!range->contains(*ip))
        return wrong(
            fmt::format("failed to allocate IP: the provided IP is not in the valid range {}", to_string(*range)));
      if (!kept && !is_free(*ip)) return wrong("failed to allocate IP: provided IP is already allocated");
      if (!kept) taken.insert(*ip);
      cluster_ips.push_back(json::value_from(wanted[i]));
      continue;
    }
    auto ip = find_free(*range);
    if (!ip)
      return refuse(service, cause("FieldValueInvalid", fmt::format("spec.clusterIPs[{}]", i),
                                   fmt::format("failed to allocate IP: the range {} is full", to_string(*range))));
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
