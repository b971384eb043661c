// What a container's environment refers to, fetched from the API.
#pragma once

#include "kube/client/client.h"
#include "lab/nodelet/environment.h"

namespace causeway::lab {

// Completes `facts` with the ConfigMaps and Secrets that the container names. One that does not exist is left out:
// whether that is an error is compile_process()'s to say.
Task<Result<ContainerFacts>> fetch_facts(kube::Client& api, std::string ns, const kube::Container& container,
                                         ContainerFacts facts);

}  // namespace causeway::lab
