#include "kernel/netlink/rtnetlink.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "kernel/netlink/encode.h"
#include "kernel/netlink/socket.h"

namespace causeway::netlink {
namespace {

constexpr size_t kBatchMessages = 128;  // their answers fit the receive buffer by far
constexpr int kDumpAttempts = 10;

class KernelRtnetlink final : public Rtnetlink {
 public:
  explicit KernelRtnetlink(Socket socket) : socket_(std::move(socket)) {}

  std::vector<Status> apply(std::span<const Change> changes) override {
    std::vector<Status> statuses(changes.size());
    for (size_t start = 0; start < changes.size(); start += kBatchMessages) {
      const size_t count = std::min(kBatchMessages, changes.size() - start);
      apply_batch(changes.subspan(start, count), std::span(statuses).subspan(start, count));
    }
    return statuses;
  }

  Result<std::vector<Link>> links() override { return dump<Link, ifinfomsg>(RTM_GETLINK, {}, decode_link, "links"); }
  Result<std::vector<Address>> addresses() override {
    return dump<Address, ifaddrmsg>(RTM_GETADDR, {}, decode_address, "addresses");
  }
  Result<std::vector<Neighbour>> neighbours() override {
    return dump<Neighbour, ndmsg>(RTM_GETNEIGH, {}, decode_neighbour, "neighbours");
  }

  Result<std::vector<Forwarding>> forwarding(IfIndex link) override {
    ndmsg header{};
    header.ndm_family = AF_BRIDGE;
    header.ndm_ifindex = int(link);
    auto all = TRY((dump<Forwarding, ndmsg>(RTM_GETNEIGH, header, decode_forwarding, "forwarding tables")));
    // A kernel without strict checking ignores the filter.
    std::erase_if(all, [&](const Forwarding& entry) { return entry.link != link; });
    return all;
  }

  Result<std::vector<Rule>> rules(uint8_t protocol) override {
    std::vector<Rule> all;
    for (const auto family : {AF_INET, AF_INET6}) {
      fib_rule_hdr header{};
      header.family = uint8_t(family);
      for (const Rule& rule : TRY((dump<Rule, fib_rule_hdr>(RTM_GETRULE, header, decode_rule, "rules"))))
        if (!protocol || rule.protocol == protocol) all.push_back(rule);
    }
    return all;
  }

  Result<std::vector<Route>> routes(RouteFilter filter) override {
    std::vector<Route> all;
    for (Family family : {Family::V4, Family::V6}) {
      if (filter.family && *filter.family != family) continue;
      rtmsg header{};
      header.rtm_family = family == Family::V4 ? AF_INET : AF_INET6;
      header.rtm_protocol = filter.protocol;
      const auto some = TRY((dump<Route, rtmsg>(RTM_GETROUTE, header, decode_route, "routes")));
      for (const auto& route : some) {
        if (filter.table && route.table != filter.table) continue;
        if (filter.protocol && route.protocol != filter.protocol) continue;
        all.push_back(route);
      }
    }
    return all;
  }

  Result<Link> link(LinkRef ref) override {
    alignas(nlmsghdr) char bytes[512] = {};
    auto* header = mnl_nlmsg_put_header(bytes);
    header->nlmsg_type = RTM_GETLINK;
    auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    if (const auto* index = std::get_if<IfIndex>(&ref))
      info->ifi_index = int(*index);
    else if (const auto& name = std::get<std::string>(ref); name.size() < 16 && !name.empty())
      mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
    else
      return fail(Errc::NotFound, "{}: no link has such a name", to_string(ref));
    auto found = TRY(get(header, decode_link), "read {}", to_string(ref));
    if (!found) return fail(Errc::NotFound, "{}: the kernel did not describe it", to_string(ref));
    return std::move(*found);
  }

  Result<IfIndex> index_of(const std::string& name) override {
    ifreq request{};
    if (name.empty() || name.size() >= sizeof request.ifr_name)
      return fail(Errc::NotFound, "link {}: no link has such a name", name);
    std::memcpy(request.ifr_name, name.data(), name.size());
    // Any socket will do: it is asked in the socket's namespace, under RCU alone.
    if (::ioctl(socket_.fd(), SIOCGIFINDEX, &request) != 0) return fail_errno(errno, "read link " + name);
    return IfIndex(request.ifr_ifindex);
  }

  Result<std::optional<TokenBucket>> token_bucket(IfIndex link) override {
    alignas(nlmsghdr) char bytes[512] = {};
    auto* header = mnl_nlmsg_put_header(bytes);
    header->nlmsg_type = RTM_GETQDISC;
    header->nlmsg_flags = NLM_F_ECHO;  // without it only those who watch hear the answer (tc_get_qdisc)
    auto* info = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
    info->tcm_ifindex = int(link);
    info->tcm_parent = TC_H_ROOT;
    auto found = get(header, decode_token_bucket);
    // A link without a queue of its own has nothing to tell, and the kernel calls the question wrong.
    if (!found && (found.error().code() == Errc::Invalid || found.error().code() == Errc::NotFound))
      return std::nullopt;
    return found;
  }

