#include "policy/reach.h"

#include <algorithm>

namespace causeway::policy {

std::vector<Group> group_pods(const cluster::Model& model, const Grouping& grouping, const std::string& ns) {
  std::map<std::string, Group> groups;
  for (const auto& [key, pod] : model.pods()) {
    if (pod.host_network || pod.finished || pod.addresses.empty() || (!ns.empty() && key.ns != ns)) continue;
    std::string name = to_string(key);
    if (grouping.by == Grouping::By::Namespace) name = key.ns;
    if (grouping.by == Grouping::By::Label) {
      auto label = pod.labels.find(grouping.label);
      name = label == pod.labels.end() ? grouping.label + ": none" : grouping.label + "=" + label->second;
    }
    Group& group = groups[name];
    group.name = name;
    group.members.push_back(party_of(pod));
  }
  std::vector<Group> out;
  for (auto& [name, group] : groups) out.push_back(std::move(group));
  return out;
}

const Openings& Reach::between(const Party& from, const Party& to, Family family) {
  const Ip &source = *from.address(family), &target = *to.address(family);
  Key key{.source = class_of(tables_, source),
          .target = class_of(tables_, target),
          .exempt = judge_flow(model_, tables_, from, to, family, {}).exempt,
          .from_judged = from.judged(),
          .to_judged = to.judged()};
  if (from.judged())
    if (auto subject = tables_.subjects.find(from.pod->key); subject != tables_.subjects.end())
      key.egress = subject->second.egress;
  if (to.judged())
    if (auto subject = tables_.subjects.find(to.pod->key); subject != tables_.subjects.end())
      key.ingress = subject->second.ingress;
  auto known = known_.find(key);
  if (known == known_.end()) known = known_.emplace(key, openings(model_, tables_, from, to, family)).first;
  return known->second;
}

bool holds(const Openings& openings, const Port& port) {
  if (!port.protocol) return openings.portless;
  return std::ranges::any_of(openings.ranges, [&](const PortRange& range) {
    return range.protocol == *port.protocol && range.first <= port.port && port.port <= range.last;
  });
}

std::string cell(Reach& reach, const Group& from, const Group& to, const std::optional<Port>& port) {
  std::string text;
  for (const Party& source : from.members)
    for (const Party& target : to.members) {
      if (source.name == target.name || (!source.judged() && !target.judged())) continue;
      for (Family family : shared_families(source, target)) {
        const Openings& open = reach.between(source, target, family);
        std::string one = port ? (holds(open, *port) ? "yes" : "-") : to_string(open);
        if (text.empty())
          text = std::move(one);
        else if (text != one)
          return "some";
      }
    }
  return text;
}

}  // namespace causeway::policy
