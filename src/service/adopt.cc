#include "service/adopt.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include <algorithm>

#include "datapath/rows.h"

namespace causeway::service {

namespace {

using conntrack::Flow;
using datapath::to_abi;

// Where the flow is in its life, as our flags say it. nf_conntrack does not tell which side has sent the first FIN, so
// a half closed connection is one that has yet to close; it lives no longer than the kernel would let it.
uint32_t state_of(const Flow& flow) {
  // Nothing says how far SCTP is; too early to be idle for long and still in its handshake, it is taken for open.
  if (flow.protocol == IPPROTO_SCTP && flow.replied) return abi::CT_F_SEEN_REPLY | abi::CT_F_CONFIRMED;
  if (flow.protocol != IPPROTO_TCP) return flow.replied ? uint32_t{abi::CT_F_SEEN_REPLY} : 0;
  switch (flow.tcp_state) {
    case TCP_CONNTRACK_NONE:
    case TCP_CONNTRACK_SYN_SENT:
    case TCP_CONNTRACK_SYN_SENT2: return 0;
    case TCP_CONNTRACK_LAST_ACK:
    case TCP_CONNTRACK_TIME_WAIT: return abi::CT_F_SEEN_REPLY | abi::CT_F_FIN_FORWARD | abi::CT_F_FIN_REPLY;
    case TCP_CONNTRACK_CLOSE: return abi::CT_F_SEEN_REPLY | abi::CT_F_RESET;
    default: return abi::CT_F_SEEN_REPLY;
  }
}

// Its rows would only be in the way of who takes its port again, now for the endpoint itself (as the socket hooks do):
// answers to that would be translated. Also a port that netfilter gave may be one that the node's own sockets take.
bool has_ended(const Flow& flow) {
  return flow.protocol == IPPROTO_TCP &&
         (flow.tcp_state == TCP_CONNTRACK_TIME_WAIT || flow.tcp_state == TCP_CONNTRACK_CLOSE);
}

// As bpf/lib/ct.h has it, for the states above.
uint32_t lifetime_of(uint8_t protocol, uint32_t state) {
  if (protocol == IPPROTO_UDP) return state ? abi::CT_UDP_REPLIED : abi::CT_UDP_UNREPLIED;
  if (protocol == IPPROTO_SCTP) return state ? abi::CT_SCTP_ESTABLISHED : abi::CT_SCTP_OPENING;
  if (protocol != IPPROTO_TCP) return abi::CT_OTHER;
  if (state & abi::CT_F_RESET) return abi::CT_TCP_RESET;
  if (state & abi::CT_F_FIN_REPLY) return abi::CT_TCP_CLOSED;
  return state ? abi::CT_TCP_ESTABLISHED : abi::CT_TCP_OPENING;
}

Ip unspecified(Family family) { return family == Family::V4 ? Ip() : Ip::v6(std::array<uint8_t, 16>{}); }

abi::service_key service_key(const Ip& ip, uint16_t port, uint8_t protocol) {
  return {.addr = to_abi(ip), .port = htons(port), .proto = protocol};
}

// The row that a first packet to there would meet (bpf/lib/service.h).
const abi::service_value* frontend_of(const Endpoint& to, uint8_t protocol, const AdoptTables& tables) {
  if (const auto row = tables.services.find(service_key(to.ip, to.port, protocol)); row != tables.services.end())
    return &row->second;
  const auto own = tables.node_addresses.find(to_abi(to.ip));
  if (own == tables.node_addresses.end()) return nullptr;
  const auto row = tables.services.find(service_key(unspecified(to.ip.family()), to.port, protocol));
  if (row == tables.services.end()) return nullptr;
  const bool served = own->second & abi::NODE_ADDRESS_NODE_PORTS || row->second.kind == abi::SERVICE_HOST_PORT;
  return served ? &row->second : nullptr;
}

abi::ct_key key_of(const Endpoint& source, const Endpoint& destination, uint8_t protocol) {
  return {.src = to_abi(source.ip),
          .dst = to_abi(destination.ip),
          .sport = htons(source.port),
          .dport = htons(destination.port),
          .proto = protocol};
}

// A row that translates a packet from `source` to `destination`.
abi::ct_value translation(const Endpoint& source, const Endpoint& destination) {
  return {.to_src = to_abi(source.ip),
          .to_dst = to_abi(destination.ip),
          .to_sport = htons(source.port),
          .to_dport = htons(destination.port)};
}

// Both rows of a flow without a Service, but for their rewrites.
AdoptedFlow plain_pair(const Flow& flow, uint32_t now, uint32_t flags) {
  AdoptedFlow out{.forward = key_of(flow.original.source, flow.original.destination, flow.protocol),
                  .reply = key_of(flow.reply.source, flow.reply.destination, flow.protocol)};
  flags |= state_of(flow);
  const uint32_t expires = now + std::min(flow.timeout, lifetime_of(flow.protocol, flags));
  for (abi::ct_value* row : {&out.forward_row, &out.reply_row})
    *row = {.expires = expires, .created = now, .flags = flags};
  out.reply_row.flags |= abi::CT_F_REPLY;
  return out;
}

// Not to a Service: as masquerade() and note_inbound() of the uplink's programs would have written it.
std::optional<AdoptedFlow> adopt_plain(const Flow& flow, const AdoptTables& tables, uint32_t now) {
  const Endpoint &client = flow.original.source, &asked = flow.original.destination, &seen = flow.reply.destination;
  if (tables.pods.contains(to_abi(client.ip))) {
    if (seen == client || tables.pods.contains(to_abi(asked.ip))) return std::nullopt;
    AdoptedFlow out = plain_pair(flow, now, 0);
    out.forward_row.flags |= abi::CT_F_REWRITE_SRC;
    out.forward_row.to_src = to_abi(seen.ip);
    out.forward_row.to_sport = htons(seen.port);
    out.reply_row.flags |= abi::CT_F_REWRITE_DST;
    out.reply_row.to_dst = to_abi(client.ip);
    out.reply_row.to_dport = htons(client.port);
    return out;
  }
  const auto inside = [&](const Cidr& cidr) { return cidr.contains(client.ip); };
  if (seen != client || !tables.pods.contains(to_abi(asked.ip)) || std::ranges::any_of(tables.cluster, inside))
    return std::nullopt;
  return plain_pair(flow, now, abi::CT_F_INBOUND);
}

}  // namespace

std::optional<AdoptedFlow> adopt(const Flow& flow, const AdoptTables& tables, uint32_t now) {
  const Endpoint &client = flow.original.source, &asked = flow.original.destination;
  const Endpoint &endpoint = flow.reply.source, &seen = flow.reply.destination;
  if (!flow.timeout || has_ended(flow) || client.ip.is_loopback() || asked.ip.is_loopback() || seen.ip.is_loopback())
    return std::nullopt;
  if (asked == endpoint) return adopt_plain(flow, tables, now);
  const auto* service = frontend_of(asked, flow.protocol, tables);
  if (!service || !service->id) return std::nullopt;
  const auto backend = tables.backends.find({service->id, to_abi(endpoint.ip), htons(endpoint.port), flow.protocol});
  const bool known = backend != tables.backends.end();
  if (!known && flow.protocol != IPPROTO_TCP) return std::nullopt;

  AdoptedFlow out{.forward = key_of(client, asked, flow.protocol),
                  .reply = key_of(endpoint, seen, flow.protocol),
                  .forward_row = translation(seen, endpoint),
                  .reply_row = translation(asked, client)};
  uint32_t flags = state_of(flow);
  const auto life = std::min(flow.timeout, lifetime_of(flow.protocol, flags));
  const bool ends = flags & (abi::CT_F_FIN_REPLY | abi::CT_F_RESET);
  const bool from_node = tables.node_addresses.contains(to_abi(client.ip));
  if (client.ip == asked.ip && !from_node) return std::nullopt;
  const auto pod = tables.pods.find(to_abi(client.ip));
  if (from_node) {
    flags |= abi::CT_F_NODE;
    out.ends.insert(0);
  } else if (pod != tables.pods.end()) {
    out.ends.insert(pod->second);
  } else {
    flags |= abi::CT_F_OUTSIDE;
  }
  if (const auto answers = tables.pods.find(to_abi(endpoint.ip)); answers != tables.pods.end())
    out.ends.insert(answers->second);
  else if (tables.node_addresses.contains(to_abi(endpoint.ip)))
    out.ends.insert(0);
  if (known && !ends && service->algorithm == abi::SERVICE_LEAST_CONNECTIONS) flags |= abi::CT_F_COUNTED;

  for (abi::ct_value* row : {&out.forward_row, &out.reply_row}) {
    row->expires = now + life;
    row->created = now;
    row->flags = flags;
    row->service = service->id;
    row->backend = known ? backend->second.number : 0;
    row->generation = known ? backend->second.generation : 0;
  }
  const bool masqueraded = seen != client;
  out.forward_row.flags |= abi::CT_F_REWRITE_DST | (masqueraded ? uint32_t{abi::CT_F_REWRITE_SRC} : 0);
  out.reply_row.flags |= abi::CT_F_REPLY | abi::CT_F_REWRITE_SRC | (masqueraded ? uint32_t{abi::CT_F_REWRITE_DST} : 0);
  return out;
}

Result<AdoptTables> read_tables(const AdoptDoors& doors) {
  AdoptTables tables;
  TRY(doors.services.each([&](const auto& key, const auto& row) { tables.services[key] = row; }), "read services");
  TRY(doors.backends.each([&](uint32_t number, const abi::backend_value& row) {
    if (row.state != abi::BACKEND_GONE)
      tables.backends[{row.service, row.addr, row.port, row.proto}] = {number, row.generation};
  }),
      "read backends");
  TRY(doors.pods.each([&](const auto& key, const auto& row) { tables.pods[key.addr] = row.ifindex; }), "read Pods");
  TRY(doors.node_addresses.each([&](const auto& ip, uint32_t flags) { tables.node_addresses[ip] = flags; }),
      "read the node's addresses");
  TRY(doors.routes.each([&](const auto& key, const auto&) {
    if (key.net == abi::NET_THIS_CLUSTER) tables.cluster.push_back(datapath::prefix_of(key));
  }),
      "read routes");
  return tables;
}

Result<std::vector<Flow>> adopt_flows(conntrack::Conntrack& from, const AdoptTables& tables, const AdoptDoors& doors,
                                      uint32_t now, Whose whose) {
  using Row = std::pair<abi::ct_key, abi::ct_value>;
  std::vector<Row> forward, reply;
  std::vector<Flow> flows;
  std::set<uint32_t> marks;
  // Reading bits and writing them back would lose one that a program sets between; one too many costs a look-up.
  const auto write = [&]() -> Status {
    for (const uint32_t index : marks)
      TRY(doors.marks.put(index, uint32_t{abi::SERVICE_MARK_CLIENT | abi::SERVICE_MARK_BACKEND}),
          "mark who takes part in flows");
    TRY(doors.conntrack.put(reply), "write the replies of flows to Services");
    TRY(doors.conntrack.put(forward), "write flows to Services");
    forward.clear();
    reply.clear();
    return ok();
  };
  for (const Family family : {Family::V4, Family::V6})
    for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP})
      for (const Flow& flow : TRY(from.flows({family, protocol, 0}), "list tracked connections")) {
        const auto adopted = adopt(flow, tables, now);
        if (!adopted) continue;
        const bool of_node = adopted->forward_row.flags & abi::CT_F_NODE;
        if (whose != Whose::All && of_node != (whose == Whose::Node)) continue;
        flows.push_back(flow);
        const auto own = TRY(doors.conntrack.get(adopted->forward)), twin = TRY(doors.conntrack.get(adopted->reply));
        if ((!own || own->expires <= now) && (!twin || twin->expires <= now)) {
          forward.emplace_back(adopted->forward, adopted->forward_row);
          reply.emplace_back(adopted->reply, adopted->reply_row);
          for (const uint32_t ifindex : adopted->ends) marks.insert(ifindex % abi::SERVICE_MARKS);
        }
        if (whose != Whose::Node) continue;
        TRY(write());
        TRY(from.remove(flow), "forget {}", flow);
      }
  TRY(write());
  return flows;
}

