/* What lies in .dkrun/rented, and the script that a machine runs when it first boots: see rentals.h.
 *
 *   id, id.pub          lets this store in, made once
 *   NAME, NAME.pub      the machine's first key: it is given in the script, so that it is known and never just accepted
 *   NAME.known          the same for ssh, as known_hosts(5), then those that ssh has learned from the machine, alone
 *   NAME.known.old      ssh's own copy of what it was before */
#include "engine/drive/image.h"
#include "engine/drive/rentals_priv.h"
#include "engine/sys/fs.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY_MOST 4096u /* bytes of a file of ssh-keygen's */

void dk_rentals_name(const char *pool, uint32_t number, char *ret, size_t size) {
  snprintf(ret, size, "%s-%u", pool, number);
}

static int key_path(const struct dk_rentals *rentals, const char *name, const char *suffix, struct dk_buf *ret,
                    struct dk_error *error) {
  dk_buf_clear(ret);
  dk_buf_printf(ret, "%s/%s%s", rentals->folder, name, suffix);
  return dk_buf_ok(ret) ? 0 : dk_error_system(error, -ENOMEM, "making keys for a machine");
}

/* ssh-keygen asks before it overwrites, so what is left of one that was killed goes first. */
static int generate(const char *path, const char *public_path, const char *comment, struct dk_error *error) {
  const char *argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path, NULL};
  struct dk_spawn spawn = DK_SPAWN_INIT;

  spawn.argv = (char *const *)(uintptr_t)argv;
  (void)unlink(path);
  (void)unlink(public_path);
  int r = dk_spawn_wait(&spawn, error);
  if (r > 0) return dk_error_set(error, -EIO, "ssh-keygen failed (exit code %d): it could not make %s", r, path);
  return r;
}

/* The private key; it is there whole when the public one is, which ssh-keygen writes after it. */
static int need_key(const struct dk_rentals *rentals, const char *name, const char *comment, struct dk_buf *ret_private,
                    struct dk_buf *ret_public, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT, public_path = DK_BUF_INIT;

  int r = dk_fs_mkdirs(rentals->folder, 0700, error);
  if (r == 0) r = key_path(rentals, name, "", &path, error);
  if (r == 0) r = key_path(rentals, name, ".pub", &public_path, error);
  if (r == 0) r = dk_fs_read(public_path.data, KEY_MOST, ret_public, error);
  if (r == -ENOENT) { /* only then: what is there lets us into machines that run */
    dk_buf_clear(ret_public);
    r = generate(path.data, public_path.data, comment, error);
    if (r == 0) r = dk_fs_read(public_path.data, KEY_MOST, ret_public, error);
  }
  if (r == 0 && ret_private) r = dk_fs_read(path.data, KEY_MOST, ret_private, error);
  return r;
}

static int write_known(const struct dk_rentals *rentals, const char *name, const struct dk_buf *public_key,
                       struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT, line = DK_BUF_INIT;

  dk_buf_printf(&line, "%s %s", name, dk_buf_text(public_key));
  int r = key_path(rentals, name, ".known", &path, error);
  if (r == 0 && !dk_buf_ok(&line)) r = dk_error_system(error, -ENOMEM, "making keys for a machine");
  return r < 0 ? r : dk_fs_write(path.data, line.data, line.len, 0600, true, error);
}

/* The machine ends by itself: at first unless a dkagent comes, or the setup of an image, later when none has been there for as long. An agent
 * goes when nobody has wanted it for a minute and it has nothing that is not saved, so this is a lease, which work
 * renews. Before anything else, so that whatever goes wrong later goes wrong on a machine that ends.
 *
 * Written for any sh: busybox has no `shutdown`, and a container no init that knows the word. */
