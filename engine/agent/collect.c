/* See collect.h. */
#include "engine/agent/collect.h"
#include "engine/agent/tree.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Opens a path of the task's directory and the directory that it stands in. */
static int open_path(int work, const char *path, int *ret_parent, const char **ret_name) {
  *ret_parent = -1;
  if (!dk_fs_is_plain_path(path)) return -EXDEV;
  const char *slash = strrchr(path, '/');
  *ret_name = slash ? slash + 1 : path;
  if (slash) {
    dk_autofree char *parent = dk_strndup(path, (size_t)(slash - path));
    if (!parent) return -ENOMEM;
    *ret_parent = dk_fs_open_beneath(work, parent, O_RDONLY | O_DIRECTORY, 0);
  } else {
    *ret_parent = fcntl(work, F_DUPFD_CLOEXEC, 3);
    if (*ret_parent < 0) return -errno;
  }
  if (*ret_parent < 0) return *ret_parent;
  /* Looked at before it is opened: opening a device does things. */
  struct stat st;
  int fd = 0;
  if (fstatat(*ret_parent, *ret_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    fd = -errno;
  else if (S_ISLNK(st.st_mode))
    fd = -ELOOP;
  else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
    fd = -ENODEV;
  else
    fd = dk_fs_open_beneath(*ret_parent, *ret_name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) close(*ret_parent);
  return fd;
}

static int keep_output(struct dk_blobs *blobs, int work, const struct dk_job_output *output, struct dk_kept *ret,
                       struct dk_error *error) {
  int parent;
  const char *name;
  int fd = open_path(work, output->path, &parent, &name);
  if (fd == -ENOENT || fd == -ENOTDIR)
    return dk_error_set(error, -ENOENT, "output `%s` was not written: %s", output->name, output->path);
  if (fd == -ELOOP || fd == -EXDEV)
    return dk_error_set(error, -EINVAL, "output `%s` is a symbolic link, or leads out of the task's directory: %s",
                        output->name, output->path);
  if (fd == -ENXIO || fd == -ENODEV)
    return dk_error_set(error, -EINVAL, "output `%s` is a device, fifo or socket, which cannot be kept: %s",
                        output->name, output->path);
  if (fd < 0) return dk_error_system(error, fd, "output `%s` cannot be read: %s", output->name, output->path);
  struct stat st;
  int r = fstat(fd, &st) < 0 ? -errno : 0;
  if (r < 0) {
    dk_error_system(error, r, "output `%s` cannot be read", output->name);
  } else if (S_ISDIR(st.st_mode) && output->is_dir) {
    r = dk_tree_keep(blobs, fd, ret, error);
    if (r < 0) dk_error_prefix(error, "output `%s`", output->name);
  } else if (S_ISREG(st.st_mode) && !output->is_dir) {
    ret->size = ret->total = (uint64_t)st.st_size;
    r = dk_blobs_keep(blobs, parent, name, fd, &st, &ret->digest, error);
    if (r < 0) dk_error_prefix(error, "output `%s`", output->name);
  } else if (S_ISDIR(st.st_mode)) {
    r = dk_error_set(error, -EINVAL, "output `%s` is a directory, but declared as a file: %s", output->name,
                     output->path);
  } else {
    r = dk_error_set(error, -EINVAL, "output `%s` is a file, but declared as a directory: %s", output->name,
                     output->path);
  }
  close(fd);
  close(parent);
  return r;
}

static enum dk_cause cause_of(int code) {
  if (code == -ECANCELED) return DK_CAUSE_KILLED;
  return dk_error_is_disk(code) ? DK_CAUSE_DISK : DK_CAUSE_OUTPUT;
}

int dk_collect_outputs(struct dk_blobs *blobs, int work, const struct dk_job *job, struct dk_result *ret) {
  if (job->n_outputs == 0) return 0;
  struct dk_error error = {0};
  ret->outputs = dk_calloc(job->n_outputs, sizeof *ret->outputs);
  if (!ret->outputs) return -ENOMEM;
  ret->n_outputs = job->n_outputs;
  int r = 0;
  for (uint32_t i = 0; r == 0 && i < job->n_outputs; i++)
    r = keep_output(blobs, work, &job->outputs[i], &ret->outputs[i], &error);
  if (r == 0) return 0;
  dk_free(ret->outputs);
  ret->outputs = NULL;
  ret->n_outputs = 0;
  ret->cause = cause_of(r);
  dk_free(ret->text);
  ret->text = dk_strdup(error.text);
  return ret->text ? 0 : -ENOMEM;
}

/* 0: kept, or not there to be kept: no such file, nothing that can be a file of the task's own. Otherwise it is there
 * and what it says is not known, which is not the same. */
static int keep_file(struct dk_blobs *blobs, int work, const char *path, struct dk_kept *ret, struct dk_error *error) {
  int parent;
  const char *name;
  ret->is_missing = true;
  int fd = open_path(work, path, &parent, &name);
  if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV || fd == -ENXIO || fd == -ENODEV) return 0;
  if (fd < 0) return dk_error_system(error, fd, "%s, which a metric reads, cannot be read", path);
  struct stat st;
  int r = fstat(fd, &st) < 0 ? -errno : 0;
  if (r == 0 && S_ISREG(st.st_mode)) {
    ret->total = ret->size = (uint64_t)st.st_size;
    if (ret->size <= DK_LOG_INLINE) {
      ret->bytes = dk_alloc(ret->size + 1);
      r = ret->bytes ? dk_fs_pread_all(fd, ret->bytes, ret->size, 0) : -ENOMEM;
      if (r == 0) ret->bytes[ret->size] = '\0';
    } else {
      r = dk_blobs_keep(blobs, parent, name, fd, &st, &ret->digest, NULL);
    }
    ret->is_missing = false;
  }
  if (r < 0) {
    dk_free(ret->bytes);
    *ret = (struct dk_kept){.is_missing = true};
    dk_error_system(error, r, "%s, which a metric reads, cannot be kept", path);
  }
  close(fd);
  close(parent);
  return r;
}

int dk_collect_keep_files(struct dk_blobs *blobs, int work, const struct dk_job *job, struct dk_result *ret) {
  if (job->n_keep_files == 0) return 0;
  ret->keep_files = dk_calloc(job->n_keep_files, sizeof *ret->keep_files);
  if (!ret->keep_files) return -ENOMEM;
  ret->n_keep_files = job->n_keep_files;
  for (uint32_t i = 0; i < job->n_keep_files; i++) {
    struct dk_error error = {0};
    int r = keep_file(blobs, work, job->keep_files[i], &ret->keep_files[i], &error);
    if (r == -ENOMEM) return r;
    if (r == 0 || ret->cause != DK_CAUSE_OK) continue;
    ret->cause = cause_of(r);
    dk_free(ret->text);
    ret->text = dk_strdup(error.text);
    if (!ret->text) return -ENOMEM;
  }
  return 0;
}
