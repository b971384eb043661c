#include "cli/observe.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>

#include "cli/output.h"

namespace causeway::cli {

namespace {

constexpr unsigned kFollowEveryUs = 300'000;

void print(std::vector<observe::Flow> flows, const ObserveOptions& options, bool nodes) {
  std::ranges::sort(flows, {}, [](const observe::Flow& flow) { return std::tuple(flow.time, flow.node, flow.number); });
  for (const observe::Flow& flow : flows) {
    if (options.output == "json")
      fmt::print("{}\n", to_json(flow));
    else
      fmt::print("{}{}\n", nodes ? flow.node + " " : "", to_text(flow));
  }
  std::fflush(stdout);
}

// What one look at every node found; who does not answer is named once. Error: nobody answers.
struct Looks {
  const ObserveOptions& options;
  std::vector<AgentPlace> places;
  std::map<std::string, uint64_t> after, lost;  // by the place's node
  std::map<std::string, std::string> silent;

  Result<std::vector<observe::Flow>> look() {
    std::vector<observe::Flow> all;
    Status last;
    size_t answered = 0;
    for (const AgentPlace& place : places) {
      auto flows = fetch_flows(place, options.query, after[place.node]);
      if (!flows) {
        if (silent[place.node] != flows.error().message() && places.size() > 1)
          fmt::print(stderr, "node {} is left out: {}\n", place.node, flows.error().message());
        silent[place.node] = flows.error().message();
        last = fail(std::move(flows.error()));
        continue;
      }
      ++answered;
      silent.erase(place.node);
      if (flows->lost > lost[place.node])
        fmt::print(stderr, "node {}: {} events were lost, so flows are missing\n", flows->node,
                   flows->lost - lost[place.node]);
      lost[place.node] = flows->lost;
      after[place.node] = flows->last;
      all.insert(all.end(), std::make_move_iterator(flows->flows.begin()), std::make_move_iterator(flows->flows.end()));
    }
    if (!answered && !last) return fail(std::move(last.error()));
    return all;
  }
};

Status run(const ObserveOptions& given) {
  ObserveOptions options = given;
  options.query = TRY(check_query(options.query));
  if (!options.output.empty() && options.output != "json")
    return fail(Errc::Invalid, "-o {}: json, or leave it out", options.output);
  Looks looks{.options = options, .places = TRY(places_of(options.place)), .after = {}, .lost = {}, .silent = {}};
  const bool nodes = looks.places.size() > 1;
  print(TRY(looks.look()), options, nodes);
  while (options.follow) {
    ::usleep(kFollowEveryUs);
    if (auto flows = looks.look()) print(std::move(*flows), options, nodes);
  }
  return ok();
}

}  // namespace

int observe_flows(const ObserveOptions& options) {
  const Status done = run(options);
  return done ? 0 : complain(done.error()) + (done.error().code() == Errc::Invalid);
}

}  // namespace causeway::cli
