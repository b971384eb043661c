// The ground of this folder's tests of the bpf maps: maps that survive agents, and agents.
#pragma once

#include <arpa/inet.h>

#include <algorithm>

#include "async/virtual_loop.h"
#include "datapath/rows.h"
#include "kernel/bpf/fake.h"
#include "service/bpf_maps.h"

namespace causeway::service {

inline Ip ip(std::string_view text) { return Ip::parse(text).value(); }
inline Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

// A map that shows every single row to somebody, and may be full or die.
template <class K, class V>
struct Watched final : bpf::FakeTable<K, V> {
  using Base = bpf::FakeTable<K, V>;
  using Base::put;
  using Base::remove;
  std::function<Status()> before;
  std::function<void(const K&, const V*)> after;
  size_t room = SIZE_MAX;
  Status put(const std::vector<std::pair<K, V>>& batch) override {
    for (const auto& [key, value] : batch) {
      TRY(before());
      if (this->rows.size() >= room && !this->rows.contains(key)) return fail(Errc::Exhausted, "map full");
      TRY(Base::put({{key, value}}));
      after(key, &value);
    }
    return ok();
  }
  Status remove(const std::vector<K>& keys) override {
    for (const K& key : keys) {
      TRY(before());
      TRY(Base::remove(std::vector<K>{key}));
      after(key, nullptr);
    }
    return ok();
  }
};

// What a packet would meet, from the maps alone.
inline std::string side_text(const abi::service_side& side, const std::map<std::string, uint32_t>& to) {
  if (side.verdict == abi::SERVICE_REJECT) return "reject";
  if (side.verdict == abi::SERVICE_DROP) return "drop";
  std::string out = side.masquerade ? "masquerade" : "";
  for (const auto& [endpoint, times] : to) out += fmt::format(" {}x{}", endpoint, times);
  return out;
}

// What survives an agent.
struct Kernel {
  Watched<abi::service_key, abi::service_value> services;
  Watched<abi::slot_key, uint32_t> slots;
  Watched<uint32_t, abi::backend_value> backends;
  Watched<uint32_t, uint32_t> connections;
  bpf::FakeTable<abi::ip_addr, uint32_t> node_addresses;
  bpf::FakeTable<abi::range_key, uint32_t> ranges;
  bpf::FakeTable<abi::source_key, uint32_t> sources;
  bpf::FakeTable<uint64_t, abi::client_value> clients;

  size_t left = SIZE_MAX;  // writes until the agent dies
  std::function<void()> look = [] {};
  std::map<std::pair<uint32_t, uint32_t>, std::string> given;  // number and generation: to whom
  MapRoom asked;
  std::optional<Error> no_room;  // what asking for room is answered
  bool programs_behind = false;
  size_t repairs = 0;  // times that the socket hooks were looked at

