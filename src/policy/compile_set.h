// Policies as sets use them, and the rules of one set: which rows they give for a class of peers. Pure.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/compact_vector.h"
#include "policy/compile_ports.h"
#include "policy/compile_selectors.h"

namespace causeway::policy {

// What a rule asks of tier and ports: of two alike with one peer only the first can decide.
struct Shape {
  Tier tier = Tier::Namespaced;
  bool any_port = false;
  PortList ports;                          // joined()
  std::vector<cluster::PolicyPort> names;  // sorted
  auto operator<=>(const Shape&) const = default;
};

// Each distinct one once.
class Shapes {
 public:
  const Shape* acquire(Shape shape) {
    auto [at, fresh] = uses_.try_emplace(std::move(shape));
    ++at->second;
    return &at->first;
  }
  void release(const Shape* shape) {
    auto at = uses_.find(*shape);
    if (--at->second == 0) uses_.erase(at);
  }

 private:
  std::map<Shape, size_t> uses_;
};

// A rule of a policy that some set has.
struct SetRule {
  const Shape* shape = nullptr;
  RuleId id{};
  Action action = Action::Accept;
  bool anybody = false;
  CompactVector<AtomId> peers;  // sorted, each once
};

struct PolicyState {
  struct Side {
    uint32_t sets = 0;             // that have it
    CompactVector<RuleId> ids;     // by index
    CompactVector<SetRule> rules;  // by index; while sets have it
  };
  std::shared_ptr<const cluster::Policy> policy;
  AtomId subject{};
  uint32_t rank = 0;  // of its first rule; the others follow
  Side ingress, egress;
  Side& side(Direction direction) { return direction == Direction::Ingress ? ingress : egress; }
};

class SetProgram {
 public:
  // Those of anybody, in place of a peer.
  static constexpr AtomId kAnybody{UINT32_MAX};

  struct Entry {
    AtomId peer{};
    uint32_t rank = 0;
    const Shape* shape = nullptr;
    RuleId rule{};
    Action action = Action::Accept;
    bool operator==(const Entry&) const = default;
  };
  using Row = std::pair<PortAtom, Verdict>;
  using Rows = std::vector<Row>;  // by port
  using ValueOf = std::function<const NamedPort&(AtomId)>;

  // Each in any order. Shapes are counted by the set: the program tells which of them it has not known.
  void change(std::vector<Entry> gone, std::vector<Entry> come);
  // The same entries with other ranks.
  void replace(std::vector<Entry> entries);
  void clear() { entries_.clear(), shapes_.clear(), isolated_ = 0; }
  // A NetworkPolicy isolates.
  void isolate(bool more) { more ? ++isolated_ : --isolated_; }
  std::span<const Entry> entries() const { return {entries_.begin(), entries_.end()}; }
  bool has(AtomId peer) const;
  // True when ports have to be cut anew, or what is asked by name may be another.
  bool use(const Shape* shape, bool more);
  // The names that rules ask destinations for (egress); sorted, each once.
  std::vector<Name> names() const;
  // Cuts the ports. `values`: every port that a class of peers has under one of names(), sorted.
  PortRanges cut(const std::vector<NamedPort>& values);

  // Rows of everybody (class None).
  Rows rows() const;
  // Rows of one class that no everybody-row says already. `value(atom)`: of an atom of AtomKind::Port; `ranges`: as
  // cut() gave them.
  Rows rows(const Atoms& members, const ValueOf& value, const PortRanges* ranges) const;

 private:
  struct Use {
    const Shape* shape = nullptr;
    uint32_t uses = 0;
    CompactVector<PortAtom> atoms;  // after cut()
  };
  const Use& use_of(const Shape* shape) const;
  // The first of each shape that this peer has.
  template <class Do>
  void each_first(AtomId peer, Do act) const;

  CompactVector<Entry> entries_;  // by peer, shape, rank
  CompactVector<Use> shapes_;     // by shape
  uint32_t isolated_ = 0;
};

}  // namespace causeway::policy
