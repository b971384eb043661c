#include "kernel/xtables/save.h"

namespace causeway::xtables {

Result<std::map<std::string, Table>> parse_save(std::string_view text) {
  std::map<std::string, Table> tables;
  Table* table = nullptr;
  for (int number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto wrong = [&] { return fail(Errc::Invalid, "line {} of iptables-save is \"{}\"", number, line); };
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '*') {
      table = &tables[std::string(line.substr(1))];
      continue;
    }
    if (line == "COMMIT") {
      table = nullptr;
      continue;
    }
    if (!table) return wrong();
    if (line.front() == ':') {  // ":PREROUTING ACCEPT [0:0]"
      table->chains[std::string(line.substr(1, line.find(' ') - 1))];
      continue;
    }
    // With -c a rule has its counters in front: not asked for.
    if (!line.starts_with("-A ")) return wrong();
    const std::string_view rest = line.substr(3);
    const size_t space = rest.find(' ');
    auto& rules = table->chains[std::string(rest.substr(0, space))];
    rules.emplace_back(space == std::string_view::npos ? std::string_view() : rest.substr(space + 1));
  }
  return tables;
}

}  // namespace causeway::xtables
