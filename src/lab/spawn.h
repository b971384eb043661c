// Starts a process in namespaces and a cgroup of choice, with its file system prepared, in one clone3 and one execve.
//
// Between the two the child runs only system calls on memory that was laid out before (no allocation, no lock of the
// parent's threads can be held in it). A step that fails is reported to the parent by name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::lab {

// One preparation, run in order in the child.
struct Step {
  enum class Kind {
    Mount,           // mount(a, b, c, flags, data)
    Unmount,         // umount2(a, flags)
    Mkdir,           // mkdir(a, mode); no error when it exists
    Touch,           // an empty file a; no error when it exists
    Mknod,           // mknod(a, mode, flags as dev_t)
    Symlink,         // symlink(a, b), replaces a file at b
    Write,           // file a gets the content b (made or truncated, mode)
    WriteIfDiffers,  // as Write on an existing file, unless it reads so already
    Chdir,           // chdir(a)
    PivotHere,       // pivot_root(".", "."), then detaches the old root
    Unshare,         // unshare(flags)
    Hostname,        // sethostname(a)
    LoopbackUp,
  };
  Kind kind;
  std::string a;
  std::string b;
  std::string c;
  std::string data;
  unsigned long flags = 0;
  mode_t mode = 0755;
  // Of Mount (b), Mkdir, Touch, Write, Symlink (b) and Mknod: the path is looked up inside this folder, whatever links
  // somebody left there (openat2, RESOLVE_IN_ROOT), and its parents are made. Empty: the path is one of ours.
  std::string root;

  friend bool operator==(const Step&, const Step&) = default;
};
std::string to_string(const Step& step);

// Who a process is. Without it, it is who its parent is.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;       // supplementary
  uint64_t capabilities = ~0ULL;   // one bit for each number; the most that it and its children can have
  bool no_new_privileges = false;  // set-user-ID programs give nothing
  bool operator==(const Identity&) const = default;
};
// Makes the caller that, for good; system calls only, so that a child between clone and execve may call it. False:
// errno says why, and the caller is to end.
bool become(const Identity& identity);

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is found in PATH of `env` after the steps, or is a path
  std::vector<std::string> env;   // "NAME=value"
  uint64_t clone_flags = 0;       // CLONE_NEW*
  int cgroup_fd = -1;             // borrowed; the child starts in it
  std::vector<int> join;          // namespace descriptors to enter first, borrowed
  std::vector<Step> steps;
  int born_in = -1;       // a pid namespace below ours to be born in, borrowed
  std::string directory;  // working directory at last, when not empty
  std::optional<Identity> identity;
  std::vector<std::pair<int, int>>
      descriptors;  // (ours, the child's number); all others are closed. 0-2: /dev/null unless named
};

struct Child {
  pid_t pid = 0;
  Fd pidfd;
};

// Returns once execve() has succeeded. Errors name the step.
Result<Child> spawn(const SpawnOptions& options);

// How a process ended, from a wait status.
struct ExitStatus {
  int code = 0;    // 128 + signal when a signal ended it
  int signal = 0;  // 0: it exited
};
ExitStatus exit_status_of(int wait_status);

}  // namespace causeway::lab
