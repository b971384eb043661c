#include "kernel/conntrack/conntrack.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "kernel/conntrack/decode.h"
#include "kernel/netlink/socket.h"
#include "kernel/nftables/message.h"

namespace causeway::conntrack {
namespace {

using nftables::Writer;

// Bits of CTA_FILTER_ORIG_FLAGS: which parts of the tuple count (kernel 5.8, nf_internals.h).
constexpr uint32_t kFilterProtocol = 1u << 3, kFilterDestinationPort = 1u << 5;

uint16_t message_type(uint16_t message) { return uint16_t(NFNL_SUBSYS_CTNETLINK << 8 | message); }
uint8_t address_family(Family family) { return family == Family::V4 ? AF_INET : AF_INET6; }

void put_port(Writer& out, uint16_t type, uint16_t port) {
  const char bytes[]{char(port >> 8), char(port)};
  out.bytes(type, {bytes, sizeof bytes});
}

void put_ip(Writer& out, uint16_t type, const Ip& ip) {
  out.bytes(type, {reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size()});
}

void put_tuple(Writer& out, uint16_t type, uint8_t protocol, const Tuple& tuple) {
  const bool v4 = tuple.source.ip.is_v4();
  const size_t nest = out.open(type);
  const size_t ip = out.open(CTA_TUPLE_IP);
  put_ip(out, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source.ip);
  put_ip(out, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination.ip);
  out.close(ip);
  const size_t proto = out.open(CTA_TUPLE_PROTO);
  out.u8(CTA_PROTO_NUM, protocol);
  const bool icmp4 = protocol == IPPROTO_ICMP;
  if (icmp4 || protocol == IPPROTO_ICMPV6) {
    put_port(out, icmp4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, tuple.source.port);
    out.u8(icmp4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE, uint8_t(tuple.destination.port >> 8));
    out.u8(icmp4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, uint8_t(tuple.destination.port));
  } else {
    put_port(out, CTA_PROTO_SRC_PORT, tuple.source.port);
    put_port(out, CTA_PROTO_DST_PORT, tuple.destination.port);
  }
  out.close(proto);
  out.close(nest);
}

// One address and one port: the translation is what it is.
void put_nat(Writer& out, uint16_t type, const Endpoint& to) {
  const bool v4 = to.ip.is_v4();
  const size_t nest = out.open(type);
  put_ip(out, v4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, to.ip);
  put_ip(out, v4 ? CTA_NAT_V4_MAXIP : CTA_NAT_V6_MAXIP, to.ip);
  const size_t proto = out.open(CTA_NAT_PROTO);
  put_port(out, CTA_PROTONAT_PORT_MIN, to.port);
  put_port(out, CTA_PROTONAT_PORT_MAX, to.port);
  out.close(proto);
  out.close(nest);
}

// Nobody knows the windows and their scale any more, so every segment is in window.
void put_tcp_state(Writer& out, uint8_t state) {
  const nf_ct_tcp_flags liberal{.flags = IP_CT_TCP_FLAG_BE_LIBERAL, .mask = IP_CT_TCP_FLAG_BE_LIBERAL};
  const std::string_view bytes(reinterpret_cast<const char*>(&liberal), sizeof liberal);
  const size_t info = out.open(CTA_PROTOINFO);
  const size_t tcp = out.open(CTA_PROTOINFO_TCP);
  out.u8(CTA_PROTOINFO_TCP_STATE, state);
  out.bytes(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, bytes);
  out.bytes(CTA_PROTOINFO_TCP_FLAGS_REPLY, bytes);
  out.close(tcp);
  out.close(info);
}

void put_filter(Writer& out, const Filter& filter) {
  const size_t tuple = out.open(CTA_TUPLE_ORIG);
  const size_t proto = out.open(CTA_TUPLE_PROTO);
  out.u8(CTA_PROTO_NUM, filter.protocol);
  if (filter.port) put_port(out, CTA_PROTO_DST_PORT, filter.port);
  out.close(proto);
  out.close(tuple);
  const size_t flags = out.open(CTA_FILTER);
  // In host order, unlike all else here.
  const uint32_t parts = kFilterProtocol | (filter.port ? kFilterDestinationPort : 0);
  out.bytes(CTA_FILTER_ORIG_FLAGS, {reinterpret_cast<const char*>(&parts), sizeof parts});
  out.close(flags);
}

class KernelConntrack final : public Conntrack {
 public:
  explicit KernelConntrack(netlink::Socket socket) : socket_(std::move(socket)) {}

