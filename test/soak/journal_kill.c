/* Preloaded into the real agent: it dies by SIGKILL at a chosen step of its address journal, as a machine's worst
 * moment would have it. A step is before a write, in the middle of it (half of the bytes are in the file), after it,
 * and before and after a rename or a truncation of the file.
 *
 *   JOURNAL_KILL_AT=N     at the Nth step of this life; absent or 0: never
 *   JOURNAL_KILL_SIDE=1   only steps of the side file count (compaction: journal.new, and its rename)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long taken;

static void step(void) {
  const char* at = getenv("JOURNAL_KILL_AT");
  if (at && atomic_fetch_add(&taken, 1) + 1 == atol(at)) kill(getpid(), SIGKILL);
}

static int counts(const char* path) {
  if (!strstr(path, "/ipam/journal")) return 0;
  return !getenv("JOURNAL_KILL_SIDE") || strstr(path, "journal.new");
}

static int is_journal(int fd) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  return counts(path);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static ssize_t (*real)(int, const void*, size_t);
  if (!real) real = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (!is_journal(fd)) return real(fd, bytes, size);
  step();
  ssize_t first = size > 1 ? real(fd, bytes, size / 2) : 0;
  if (first < 0) return first;
  step();
  ssize_t rest = real(fd, (const char*)bytes + first, size - (size_t)first);
  if (rest < 0) return first;
  step();
  return first + rest;
}

int rename(const char* from, const char* to) {
  static int (*real)(const char*, const char*);
  if (!real) real = (int (*)(const char*, const char*))dlsym(RTLD_NEXT, "rename");
  if (!counts(from)) return real(from, to);
  step();
  int done = real(from, to);
  step();
  return done;
}

int truncate(const char* path, off_t size) {
  static int (*real)(const char*, off_t);
  if (!real) real = (int (*)(const char*, off_t))dlsym(RTLD_NEXT, "truncate");
  if (!counts(path)) return real(path, size);
  step();
  int done = real(path, size);
  step();
  return done;
}
