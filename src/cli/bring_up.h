// `lab up` as the demo uses it too.
#pragma once

#include "cli/output.h"
#include "lab/plan.h"

namespace causeway::cli {

// Until every node is Ready. The last step is open when it fails.
Status bring_up(const lab::Spec& spec, Steps& steps);

}  // namespace causeway::cli
