#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "json.h"

namespace {

bool make_folders(const char* path) {
  char part[4096];
  const size_t size = strlen(path);
  if (size >= sizeof part) {
    errno = ENAMETOOLONG;
    return false;
  }
  for (size_t i = 1; i <= size; ++i) {
    if (path[i] != '/' && path[i] != 0) continue;
    memcpy(part, path, i);
    part[i] = 0;
    if (mkdir(part, 0755) != 0 && errno != EEXIST) return false;
  }
  return true;
}

void add_hex(Text& text, uint64_t value) {
  char digits[17];
  for (int i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  digits[16] = 0;
  text.add(digits);
}

}  // namespace

bool spool_del(const char* folder, const char* container, const char* ifname) {
  if (!make_folders(folder)) return false;
  Text name, temporary, content;
  name.add(folder);
  name.add("/");
  add_hex(name, causeway::pod::wire::spool_hash(container, ifname));
  temporary.add(name.bytes);
  temporary.add(".tmp.");
  temporary.add_number(getpid());
  content.add(container);
  content.add("\n");
  content.add(ifname);
  content.add("\n");
  content.add_number(long(now_ns()));
  content.add("\n");

  const int fd = open(temporary.bytes, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written = write(fd, content.bytes, content.size) == ssize_t(content.size);
  const bool done = close(fd) == 0 && written && rename(temporary.bytes, name.bytes) == 0;
  if (!done) {
    const int error = errno;
    unlink(temporary.bytes);
    errno = error;
  }
  return done;
}
