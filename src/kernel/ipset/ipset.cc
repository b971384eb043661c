#include "kernel/ipset/ipset.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "kernel/ipset/decode.h"
#include "kernel/ipset/encode.h"
#include "kernel/netlink/socket.h"
#include "kernel/nftables/message.h"

namespace causeway::ipset {
namespace {

class KernelIpSets final : public IpSets {
 public:
  explicit KernelIpSets(netlink::Socket socket) : socket_(std::move(socket)) {}

  Result<std::vector<std::string>> names(std::string_view prefix) override {
    std::vector<std::string> found;
    TRY(dump(nullptr, [&](SetMessage message) {
      if (message.name.starts_with(prefix)) found.push_back(message.name);
    }));
    return found;
  }

  Result<std::map<std::string, Held>> observe(std::string_view prefix) override {
    std::map<std::string, Held> found;
    for (const std::string& name : TRY(names(prefix)))
      TRY(dump(&name,
               [&held = found[name]](SetMessage message) {
                 if (message.header) held.set = message.set;
                 held.elements.merge(message.elements);
               }),
          "set {}", name);
    return found;
  }

  Status apply(const Change& change) override {
    uint32_t last = 0;
    for (const std::string& message : TRY(encode(change, [&] { return last = socket_.next_sequence(); }))) {
      const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
      int failure = 0;
      netlink::Socket::Answers answers;
      answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
      TRY(socket_.send(message), "{}", change);
      TRY(socket_.receive(header->nlmsg_seq, header->nlmsg_seq, answers), "{}", change);
      if (failure == ENOENT && std::holds_alternative<DestroySet>(change)) return ok();
      if (failure) return fail(error_of(failure, change));
    }
    return ok();
  }

  // All sets by their names only, or one whole.
  Status dump(const std::string* name, const std::function<void(SetMessage)>& each) {
    nftables::Writer out;
    const uint32_t sequence = socket_.next_sequence();
    out.begin(uint16_t(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_LIST), NLM_F_ACK | NLM_F_DUMP, sequence, AF_INET, 0);
    out.u8(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
    if (name)
      out.text(IPSET_ATTR_SETNAME, *name);
    else
      out.u32(uint16_t(IPSET_ATTR_FLAGS | NLA_F_NET_BYTEORDER), IPSET_FLAG_LIST_SETNAME);
    out.end();
    int failure = 0;
    std::optional<Set> known;
    netlink::Socket::Answers answers;
    answers.on_message = [&](const nlmsghdr* message) {
      auto decoded = decode_set(message, known);
      if (!decoded) return;
      if (decoded->header) known = decoded->set;
      each(std::move(*decoded));
    };
    answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
    TRY(socket_.send(out.data()), "list IP sets");
    TRY(socket_.receive(sequence, sequence, answers), "list IP sets");
    if (failure && failure != ENOENT) return fail_errno(failure, "list IP sets");
    return ok();
  }

 private:
  netlink::Socket socket_;
};

}  // namespace

Result<std::unique_ptr<IpSets>> open_ipsets() {
  auto sets = std::make_unique<KernelIpSets>(TRY(netlink::Socket::open(NETLINK_NETFILTER)));
  if (auto listed = sets->dump(nullptr, [](SetMessage) {}); !listed)
    return fail(Errc::Unsupported, "this kernel has no IP sets ({}): load the module ip_set (CONFIG_IP_SET)",
                listed.error().message());
  return sets;
}

}  // namespace causeway::ipset
