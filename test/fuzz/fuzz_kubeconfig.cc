// deps: kube_client
// A kubeconfig may come from anywhere: whatever it holds, reading it ends in a value or an error.
#include <cstdint>

#include "kube/client/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Files that it names are looked for where there are none.
  auto config = causeway::kube::parse_kubeconfig(text, "/nonexistent");
  if (config && config->server.empty()) __builtin_trap();
  return 0;
}
