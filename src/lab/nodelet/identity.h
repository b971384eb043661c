// Who a container's process is, by the securityContexts of Pod and container and by its image. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/api/pod.h"
#include "lab/images/image_config.h"
#include "lab/spawn.h"

namespace causeway::lab {

// Stands for the user of an image that is not loaded, where it must not be root.
inline constexpr uint32_t kNobodyInParticular = 65532;

struct Person {
  Identity identity;
  std::string home;
  bool stand_in = false;  // kNobodyInParticular
};
// `image`: null when the machine's root stands in. `passwd` and `group`: the texts of the root's files. Errors: as
// kubelet says them in CreateContainerConfigError.
Result<Person> compile_identity(const kube::PodSpec& pod, const kube::Container& container, const ImageConfig* image,
                                std::string_view passwd, std::string_view group);

}  // namespace causeway::lab
