// `causeway policy replay`: what a change would have made of the connections that the nodes have recorded.
#include <fstream>
#include <iterator>

#include "cli/flows.h"
#include "cli/output.h"
#include "cli/policy.h"
#include "policy/compile.h"
#include "policy/replay.h"

namespace causeway::cli {

namespace {

struct Recording {
  std::vector<observe::Flow> flows;
  size_t nodes = 0;
  std::vector<std::string> notes;
};

// As `causeway observe -o json` writes them.
Status read_recording(const std::string& path, Recording& into) {
  std::ifstream file(path);
  if (!file) return fail(Errc::NotFound, "--flows {}: it cannot be read", path);
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (!line.empty()) into.flows.push_back(TRY(observe::parse_flow(line), "{}:{}", path, number));
  }
  return ok();
}

Result<Recording> record(const ReplayOptions& options) {
  Recording out;
  if (!options.flows.empty()) {
    for (const std::string& path : options.flows) TRY(read_recording(path, out));
    return out;
  }
  const FlowQuery query = TRY(check_query({.since = options.since, .verdict = "", .pod = ""}));
  const auto places = TRY(places_of({.lab = options.source.lab, .node = "", .run = options.run}));
  Status last;
  for (const AgentPlace& place : places) {
    auto flows = fetch_flows(place, query);
    if (!flows) {
      out.notes.push_back(fmt::format("{} is left out: {}", place.node.empty() ? "this node" : "node " + place.node,
                                      flows.error().message()));
      last = fail(std::move(flows.error()));
      continue;
    }
    ++out.nodes;
    if (flows->lost) out.notes.push_back(fmt::format("node {} could not record {} events", flows->node, flows->lost));
    std::ranges::move(flows->flows, std::back_inserter(out.flows));
  }
  if (!out.nodes && !last) return fail(std::move(last.error()));
  return out;
}

std::optional<policy::Recorded> connection_of(const observe::Flow& flow) {
  if (flow.verdict == "closed") return std::nullopt;  // told when it was opened
  policy::Recorded out{.source_pod = flow.source.pod,
                       .target_pod = flow.destination.pod,
                       .source = flow.source.address,
                       .target = flow.destination.address,
                       .port = {.protocol = std::nullopt, .port = flow.destination.port}};
  for (auto protocol : {policy::Protocol::Tcp, policy::Protocol::Udp, policy::Protocol::Sctp})
    if (to_string(protocol) == flow.protocol) out.port.protocol = protocol;
  return out;
}

Result<bool> run(const ReplayOptions& options) {
  if (options.files.empty() && options.remove.empty())
    return fail(Errc::Invalid, "no change is named: -f FILE or --delete NAMESPACE/NAME");
  const PolicyWorld before = TRY(load_policy_world(options.source));
  const PolicyWorld after = TRY(with_change(before, options.files, options.remove));
  const Recording recording = TRY(record(options));
  std::vector<policy::Recorded> connections;
  for (const observe::Flow& flow : recording.flows)
    if (auto one = connection_of(flow)) connections.push_back(std::move(*one));
  const policy::Replay answer = policy::replay(before.model, policy::compile(before.model), after.model,
                                               policy::compile(after.model), connections);
  for (const policy::Replayed& one : answer.differences) fmt::print("{}\n", to_string(one));
  const auto opened = static_cast<size_t>(std::ranges::count(answer.differences, true, &policy::Replayed::opens));
  fmt::print("{} recorded flows, {} different connections: {} would be cut, {} would open\n", connections.size(),
             answer.connections, answer.differences.size() - opened, opened);
  if (answer.gone) fmt::print("note: {} connections of Pods that are no more were not judged\n", answer.gone);
  if (connections.empty())
    fmt::print(
        "note: nothing is recorded, so this says nothing of the change: `causeway policy diff` judges every pair\n");
  say_notes(recording.notes);
  say_notes(after.notes);
  return answer.differences.empty();
}

}  // namespace

int policy_replay(const ReplayOptions& options) {
  const auto nothing = run(options);
  return nothing ? (*nothing ? 0 : 1) : complain(nothing.error()) + 1;
}

}  // namespace causeway::cli
