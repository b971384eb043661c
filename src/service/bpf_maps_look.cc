#include <arpa/inet.h>

#include "datapath/rows.h"
#include "service/bpf_maps.h"

namespace causeway::service {

namespace {

// "what KEY: missing", "... : not as it should be", "... : nobody's".
template <class K, class V>
void compare(std::vector<std::string>& out, std::string_view what, const std::map<K, V>& wanted,
             const std::map<K, V>& actual, const std::function<std::string(const K&)>& print) {
  for (const auto& [key, value] : wanted) {
    auto is = actual.find(key);
    if (is == actual.end())
      out.push_back(fmt::format("{} {}: missing", what, print(key)));
    else if (!(is->second == value))
      out.push_back(fmt::format("{} {}: not as it should be", what, print(key)));
  }
  for (const auto& [key, value] : actual)
    if (!wanted.contains(key)) out.push_back(fmt::format("{} {}: nobody's", what, print(key)));
}

template <class K>
std::string text(const K& key) {
  return fmt::format("{}", key);
}

}  // namespace

Result<std::vector<std::string>> BpfMaps::differences() {
  std::vector<std::string> out;
  std::vector<abi::backend_value> numbers;
  const KernelRows actual = TRY(read_rows(doors_.services, doors_.slots, doors_.backends, doors_.sources, numbers));

  std::map<FrontendKey, abi::service_value> frontends;
  std::map<abi::slot_key, uint32_t> slots, actual_slots;
  std::map<uint32_t, abi::backend_value> backends, actual_backends;
  std::map<uint32_t, PortId> names;
  for (const auto& [key, row] : desired_.frontends.rows()) {
    auto port = ports_.find(row.value.port);
    frontends.emplace(key, encode(row.value, port == ports_.end() ? PortHeader{} : port->second.header));
  }
  compare<FrontendKey>(out, "row", frontends, actual.frontends, text<FrontendKey>);

  for (const auto& [id, port] : ports_) {
    names.emplace(port.header.id, id);
    auto pool = [&](Pool which, const CompactVector<uint32_t>& of) {
      for (uint32_t i = 0; i < of.size(); ++i)
        slots[{.pool = pool_number(port.header.id, which), .epoch = port.header.pool(which).epoch, .index = i}] = of[i];
    };
    pool(Pool::Cluster, port.cluster);
    pool(Pool::Local, port.local);
    for (const uint32_t number : port.members) backends.emplace(number, numbers_.row(number));
  }
  for (const KernelSlot& slot : actual.slots) {
    const abi::slot_key key{.pool = slot.pool, .epoch = slot.epoch, .index = slot.index};
    if (!retired_.contains(key)) actual_slots.emplace(key, slot.backend);
  }
  auto name = [&](uint32_t id) {
    auto found = names.find(id);
    return found == names.end() ? fmt::format("Service {}", id) : to_string(found->second);
  };
  compare<abi::slot_key>(out, "slot", slots, actual_slots, [&](const abi::slot_key& key) {
    return fmt::format("{} of {}{}, epoch {}", key.index, name(id_of_pool(key.pool)), key.pool % 2 ? " local" : "",
                       key.epoch);
  });
  for (const auto& [id, number] : actual.backends) actual_backends.emplace(number, numbers[number]);
  compare<uint32_t>(out, "backend", backends, actual_backends, [&](const uint32_t& number) {
    const abi::backend_value& row =
        actual_backends.contains(number) ? actual_backends.at(number) : numbers_.row(number);
    return fmt::format("{} of {}, {}", number, name(row.service),
                       Endpoint{datapath::from_abi(row.addr), ntohs(row.port)});
  });

  std::map<abi::source_key, uint32_t> sources, actual_sources;
  for (const auto& [id, keys] : sources_)
    for (const abi::source_key& key : keys) sources[key] = 1;
  for (const auto& [id, keys] : actual.sources)
    for (const abi::source_key& key : keys) actual_sources[key] = 1;
  compare<abi::source_key>(out, "source range", sources, actual_sources, [&](const abi::source_key& key) {
    return fmt::format("{} of {}", decode({.prefixlen = key.prefixlen - 32, .addr = key.addr}), name(key.service));
  });

  std::map<Ip, abi::service_value> addresses;
  for (const auto& [ip, row] : desired_.addresses.rows()) addresses.emplace(ip, address_row());
  compare<Ip>(out, "Service address", addresses, actual.addresses, text<Ip>);

  std::map<Ip, uint32_t> node, actual_node;
  for (const auto& [ip, row] : desired_.node_addresses.rows()) node.emplace(ip, encode(row.value));
  TRY(doors_.node_addresses.each(
      [&](const abi::ip_addr& addr, const uint32_t& flags) { actual_node.emplace(datapath::from_abi(addr), flags); }));
  compare<Ip>(out, "node address", node, actual_node, text<Ip>);

  std::map<Cidr, uint32_t> ranges, actual_ranges;
  for (const auto& [range, row] : desired_.ranges.rows()) ranges.emplace(range, 1);
  TRY(doors_.ranges.each(
      [&](const abi::range_key& key, const uint32_t& one) { actual_ranges.emplace(decode(key), one); }));
  compare<Cidr>(out, "Service range", ranges, actual_ranges, text<Cidr>);

  std::map<uint64_t, abi::client_value> clients, actual_clients;
  for (const auto& [cookie, row] : desired_.clients.rows()) clients.emplace(cookie, encode(row.value));
  TRY(doors_.clients.each(
      [&](const uint64_t& cookie, const abi::client_value& value) { actual_clients.emplace(cookie, value); }));
  compare<uint64_t>(out, "client", clients, actual_clients, text<uint64_t>);
  return out;
}

}  // namespace causeway::service
