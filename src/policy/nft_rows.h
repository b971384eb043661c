// What the tables are in the section: elements of its sets and maps. Remembers what was written, so that a change costs
// what it changes; says of which flows the judgement may have changed. Pure.
#pragma once

#include "policy/compile.h"
#include "policy/nft_ranges.h"
#include "policy/nft_ruleset.h"

namespace causeway::policy::nft {

// An address of a Pod of this node.
struct Local {
  Subject subject;
  std::string name;  // of the Pod, for people
  bool operator==(const Local&) const = default;
};

// Whose flows are to be judged again.
struct Suspects {
  bool all = false;
  std::set<Ip> own;       // of Pods of this node
  std::set<Ip> peers;     // anybody's
  std::set<Cidr> blocks;  // everybody's inside
  // Soon enough, before somebody else has their addresses: of Pods that are gone, anywhere and here.
  std::set<Ip> gone, left;
  bool urgent() const { return all || !own.empty() || !peers.empty() || !blocks.empty(); }
  bool empty() const { return !urgent() && gone.empty() && left.empty(); }
  void merge(const Suspects& other);
};

class NftRows {
 public:
  explicit NftRows(bool ipvs) : section_(skeleton(ipvs)) {}

  // The section as it shall be.
  const nftables::Section& section() const { return section_; }
  // Takes in all rows.
  void rebuild(const Compiler& rules, const std::map<Ip, Local>& locals);
  // Takes in the dirty rows of `rules`, and of the local addresses those that changed (nullopt: gone). What the kernel
  // has to be told, if it held the section as it was. Removals come first.
  nftables::Transaction update(const Compiler& rules, const std::map<Ip, std::optional<Local>>& locals);
  // Since the last call.
  Suspects take_suspects() { return std::exchange(suspects_, {}); }

  const Local* local(const Ip& ip) const;
  // Whether the rows let a first packet through for the Pod of this node that has `own`. As the chains do.
  bool allows(Direction direction, const Ip& own, const Ip& other, std::optional<Protocol> protocol,
              uint16_t port) const;
  // Whether anything is judged at all: else no flow can be forbidden.
  bool judges() const { return judged_ > 0; }

 private:
  struct Outcome {
    bool otherwise = false;
    PortRanges others;  // ports of which the opposite holds; atoms are 0
    auto operator<=>(const Outcome&) const = default;
  };
  using Number = uint32_t;
  struct OutcomeUse {
    Number number = 0;
    size_t uses = 0;
  };
  struct SetState {
    Direction direction = Direction::Ingress;
    std::map<ClassId, Number> outcomes;  // None's, and those that differ from it
    std::set<Ip> users;
  };

  void put(const std::string& set, const nftables::Tuple& key, std::optional<nftables::Value> value);
  nftables::Transaction take();

  // sets -> outcomes
  void refresh(SetId id, const Compiler& rules, const std::set<ClassId>* peers);
  void drop_set(SetId id);
  static Outcome outcome_of(const Compiler& rules, SetId id, PortsId ports, ClassId peer);
  Number acquire(const Outcome& outcome);
  void release(Number number);
  void put_outcome(Number number, const Outcome& outcome, bool there);

  void set_local(const Ip& ip, std::optional<Local> now);
  void put_direction(const Ip& ip, Direction direction, SetId was, bool had, SetId now, bool has,
                     const std::string& name);
  void put_class(const Ip& ip, Direction direction, ClassId peer, std::optional<Number> outcome);
  void set_address(const Ip& ip, const Address* row);
  void set_dns(const Ip& ip, const DnsPeer* row);
  void put_ranges();

  nftables::Section section_;
  std::map<std::string, std::map<nftables::Tuple, std::optional<nftables::Value>>> before_;
  std::map<SetId, SetState> sets_;
  std::map<Outcome, OutcomeUse> outcomes_;
  std::map<Number, const Outcome*> outcome_of_;
  Number next_ = 1;
  std::map<Ip, Local> locals_;
  std::map<Ip, ClassId> addresses_;
  std::map<Ip, ClassId> dns_;
  BlockRanges blocks_;
  Suspects suspects_;
  size_t judged_ = 0;     // directions of local addresses that have a set
  bool denying_ = false;  // there are rules that deny or pass: more memberships may be less access
};

}  // namespace causeway::policy::nft