  Kernel() {
    auto before = [this]() -> Status {
      if (!left) return fail(Errc::Io, "dead");
      --left;
      return ok();
    };
    services.before = slots.before = backends.before = connections.before = before;
    services.after = [this](auto&, auto) { look(); };
    slots.after = [this](const abi::slot_key& key, auto) {
      for (const auto& [frontend, row] : services.rows)  // what no row names nobody sees
        for (const abi::service_side& side : {row.inside, row.outside})
          if (side.pool == key.pool && side.epoch == key.epoch && key.index < side.slots) return look();
    };
    connections.after = [](auto&, auto) {};
    backends.after = [this](uint32_t number, const abi::backend_value* row) {
      if (row->state != abi::BACKEND_GONE) {
        const std::string whose = fmt::format("{} {} {}", row->service, endpoint(*row), row->proto);
        CHECK(given.try_emplace({number, row->generation}, whose).first->second == whose);
      }
      CHECK(number != 0);
      look();
    };
  }
  static std::string endpoint(const abi::backend_value& row) {
    return to_string(Endpoint{datapath::from_abi(row.addr), ntohs(row.port)});
  }
  size_t writes() const {
    return services.writes + slots.writes + backends.writes + connections.writes + node_addresses.writes +
           ranges.writes + sources.writes + clients.writes;
  }
  // The endpoints of a side and how many slots each has. Every slot must lead somewhere.
  std::map<std::string, uint32_t> endpoints(const abi::service_value& row, const abi::service_side& side) const {
    std::map<std::string, uint32_t> out;
    if (side.verdict != abi::SERVICE_BALANCE) return out;
    if (!side.slots) FAIL("balances over nothing");
    for (uint32_t i = 0; i < side.slots; ++i) {  // no doctest macro for each: there are millions
      uint32_t number = (side.epoch & ~abi::SLOTS_RUN) + i;
      if (!(side.epoch & abi::SLOTS_RUN)) {
        auto slot = slots.rows.find({.pool = side.pool, .epoch = side.epoch, .index = i});
        if (slot == slots.rows.end()) FAIL("a slot is missing");
        number = slot->second;
      }
      auto backend = backends.rows.find(number);
      if (backend == backends.rows.end() || !(backend->second.state & abi::BACKEND_ELIGIBLE) ||
          backend->second.service != row.id)
        FAIL("a slot leads to nobody");
      ++out[endpoint(backend->second)];
    }
    return out;
  }
  std::map<FrontendKey, std::string> resolve() const {
    std::map<FrontendKey, std::string> out;
    for (const auto& [key, row] : services.rows) {
      if (is_address(key)) continue;
      out[decode(key)] = fmt::format("kind {} flags {} affinity {} in:{} out:{}", row.kind, row.flags, row.affinity,
                                     side_text(row.inside, endpoints(row, row.inside)),
                                     side_text(row.outside, endpoints(row, row.outside)));
    }
    return out;
  }
  size_t serving() const {
    return static_cast<size_t>(
        std::ranges::count_if(backends.rows, [](auto& row) { return row.second.state != abi::BACKEND_GONE; }));
  }
};

struct Agent {
  VirtualLoop loop;
  Desired desired{{}};
  BpfMaps maps;

  explicit Agent(Kernel& kernel)
      : maps({loop, kernel.services, kernel.slots, kernel.backends, kernel.connections, kernel.node_addresses,
              kernel.ranges, kernel.sources, kernel.clients,
              [&kernel](const MapRoom& room) -> Status {
                kernel.asked = room;
                return kernel.no_room ? fail(*kernel.no_room) : ok();
              },
              [&kernel] { return kernel.programs_behind; },
              [&kernel]() -> Status {
                ++kernel.repairs;
                return ok();
              }},
             desired) {}
  std::string apply(bool complete = true, bool ranges = true) {
    auto failures = maps.apply(complete, ranges);
    if (!failures) return failures.error().message();
    std::string out;
    for (const auto& failure : *failures) out += failure.object + ": " + failure.error.message() + "\n";
    return out;
  }
  std::string differences() {
    std::string out;
    for (const std::string& line : maps.differences().value()) out += line + "\n";
    return out;
  }
};

inline const cluster::ServiceKey web{"default", "web"};
inline const PortId web_port{"default", "web", "http"};

inline Backend backend(std::string_view at, uint16_t weight = 1) {
  return {.at = {ip(at), 80}, .cluster_pool = true, .weight = weight};
}
inline const Side kCluster{.verdict = Verdict::Balance, .pool = Pool::Cluster};

// One Service with a ClusterIP and a node port.
inline Tables web_tables(std::vector<Backend> backends) {
  Tables tables;
  const Side side = backends.empty() ? Side{} : kCluster;
  Side outside = side;
  outside.masquerade = !backends.empty();
  tables.frontends[{ip("10.96.0.1"), 80}] = {.port = web_port, .inside = side, .outside = {.verdict = Verdict::Drop}};
  tables.frontends[{ip("0.0.0.0"), 30080}] = {
      .port = web_port, .kind = Kind::NodePort, .inside = side, .outside = outside};
  tables.ports[web_port] = {.backends = std::move(backends)};
  tables.addresses[ip("10.96.0.1")] = web;
  return tables;
}

inline std::string render(const Kernel& kernel) {
  std::string out;
  for (const auto& [key, text] : kernel.resolve()) out += fmt::format("{}: {}\n", key, text);
  return out;
}

}  // namespace causeway::service