static const char script[] =
    "#!/bin/sh\n"
    "# Made by dkrun. This machine ends by itself when no dkagent has been here for %u minutes.\n"
    "(\n"
    "  is_used() {\n"
    "    read -r p <" DK_IMAGE_PID " && [ -d \"/proc/$p\" ] && return 0\n"
    "    for p in /proc/[0-9]*/exe; do case $(readlink \"$p\") in */dkagent*) return 0 ;; esac; done\n"
    "    return 1\n"
    "  }\n"
    "  left=%u\n"
    "  while [ \"$left\" -gt 0 ]; do sleep 20; if is_used; then left=%u; else left=$((left - 1)); fi; done\n"
    "  shutdown -P now || systemctl poweroff || poweroff -f || kill -PWR 1\n"
    ") </dev/null >/dev/null 2>&1 &\n"
    "umask 077\n"
    "home=$(getent passwd '%s' | cut -d: -f6)\n"
    "mkdir -p \"$home/.ssh\"\n"
    "cat >>\"$home/.ssh/authorized_keys\" <<'END_OF_KEY'\n"
    "%s"
    "END_OF_KEY\n"
    "chown -R '%s': \"$home/.ssh\"\n"
    "cat >/etc/ssh/ssh_host_ed25519_key <<'END_OF_KEY'\n"
    "%s"
    "END_OF_KEY\n"
    "cat >/etc/ssh/ssh_host_ed25519_key.pub <<'END_OF_KEY'\n"
    "%s"
    "END_OF_KEY\n"
    "rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key*\n"
    "ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key\n"
    "systemctl restart ssh || systemctl restart sshd || service ssh restart || pkill -HUP -o -x sshd\n"
    "exit 0\n";
#define LEASE_MINUTES 15u
#define LEASE_TURNS (LEASE_MINUTES * 3u) /* of 20 s */

int dk_rentals_user_data(const struct dk_rentals *rentals, const char *name, const char *user, struct dk_buf *ret,
                         struct dk_error *error) {
  dk_autobuf ours = DK_BUF_INIT, private_key = DK_BUF_INIT, public_key = DK_BUF_INIT;

  int r = need_key(rentals, "id", "dkrun", NULL, &ours, error);
  if (r == 0) r = need_key(rentals, name, name, &private_key, &public_key, error);
  if (r == 0) r = write_known(rentals, name, &public_key, error);
  if (r < 0) return r;
  dk_buf_printf(ret, script, LEASE_MINUTES, LEASE_TURNS, LEASE_TURNS, user, dk_buf_text(&ours), user,
                dk_buf_text(&private_key), dk_buf_text(&public_key));
  return dk_buf_ok(ret) ? 0 : dk_error_system(error, -ENOMEM, "making keys for a machine");
}

static void remove_files(const struct dk_rentals *rentals, const char *name, const char *const *suffixes) {
  dk_autobuf path = DK_BUF_INIT;

  for (; *suffixes; suffixes++)
    if (key_path(rentals, name, *suffixes, &path, NULL) == 0) (void)unlink(path.data);
}

/* Those lines of `known` that are not of the key `given` ("ssh-ed25519 AAAA... comment"). */
static void others_of(const char *known, const char *given, struct dk_buf *ret) {
  const char *key = strchr(given, ' ');
  size_t key_len = key ? strcspn(++key, " \n") : 0;

  for (size_t len; key_len && *known; known += len) {
    len = strcspn(known, "\n");
    if (known[len]) len++;
    if (!memmem(known, len, key, key_len)) dk_buf_add(ret, known, len);
  }
}

/* Whatever fails here, the machine is reached by the key that it was given. */
void dk_rentals_renew_keys(const struct dk_rentals *rentals, const char *name) {
  dk_autobuf path = DK_BUF_INIT, known = DK_BUF_INIT, given = DK_BUF_INIT, others = DK_BUF_INIT;

  if (key_path(rentals, name, ".pub", &path, NULL) < 0 || dk_fs_read(path.data, KEY_MOST, &given, NULL) < 0) return;
  if (key_path(rentals, name, ".known", &path, NULL) < 0 || dk_fs_read(path.data, KEY_MOST, &known, NULL) < 0) return;
  others_of(dk_buf_text(&known), dk_buf_text(&given), &others);
  if (!others.len || !dk_buf_ok(&others)) return;
  if (dk_fs_write(path.data, others.data, others.len, 0600, true, NULL) < 0) return;
  remove_files(rentals, name, (const char *const[]){"", ".pub", ".known.old", NULL});
}

void dk_rentals_remove_keys(const struct dk_rentals *rentals, const char *name) {
  remove_files(rentals, name, (const char *const[]){"", ".pub", ".known", ".known.old", NULL});
}
