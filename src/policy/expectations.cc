#include <algorithm>

#include "policy/explain.h"
#include "policy/reach.h"

namespace causeway::policy {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      // XML 1.0 has no other control characters.
      default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  return out;
}

}  // namespace

Result<Outcome> check(const cluster::Model& model, const Tables& tables, const Expectation& expectation) {
  Outcome out{.name = expectation.name};
  for (const Party& to : expectation.to)
    for (const std::string& text : expectation.ports) {
      const Port port = TRY(parse_port(text, to), "{}", expectation.name);
      for (const Party& from : expectation.from) {
        if (from.name == to.name) continue;
        for (Family family : shared_families(from, to)) {
          ++out.checks;
          const FlowVerdict verdict = judge_flow(model, tables, from, to, family, port);
          if (verdict.allowed() == expectation.allow) continue;
          std::string sentence = fmt::format("{} -> {} {} ({}): ", from.name, to.name, port, family);
          sentence += expectation.allow ? "expected to be allowed, denied by " + denied_by(tables, verdict)
                                        : std::string("expected to be denied, but it is allowed");
          out.failures.push_back(std::move(sentence));
        }
      }
    }
  if (out.checks == 0)
    return fail(Errc::Invalid, "{}: asks for no connection: both ends are one Pod, or they share no family",
                expectation.name);
  return out;
}

std::string junit(const std::vector<Outcome>& outcomes) {
  const auto failed = std::ranges::count_if(outcomes, [](const Outcome& one) { return !one.failures.empty(); });
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"causeway policy test\" "
      "tests=\"{}\" "
      "failures=\"{}\">\n",
      outcomes.size(), failed);
  for (const Outcome& outcome : outcomes) {
    out += fmt::format("    <testcase classname=\"policy\" name=\"{}\" time=\"0\"", escaped(outcome.name));
    if (outcome.failures.empty()) {
      out += "/>\n";
      continue;
    }
    out += fmt::format(">\n      <failure message=\"{} of {} connections\">", outcome.failures.size(), outcome.checks);
    for (const std::string& failure : outcome.failures) out += escaped(failure) + "\n";
    out += "</failure>\n    </testcase>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace causeway::policy