  Result<Route> route_to(Ip destination) override {
    alignas(nlmsghdr) char bytes[512] = {};
    auto* header = mnl_nlmsg_put_header(bytes);
    header->nlmsg_type = RTM_GETROUTE;
    auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
    route->rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
    route->rtm_dst_len = uint8_t(destination.bits());
    mnl_attr_put(header, RTA_DST, destination.bytes().size(), destination.bytes().data());
    auto found = TRY(get(header, decode_route), "route to {}", destination);
    if (!found) return fail(Errc::NotFound, "route to {}: none of a kind that carries packets", destination);
    return std::move(*found);
  }

 private:
  void apply_batch(std::span<const Change> changes, std::span<Status> statuses) {
    std::string batch;
    std::vector<size_t> sent;  // position of each message that is in the batch
    const uint32_t first = socket_.next_sequence();
    uint32_t sequence = first;
    for (size_t i = 0; i < changes.size(); ++i) {
      auto message = encode(changes[i], sent.empty() ? first : sequence + 1);
      if (!message) {
        statuses[i] = fail(std::move(message.error()));
        continue;
      }
      if (!sent.empty()) sequence = socket_.next_sequence();
      batch += *message;
      batch.resize(NLMSG_ALIGN(batch.size()));
      sent.push_back(i);
    }
    if (sent.empty()) return;
    Socket::Answers answers;
    answers.on_end = [&](uint32_t answered, int error, std::string words) {
      const size_t i = sent[answered - first];
      if (error == 0 || means_done(changes[i], error)) return;
      statuses[i] =
          fail_errno(error, words.empty() ? to_string(changes[i]) : fmt::format("{} ({})", changes[i], words));
    };
    auto done = socket_.send(batch);
    if (done) done = socket_.receive(first, sequence, answers);
    if (!done)
      for (size_t i : sent)
        if (statuses[i]) statuses[i] = fail(Error(done.error()).with("{}", changes[i]));
  }

  // One request that is answered by at most one message.
  template <class Decode>
  auto get(nlmsghdr* header, Decode decode) -> Result<decltype(decode(header))> {
    header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = socket_.next_sequence();
    decltype(decode(header)) found;
    int failure = 0;
    Socket::Answers answers;
    answers.on_message = [&](const nlmsghdr* message) { found = decode(message); };
    answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
    TRY(socket_.send(std::string_view(reinterpret_cast<char*>(header), header->nlmsg_len)));
    TRY(socket_.receive(header->nlmsg_seq, header->nlmsg_seq, answers));
    if (failure) return std::unexpected(Error(errc_of_errno(failure), std::strerror(failure)));
    return found;
  }

  template <class T, class Header, class Decode>
  Result<std::vector<T>> dump(uint16_t type, Header filter, Decode decode, std::string_view what) {
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      alignas(nlmsghdr) char bytes[256] = {};
      auto* header = mnl_nlmsg_put_header(bytes);
      header->nlmsg_type = type;
      header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
      header->nlmsg_seq = socket_.next_sequence();
      *static_cast<Header*>(mnl_nlmsg_put_extra_header(header, sizeof(Header))) = filter;
      std::vector<T> found;
      int failure = 0;
      Socket::Answers answers;
      answers.on_message = [&](const nlmsghdr* message) {
        if (auto value = decode(message)) found.push_back(std::move(*value));
      };
      answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
      TRY(socket_.send(std::string_view(bytes, header->nlmsg_len)), "list {}", what);
      TRY(socket_.receive(header->nlmsg_seq, header->nlmsg_seq, answers), "list {}", what);
      // A filter that matches no table (no such routes yet) is an empty list.
      if (failure == ENOENT) return found;
      if (failure) return fail_errno(failure, fmt::format("list {}", what));
      if (!answers.interrupted) return found;  // else the table changed under the dump: it may have holes
    }
    return fail(Errc::Conflict, "list {}: the kernel's table kept changing during {} attempts", what, kDumpAttempts);
  }

  Socket socket_;
};

}  // namespace

Status Rtnetlink::apply_all(std::span<const Change> changes) {
  for (auto& status : apply(changes))
    if (!status) return std::move(status);
  return ok();
}

Result<std::unique_ptr<Rtnetlink>> open_rtnetlink() { return std::make_unique<KernelRtnetlink>(TRY(Socket::open())); }

Result<std::unique_ptr<Rtnetlink>> open_rtnetlink_in(int netns_fd) {
  // A socket belongs to the namespace of the thread that opens it, for as long as it lives.
  Result<std::unique_ptr<Rtnetlink>> opened = fail(Errc::Internal, "not run");
  std::thread([&] {
    if (::setns(netns_fd, CLONE_NEWNET) != 0)
      opened = fail_errno(errno, "enter a network namespace");
    else
      opened = open_rtnetlink();
  }).join();
  return opened;
}

}  // namespace causeway::netlink
