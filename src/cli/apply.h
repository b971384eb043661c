// `lab apply`: what each manifest became.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/manifest.h"
#include "kube/client/client.h"

namespace causeway::cli {

struct Applied {
  enum class Outcome { Created, Configured, Unchanged, Refused };
  Manifest manifest;
  Outcome outcome = Outcome::Refused;
  std::string reason;  // Refused: the API's words
};
// "pod/go-web created", "podsecuritypolicy/restricted refused: ...".
std::string to_string(const Applied& applied);

// In order, each after the one before; a refusal does not stop the rest. An Error means that the API is away.
Task<Result<std::vector<Applied>>> apply(kube::Client& api, std::vector<Manifest> manifests);

}  // namespace causeway::cli
