// inotify instances: the kernel gives each user few (fs.inotify.max_user_instances, often 128), so a process has one.
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace causeway {

// A non-blocking instance. Exhausted names the limit and what to do.
Result<Fd> open_inotify();
// Exhausted when this user has no room for `count` more instances now.
Status check_inotify_room(int count);

}  // namespace causeway
