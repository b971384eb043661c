#include "kernel/bpf/blocks.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <utility>

#include "kernel/bpf/slot.h"

namespace causeway::bpf {

namespace {

constexpr int kListAttempts = 10;

// One request; all of ours are short.
class Request {
 public:
  Request(uint16_t type, uint16_t flags, uint32_t sequence) {
    header_ = mnl_nlmsg_put_header(bytes_);
    header_->nlmsg_type = type;
    header_->nlmsg_flags = uint16_t(NLM_F_REQUEST | flags);
    header_->nlmsg_seq = sequence;
    tc_ = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(tcmsg)));
  }
  Request& qdisc(IfIndex ifindex) {
    tc_->tcm_ifindex = int(ifindex);
    tc_->tcm_parent = TC_H_CLSACT;
    tc_->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    return *this;
  }
  Request& slot(Block block) {
    tc_->tcm_ifindex = int(TCM_IFINDEX_MAGIC_BLOCK);
    tc_->tcm_block_index = uint32_t(block);
    tc_->tcm_info = TC_H_MAKE(kPriority << 16, htons(ETH_P_ALL));
    tc_->tcm_handle = kHandle;
    return text(TCA_KIND, "bpf");
  }
  Request& u32(uint16_t type, uint32_t value) { return mnl_attr_put_u32(header_, type, value), *this; }
  Request& text(uint16_t type, const char* value) { return mnl_attr_put_strz(header_, type, value), *this; }
  nlattr* open(uint16_t type) { return mnl_attr_nest_start(header_, type); }
  void close(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
  std::string_view bytes() const { return {bytes_, header_->nlmsg_len}; }  // a multiple of 4, as every attribute is

 private:
  alignas(nlmsghdr) char bytes_[256] = {};
  nlmsghdr* header_;
  tcmsg* tc_;
};

uint32_t u32_of(const nlattr* attribute) {
  return mnl_attr_get_payload_len(attribute) >= 4 ? mnl_attr_get_u32(attribute) : 0;
}

int take_option(const nlattr* option, void* program) {
  if (mnl_attr_get_type(option) == TCA_BPF_ID) *static_cast<ProgramId*>(program) = ProgramId{u32_of(option)};
  return MNL_CB_OK;
}

// Nothing else is read of what may come in a block's or a qdisc's answer.
struct Attributes {
  const char* kind = "";
  BlockPair blocks;
  ProgramId program{};  // of a bpf filter's options; 0: none
};

int take(const nlattr* attribute, void* data) {
  auto& found = *static_cast<Attributes*>(data);
  switch (mnl_attr_get_type(attribute)) {
    case TCA_KIND: found.kind = mnl_attr_get_str(attribute); break;
    case TCA_INGRESS_BLOCK: found.blocks.ingress = Block{u32_of(attribute)}; break;
    case TCA_EGRESS_BLOCK: found.blocks.egress = Block{u32_of(attribute)}; break;
    case TCA_OPTIONS: mnl_attr_parse_nested(attribute, take_option, &found.program); break;
    default: break;
  }
  return MNL_CB_OK;
}

Attributes attributes_of(const nlmsghdr* message) {
  Attributes found;
  mnl_attr_parse(message, sizeof(tcmsg), take, &found);
  return found;
}

std::optional<Clsact> decode_clsact(const nlmsghdr* message) {
  const auto found = attributes_of(message);
  if (message->nlmsg_type != RTM_NEWQDISC || std::strcmp(found.kind, "clsact") != 0) return std::nullopt;
  const auto* tc = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  return Clsact{.ifindex = IfIndex(tc->tcm_ifindex), .blocks = found.blocks};
}

std::optional<ProgramId> decode_program(const nlmsghdr* message) {
  const auto program = attributes_of(message).program;
  return message->nlmsg_type == RTM_NEWTFILTER && program != ProgramId{} ? std::optional(program) : std::nullopt;
}

// How the kernel says that there is nothing: no filter (ENOENT), no block or qdisc (EINVAL), no device (ENODEV).
bool absent(int error) { return error == ENOENT || error == EINVAL || error == ENODEV; }

}  // namespace

Result<Blocks> Blocks::open() { return Blocks(TRY(netlink::Socket::open())); }

