/* See usage.h. */
#include "engine/drive/usage.h"
#include "engine/drive/refs.h"
#include "engine/store/hosts.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t used_at(int dir, const char *name) {
  struct stat st;
  if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  uint64_t bytes = (uint64_t)st.st_blocks * 512;
  if (!S_ISDIR(st.st_mode)) return bytes;
  int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) {
    if (fd >= 0) close(fd);
    return bytes;
  }
  for (struct dirent *entry; dk_fs_next_entry(stream, &entry) == 0 && entry;) bytes += used_at(fd, entry->d_name);
  closedir(stream);
  return bytes;
}

uint64_t dk_disk_used(const char *path) {
  return used_at(AT_FDCWD, path);
}

static uint64_t count_entries(const char *path) {
  DIR *dir = opendir(path);
  uint64_t n = 0;
  for (struct dirent *entry; dir && dk_fs_next_entry(dir, &entry) == 0 && entry;) n++;
  if (dir) closedir(dir);
  return n;
}

struct weighing {
  struct dk_refs refs;
  struct dk_usage *usage;
  uint64_t objects, n_objects;
};

static int weigh(void *ctx, const struct dk_object_file *file) {
  struct weighing *weighing = ctx;
  const struct dk_use *use = dk_uses_find(&weighing->refs.objects, &file->digest);
  uint64_t bytes = (uint64_t)file->st.st_blocks * 512;
  if (file->kind != DK_OBJECT || !use) {
    weighing->usage->unreachable += bytes;
    weighing->usage->n_unreachable++;
  } else {
    weighing->usage->tasks[use->owner].bytes += bytes;
  }
  weighing->objects += bytes;
  weighing->n_objects += file->kind == DK_OBJECT;
  return 0;
}

static int by_size(const void *a, const void *b) {
  const struct dk_usage_part *x = a, *y = b;
  return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->name, y->name);
}

static int weigh_objects(struct weighing *weighing, const struct dk_folder *folder, struct dk_error *error) {
  struct dk_usage *usage = weighing->usage;
  const struct dk_refs *refs = &weighing->refs;
  usage->tasks = dk_calloc(refs->n_owners + 1, sizeof *usage->tasks);
  if (!usage->tasks) return dk_error_system(error, -ENOMEM, "weighing the state folder");
  for (; usage->n_tasks < refs->n_owners; usage->n_tasks++) {
    struct dk_usage_part *part = &usage->tasks[usage->n_tasks];
    *part =
        (struct dk_usage_part){.name = dk_strdup(refs->owners[usage->n_tasks]), .n = refs->n_results[usage->n_tasks]};
    if (usage->n_tasks >= DK_OWNERS_FIRST_TASK) part->unit = "result";
    if (!part->name) return dk_error_system(error, -ENOMEM, "weighing the state folder");
  }
  int err = dk_objects_each(&folder->objects, weigh, weighing, error);
  if (usage->n_tasks) qsort(usage->tasks, usage->n_tasks, sizeof *usage->tasks, by_size);
  return err;
}

static int weigh_parts(const struct weighing *weighing, const struct dk_folder *folder, struct dk_error *error) {
  const struct {
    const char *folder;
    uint64_t n;
    const char *unit;
  } parts[] = {{"store", weighing->refs.n_runs, "run"},
               {"objects", weighing->n_objects, "object"},
               {"git", 0, NULL},
               {"trees", count_entries(folder->trees), "code tree"},
               {"agent", 0, NULL},
               {"damaged", 0, NULL}};
  struct dk_usage *usage = weighing->usage;
  usage->parts = dk_calloc(sizeof parts / sizeof *parts, sizeof *usage->parts);
  if (!usage->parts) return dk_error_system(error, -ENOMEM, "weighing the state folder");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    dk_autobuf path = DK_BUF_INIT;
    dk_buf_printf(&path, "%s/%s", folder->path, parts[i].folder);
    if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "weighing the state folder");
    if (access(path.data, F_OK) != 0) continue;
    struct dk_usage_part *part = &usage->parts[usage->n_parts++];
    *part = (struct dk_usage_part){dk_strdup(parts[i].folder), dk_disk_used(path.data), parts[i].n, parts[i].unit, 0};
    if (!part->name) return dk_error_system(error, -ENOMEM, "weighing the state folder");
  }
  usage->total = dk_disk_used(folder->path);
  return 0;
}

struct weighing_copies {
  struct dk_usage *usage;
  struct dk_store *store;
  uint32_t *numbers; /* of the hosts, as usage->hosts */
  uint32_t n, cap;
};

static int need_host(struct weighing_copies *weighing, uint32_t number, uint32_t *ret) {
  struct dk_usage *usage = weighing->usage;
  struct dk_host_record host = {.number = number};
  for (*ret = 0; *ret < weighing->n; ++*ret)
    if (weighing->numbers[*ret] == number) return 0;
  if (!dk_grow(usage->hosts, usage->n_hosts, usage->cap_hosts) ||
      !dk_grow(weighing->numbers, weighing->n, weighing->cap))
    return -ENOMEM;
  int err = dk_store_get_host(weighing->store, number, &host, NULL);
  if (err && err != -ENOENT && err != -EBADMSG) return err;
  char *name = dk_strdup(err == 0 && host.name ? host.name : "a host that is not known");
  dk_host_record_finish(&host);
  if (!name) return -ENOMEM;
  weighing->numbers[weighing->n++] = number;
  usage->hosts[usage->n_hosts++] = (struct dk_usage_part){.name = name, .unit = "output"};
  return 0;
}

static int weigh_copy(void *ctx, const struct dk_copy *copy) {
  struct weighing_copies *weighing = ctx;
  uint32_t at;
  int err = need_host(weighing, copy->host, &at);
  if (err) return err;
  struct dk_usage_part *part = &weighing->usage->hosts[at];
  part->n++;
  if (copy->is_dir)
    part->n_unweighed++;
  else
    part->bytes += copy->size;
  return 0;
}

static int weigh_hosts(struct dk_usage *usage, struct dk_store *store, struct dk_error *error) {
  struct weighing_copies weighing = {.usage = usage, .store = store};
  int err = dk_store_each_copy(store, NULL, weigh_copy, &weighing, error);
  dk_free(weighing.numbers);
  return err == -ENOMEM ? dk_error_system(error, err, "weighing what is at hosts") : err;
}

int dk_usage_collect(struct dk_folder *folder, struct dk_usage *ret, struct dk_error *error) {
  struct weighing weighing = {.usage = ret};
  memset(ret, 0, sizeof *ret);
  int err = dk_refs_collect(folder, &weighing.refs, error);
  if (err) return err;
  err = weigh_objects(&weighing, folder, error);
  if (err == 0) err = weigh_parts(&weighing, folder, error);
  if (err == 0) err = weigh_hosts(ret, folder->store, error);
  dk_refs_finish(&weighing.refs);
  if (err) dk_usage_finish(ret);
  return err;
}

void dk_usage_finish(struct dk_usage *usage) {
  for (uint32_t i = 0; i < usage->n_parts; i++) dk_free(usage->parts[i].name);
  for (uint32_t i = 0; i < usage->n_tasks; i++) dk_free(usage->tasks[i].name);
  for (uint32_t i = 0; i < usage->n_hosts; i++) dk_free(usage->hosts[i].name);
  dk_free(usage->hosts);
  dk_free(usage->parts);
  dk_free(usage->tasks);
  memset(usage, 0, sizeof *usage);
}
