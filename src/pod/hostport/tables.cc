#include "pod/hostport/tables.h"

namespace causeway::pod::hostport {

std::string render(const Tables& tables) {
  std::string text;
  for (const auto& [claim, row] : tables.rows) text += fmt::format("{} -> {} {}\n", claim, row.to, row.pod);
  for (const auto& [family, source] : tables.sources) text += fmt::format("source {}\n", source);
  for (const auto& [object, reason] : tables.refused) text += fmt::format("refused {}: {}\n", object, reason);
  return text;
}

}  // namespace causeway::pod::hostport
