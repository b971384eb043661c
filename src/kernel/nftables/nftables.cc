#include "kernel/nftables/nftables.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "kernel/netlink/socket.h"
#include "kernel/nftables/attributes.h"
#include "kernel/nftables/decode.h"
#include "kernel/nftables/encode.h"
#include "kernel/nftables/listing.h"

namespace causeway::nftables {
namespace {

constexpr int kDumpAttempts = 10;

class KernelNftables final : public Nftables {
 public:
  explicit KernelNftables(netlink::Socket socket) : socket_(std::move(socket)) {}

  uint32_t port() const override { return socket_.port(); }

  Result<Observed> observe(std::string_view section) override {
    Observed found{.section = std::string(section)};
    TRY(dump(
            NFT_MSG_GETCHAIN, [](Writer&) {}, [&] { found.chains.clear(); },
            [&](const nlmsghdr* message) {
              if (auto chain = decode_chain(message); chain && belongs(chain->name, section))
                found.chains.emplace(std::move(chain->name), std::move(chain->chain));
            }),
        "list the chains of {}", section);
    const auto our_table = [](Writer& out) { out.text(1, kTable); };  // NFTA_RULE_TABLE, NFTA_SET_TABLE
    TRY(dump(
            NFT_MSG_GETRULE, our_table,
            [&] {
              for (auto& [name, chain] : found.chains) chain.rules.clear();
            },
            [&](const nlmsghdr* message) {
              auto rule = decode_rule(message);
              if (!rule) return;
              if (auto chain = found.chains.find(rule->chain); chain != found.chains.end())
                chain->second.rules.push_back(std::move(rule->rule));
            }),
        "list the rules of {}", section);
    TRY(dump(
            NFT_MSG_GETSET, our_table, [&] { found.sets.clear(); },
            [&](const nlmsghdr* message) {
              if (auto set = decode_set(message); set && belongs(set->name, section))
                found.sets.emplace(std::move(set->name), ObservedSet{std::move(set->set), {}});
            }),
        "list the sets of {}", section);
    for (auto& [name, set] : found.sets)
      if (set.set && !set.set->dynamic) set.elements = TRY(elements(name, *set.set), "list the elements of {}", name);
    return found;
  }

  Result<std::vector<ForeignDrop>> foreign_drops() override {
    std::vector<ForeignDrop> found;
    TRY(dump(
            NFT_MSG_GETCHAIN, [](Writer&) {}, [&] { found.clear(); },
            [&](const nlmsghdr* message) {
              if (auto drop = decode_foreign_drop(message)) found.push_back(std::move(*drop));
            },
            NFPROTO_UNSPEC),
        "list the chains of other tables");
    std::ranges::sort(found);
    return found;
  }

