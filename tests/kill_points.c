/* Kills the program that it is loaded into (LD_PRELOAD) right before the change of II_KILL_AT, counted from 1, that a file
 * system keeps: a flush to the disk, a name given, taken or changed. What stands between two of them is the same to whoever
 * looks after the kill, but for pages that the second flush is there for. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static void change(void) {
  static atomic_long done;
  const char *at = getenv("II_KILL_AT");
  if (at && atomic_fetch_add(&done, 1) + 1 == atol(at)) kill(getpid(), SIGKILL);
}

#define BEFORE(name, parameters, arguments)                      \
  int name parameters {                                          \
    static int(*next) parameters;                                \
    if (!next) next = (int(*) parameters)dlsym(RTLD_NEXT, #name); \
    change();                                                    \
    return next arguments;                                       \
  }

BEFORE(fsync, (int file), (file))
BEFORE(fdatasync, (int file), (file))
BEFORE(ftruncate, (int file, off_t length), (file, length))
BEFORE(ftruncate64, (int file, off64_t length), (file, length))
BEFORE(rename, (const char *from, const char *to), (from, to))
BEFORE(link, (const char *from, const char *to), (from, to))
BEFORE(linkat, (int at, const char *from, int other, const char *to, int flags), (at, from, other, to, flags))
BEFORE(unlink, (const char *path), (path))
BEFORE(unlinkat, (int at, const char *path, int flags), (at, path, flags))
BEFORE(rmdir, (const char *path), (path))
