/* See master.h. */
#include "providers/ssh/master.h"

#include "providers/ssh/argv.h"
#include "providers/ssh/child.h"

#include "engine/sys/spawn.h"
#include "lang/base/digest.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_dir(const char *dir, struct dk_error *error) {
  struct stat st;

  if (mkdir(dir, 0700) < 0 && errno != EEXIST) return dk_error_system(error, -errno, "making %s", dir);
  if (lstat(dir, &st) < 0) return dk_error_system(error, -errno, "looking at %s", dir);
  if (!S_ISDIR(st.st_mode)) return dk_error_set(error, -ENOTDIR, "%s is no directory", dir);
  if (st.st_uid != geteuid())
    return dk_error_set(error, -EPERM, "%s belongs to another user (uid %u)", dir, (unsigned)st.st_uid);
  if (st.st_mode & 077) return dk_error_set(error, -EPERM, "others may use %s\nhelp: chmod 700 %s", dir, dir);
  return 0;
}

int dk_ssh_master_place(const struct dk_host_config *host, struct dk_buf *ret_path, struct dk_error *error) {
  dk_autobuf dir = DK_BUF_INIT;
  struct dk_hasher hasher;
  struct dk_digest digest;
  char hex[DK_DIGEST_HEX + 1];

  /* All that leads to another login. */
  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, host->name);
  dk_hasher_add_text(&hasher, host->user);
  dk_hasher_add_text(&hasher, host->ssh_config);
  dk_hasher_add_u64(&hasher, host->port);
  dk_hasher_get(&hasher, &digest);
  dk_digest_hex(&digest, hex);
  dk_buf_printf(&dir, "/tmp/dkrun-%u", (unsigned)geteuid());
  dk_buf_clear(ret_path);
  dk_buf_printf(ret_path, "%s/ssh-%.16s", dk_buf_text(&dir), hex);
  if (!dk_buf_ok(&dir) || !dk_buf_ok(ret_path)) return dk_error_system(error, -ENOMEM, "looking for an ssh master");
  return check_dir(dk_buf_text(&dir), error);
}

bool dk_ssh_master_is_there(const char *path) {
  struct stat st;

  return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid();
}

int dk_ssh_open_master(const struct dk_host_config *host, struct dk_error *error) {
  dk_autobuf socket = DK_BUF_INIT, by_hand = DK_BUF_INIT;
  struct dk_spawn spawn = DK_SPAWN_INIT;
  struct dk_ssh_argv argv;

  if (!dk_ssh_is_host_name(host->name)) return dk_error_set(error, -EINVAL, "%s is no name of a host", host->name);
  int r = dk_ssh_master_place(host, &socket, error);
  if (r < 0) return r;
  r = dk_ssh_argv(DK_SSH_LOGIN, host, dk_ssh_name(), dk_buf_text(&socket), "true", &argv);
  if (r == 0) {
    spawn.argv = (char *const *)argv.items;
    spawn.fds[0] = STDIN_FILENO;
    spawn.fds[1] = spawn.fds[2] = STDERR_FILENO;
    r = dk_spawn_wait(&spawn, error);
  } else {
    dk_error_system(error, r, "starting ssh");
  }
  dk_ssh_argv_finish(&argv);
  if (r < 0) return r;
  dk_ssh_by_hand(host, &by_hand);
  if (r > 0)
    return dk_error_set(error, -EACCES, "ssh could not log in to %s (exit code %d)\nhelp: this has to work: %s true",
                        host->name, r, dk_buf_text(&by_hand));
  return 0;
}
