#include "apiserver/service_objects.h"

#include <algorithm>
#include <boost/json.hpp>

#include "apiserver/prepare.h"
#include "base/format.h"
#include "base/log.h"
#include "kube/api/codec.h"
#include "kube/api/service.h"

namespace causeway::apiserver {

namespace {

constexpr auto kDeletionGrace = std::chrono::seconds(10);  // as kube-controller-manager
constexpr Duration kRetry = 1s;

const Kind& range_kind() { return kind_of(kube::ServiceCidr::kKind); }
const Kind& address_kind() { return kind_of(kube::IpAddress::kKind); }

void collect(const json::object& service, std::set<Ip>& addresses) {
  for (const json::value& text : array_at(service, "spec.clusterIPs"))
    if (text.is_string())
      if (auto ip = Ip::parse(view(text.get_string()))) addresses.insert(*ip);
}

bool is_ours(const Object& address) {
  const auto label = address.index.labels.find(kAddressManagedByLabel);
  return label != address.index.labels.end() && label->second == kAddressManager;
}

json::object address_object(const Ip& ip, const Key& service) {
  return {
      {"apiVersion", kube::api_version(kube::IpAddress::kKind)},
      {"kind", kube::IpAddress::kKind.kind},
      {"metadata",
       {{"name", to_string(ip)},
        {"labels", {{kAddressFamilyLabel, ip.is_v4() ? "IPv4" : "IPv6"}, {kAddressManagedByLabel, kAddressManager}}}}},
      {"spec",
       {{"parentRef", {{"group", ""}, {"resource", "services"}, {"namespace", service.ns}, {"name", service.name}}}}}};
}

bool names(const json::object& address, const Key& service) {
  return text_at(address, "spec.parentRef.resource") == "services" &&
         text_at(address, "spec.parentRef.namespace") == service.ns &&
         text_at(address, "spec.parentRef.name") == service.name;
}

std::vector<Cidr> cidrs_of(const json::object& range) {
  std::vector<Cidr> cidrs;
  for (const json::value& text : array_at(range, "spec.cidrs"))
    if (text.is_string())
      if (auto cidr = Cidr::parse(view(text.get_string()))) cidrs.push_back(*cidr);
  return cidrs;
}

// The condition Ready as it shall be; false: it is so.
bool set_ready(json::object& range, bool ready, std::string_view now) {
  const std::string_view status = ready ? "True" : "False";
  for (const json::value& one : array_at(range, "status.conditions"))
    if (one.is_object() && text_at(one.get_object(), "type") == "Ready" &&
        text_at(one.get_object(), "status") == status)
      return false;
  json::object condition{{"type", "Ready"}, {"status", status}, {"lastTransitionTime", now}};
  condition["reason"] = ready ? "" : "Terminating";
  condition["message"] = ready
                             ? "Kubernetes Service CIDR is ready"
                             : "There are still IPAddresses referencing the ServiceCIDR, please remove them or create "
                               "a new ServiceCIDR";
  set_at(range, "status.conditions", json::array{std::move(condition)});
  return true;
}

// Writes the whole object, or only its status.
Task<bool> write_range(Context context, ObjectPtr old, json::object changed, std::string subresource) {
  auto tree = parse_object(old->json);
  Call call{.verb = Verb::Update, .kind = &range_kind(), .name = old->key.name, .subresource = std::move(subresource)};
  auto done = co_await commit_update(context, std::move(call), old, std::move(*tree),
                                     Body{.object = std::move(changed)}, false);
  if (!done) log::warning("ServiceCIDR {}: {}", old->key.name, done.error().status.message);
  co_return done.has_value();
}

}  // namespace

void ServiceObjects::ring() {
  if (!std::exchange(rung_, true)) bell_.push(0);
}

void ServiceObjects::observe(const Event& event) {
  const std::string& resource = event.object->resource;
  if (resource == kube::Service::kKind.plural) {
    for (const ObjectPtr& object : {event.previous, event.object})
      if (object)
        if (auto tree = parse_object(object->json)) collect(*tree, addresses_);
  } else if (resource == storage_of(address_kind())) {
    if (auto ip = Ip::parse(event.object->key.name)) addresses_.insert(*ip);
  } else if (resource == storage_of(range_kind())) {
    ranges_ = true;
  } else {
    return;
  }
  ring();
}

Task<Status> ServiceObjects::run() {
  bool waiting = false;    // for time to pass; whatever else happens meanwhile
  std::set<Ip> unsettled;  // to be tried again
  while (true) {
    while (!addresses_.empty()) {
      const Ip ip = addresses_.extract(addresses_.begin()).value();
      const bool settled = co_await settle_address(ip);
      if (!settled) unsettled.insert(ip);
    }
    if (std::exchange(ranges_, false) || waiting) {
      waiting = false;
      std::vector<std::string> names;
      for (const auto& [key, object] : context_.store.shelf(storage_of(range_kind())).current())
        names.push_back(key.name);
      for (auto& name : names) {
        const bool waits = co_await settle_range(std::move(name));
        waiting = waiting || waits;
      }
    }
    auto again = waiting || !unsettled.empty() ? context_.loop.call_after(kRetry,
                                                                          [this] {
                                                                            ranges_ = true;
                                                                            ring();
                                                                          })
                                               : nullptr;
    CO_TRY(co_await bell_.next());
    rung_ = false;
    addresses_.merge(unsettled);
    unsettled.clear();
  }
}

// Whoever names an address that a Service has keeps its object: only ours are taken away.
Task<bool> ServiceObjects::settle_address(Ip ip) {
  const ObjectPtr there = context_.store.latest(storage_of(address_kind()), {"", to_string(ip)});
  const Key* owner = context_.addresses.owner_of(ip);
  if (there) {
    auto tree = parse_object(there->json);
    if (!is_ours(*there) || (owner && tree && names(*tree, *owner))) co_return true;
    Call call{.verb = Verb::Delete, .kind = &address_kind(), .name = to_string(ip)};
    auto gone = co_await delete_object(context_, std::move(call), {});
    ranges_ = true;                                               // one that waits may go now
    if (gone || gone.error().status.code == 404) co_return true;  // its deletion brings us back
    log::warning("IPAddress {}: {}", ip, gone.error().status.message);
    co_return false;
  }
  if (!owner) co_return true;
  Call call{.verb = Verb::Create, .kind = &address_kind()};
  auto made = co_await create_object(context_, std::move(call), Body{.object = address_object(ip, *owner)}, false);
  if (made || made.error().status.code == 409) co_return true;  // somebody's: its event brings us back
  log::warning("IPAddress {}: {}", ip, made.error().status.message);
  co_return false;
}

// Whether a Service has an address that no other range would cover.
bool ServiceObjects::is_needed(const Cidr& cidr, const std::string& name) const {
  std::vector<Cidr> others;
  for (const auto& [key, object] : context_.store.shelf(storage_of(range_kind())).current()) {
    if (key.name == name) continue;
    auto tree = parse_object(object->json);
    if (!tree || find_at(*tree, "metadata.deletionTimestamp")) continue;
    for (const Cidr& other : cidrs_of(*tree)) others.push_back(other);
  }
  if (std::ranges::any_of(others, [&](const Cidr& other) { return other.contains(cidr); })) return false;
  for (const auto& [key, object] : context_.store.shelf(storage_of(address_kind())).current()) {
    const auto ip = Ip::parse(key.name);
    if (!ip || !is_ours(*object) || !cidr.contains(*ip)) continue;
    if (std::ranges::none_of(others, [&](const Cidr& other) { return other.contains(*ip); })) return true;
  }
  return false;
}

Task<bool> ServiceObjects::settle_range(std::string name) {
  const ObjectPtr there = context_.store.latest(storage_of(range_kind()), {"", name});
  auto tree = there ? parse_object(there->json) : Result<json::object>(fail(Errc::NotFound, "gone"));
  if (!tree) co_return false;
  json::object changed = *tree;
  json::array finalizers = array_at(changed, "metadata.finalizers");
  const json::value finalizer = json::string(kServiceCidrFinalizer);
  const auto held = std::find(finalizers.begin(), finalizers.end(), finalizer);
  const std::string_view deleted = text_at(changed, "metadata.deletionTimestamp");
  if (deleted.empty()) {
    if (held == finalizers.end()) {
      finalizers.push_back(finalizer);
      set_at(changed, "metadata.finalizers", std::move(finalizers));
      co_await write_range(context_, there, std::move(changed), "");  // its event brings us back
      co_return false;
    }
    if (set_ready(changed, true, now_text(context_.loop.wall_now())))
      co_await write_range(context_, there, std::move(changed), "status");
    co_return false;
  }
  if (held == finalizers.end()) co_return false;  // somebody else holds it
  bool needed = false;
  for (const Cidr& cidr : cidrs_of(changed)) needed = needed || is_needed(cidr, name);
  if (needed) {
    if (set_ready(changed, false, now_text(context_.loop.wall_now())))
      co_await write_range(context_, there, std::move(changed), "status");
    co_return false;  // an address that goes brings us back
  }
  const auto since = kube::parse_time(deleted);
  if (since && context_.loop.wall_now() < *since + kDeletionGrace) co_return true;
  finalizers.erase(held);
  set_at(changed, "metadata.finalizers", std::move(finalizers));
  const bool done = co_await write_range(context_, there, std::move(changed), "");
  co_return !done;
}

}  // namespace causeway::apiserver
