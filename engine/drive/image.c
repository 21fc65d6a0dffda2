/* See image.h. */
#include "engine/drive/image.h"

#include <inttypes.h>
#include <stdio.h>

#define STRINGIFY(x) #x
#define TEXT_OF(x) STRINGIFY(x)

void dk_recipe_seal(struct dk_recipe *recipe) {
  struct dk_hasher hasher;
  struct dk_digest digest;

  dk_hasher_init(&hasher);
  dk_hasher_add_text(&hasher, "image 1"); /* another number when what follows the setup makes another image */
  dk_hasher_add_text(&hasher, recipe->from);
  dk_hasher_add_text(&hasher, recipe->setup);
  dk_hasher_get(&hasher, &digest);
  dk_digest_hex(&digest, recipe->digest);
}

void dk_recipe_image_name(const struct dk_recipe *recipe, uint64_t incarnation, char ret[DK_IMAGE_NAME]) {
  snprintf(ret, DK_IMAGE_NAME, "dk-image-%.16s-%016" PRIx64, recipe->digest, incarnation);
}

/* Who logs in becomes root, with files, since a shell may have read ahead of what it runs. */
static const char becomes_root[] = "umask 077\n"
                                   "cat >\"$dir/make\" <<'END_OF_MAKE'\n"
                                   "%s"
                                   "END_OF_MAKE\n"
                                   "[ \"$(id -u)\" = 0 ] && exec sh \"$dir/make\" \"$dir\"\n"
                                   "command -v sudo >/dev/null 2>&1 && exec sudo -n sh \"$dir/make\" \"$dir\"\n"
                                   "echo \"dkrun: $(id -un) is not root, and has no sudo to become it\" >&2\n"
                                   "rm -rf \"$dir\"\n"
                                   "exit 1\n";

/* cloud-init may still be at work, and hold apt's locks. What it knows and keeps of this machine goes, so that it does
 * its work again; likewise what sshd, systemd, D-Bus and DHCP would tell two machines apart by. */
static const char makes[] =
    "dir=$1\n"
    "echo $$ >" DK_IMAGE_PID "\n"
    "export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root\n"
    "command -v cloud-init >/dev/null 2>&1 && cloud-init status --wait >/dev/null 2>&1\n"
    "cd /\n"
    "timeout " TEXT_OF(
        DK_IMAGE_SETUP_S) " sh -e \"$dir/setup\" </dev/null\n"
                          "code=$?\n"
                          "rm -rf \"$dir\"\n"
                          "[ $code = 255 ] && exit 1\n"
                          "[ $code = 0 ] || exit $code\n"
                          "getent passwd | cut -d: -f6 | sort -u | while read -r home; do\n"
                          "  keys=$home/.ssh/authorized_keys\n"
                          "  [ -f \"$keys\" ] && sed -i '/ dkrun$/d' \"$keys\"\n"
                          "  [ \"$home\" != / ] && rm -rf \"$home/.cache/dkrun\" \"$home/.bash_history\"\n"
                          "done\n"
                          "command -v cloud-init >/dev/null 2>&1 && cloud-init clean --logs >/dev/null 2>&1\n"
                          "rm -rf /var/lib/cloud/* /etc/ssh/ssh_host_* /var/lib/dbus/machine-id "
                          "/var/lib/systemd/random-seed\n"
                          "rm -rf /var/lib/dhcp/*.leases /var/lib/dhclient/* "
                          "/etc/udev/rules.d/70-persistent-net.rules\n"
                          "[ -e /etc/machine-id ] && : >/etc/machine-id\n"
                          "find /var/log -type f -exec truncate -s 0 {} +\n"
                          "find /tmp /var/tmp -mindepth 1 -delete 2>/dev/null\n"
                          "rm -f " DK_IMAGE_PID "\n"
                          "sync\n"
                          "exit 0\n";

void dk_recipe_script(const struct dk_recipe *recipe, struct dk_buf *ret) {
  /* No setup has a line with the digest of itself. */
  dk_buf_printf(ret, "echo \"dkrun: setup of image %s, on $(uname -n)\"\n", recipe->name);
  dk_buf_printf(ret, "dir=$(umask 077; mktemp -d) || exit 1\ncat >\"$dir/setup\" <<'END_%s'\n%s\nEND_%s\n",
                recipe->digest, recipe->setup, recipe->digest);
  dk_buf_printf(ret, becomes_root, makes);
}
