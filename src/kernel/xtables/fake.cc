#include "kernel/xtables/fake.h"

#include <algorithm>
#include <sstream>

namespace causeway::xtables {
namespace {

struct Line {
  std::string verb, chain, rest;
};

// Whether a rule of the table leads to the chain.
bool in_use(const Table& table, const std::string& chain) {
  for (const auto& [name, rules] : table.chains)
    for (const auto& rule : rules)
      if (rule.ends_with("-j " + chain) || rule.ends_with("-g " + chain)) return true;
  return false;
}

Status run_line(Table& table, Line line) {
  const auto chain = table.chains.find(line.chain);
  const auto missing = [&] { return fail(Errc::Io, "there is no chain {}", line.chain); };
  if (line.verb == "-X") {
    if (chain == table.chains.end()) return missing();
    if (!chain->second.empty()) return fail(Errc::Io, "chain {} is not empty", line.chain);
    if (in_use(table, line.chain)) return fail(Errc::Io, "chain {} is in use", line.chain);
    table.chains.erase(chain);
    return ok();
  }
  if (chain == table.chains.end()) return missing();
  if (line.verb == "-D") {
    const auto rule = std::ranges::find(chain->second, line.rest);
    if (rule == chain->second.end()) return fail(Errc::Io, "chain {} has no rule {}", line.chain, line.rest);
    chain->second.erase(rule);
    return ok();
  }
  size_t target = line.rest.rfind("-j ");
  if (target == std::string::npos) target = line.rest.rfind("-g ");
  const std::string to =
      target == std::string::npos ? "" : line.rest.substr(target + 3, line.rest.find(' ', target + 3) - target - 3);
  if (to.starts_with("CAUSEWAY-") && !table.chains.contains(to)) return fail(Errc::Io, "there is no chain {}", to);
  if (line.verb == "-I")
    chain->second.insert(chain->second.begin(), line.rest);
  else
    chain->second.push_back(line.rest);
  return ok();
}

}  // namespace

Status FakeXtables::restore(Family family, const std::string& text) {
  if (fail_next) return fail(*std::exchange(fail_next, std::nullopt));
  auto after = tables;
  Table* table = nullptr;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('*')) {
      table = &after[{family, line.substr(1)}];
    } else if (line == "COMMIT") {
      table = nullptr;
    } else if (!table) {
      return fail(Errc::Io, "\"{}\" stands outside of a table", line);
    } else if (line.starts_with(':')) {
      table->chains[line.substr(1, line.find(' ') - 1)].clear();
    } else {
      const size_t chain = line.find(' ') + 1, end = std::min(line.find(' ', chain), line.size());
      TRY(run_line(*table, {line.substr(0, chain - 1), line.substr(chain, end - chain),
                            end < line.size() ? line.substr(end + 1) : ""}),
          "\"{}\"", line);
    }
  }
  tables = std::move(after);
  log.push_back(text);
  return ok();
}

}  // namespace causeway::xtables
