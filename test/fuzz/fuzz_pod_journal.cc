// The journal of addresses and the alias of a link: what is read prints and reads as the same again.
// deps: pod
#include <cstdlib>

#include "pod/journal.h"

using namespace causeway::pod;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto record = parse_alias(text))
    if (parse_alias(alias_of(*record)) != record) std::abort();
  const auto first = replay(text, "boot");
  if (!first) return 0;
  if (first->valid_bytes > size || first->torn != (first->valid_bytes < size)) std::abort();
  const auto again = replay(text.substr(0, first->valid_bytes), "boot");
  if (!again || again->torn || again->state.records != first->state.records) std::abort();
  return 0;
}
