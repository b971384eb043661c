#include <sys/socket.h>

#include <utility>

#include "lab/workload/workload.h"

namespace causeway::workload {

void enlarge_buffers(int fd, int bytes) {
  for (const auto& [beyond_limit, up_to_limit] : {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, {SO_SNDBUFFORCE, SO_SNDBUF}})
    if (::setsockopt(fd, SOL_SOCKET, beyond_limit, &bytes, sizeof bytes) != 0)
      ::setsockopt(fd, SOL_SOCKET, up_to_limit, &bytes, sizeof bytes);
}

}  // namespace causeway::workload
