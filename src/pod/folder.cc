#include "pod/folder.h"

#include <sys/stat.h>

#include <cerrno>

namespace causeway::pod {

Status make_folder_of(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make folder " + folder);
  }
  return ok();
}

}  // namespace causeway::pod
