// deps: http
// A request target from anybody: it is decoded within its bounds, and what is encoded again reads back the same.
#include <cstdint>

#include "http/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace causeway::http;
  const auto target = parse_target({reinterpret_cast<const char*>(data), size});
  if (!target) return 0;
  std::string again = "/x?";
  for (const auto& [key, value] : target->query) again += percent_encode(key) + "=" + percent_encode(value) + "&";
  const auto reparsed = parse_target(again);
  if (!reparsed || reparsed->query != target->query) __builtin_trap();
  return 0;
}
