/*
 * Makes the system calls that bring data to the disk fail, for a process that is started with this library preloaded.
 *
 * FAULT_DIRECTORY  only files below this directory are concerned
 * FAULT_ARMED      nothing happens, and nothing is counted, until the process sets it
 * FAULT_FIRST      the call, counted from 0, from which on calls fail
 * FAULT_COUNT      how many calls fail
 * FAULT_KIND       ENOSPC or EIO: the call does nothing and fails; SHORT: a write does half, and anything else fails with EIO;
 *                  KILL: a write does half, anything else nothing, and the process is killed
 * FAULT_NAMES      set: calls that make, rename, remove or cut off files are concerned as well as those that write and sync
 * FAULT_REPORT     a file that grows by one byte with every call that was made to fail
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static void report(void) {
  const char *path = getenv("FAULT_REPORT");
  int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  int fd = path == NULL ? -1 : real_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0) return;
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  real(fd, "x", 1);
  close(fd);
}

static int below_directory(int fd) {
  const char *directory = getenv("FAULT_DIRECTORY");
  char link[64], path[PATH_MAX];
  if (directory == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t bytes = readlink(link, path, sizeof path - 1);
  if (bytes < 0) return 0;
  path[bytes] = 0;
  return strncmp(path, directory, strlen(directory)) == 0;
}

/* 0: the call is carried out; otherwise the error it fails with, or -1 for a write that does half. */
static int fault(int concerned, int writes) {
  const char *armed = getenv("FAULT_ARMED"), *first = getenv("FAULT_FIRST"), *count = getenv("FAULT_COUNT"), *kind = getenv("FAULT_KIND");
  if (armed == NULL || first == NULL || count == NULL || kind == NULL || !concerned) return 0;
  long call = atomic_fetch_add(&calls, 1);
  if (call < atol(first) || call >= atol(first) + atol(count)) return 0;
  report();
  if (strcmp(kind, "ENOSPC") == 0) return ENOSPC;
  if (strcmp(kind, "KILL") == 0 && !writes) kill(getpid(), SIGKILL);
  return (strcmp(kind, "SHORT") == 0 || strcmp(kind, "KILL") == 0) && writes ? -1 : EIO;
}

/* Behind a write that did half. */
static ssize_t half(ssize_t written) {
  if (strcmp(getenv("FAULT_KIND"), "KILL") == 0) kill(getpid(), SIGKILL);
  return written;
}

static int path_below_directory(const char *path) {
  const char *directory = getenv("FAULT_DIRECTORY");
  return getenv("FAULT_NAMES") != NULL && directory != NULL && path != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define OR_FAIL(outcome) \
  if (outcome > 0) { errno = outcome; return -1; }

ssize_t write(int fd, const void *bytes, size_t count) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return outcome < 0 ? half(REAL(write)(fd, bytes, count / 2)) : REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return outcome < 0 ? half(REAL(pwrite)(fd, bytes, count / 2, at)) : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return outcome < 0 ? half(REAL(pwrite64)(fd, bytes, count / 2, at)) : REAL(pwrite64)(fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return outcome < 0 ? half(REAL(writev)(fd, parts, (count + 1) / 2)) : REAL(writev)(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return outcome < 0 ? half(REAL(pwritev)(fd, parts, (count + 1) / 2, at)) : REAL(pwritev)(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return outcome < 0 ? half(REAL(pwritev64)(fd, parts, (count + 1) / 2, at)) : REAL(pwritev64)(fd, parts, count, at);
}

int fsync(int fd) {
  int outcome = fault(below_directory(fd), 0);
  OR_FAIL(outcome)
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  int outcome = fault(below_directory(fd), 0);
  OR_FAIL(outcome)
  return REAL(fdatasync)(fd);
}

/* Which file a map belongs to is not asked: the processes under test map only their own data. */
int msync(void *start, size_t bytes, int flags) {
  int outcome = fault(1, 0);
  OR_FAIL(outcome)
  return REAL(msync)(start, bytes, flags);
}

#define OPENING(name, ...) \
  mode_t mode = 0; \
  if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
  int outcome = (flags & (O_CREAT | O_TRUNC)) ? fault(path_below_directory(path), 0) : 0; \
  OR_FAIL(outcome) \
  return REAL(name)(__VA_ARGS__, mode);

int open(const char *path, int flags, ...) { OPENING(open, path, flags) }
int open64(const char *path, int flags, ...) { OPENING(open64, path, flags) }
int openat(int at, const char *path, int flags, ...) { OPENING(openat, at, path, flags) }
int openat64(int at, const char *path, int flags, ...) { OPENING(openat64, at, path, flags) }

int rename(const char *from, const char *to) {
  int outcome = fault(path_below_directory(to), 0);
  OR_FAIL(outcome)
  return REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
  int outcome = fault(path_below_directory(to), 0);
  OR_FAIL(outcome)
  return REAL(link)(from, to);
}

int unlink(const char *path) {
  int outcome = fault(path_below_directory(path), 0);
  OR_FAIL(outcome)
  return REAL(unlink)(path);
}

int rmdir(const char *path) {
  int outcome = fault(path_below_directory(path), 0);
  OR_FAIL(outcome)
  return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
  int outcome = fault(path_below_directory(path), 0);
  OR_FAIL(outcome)
  return REAL(mkdir)(path, mode);
}

int ftruncate(int fd, off_t bytes) {
  int outcome = fault(getenv("FAULT_NAMES") != NULL && below_directory(fd), 0);
  OR_FAIL(outcome)
  return REAL(ftruncate)(fd, bytes);
}

int ftruncate64(int fd, off64_t bytes) {
  int outcome = fault(getenv("FAULT_NAMES") != NULL && below_directory(fd), 0);
  OR_FAIL(outcome)
  return REAL(ftruncate64)(fd, bytes);
}
