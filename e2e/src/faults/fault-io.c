/*
 * Makes the system calls that bring data to the disk fail, for a process that is started with this library preloaded.
 *
 * FAULT_DIRECTORY  only files below this directory are concerned
 * FAULT_ARMED      nothing happens, and nothing is counted, until the process sets it
 * FAULT_FIRST      the call, counted from 0, from which on calls fail
 * FAULT_COUNT      how many calls fail
 * FAULT_KIND       ENOSPC or EIO: the call does nothing and fails; SHORT: a write does half, and a sync fails with EIO
 * FAULT_REPORT     a file that grows by one byte with every call that was made to fail
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
  int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
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
  return strcmp(kind, "SHORT") == 0 && writes ? -1 : EIO;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define OR_FAIL(outcome) \
  if (outcome > 0) { errno = outcome; return -1; }

ssize_t write(int fd, const void *bytes, size_t count) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return REAL(write)(fd, bytes, outcome < 0 ? count / 2 : count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return REAL(pwrite)(fd, bytes, outcome < 0 ? count / 2 : count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return REAL(pwrite64)(fd, bytes, outcome < 0 ? count / 2 : count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return REAL(writev)(fd, parts, outcome < 0 ? (count + 1) / 2 : count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return REAL(pwritev)(fd, parts, outcome < 0 ? (count + 1) / 2 : count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  int outcome = fault(below_directory(fd), 1);
  OR_FAIL(outcome)
  return REAL(pwritev64)(fd, parts, outcome < 0 ? (count + 1) / 2 : count, at);
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