Result<Carried> carried_flows(conntrack::Conntrack& from, const AdoptTables& tables, uint32_t now) {
  Carried out;
  for (const Family family : {Family::V4, Family::V6})
    for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP})
      for (const Flow& flow : TRY(from.flows({family, protocol, 0}), "list tracked connections"))
        if (const auto adopted = adopt(flow, tables, now)) {
          ++out.flows;
          if (adopted->forward_row.flags & abi::CT_F_NODE) out.own.emplace(protocol, flow.original.destination);
        }
  return out;
}

Result<bool> translates_own(const bpf::Table<abi::ct_key, abi::ct_value>& rows, uint32_t now) {
  bool any = false;
  TRY(rows.each([&](const abi::ct_key&, const abi::ct_value& row) {
    any |= row.service && row.flags & abi::CT_F_NODE && row.expires > now && !(row.flags & abi::CT_F_RESET);
  }),
      "read conntrack");
  return any;
}

Status forget_flows(conntrack::Conntrack& from, const std::vector<Flow>& flows) {
  for (const Flow& flow : flows) TRY(from.remove(flow), "forget {}", flow);
  return ok();
}

Status forget_answered_here(conntrack::Conntrack& from, const std::vector<Flow>& flows, const AdoptTables& tables) {
  for (const Flow& flow : flows)
    if (tables.node_addresses.contains(to_abi(flow.reply.source.ip))) TRY(from.remove(flow), "forget {}", flow);
  return ok();
}

}  // namespace causeway::service
