// The rules of one set, and the rows they give for a class of peers. Pure.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "policy/compile_ports.h"
#include "policy/compile_selectors.h"

namespace causeway::policy {

// A policy as a set reads it, with the numbers of what it names.
struct SetPolicy {
  std::shared_ptr<const cluster::Policy> policy;
  const std::vector<RuleId>* rules = nullptr;  // of the direction, by index
};

class SetProgram {
 public:
  using AtomOfPods = std::function<AtomId(const cluster::PodPeer&)>;
  using AtomOfBlock = std::function<AtomId(const cluster::PolicyBlock&)>;

  // `policies` in the order in which they are judged; `named`: what the set's Pods call their ports (ingress).
  SetProgram(Direction direction, const std::vector<SetPolicy>& policies, const std::vector<NamedPort>& named,
             const AtomOfPods& pods, const AtomOfBlock& blocks);

  // Names that egress rules ask destinations for; sorted, each once.
  const std::vector<Name>& names() const { return names_; }
  // The atoms of peers that rules name.
  template <class Do>
  void each_atom(Do act) const {
    for (const auto& [atom, entries] : by_atom_) act(atom);
  }

  // Cuts the ports. `values`: every port that a class of peers has under one of names().
  void cut(const std::vector<NamedPort>& values);
  const PortRanges& ranges() const { return cut_.ranges; }

  // Rows of everybody (class None).
  std::map<PortAtom, Verdict> rows() const;
  // Rows of one class that no everybody-row says already. `value(atom)`: of an atom of AtomKind::Port.
  std::map<PortAtom, Verdict> rows(const Atoms& members, const std::function<const NamedPort&(AtomId)>& value) const;

 private:
  // What a rule asks of tier and ports: of two alike with one peer only the first can decide.
  struct Shape {
    Tier tier = Tier::Namespaced;
    bool any_port = false;
    PortList ports;
    std::vector<cluster::PolicyPort> names;  // egress
    auto operator<=>(const Shape&) const = default;
  };
  struct Entry {
    size_t shape = 0;
    Choice choice;
  };

  void by_number(const Entry& entry, std::map<PortAtom, Verdict>& rows) const;
  void by_name(const Entry& entry, const NamedPort& value, std::map<PortAtom, Verdict>& rows) const;

  std::array<uint32_t, 3> next_rank_{};
  bool isolated_ = false;
  std::vector<Shape> shapes_;
  std::vector<std::vector<PortAtom>> atoms_;  // by shape, after cut()
  std::unordered_map<AtomId, std::vector<Entry>> by_atom_;
  std::vector<Entry> anybody_;
  std::vector<Name> names_;
  PortCut cut_;
};

}  // namespace causeway::policy
