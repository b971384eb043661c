// From the model to the tables of policies, kept up to date: a change costs what it affects. Pure: the same model gives
// the same tables (render() says the same) whatever came in which order; only numbers differ.
//
//   policy -> subject selector -> the Pods of this node that it selects -> their set, one for each direction
//   set    -> its rules in order -> peers: selectors of Pods and Nodes, and blocks, that count here -> atoms
//   Pod of the cluster, prefix, address of a Node -> the atoms it is in -> its class
//   set x class x port atom      -> verdict rows
//
// Only what judges a Pod of this node counts: a policy that selects none costs one entry in an index.
#pragma once

#include <set>

#include "base/stable_map.h"
#include "cluster/model/model.h"
#include "policy/compile_blocks.h"
#include "policy/compile_nodes.h"
#include "policy/compile_order.h"
#include "policy/compile_pods.h"
#include "policy/compile_table.h"

namespace causeway::policy {

struct Options {
  std::optional<std::string> node;       // only its Pods are subjects
  std::optional<std::set<PodKey>> pods;  // only these; both absent: every Pod
  std::vector<Ip> dns;     // addresses of cluster DNS: of its Service, and whatever else is answered there
  std::string dns_node;    // whose process answers at them
  size_t block_list = 64;  // a rule with more blocks has its narrow ones as one list
  bool is_local(const cluster::Pod& pod) const {
    return (!node || pod.node == *node) && (!pods || pods->contains(pod.key));
  }
};

// Those of a namespace that is not known are empty.
const cluster::Labels& labels_of(const cluster::Model& model, const std::string& ns);

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
  Table<Ip, DnsPeer> dns;
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
    CompactVector<NamedPort> named;
    bool operator==(const SetKey&) const = default;
  };
  struct PortName {
    Name name;
    uint32_t uses = 0;
  };
  struct SubjectState {  // a selector of subjects
    CompactVector<PolicyState*> policies;
    uint32_t ingress = 0, egress = 0;    // how many of them concern it
    CompactVector<PortName> port_names;  // that ingress rules ask for
    CompactVector<SetId> sets;           // sorted
  };
  struct Asked {  // of the Pods that a selector selects
    bool ingress = false, egress = false;
    std::vector<Name> names;
    bool operator==(const Asked&) const = default;
  };
  struct SetState {
    SetId id{};
    uint32_t uses = 0;                     // Pods
    CompactVector<PolicyState*> policies;  // by rank
    CompactVector<Name> names;             // of the program's, as others know of them
    SetProgram program;
  };
  using KnownSet = std::pair<const SetKey, SetState>;
  struct ClassState {
    ClassId id{};
    uint32_t uses = 0;
  };
  using KnownClass = std::pair<const Atoms, ClassState>;
  struct AtomUsers {
    CompactVector<SetId> sets;       // sorted
    CompactVector<ClassId> classes;  // sorted
  };
  struct Hash {
    size_t operator()(const Atoms& atoms) const;
    size_t operator()(const SetKey& key) const;
  };
  template <class T>
  struct Counted {
    T id{};
    size_t uses = 0;
  };
  // What is left to do for a set: all of its rows, or those of some classes.
  struct Unfinished {
    bool fresh = false;  // has no rows
    bool whole = false;  // ports are cut anew, names may be others
    std::vector<ClassId> classes;
    std::vector<AtomId> atoms;
  };
  // What one update() still has to do.
  struct Work {
    bool all = false;  // every Pod and prefix is looked at anyway
    std::set<PodKey> pods;
    std::map<SetId, Unfinished> sets;
    std::set<ClassId> fresh_classes;
    std::vector<Cidr> prefixes;  // memberships of addresses inside may differ
  };

  // policies -> subjects (compile_subjects.cc)
  void take_policy(const PolicyKey& key, const cluster::Model& model);
  void start(const cluster::Model& model);
  void number_rules(PolicyState& now, PolicyState& before);
  void count_policy(SubjectState& subject, PolicyState& place, const cluster::Policy& policy, bool add);
  Asked asked_of(AtomId subject) const;
  void forget_subject(AtomId atom);
  void mark_subject(const cluster::PodPeer& peer, const cluster::Model& model);
  void place_subject(const cluster::Pod& pod, const cluster::Model& model);
  void drop_subject(const PodKey& key);
  SetId acquire_set(SetKey key);
  void release_set(SetId id);
  // policies -> the rules of sets (compile_rules.cc)
  void acquire_side(PolicyState& state, Direction direction);
  void release_side(PolicyState& state, Direction direction, const PolicyState::Side* heir);
  void release_atom(AtomId atom);
  std::vector<SetProgram::Entry> entries_of(KnownSet& set, PolicyState& policy, bool more);
  void build_set(KnownSet& set);
  void add_to_set(KnownSet& set, PolicyState& policy);
  void take_from_set(KnownSet& set, PolicyState& was, PolicyState* place);
  void reorder_set(KnownSet& set);
  void clear_set(KnownSet& set);
  // sets -> verdicts (compile_sets.cc)
  void describe_set(const KnownSet& set);
  void use_names(KnownSet& set);
  void use_ports(SetId id, PortRanges ranges);
  void put_rows(SetId set, ClassId peer, SetProgram::Rows rows);
  void finish_set(SetId id, const Unfinished& work);
  SetProgram::Rows rows_of(const SetState& state, const Atoms& members) const;
  // atoms -> classes (compile_classes.cc)
  // Every Pod that the peer selects.
  void each_pod(const cluster::PodPeer& peer, const cluster::Model& model,
                const std::function<void(const cluster::Pod&)>& act);
  void mark_members(const cluster::PodPeer& peer, const cluster::Model& model);
  void mark_names(const std::set<Name>& names, const cluster::Model& model);
  void mark_blocks(const BlockList& list);
  void mark_nodes(const cluster::ChangeSet& changes, const cluster::Model& model);
  void place_prefixes();
  void place_first_prefixes();
  void place_prefix(const Cidr& prefix, Atoms blocks_around);
  void place_addresses(const PodKey& key, const cluster::Pod* before, const cluster::Model& model);
  // cluster DNS -> classes (compile_dns.cc)
  bool is_about_dns(const cluster::ChangeSet& changes, const cluster::Model& model) const;
  void place_dns(const cluster::Model& model);
  void drop_claim(const Ip& ip, const PodKey& key);
  ClassId acquire_class(Atoms members);
  void release_class(ClassId id);
  std::set<SetId> sets_of(const Atoms& members) const;
  AtomId value_atom(const NamedPort& value);
  KnownSet& set(SetId id) { return *sets_.at(id); }

  Options options_;
  cluster::Pod dns_pod_;
  bool started_ = false;
  Work work_;

  StableMap<PolicyKey, PolicyState> policies_;
  PolicyOrder order_;
  SelectorIndex selectors_;
  PodIndex pods_;
  std::unordered_map<AtomId, SubjectState> subjects_;
  uint32_t next_rule_ = 1;

  Shapes shapes_;
  std::unordered_map<SetKey, SetState, Hash> known_sets_;
  std::unordered_map<SetId, KnownSet*> sets_;
  uint32_t next_set_ = 1;
  std::map<PortRanges, Counted<PortsId>> port_ids_;
  uint32_t next_ports_ = 1;

  BlockIndex peer_blocks_;
  NodeIndex peer_nodes_;
  std::unordered_map<AtomId, AtomUsers> users_;
  std::vector<cluster::PodPeer> changed_peers_;   // came into use, or went
  std::vector<AtomId> fresh_blocks_;              // lists that came into use
  std::vector<BlockList> gone_blocks_;            // lists that went
  std::map<Name, std::set<SetId>> sets_of_name_;  // whose egress rules ask for it
  std::set<Name> changed_names_;                  // its first came, or its last went

  std::unordered_map<Atoms, ClassState, Hash> known_classes_;
  std::unordered_map<ClassId, KnownClass*> classes_;
  uint32_t next_class_ = 1;
  std::map<NamedPort, Counted<AtomId>> values_;
  std::unordered_map<AtomId, const NamedPort*> value_of_;
  uint32_t next_value_ = 0;
  std::map<Ip, std::set<PodKey>> contested_;  // addresses that several claim: the least name has it
};

// All of a model at once: what update() must arrive at.
Tables compile(const cluster::Model& model, Options options = {});

}  // namespace causeway::policy
