#include "apiserver/node_ports.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "kube/api/service.h"

namespace causeway::apiserver {

namespace {

bool needs_ports(const json::object& service) {
  const std::string_view type = text_at(service, "spec.type");
  return type == "NodePort" || type == "LoadBalancer";
}
bool gives_ports(const json::object& service) {
  return text_at(service, "spec.type") == "NodePort" || (text_at(service, "spec.type") == "LoadBalancer" &&
                                                         bool_at(service, "spec.allocateLoadBalancerNodePorts", true));
}
bool needs_health_port(const json::object& service) {
  return text_at(service, "spec.type") == "LoadBalancer" && text_at(service, "spec.externalTrafficPolicy") == "Local";
}

std::set<uint16_t> ports_of(const json::object& service) {
  std::set<uint16_t> ports;
  if (needs_ports(service))
    for (const json::value& port : array_at(service, "spec.ports"))
      if (port.is_object())
        if (const int64_t number = int_at(port.get_object(), "nodePort"); number > 0 && number <= 65535)
          ports.insert(uint16_t(number));
  if (const int64_t number = int_at(service, "spec.healthCheckNodePort"); number > 0 && number <= 65535)
    ports.insert(uint16_t(number));
  return ports;
}

}  // namespace

// The numbers that one write takes.
class NodePorts::Allocation {
 public:
  Allocation(NodePorts& ports, const json::object& service, const json::object* old, Random& random)
      : ports_(ports), service_(service), random_(random), mine_(old ? ports_of(*old) : std::set<uint16_t>{}) {}

  ApiResult<void> take(int64_t port, const std::string& field) {
    const NodePortRange range = ports_.range_;
    const auto refuse = [&](const std::string& why) {
      return invalid(kube::Service::kKind, text_at(service_, "metadata.name"),
                     {cause("FieldValueInvalid", field, fmt::format("Invalid value: {}: {}", port, why))});
    };
    if (port == health_) return refuse("provided port is the healthCheckNodePort of this Service");
    if (mine_.contains(uint16_t(port)) || taken_.contains(uint16_t(port))) return {};
    if (port < range.first || port > range.last)
      return refuse(fmt::format("provided port is not in the valid range. The range of valid ports is {}-{}",
                                range.first, range.last));
    if (!ports_.is_free(port)) return refuse("provided port is already allocated");
    taken_.insert(uint16_t(port));
    ports_.held_.insert(uint16_t(port));
    return {};
  }
  // The server answers health checks there: no port of the Service may have it.
  ApiResult<void> take_health(int64_t port, const std::string& field) {
    TRY(take(port, field));
    health_ = port;
    return {};
  }
  ApiResult<uint16_t> take_any(const std::string& field) {
    const auto port = ports_.find_free(random_);
    if (!port)
      return invalid(kube::Service::kKind, text_at(service_, "metadata.name"),
                     {cause("FieldValueInvalid", field,
                            fmt::format("Invalid value: 0: failed to allocate a nodePort: range {}-{} is full",
                                        ports_.range_.first, ports_.range_.last))});
    taken_.insert(*port);
    ports_.held_.insert(*port);
    return *port;
  }
  Hold hold() && { return {ports_, std::move(taken_)}; }
  ~Allocation() {
    for (const uint16_t port : taken_) ports_.held_.erase(port);
  }

 private:
  NodePorts& ports_;
  const json::object& service_;
  Random& random_;
  std::set<uint16_t> mine_, taken_;
  int64_t health_ = 0;
};

NodePorts::Hold::~Hold() {
  if (!owner_) return;
  for (const uint16_t port : ports_) owner_->held_.erase(port);
}

void NodePorts::observe(const Event& event) {
  if (event.object->resource != kube::Service::kKind.plural) return;
  if (event.previous)
    if (auto tree = parse_object(event.previous->json))
      for (const uint16_t port : ports_of(*tree)) used_.erase(port);
  if (event.deleted) return;
  if (auto tree = parse_object(event.object->json))
    for (const uint16_t port : ports_of(*tree)) used_.insert_or_assign(port, event.object->key);
}

// KEP-3668: the low band is left for numbers that people choose.
std::optional<uint16_t> NodePorts::find_free(Random& random) const {
  const uint32_t size = uint32_t(range_.last) - range_.first + 1;
  const uint32_t band = size < 32 ? 0 : std::clamp<uint32_t>(size / 32, 16, 128);
  const auto search = [&](uint32_t from, uint32_t count) -> std::optional<uint16_t> {
    const uint32_t start = count > 0 ? uint32_t(random.next() % count) : 0;
    for (uint32_t i = 0; i < count; ++i)
      if (const auto port = uint16_t(range_.first + from + (start + i) % count); is_free(port)) return port;
    return std::nullopt;
  };
  if (auto port = search(band, size - band)) return port;
  return search(0, band);
}

ApiResult<NodePorts::Hold> NodePorts::assign(json::object& service, const json::object* old, Random& random) {
  Allocation allocation(*this, service, old, random);
  const std::string health_field = "spec.healthCheckNodePort";
  const int64_t health = needs_health_port(service) ? int_at(service, health_field) : 0;
  if (health != 0) TRY(allocation.take_health(health, health_field));
  if (needs_ports(service)) {
    // The same port number by TCP and UDP gets the same node port, as long as nobody asks for another.
    std::map<int64_t, int64_t> given;
    json::array ports = array_at(service, "spec.ports");
    for (const json::value& port : ports)
      if (port.is_object() && int_at(port.get_object(), "nodePort") != 0)
        given.emplace(int_at(port.get_object(), "port"), int_at(port.get_object(), "nodePort"));
    std::set<std::pair<std::string, int64_t>> pairs;
    for (size_t i = 0; i < ports.size(); ++i) {
      if (!ports[i].is_object()) continue;
      json::object& port = ports[i].get_object();
      const std::string protocol(text_at(port, "protocol", "TCP"));
      const std::string field = fmt::format("spec.ports[{}].nodePort", i);
      int64_t number = int_at(port, "nodePort");
      if (number != 0) {
        TRY(allocation.take(number, field));
      } else {
        if (!gives_ports(service)) continue;
        const auto same = given.find(int_at(port, "port"));
        if (same != given.end() && !pairs.contains({protocol, same->second})) {
          number = same->second;
          TRY(allocation.take(number, field));
        } else {
          number = TRY(allocation.take_any(field));
        }
        port["nodePort"] = number;
        given.emplace(int_at(port, "port"), number);
      }
      pairs.emplace(protocol, number);
    }
    set_at(service, "spec.ports", std::move(ports));
  }
  if (needs_health_port(service) && health == 0)
    set_at(service, health_field, int64_t{TRY(allocation.take_any(health_field))});
  return std::move(allocation).hold();
}

}  // namespace causeway::apiserver