  Result<bool> remove_foreign_table(Family family, const std::string& name) override {
    const uint8_t nfproto = family == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    const uint32_t begin = socket_.next_sequence(), sequence = socket_.next_sequence();
    Writer out;
    out.begin(NFNL_MSG_BATCH_BEGIN, 0, begin, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    out.end();
    out.begin(uint16_t(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE), NLM_F_ACK, sequence, nfproto, 0);
    out.text(NFTA_TABLE_NAME, name);
    out.end();
    out.begin(NFNL_MSG_BATCH_END, 0, socket_.next_sequence(), AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    out.end();
    int failure = 0;
    netlink::Socket::Answers answers;
    answers.on_end = [&](uint32_t, int error, std::string) { failure = failure ? failure : error; };
    TRY(socket_.send(out.data()), "delete table {}", name);
    TRY(socket_.receive_ready(begin, sequence + 1, answers), "delete table {}", name);
    if (failure == ENOENT) return false;
    if (failure) return fail_errno(failure, fmt::format("delete table {}", name));
    ++commits_;
    return true;
  }

  Result<uint32_t> foreign_commits() override { return TRY(generation()) - first_generation_ - commits_; }

  // The kernel counts every commit.
  Result<uint32_t> generation() {
    Writer out;
    const uint32_t sequence = socket_.next_sequence();
    out.begin(uint16_t(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN), NLM_F_ACK, sequence, NFPROTO_UNSPEC, 0);
    out.end();
    uint32_t generation = 0;
    int failure = 0;
    netlink::Socket::Answers answers;
    answers.on_message = [&](const nlmsghdr* message) {
      generation = Attributes<NFTA_GEN_MAX + 1>(body_of(message)).u32(NFTA_GEN_ID);
    };
    answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
    TRY(socket_.send(out.data()), "ask for the generation of nf_tables");
    TRY(socket_.receive(sequence, sequence, answers), "ask for the generation of nf_tables");
    if (failure) return fail_errno(failure, "ask for the generation of nf_tables");
    return generation;
  }
  Status remember_generation() {
    first_generation_ = TRY(generation());
    return ok();
  }

  Status apply(const Transaction& transaction) override {
    if (transaction.empty()) return ok();
    const auto batch = TRY(encode(transaction, [this] { return socket_.next_sequence(); }), "nftables");
    Status outcome = ok();
    bool acknowledged = false;
    netlink::Socket::Answers answers;
    answers.on_end = [&](uint32_t sequence, int error, std::string words) {
      if (error == 0 && !batch.sent.empty() && sequence == batch.sent.back().sequence) acknowledged = true;
      if (error == 0 || !outcome) return;  // the first failure is the cause
      outcome = fail_errno(error, fmt::format("nftables: {}{}", object(transaction, batch, sequence, answers.offset),
                                              words.empty() ? "" : fmt::format(" ({})", words)));
    };
    const uint32_t last = batch.sent.empty() ? batch.table_sequence : batch.sent.back().sequence;
    TRY(socket_.send(batch.bytes), "nftables: {} changes", transaction.size());
    TRY(socket_.receive_ready(batch.begin_sequence, last + 1, answers),
        "nftables: {} changes: what became of them is not known", transaction.size());
    if (outcome && !acknowledged && !batch.sent.empty())
      return fail(Errc::Io, "nftables: {} changes: the kernel did not answer", transaction.size());
    if (outcome) ++commits_;
    return outcome;
  }

  Result<Elements> elements(const std::string& name, const Set& set) {
    ElementReader reader(set);
    TRY(dump(
        NFT_MSG_GETSETELEM,
        [&](Writer& out) {
          out.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
          out.text(NFTA_SET_ELEM_LIST_SET, name);
        },
        [&] { reader.clear(); }, [&](const nlmsghdr* message) { reader.read(message); }));
    return reader.take();
  }

 private:
  // What an error is of: the element, where the kernel tells which, else the change.
  static std::string object(const Transaction& transaction, const Batch& batch, uint32_t sequence, uint32_t offset) {
    for (const Sent& sent : batch.sent) {
      if (sent.sequence != sequence) continue;
      const Change& change = transaction[sent.change];
      const auto message = std::string_view(batch.bytes).substr(sent.begin, sent.end - sent.begin);
      if (const auto* add = std::get_if<AddElements>(&change); add && offset)
        if (const auto key = key_at(message, offset)) return one(*add, *key);
      if (const auto* remove = std::get_if<DeleteElements>(&change); remove && offset)
        if (const auto key = key_at(message, offset)) return one(*remove, *key);
      return to_string(change);
    }
    if (sequence == batch.table_sequence) return fmt::format("add table inet {}", kTable);
    return fmt::format("commit {} changes", transaction.size());
  }
  template <class C>
  static std::string one(const C& change, const std::string& key) {
    const auto found = change.elements.find(Tuple::from_bytes(key));
    C single{change.name, change.set, {}};
    if (found != change.elements.end())
      single.elements.insert(*found);
    else
      single.elements.emplace(Tuple::from_bytes(key), Value{});
    return to_string(Change(std::move(single)));
  }

  // `forget` begins each attempt: a dump that saw a change meanwhile is repeated.
  template <class Put, class Forget, class Each>
  Status dump(uint16_t message, Put put, Forget forget, Each each, uint8_t family = NFPROTO_INET) {
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      forget();
      Writer out;
      const uint32_t sequence = socket_.next_sequence();
      out.begin(uint16_t(NFNL_SUBSYS_NFTABLES << 8 | message), NLM_F_DUMP, sequence, family, 0);
      put(out);
      out.end();
      int failure = 0;
      netlink::Socket::Answers answers;
      answers.on_message = each;
      answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
      TRY(socket_.send(out.data()));
      TRY(socket_.receive(sequence, sequence, answers));
      if (failure == ENOENT) return ok();  // no table, or no set any more
      if (failure && failure != EINTR) return std::unexpected(Error(errc_of_errno(failure), std::strerror(failure)));
      if (!failure && !answers.interrupted) return ok();
    }
    return fail(Errc::Conflict, "the ruleset kept changing during {} attempts", kDumpAttempts);
  }

  netlink::Socket socket_;
  uint32_t first_generation_ = 0, commits_ = 0;
};

}  // namespace

Result<std::unique_ptr<Nftables>> open_nftables() {
  auto door = std::make_unique<KernelNftables>(TRY(netlink::Socket::open(NETLINK_NETFILTER)));
  TRY(door->remember_generation());
  return door;
}

Result<Elements> list_elements(const std::string& name, const Set& set) {
  return KernelNftables(TRY(netlink::Socket::open(NETLINK_NETFILTER))).elements(name, set);
}

Result<std::unique_ptr<Nftables>> open_nftables_in(int netns_fd) {
  // A socket belongs to the namespace of the thread that opens it, for as long as it lives.
  Result<std::unique_ptr<Nftables>> opened = fail(Errc::Internal, "not run");
  std::thread([&] {
    if (::setns(netns_fd, CLONE_NEWNET) != 0)
      opened = fail_errno(errno, "enter a network namespace");
    else
      opened = open_nftables();
  }).join();
  return opened;
}

}  // namespace causeway::nftables
