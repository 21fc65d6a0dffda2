/* See sock.h. */
#include "engine/sys/sock.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Where a path leads in sun_path: itself, or /proc/self/fd/N/name with *ret_dir open until the call was made. */
static int address(const char *path, struct sockaddr_un *ret, int *ret_dir) {
  *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
  *ret_dir = -1;
  if (strlen(path) < sizeof ret->sun_path) {
    strcpy(ret->sun_path, path);
    return 0;
  }
  const char *slash = strrchr(path, '/');
  if (!slash) return -ENAMETOOLONG;
  dk_autofree char *dir = dk_strndup(path, slash == path ? 1 : (size_t)(slash - path));
  if (!dir) return -ENOMEM;
  *ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*ret_dir < 0) return -errno;
  int len = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", *ret_dir, slash + 1);
  if (len < 0 || (size_t)len >= sizeof ret->sun_path) {
    close(*ret_dir);
    return -ENAMETOOLONG;
  }
  return 0;
}

int dk_sock_connect(const char *path, struct dk_error *error) {
  struct sockaddr_un addr;
  int dir;
  int r = address(path, &addr, &dir);
  if (r < 0) return dk_error_system(error, r, "cannot use the socket %s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  r = fd < 0 ? -errno : 0;
  if (r == 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) r = -errno;
  if (dir >= 0) close(dir);
  if (r == 0) return fd;
  if (fd >= 0) close(fd);
  return dk_error_system(error, r, "cannot connect to %s", path);
}

static int listen_at(const char *temporary, const char *path, int backlog) {
  struct sockaddr_un addr;
  int dir;
  int r = address(temporary, &addr, &dir);
  if (r < 0) return r;
  unlink(temporary);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  r = fd < 0 ? -errno : 0;
  if (r == 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0) r = -errno;
  if (dir >= 0) close(dir);
  if (r == 0 && chmod(temporary, 0600) < 0) r = -errno;
  if (r == 0 && listen(fd, backlog) < 0) r = -errno;
  if (r == 0 && rename(temporary, path) < 0) r = -errno;
  if (r == 0) return fd;
  if (fd >= 0) close(fd);
  return r;
}

int dk_sock_listen(const char *path, int backlog, struct dk_error *error) {
  size_t size = strlen(path) + 8;
  dk_autofree char *temporary = dk_alloc(size);
  if (!temporary) return dk_error_set(error, -ENOMEM, "no memory for a socket");
  snprintf(temporary, size, "%s.new", path);
  int fd = listen_at(temporary, path, backlog);
  if (fd < 0) return dk_error_system(error, fd, "cannot make the socket %s", path);
  return fd;
}

int dk_sock_accept(int listener, struct dk_error *error) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return -EAGAIN;
      return dk_error_system(error, -errno, "cannot accept a connection");
    }
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == geteuid() || peer.uid == 0))
      return fd;
    close(fd);
  }
}
