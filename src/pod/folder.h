// Folders of this component below /run, /etc and /opt.
#pragma once

#include <string>

#include "base/result.h"

namespace causeway::pod {

// Makes the folders above `path` that are not there yet, for the owner alone to write.
Status make_folder_of(const std::string& path);

}  // namespace causeway::pod
