// deps: kube_api
// Selectors, quantities and times from anybody: what was parsed prints and parses again to the same value.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kube/api/codec.h"
#include "kube/api/quantity.h"
#include "kube/api/selector.h"

using namespace causeway::kube;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto selector = Selector::parse(text)) {
    auto again = Selector::parse(to_string(*selector));
    if (!again || !(*again == *selector)) std::abort();
    (void)selector->matches({{"app", "web"}, {"v", "10"}});
  }
  if (auto selector = FieldSelector::parse(text)) {
    auto again = FieldSelector::parse(to_string(*selector));
    if (!again || !(*again == *selector)) std::abort();
  }
  if (auto time = parse_time(text)) {
    auto again = parse_time(format_micro_time(*time));
    if (!again || *again != *time) std::abort();
  }
  (void)parse_quantity_milli(text);
  return 0;
}
