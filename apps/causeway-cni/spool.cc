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

bool write_all(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes += written;
    size -= size_t(written);
  }
  return true;
}

// Whole or not at all, under its final name.
bool put_file(const char* name, const char* head, const char* body, size_t size) {
  Text temporary;
  temporary.add(name);
  temporary.add(".tmp.");
  temporary.add_number(getpid());
  const int fd = open(temporary.bytes, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written = write_all(fd, head, strlen(head)) && write_all(fd, body, size);
  const bool done = close(fd) == 0 && written && rename(temporary.bytes, name) == 0;
  if (!done) {
    const int error = errno;
    unlink(temporary.bytes);
    errno = error;
  }
  return done;
}

}  // namespace

bool spool_del(const char* folder, const char* container, const char* ifname) {
  if (!make_folders(folder)) return false;
  Text name, content;
  name.add(folder);
  name.add("/");
  add_hex(name, causeway::pod::wire::spool_hash(container, ifname));
  content.add(container);
  content.add("\n");
  content.add(ifname);
  content.add("\n");
  content.add_number(long(now_ns()));
  content.add("\n");
  return put_file(name.bytes, content.bytes, "", 0);
}

bool spool_gc(const char* folder, const char* network, const char* config, size_t size) {
  if (!make_folders(folder)) return false;
  Text name, head;
  name.add(folder);
  name.add("/gc-");
  add_hex(name, causeway::pod::wire::spool_hash(network, ""));
  head.add_number(long(now_ns()));
  head.add("\n");
  return put_file(name.bytes, head.bytes, config, size);
}
