// deps: apiserver
// A document and a patch from anybody, on two lines: each kind of patch ends in a value or an error, an error leaves
// the document as it was, and a merge patch applied twice is a merge patch applied once.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apiserver/json_patch.h"
#include "apiserver/json_tree.h"
#include "apiserver/strategic_patch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace causeway;
  using namespace causeway::apiserver;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto target = parse_value(text.substr(0, line));
  const auto patch = parse_value(text.substr(line + 1));
  if (!target || !patch) return 0;

  json::value patched = *target;
  if (!apply_json_patch(patched, *patch) && patched != *target) std::abort();

  json::value once = *target;
  apply_merge_patch(once, *patch);
  json::value twice = once;
  apply_merge_patch(twice, *patch);
  if (once != twice) std::abort();

  if (!target->is_object() || !patch->is_object()) return 0;
  for (std::string_view type : {"Pod", "Service", "apps.Deployment"}) {
    json::object tree = target->get_object();
    if (!apply_strategic_patch(tree, patch->get_object(), *kube::find_type(type)) && tree != target->get_object())
      std::abort();
  }
  return 0;
}
