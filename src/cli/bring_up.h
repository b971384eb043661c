// `lab up` as the demo uses it too.
#pragma once

#include "cli/output.h"
#include "lab/plan.h"

namespace causeway::cli {

// Until every node is Ready; also repairs a lab that runs, if it has lost Nodes. AlreadyExists when there is nothing to
// do. Interrupted (SIGINT, SIGTERM): a new lab is taken down again. The last step is open when it fails.
Status bring_up(const lab::Spec& spec, Steps& steps);

}  // namespace causeway::cli
