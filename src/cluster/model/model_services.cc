// Services, EndpointSlices and ServiceCIDRs of the model.
#include "cluster/model/write.h"

namespace causeway::cluster {

namespace {
template <class Set, class Element>
void update(Set& set, Element element, bool add) {
  if (add)
    set.insert(std::move(element));
  else
    set.erase(element);
}
}  // namespace

const Service* Model::service(const ServiceKey& key) const { return services_.find(key); }
const EndpointSlice* Model::slice(const SliceKey& key) const { return slices_.find(key); }

std::vector<const EndpointSlice*> Model::slices_of(const ServiceKey& key) const {
  std::vector<const EndpointSlice*> out;
  for (auto it = slices_by_service_.lower_bound(key); it != slices_by_service_.end() && (*it)->owner() == key; ++it)
    out.push_back(*it);
  return out;
}

std::vector<const Service*> Model::services_claiming(const ServiceClaim& claim) const {
  std::vector<const Service*> out;
  for (auto it = services_by_claim_.lower_bound(claim); it != services_by_claim_.end() && it->claim == claim; ++it)
    out.push_back(it->service);
  return out;
}

const std::set<Endpoint>& Model::unhealthy(const ServiceKey& key) const {
  static const std::set<Endpoint> kNone;
  const auto* found = find(unhealthy_, key);
  return found ? *found : kNone;
}

void Model::index(const Service& service, bool add) {
  for (const ServiceClaim& claim : claims(service)) update(services_by_claim_, Claimed{claim, &service}, add);
  if (!service.annotations.empty() || service.restricted) update(services_of_nodes_, service.key, add);
}
void Model::index(const EndpointSlice& slice, bool add) {
  if (!slice.service.empty()) update(slices_by_service_, &slice, add);
}

Generation Model::put(Service service) {
  service.key = {names_.one(service.key.ns), names_.one(service.key.name)};
  for (ServicePort& port : service.ports) port.name = names_.one(port.name);
  const ServiceKey key = service.key;
  for (auto* list : {&service.cluster_ips, &service.external_ips, &service.load_balancer_ips}) list->shrink_to_fit();
  service.ports.shrink_to_fit();
  for (auto& [label, value] : service.labels) label = names_.one(label), value = names_.one(value);
  service.labels.shrink_to_fit();
  const Service* old = this->service(key);
  if (old && *old == service) return generation_;
  if (old) index(*old, false);
  auto shared = std::make_shared<const Service>(std::move(service));
  write_shared(services_, changes_.services, key, shared);
  index(*shared, true);
  return advance();
}

Generation Model::remove(const ServiceKey& key) {
  const Service* old = service(key);
  if (!old) return generation_;
  index(*old, false);
  write_shared(services_, changes_.services, ServiceKey(key), {});
  return advance();
}

Generation Model::put(EndpointSlice slice) {
  slice.key.ns = names_.one(slice.key.ns);
  slice.service = names_.one(slice.service);
  for (SlicePort& port : slice.ports) port.name = names_.one(port.name);
  for (SliceEndpoint& endpoint : slice.endpoints) endpoint.node = names_.one(endpoint.node);
  const SliceKey key = slice.key;
  slice.ports.shrink_to_fit();
  slice.endpoints.shrink_to_fit();
  const EndpointSlice* old = this->slice(key);
  if (old && *old == slice) return generation_;
  if (old) index(*old, false);
  auto shared = std::make_shared<const EndpointSlice>(std::move(slice));
  write_shared(slices_, changes_.slices, key, shared);
  index(*shared, true);
  return advance();
}

Generation Model::remove(const SliceKey& key) {
  const EndpointSlice* old = slice(key);
  if (!old) return generation_;
  index(*old, false);
  write_shared(slices_, changes_.slices, SliceKey(key), {});
  return advance();
}

Generation Model::put(ServiceCidr cidr) {
  const std::string name = cidr.name;
  return write(service_cidrs_, changes_.service_cidrs, name, std::optional(std::move(cidr))) ? advance() : generation_;
}
Generation Model::remove_service_cidr(const std::string& name) {
  return write(service_cidrs_, changes_.service_cidrs, name, std::optional<ServiceCidr>{}) ? advance() : generation_;
}

Generation Model::set_unhealthy(const ServiceKey& key, std::set<Endpoint> endpoints) {
  if (endpoints == unhealthy(key)) return generation_;
  if (endpoints.empty())
    unhealthy_.erase(key);
  else
    unhealthy_[key] = std::move(endpoints);
  changes_.health.insert(key);
  return advance();
}

}  // namespace causeway::cluster
