// A CNI call: the message of the plugin, the configuration, the arguments.
// deps: pod
#include <cstdlib>

#include "pod/cni_reply.h"

using namespace causeway::pod;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = parse_message(text)) {
    (void)parse_command(*request);
    (void)parse_key(*request);
  }
  if (const auto args = parse_args(text))
    if (text.find('=') == std::string_view::npos && !args->pod.name.empty()) std::abort();
  const auto config = parse_config(text);
  if (!config && error_reply(config.error(), version_of(text)).output.empty()) std::abort();
  if (config && (config->name.empty() || config->version != version_of(text))) std::abort();
  return 0;
}
