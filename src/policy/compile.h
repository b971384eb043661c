// From the model to the tables of policies, kept up to date: a change costs what it affects. Pure: the same model gives
// the same tables (render() says the same) whatever came in which order; only numbers differ.
//
//   policy -> subject selector -> the Pods of this node that it selects -> their set, one for each direction
//   set    -> its rules in order -> peers: selectors and blocks that count here -> atoms
//   Pod of the cluster, prefix   -> the atoms it is in -> its class
//   set x class x port atom      -> verdict rows
//
// Only what judges a Pod of this node counts: a policy that selects none costs one entry in an index.
#pragma once

#include <set>

#include "cluster/model/model.h"
#include "policy/compile_blocks.h"
#include "policy/compile_set.h"

namespace causeway::policy {

struct Options {
  std::optional<std::string> node;       // only its Pods are subjects
  std::optional<std::set<PodKey>> pods;  // only these; both absent: every Pod
  bool is_local(const cluster::Pod& pod) const {
    return (!node || pod.node == *node) && (!pods || pods->contains(pod.key));
  }
};

// Those of a namespace that is not known are empty.
const cluster::Labels& labels_of(const cluster::Model& model, const std::string& ns);

// Rows with the keys whose row changed, came or went since clean().
template <class K, class V>
class Table {
 public:
  const std::map<K, V>& rows() const { return rows_; }
  const std::set<K>& dirty() const { return dirty_; }
  void clean() { dirty_.clear(); }
  const V* find(const K& key) const {
    auto at = rows_.find(key);
    return at == rows_.end() ? nullptr : &at->second;
  }
  void put(const K& key, V value) {
    auto [at, fresh] = rows_.try_emplace(key);
    if (!fresh && at->second == value) return;
    at->second = std::move(value);
    dirty_.insert(key);
  }
  void erase(const K& key) {
    if (rows_.erase(key)) dirty_.insert(key);
  }

 private:
  std::map<K, V> rows_;
  std::set<K> dirty_;
};

class Compiler {
 public:
  explicit Compiler(Options options = {}) : options_(std::move(options)) {}
  Compiler(const Compiler&) = delete;

  // The first call compiles all of the model; `changes` says what differs since the last.
  void update(const cluster::ChangeSet& changes, const cluster::Model& model);
  // All of it, as one value with the classes in words.
  Tables tables() const;

  Table<PodKey, Subject> subjects;
  Table<Ip, Address> addresses;
  Table<Cidr, ClassId> blocks;
  Table<PortsId, PortRanges> ports;
  Table<SetId, Set> sets;
  Table<VerdictKey, Verdict> verdicts;
  Table<RuleId, Rule> rules;
  Table<PolicyKey, std::string> problems;
  void clean();

 private:
  struct SetKey {
    Direction direction = Direction::Ingress;
    Atoms subjects;
    std::vector<NamedPort> named;
    auto operator<=>(const SetKey&) const = default;
  };
  struct PolicyState {
    std::shared_ptr<const cluster::Policy> policy;
    AtomId subject{};
    std::vector<RuleId> ingress, egress;  // by index
  };
  struct SubjectState {  // a selector of subjects
    std::set<PolicyKey> policies;
    size_t ingress = 0, egress = 0;     // how many of them concern it
    std::map<Name, size_t> port_names;  // that ingress rules ask for
    std::set<SetId> sets;
  };
  struct SetState {
    const SetKey* key = nullptr;
    size_t uses = 0;  // Pods
    std::unique_ptr<SetProgram> program;
    std::vector<AtomId> atoms;  // each acquired once for each time it is here
    std::vector<RuleId> rules;
  };
  struct ClassState {
    const Atoms* members = nullptr;
    size_t uses = 0;
  };
  template <class T>
  struct Counted {
    T id{};
    size_t uses = 0;
  };
  // What one update() still has to do.
  struct Work {
    bool all = false;  // every Pod and prefix is looked at anyway
    std::set<PodKey> pods;
    std::set<SetId> prepare, finish;
    std::set<ClassId> fresh_classes;
    std::set<Cidr> prefixes;  // memberships of addresses inside may differ
  };

  // policies -> subjects (compile_subjects.cc)
  void take_policy(const PolicyKey& key, const cluster::Model& model);
  void count_policy(SubjectState& subject, const cluster::Policy& policy, bool add);
  void mark_subject(const cluster::PodPeer& peer, const cluster::Model& model);
  void place_subject(const PodKey& key, const cluster::Model& model);
  SetId acquire_set(SetKey key);
  void release_set(SetId id);
  // sets -> atoms, verdicts (compile_sets.cc)
  void prepare_set(SetId id);
  void drop_program(SetState& set);
  void release_atoms(const std::vector<AtomId>& atoms);
  void finish_set(SetId id);
  void put_rows(SetId set, ClassId peer, std::map<PortAtom, Verdict> rows);
  void use_ports(SetId id, PortRanges ranges);
  // atoms -> classes (compile_classes.cc)
  void mark_members(const cluster::PodPeer& peer, const cluster::Model& model);
  void mark_names(const std::set<Name>& names, const cluster::Model& model);
  void mark_block(const cluster::PolicyBlock& block);
  void place_prefix(const Cidr& prefix);
  void place_addresses(const PodKey& key, const cluster::Model& model);
  void drop_claim(const Ip& ip, const PodKey& key);
  ClassId acquire_class(Atoms members);
  void release_class(ClassId id);
  AtomId value_atom(const NamedPort& value);

  Options options_;
  bool started_ = false;
  Work work_;

  std::map<PolicyKey, PolicyState> policies_;
  SelectorIndex subject_selectors_;
  std::unordered_map<AtomId, SubjectState> subjects_;
  uint32_t next_rule_ = 1;

  std::map<SetKey, SetId> set_ids_;
  std::map<SetId, SetState> sets_;
  uint32_t next_set_ = 1;
  std::unordered_map<RuleId, uint32_t> rule_uses_;
  std::map<PortRanges, Counted<PortsId>> port_ids_;
  uint32_t next_ports_ = 1;

  SelectorIndex peer_selectors_;
  BlockIndex peer_blocks_;
  std::unordered_map<AtomId, std::set<SetId>> sets_of_atom_;
  std::vector<cluster::PodPeer> changed_peers_;       // came into use, or went
  std::vector<cluster::PolicyBlock> changed_blocks_;  // likewise
  std::map<Name, std::set<SetId>> sets_of_name_;      // whose egress rules ask for it
  std::set<Name> changed_names_;                      // its first came, or its last went

  std::map<Atoms, ClassId> class_ids_;
  std::map<ClassId, ClassState> classes_;
  uint32_t next_class_ = 1;
  std::unordered_map<AtomId, std::set<ClassId>> classes_of_;
  std::map<NamedPort, Counted<AtomId>> values_;
  std::unordered_map<AtomId, const NamedPort*> value_of_;
  uint32_t next_value_ = 0;
  std::map<PodKey, std::vector<Ip>> claims_;  // what a Pod says is its own
  std::map<Ip, std::set<PodKey>> contested_;  // addresses that several claim: the least name has it
};

// All of a model at once: what update() must arrive at.
Tables compile(const cluster::Model& model, Options options = {});

}  // namespace causeway::policy
