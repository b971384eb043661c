// What a container's environment, or a volume, refers to, fetched from the API.
#pragma once

#include "kube/client/client.h"
#include "lab/nodelet/environment.h"
#include "lab/nodelet/volumes.h"

namespace causeway::lab {

// Completes `facts` with the ConfigMaps and Secrets that the container names. One that does not exist is left out:
// whether that is an error is compile_process()'s to say.
Task<Result<ContainerFacts>> fetch_facts(kube::Client& api, std::string ns, const kube::Container& container,
                                         ContainerFacts facts);

// The same for a volume; binary data of ConfigMaps too.
Task<Result<ContainerFacts>> fetch_facts(kube::Client& api, std::string ns, const kube::Volume& volume,
                                         ContainerFacts facts);

}  // namespace causeway::lab
