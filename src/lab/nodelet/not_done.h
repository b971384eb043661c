// What a Pod asks for that the lab does not do. Each is said in an Event: silence would be taken for done.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kube/api/pod.h"

namespace causeway::lab {

// One sentence for each container and matter; of the Pod as the API has it, because our typed objects lack these
// fields. None for what is no Pod.
std::vector<std::string> not_done(std::string_view pod_json);

// Why this container is not started at all; empty: it is. What gates it must not count as passed.
std::string refused(const kube::Container& container);

}  // namespace causeway::lab
