/* See lock.h. */
#include "engine/sys/lock.h"
#include "engine/sys/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void read_holder(int fd, char *ret, size_t size) {
  ssize_t n = pread(fd, ret, size - 1, 0);
  ret[n > 0 ? n : 0] = '\0';
  ret[strcspn(ret, "\n")] = '\0';
}

int dk_lock_take(struct dk_lock *lock, const char *path, const char *holder, struct dk_error *error) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return dk_error_system(error, -errno, "cannot open the lock file %s", path);
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    int code = -errno;
    char text[DK_LOCK_WORDS];
    read_holder(fd, text, sizeof text);
    close(fd);
    if (code != -EWOULDBLOCK) return dk_error_system(error, code, "cannot lock %s", path);
    return dk_error_set(error, code, "%s is taken by process %s", path, text[0] ? text : "(unknown)");
  }
  char text[DK_LOCK_WORDS];
  int len = holder ? snprintf(text, sizeof text, "%ld (%.150s)\n", (long)getpid(), holder)
                   : snprintf(text, sizeof text, "%ld\n", (long)getpid());
  /* The words are a courtesy: a full disk must not make the lock fail. */
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) < 0) errno = 0;
  lock->fd = fd;
  return 0;
}

void dk_lock_release(struct dk_lock *lock) {
  if (lock->fd >= 0) close(lock->fd);
  lock->fd = -1;
}

void dk_lock_words(const char *path, char ret[DK_LOCK_WORDS]) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  ret[0] = '\0';
  if (fd >= 0) read_holder(fd, ret, DK_LOCK_WORDS);
  if (fd >= 0) close(fd);
  if (!ret[0]) strcpy(ret, "(unknown)");
}

int dk_lock_holder(const char *path) {
  char text[DK_LOCK_WORDS];
  dk_lock_words(path, text);
  long pid = strtol(text, NULL, 10);
  return pid > 0 && pid < 1L << 30 ? (int)pid : 0;
}
