/* Where a store may live (no network file system: LMDB's map and locks are not coherent there) and how a copy is told
 * from the original. */
#include "engine/store/private.h"
#include "engine/sys/fs.h"
#include "lang/base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FUSE_MAGIC 0x65735546

/* statfs(2), linux/magic.h, and for those that are not in it the file systems' own sources. */
static const uint32_t network_magic[] = {
    0x6969,     /* nfs */
    0x517B,     /* smb */
    0xFF534D42, /* cifs */
    0xFE534D42, /* smb2 */
    0x5346414F, /* afs */
    0x6B414653, /* afs in the kernel */
    0x73757245, /* coda */
    0x01021997, /* 9p, also Windows' disks under WSL */
    0x00C36400, /* ceph */
    0x0BD00BD0, /* lustre */
    0x47504653, /* gpfs */
    0xAAD7AAEA, /* panfs */
    0x19830326, /* beegfs */
    0x20030528, /* orangefs */
};

static const char *const network_fuse[] = {
    "fuse.sshfs",     "fuse.s3fs",     "fuse.rclone",   "fuse.gcsfuse", "fuse.glusterfs", "fuse.ceph",
    "fuse.ceph-fuse", "fuse.davfs",    "fuse.davfs2",   "fuse.goofys",  "fuse.blobfuse",  "fuse.blobfuse2",
    "fuse.mfs",       "fuse.moosefs",  "fuse.lizardfs", "fuse.juicefs", "fuse.seaweedfs", "fuse.curlftpfs",
    "fuse.afpfs",     "fuse.mount-s3", "fuse.cvmfs2",
};

bool dk_place_is_network(uint64_t magic, const char *fuse_type) {
  for (size_t i = 0; i < sizeof network_magic / sizeof *network_magic; i++)
    if ((uint32_t)magic == network_magic[i]) return true;
  if ((uint32_t)magic != FUSE_MAGIC || !fuse_type) return false;
  for (size_t i = 0; i < sizeof network_fuse / sizeof *network_fuse; i++)
    if (strcmp(fuse_type, network_fuse[i]) == 0) return true;
  return false;
}

/* Type of the mount with this device number, from /proc/self/mountinfo (proc(5)): "... major:minor ... - type source
 * options". */
static bool mount_type(dev_t dev, char *ret, size_t size) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  if (!file) return false;
  char line[4096];
  bool found = false;
  while (!found && fgets(line, sizeof line, file)) {
    unsigned major_dev, minor_dev;
    const char *dash = strstr(line, " - ");
    if (!dash || sscanf(line, "%*u %*u %u:%u", &major_dev, &minor_dev) != 2) continue;
    if (major_dev != major(dev) || minor_dev != minor(dev)) continue;
    size_t len = strcspn(dash + 3, " \n");
    if (len >= size) continue;
    memcpy(ret, dash + 3, len);
    ret[len] = '\0';
    found = true;
  }
  fclose(file);
  return found;
}

bool dk_place_type(const char *path, char *ret, size_t size) {
  struct stat st;
  return stat(path, &st) == 0 && mount_type(st.st_dev, ret, size);
}

int dk_place_check(const char *path, struct dk_error *error) {
  struct statfs fs;
  struct stat st;
  char type[64];
  if (statfs(path, &fs) != 0 || stat(path, &st) != 0) return dk_error_system(error, -errno, "looking at %s", path);
  if (!S_ISDIR(st.st_mode)) return dk_error_system(error, -ENOTDIR, "opening the store %s", path);
  bool has_type = (uint32_t)fs.f_type == FUSE_MAGIC && mount_type(st.st_dev, type, sizeof type);
  if (!dk_place_is_network((uint64_t)fs.f_type, has_type ? type : NULL)) return 0;
  return dk_error_set(
      error, -EXDEV,
      "%s is on a network file system, where the store cannot be kept safely\nhelp: keep the state folder "
      "on a local disk: remove .dkrun here, then `mkdir -p /LOCAL/FOLDER && ln -s /LOCAL/FOLDER .dkrun`",
      path);
}

static void add_machine_id(struct dk_hasher *hasher) {
  char id[64] = "";
  int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t n = read(fd, id, sizeof id);
    dk_hasher_add_bytes(hasher, id, n > 0 ? (size_t)n : 0);
    close(fd);
  } else {
    dk_hasher_add_bytes(hasher, "", 0);
  }
}

int dk_place_binding(const char *path, struct dk_binding *ret, struct dk_error *error) {
  struct dk_fs_identity folder;
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int r = fd < 0 ? -errno : dk_fs_identify(fd, &folder);
  if (fd >= 0) close(fd);
  if (r < 0) return dk_error_system(error, r, "looking at %s", path);
  struct dk_hasher hasher;
  struct dk_digest digest;
  dk_hasher_init(&hasher);
  add_machine_id(&hasher);
  dk_hasher_add_u64(&hasher, folder.fs);
  dk_hasher_add_u64(&hasher, folder.ino);
  dk_hasher_get(&hasher, &digest);
  memcpy(ret->bytes, digest.bytes, sizeof ret->bytes);
  return 0;
}
