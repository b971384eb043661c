// Who reaches whom: many pairs at once. What the tables treat alike is judged once. Pure.
#pragma once

#include <tuple>

#include "policy/flow.h"

namespace causeway::policy {

// A table of names and cells: rows[i][j] is what party i may open to party j.
struct Group {
  std::string name;
  std::vector<Party> members;
};
// How the members are put together: each Pod alone, all of a namespace, or all with one value of a label.
struct Grouping {
  enum class By : uint8_t { Pod, Namespace, Label } by = By::Pod;
  std::string label;  // its key
};
// Those of the Pod network, of `ns` only where it is not empty. Pods without the label have the group "LABEL: none".
std::vector<Group> group_pods(const cluster::Model& model, const Grouping& grouping, const std::string& ns);

class Reach {
 public:
  // Borrows both.
  Reach(const cluster::Model& model, const Tables& tables) : model_(model), tables_(tables) {}
  const Openings& between(const Party& from, const Party& to, Family family);

 private:
  struct Key {
    SetId egress{}, ingress{};
    ClassId source{}, target{};
    Exempt exempt = Exempt::No;
    bool from_judged = false, to_judged = false;
    auto operator<=>(const Key&) const = default;
  };
  const cluster::Model& model_;
  const Tables& tables_;
  std::map<Key, Openings> known_;
};

// What members of one group may open to members of the other: their openings where all pairs have the same, else
// "some"; with a port "yes", "-" or "some"; "" where there is no pair of two.
std::string cell(Reach& reach, const Group& from, const Group& to, const std::optional<Port>& port);
// Whether the openings hold the port.
bool holds(const Openings& openings, const Port& port);

// --- what a change opens and closes
struct Change {
  bool opens = false;
  std::string from, to;  // "shop/web-1 (and 3 alike)", "outside 192.0.2.0/24"
  Openings what;
  std::optional<Family> family;  // absent: the same in each
};
// Of every Pod that is in both models, and of addresses outside that blocks of either tell apart.
std::vector<Change> changes(const cluster::Model& before_model, const Tables& before, const cluster::Model& after_model,
                            const Tables& after);
std::string to_string(const Change& change);

// --- what people expect
struct Expectation {
  std::string name;  // "" is named after what it asks
  std::vector<Party> from, to;
  std::vector<std::string> ports;  // as parse_port() reads them
  bool allow = true;
};
struct Outcome {
  std::string name;
  size_t checks = 0;                  // connections that were judged
  std::vector<std::string> failures;  // each in a sentence
};
// A Pod's connection to itself is not judged. Errors: Invalid and NotFound, as of parse_port(); Invalid if nothing at
// all would be judged.
Result<Outcome> check(const cluster::Model& model, const Tables& tables, const Expectation& expectation);
// As JUnit's readers want it.
std::string junit(const std::vector<Outcome>& outcomes);

}  // namespace causeway::policy