Result<Blocks::Joined> Blocks::join(IfIndex ifindex, BlockPair blocks) {
  const uint32_t first = socket_.next_sequence(), ingress = socket_.next_sequence(), egress = socket_.next_sequence();
  Request qdisc(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, first);
  qdisc.qdisc(ifindex).text(TCA_KIND, "clsact");
  qdisc.u32(TCA_INGRESS_BLOCK, uint32_t(blocks.ingress)).u32(TCA_EGRESS_BLOCK, uint32_t(blocks.egress));
  std::string batch(qdisc.bytes());
  batch += Request(RTM_GETTFILTER, NLM_F_ACK, ingress).slot(blocks.ingress).bytes();
  batch += Request(RTM_GETTFILTER, NLM_F_ACK, egress).slot(blocks.egress).bytes();

  const auto what = fmt::format("make the clsact qdisc of device {}", ifindex);
  Joined joined{.made = true};
  Status failed = ok();
  netlink::Socket::Answers answers;
  answers.on_message = [&](const nlmsghdr* message) {
    (message->nlmsg_seq == ingress ? joined.ingress : joined.egress) = decode_program(message);
  };
  answers.on_end = [&](uint32_t sequence, int error, const std::string& words) {
    if (!error || !failed) return;
    if (sequence != first) {
      if (!absent(error)) failed = fail_errno(error, "ask for the filter of a block that Pods share");
    } else if (error == EEXIST) {
      joined.made = false;
    } else if (error == ENODEV) {
      failed = fail(Errc::NotFound, "{}: no such device", what);
    } else {
      failed = fail_errno(error, fmt::format("{} ({})", what, words));
    }
  };
  TRY(socket_.send(batch), "{}", what);
  TRY(socket_.receive(first, egress, answers), "{}", what);
  TRY(std::move(failed));
  return joined;
}

// One request and its answer; Missing::Fine: where there is nothing, nothing was heard.
Status Blocks::ask(std::string_view request, uint32_t sequence, const std::string& what, Missing missing,
                   std::function<void(const nlmsghdr*)> heard) {
  Status status = ok();
  netlink::Socket::Answers answers;
  answers.on_message = std::move(heard);
  answers.on_end = [&](uint32_t, int error, const std::string& words) {
    if (!error || (missing == Missing::Fine && absent(error))) return;
    status = fail_errno(error, words.empty() ? what : fmt::format("{} ({})", what, words));
  };
  TRY(socket_.send(request), "{}", what);
  TRY(socket_.receive(sequence, sequence, answers), "{}", what);
  return status;
}

Status Blocks::leave(IfIndex ifindex) {
  const uint32_t sequence = socket_.next_sequence();
  return ask(Request(RTM_DELQDISC, NLM_F_ACK, sequence).qdisc(ifindex).bytes(), sequence,
             fmt::format("remove the clsact qdisc of device {}", ifindex), Missing::Fine);
}

Result<std::vector<Clsact>> Blocks::list() {
  const uint32_t sequence = socket_.next_sequence();
  std::vector<Clsact> found;
  TRY(ask(Request(RTM_GETQDISC, NLM_F_DUMP, sequence).bytes(), sequence, "list clsact qdiscs", Missing::Fails,
          [&](const nlmsghdr* message) {
            if (auto clsact = decode_clsact(message)) found.push_back(*clsact);
          }));
  return found;
}

// The kernel counts devices from one part of its answer to the next and does not say when some came or went between.
Result<std::vector<Clsact>> Blocks::all() {
  auto found = TRY(list());
  for (int attempt = 0; attempt < kListAttempts; ++attempt)
    if (auto again = std::exchange(found, TRY(list())); again == found) break;
  return found;
}

Result<std::optional<BlockPair>> Blocks::of(IfIndex ifindex) {
  const uint32_t sequence = socket_.next_sequence();
  std::optional<BlockPair> found;
  // ECHO: without it only those who watch hear the answer (tc_get_qdisc).
  TRY(ask(Request(RTM_GETQDISC, NLM_F_ACK | NLM_F_ECHO, sequence).qdisc(ifindex).bytes(), sequence,
          fmt::format("ask for the clsact qdisc of device {}", ifindex), Missing::Fine, [&](const nlmsghdr* message) {
            if (auto clsact = decode_clsact(message)) found = clsact->blocks;
          }));
  return found;
}

Result<std::optional<ProgramId>> Blocks::program(Block block) {
  const uint32_t sequence = socket_.next_sequence();
  std::optional<ProgramId> found;
  TRY(ask(Request(RTM_GETTFILTER, NLM_F_ACK, sequence).slot(block).bytes(), sequence,
          fmt::format("ask for our filter of block {}", uint32_t(block)), Missing::Fine,
          [&](const nlmsghdr* message) { found = decode_program(message); }));
  return found;
}

Status Blocks::put(Block block, int program_fd) {
  const uint32_t sequence = socket_.next_sequence();
  Request request(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sequence);
  request.slot(block);
  auto* options = request.open(TCA_OPTIONS);
  request.u32(TCA_BPF_FD, uint32_t(program_fd)).text(TCA_BPF_NAME, "causeway");
  request.u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  request.close(options);
  return ask(request.bytes(), sequence, fmt::format("put our filter into block {}", uint32_t(block)), Missing::Fails);
}

}  // namespace causeway::bpf