  Result<std::vector<Flow>> flows(Filter filter) override {
    Writer out;
    const uint32_t sequence = socket_.next_sequence();
    out.begin(message_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, sequence, address_family(filter.family), 0);
    if (filter.protocol) put_filter(out, filter);
    out.end();

    std::vector<Flow> found;
    int failure = 0;
    netlink::Socket::Answers answers;
    answers.on_message = [&](const nlmsghdr* message) {
      const auto flow = decode_flow(message);
      if (flow && (!filter.protocol || flow->protocol == filter.protocol) &&
          (!filter.port || flow->original.destination.port == filter.port))
        found.push_back(*flow);
    };
    answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
    TRY(socket_.send(out.data()), "list tracked connections");
    TRY(socket_.receive(sequence, sequence, answers), "list tracked connections");
    if (failure) return fail_errno(failure, "list tracked connections");
    return found;
  }

  Status remove(const Flow& flow) override {
    Writer out;
    const uint32_t sequence = socket_.next_sequence();
    out.begin(message_type(IPCTNL_MSG_CT_DELETE), NLM_F_ACK, sequence, address_family(flow.original.source.ip.family()),
              0);
    put_tuple(out, CTA_TUPLE_ORIG, flow.protocol, flow.original);
    out.end();
    const int failure = TRY(ask(out, sequence), "forget {}", flow);
    if (failure && failure != ENOENT) return fail_errno(failure, fmt::format("forget {}", flow));
    return ok();
  }

  Status create(const Flow& flow) override {
    Writer out;
    const uint32_t sequence = socket_.next_sequence();
    out.begin(message_type(IPCTNL_MSG_CT_NEW), NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sequence,
              address_family(flow.original.source.ip.family()), 0);
    const Tuple turned{flow.original.destination, flow.original.source};
    put_tuple(out, CTA_TUPLE_ORIG, flow.protocol, flow.original);
    put_tuple(out, CTA_TUPLE_REPLY, flow.protocol, turned);  // which the translations below change
    if (flow.reply.source != turned.source) put_nat(out, CTA_NAT_DST, flow.reply.source);
    if (flow.reply.destination != turned.destination) put_nat(out, CTA_NAT_SRC, flow.reply.destination);
    // What is assured is not dropped early when the table fills.
    out.u32(CTA_STATUS, IPS_CONFIRMED | (flow.replied ? IPS_SEEN_REPLY | IPS_ASSURED : 0));
    out.u32(CTA_TIMEOUT, flow.timeout);
    if (flow.protocol == IPPROTO_TCP) put_tcp_state(out, flow.tcp_state);
    out.end();
    const int failure = TRY(ask(out, sequence), "make {} known", flow);
    if (failure == ENOMEM)
      return fail(Errc::Exhausted, "make {} known: the kernel tracks as many connections as it may (nf_conntrack_max)",
                  flow);
    return failure ? fail_errno(failure, fmt::format("make {} known", flow)) : ok();
  }

 private:
  // errno of the answer.
  Result<int> ask(const Writer& out, uint32_t sequence) {
    int failure = 0;
    netlink::Socket::Answers answers;
    answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
    TRY(socket_.send(out.data()));
    TRY(socket_.receive(sequence, sequence, answers));
    return failure;
  }

  netlink::Socket socket_;
};

}  // namespace

Result<std::unique_ptr<Conntrack>> open_conntrack() {
  return std::make_unique<KernelConntrack>(TRY(netlink::Socket::open(NETLINK_NETFILTER)));
}

Result<std::unique_ptr<Conntrack>> open_conntrack_in(int netns_fd) {
  // A socket belongs to the namespace of the thread that opens it, for as long as it lives.
  Result<std::unique_ptr<Conntrack>> opened = fail(Errc::Internal, "not run");
  std::thread([&] {
    if (::setns(netns_fd, CLONE_NEWNET) != 0)
      opened = fail_errno(errno, "enter a network namespace");
    else
      opened = open_conntrack();
  }).join();
  return opened;
}

}  // namespace causeway::conntrack
