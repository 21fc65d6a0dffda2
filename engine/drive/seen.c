/* Files looked at again: see seen.h. */
#include "engine/drive/seen.h"

#include "engine/objects/object.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETTLED_NS UINT64_C(2000000000)
#define HASHED_MAX (16u << 20) /* bytes that are compared by content in all */

struct dk_stat_key dk_seen_key(const struct stat *st) {
  return (struct dk_stat_key){.dev = st->st_dev,
                              .ino = st->st_ino,
                              .size = (uint64_t)st->st_size,
                              .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                              .ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec};
}

static bool is_settled(int64_t changed_ns, uint64_t since) {
  return changed_ns < 0 || (uint64_t)changed_ns + SETTLED_NS <= since;
}

void dk_seen_add(struct dk_buf *out, enum dk_seen_kind kind, const char *path, const struct dk_stat_key *key,
                 uint64_t since_unix_ns, const struct dk_digest *digest) {
  struct dk_stat_key none = {0};
  bool trusted = key && is_settled(key->mtime_ns, since_unix_ns) && is_settled(key->ctime_ns, since_unix_ns);

  if (!key) key = &none;
  dk_write_u8(out, (uint8_t)kind);
  dk_write_text(out, path);
  dk_write_u8(out, trusted);
  dk_write_u64(out, key->dev);
  dk_write_u64(out, key->ino);
  dk_write_u64(out, key->size);
  dk_write_signed(out, key->mtime_ns);
  dk_write_signed(out, key->ctime_ns);
  dk_buf_add(out, digest->bytes, DK_DIGEST_SIZE);
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* dk_names_digest of a directory's entries; zero: it cannot be opened. 0 or -errno. */
static int names_of(const char *path, struct dk_digest *ret) {
  DIR *dir = opendir(path);
  char **names = NULL;
  uint32_t n = 0, cap = 0;
  int r = 0;

  *ret = (struct dk_digest){0};
  if (!dir) return 0;
  while (r == 0) {
    struct dirent *entry;
    r = dk_fs_next_entry(dir, &entry);
    if (r < 0 || !entry) break;
    if (!dk_grow(names, n, cap)) {
      r = -ENOMEM;
      break;
    }
    names[n] = dk_strdup(entry->d_name);
    r = names[n++] ? 0 : -ENOMEM;
  }
  closedir(dir);
  if (r == 0 && n > 0) qsort(names, n, sizeof *names, by_bytes);
  if (r == 0) dk_names_digest((const char *const *)names, n, ret);
  for (uint32_t i = 0; i < n; i++) dk_free(names[i]);
  dk_free(names);
  return r;
}

static bool same_stat(const struct dk_stat_key *a, const struct dk_stat_key *b) {
  return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns &&
         a->ctime_ns == b->ctime_ns;
}

static bool same_file(const char *path, uint64_t size, const struct dk_digest *digest, uint64_t *hashed) {
  struct dk_digest now;
  uint64_t now_size;

  *hashed += size;
  return *hashed <= HASHED_MAX && dk_objects_hash_file(path, &now, &now_size, NULL) == 0 &&
         dk_digest_equal(&now, digest);
}

static bool holds(const char *path, enum dk_seen_kind kind, bool trusted, const struct dk_stat_key *was,
                  const struct dk_digest *digest, uint64_t *hashed) {
  struct stat st;
  struct dk_digest names;
  bool is_there = stat(path, &st) == 0;

  if (kind == DK_SEEN_PLACE) return is_there;
  if (kind == DK_SEEN_DIR && dk_digest_is_zero(digest)) return !is_there;
  if (!is_there) return false;
  struct dk_stat_key now = dk_seen_key(&st);
  if (trusted && same_stat(was, &now)) return true;
  if (kind == DK_SEEN_EXACT) return false;
  if (kind == DK_SEEN_DIR) return S_ISDIR(st.st_mode) && names_of(path, &names) == 0 && dk_digest_equal(&names, digest);
  return S_ISREG(st.st_mode) && same_file(path, now.size, digest, hashed);
}

bool dk_seen_holds(const char *root, const void *data, size_t len) {
  struct dk_reader reader;
  dk_autobuf full = DK_BUF_INIT;
  uint64_t hashed = 0;

  dk_reader_init(&reader, data, len);
  while (reader.at < reader.end) {
    struct dk_stat_key was;
    struct dk_digest digest;
    size_t n;
    uint8_t kind = dk_read_u8(&reader);
    const char *path = dk_read_bytes(&reader, &n);
    bool trusted = dk_read_u8(&reader) == 1;
    was.dev = dk_read_u64(&reader);
    was.ino = dk_read_u64(&reader);
    was.size = dk_read_u64(&reader);
    was.mtime_ns = dk_read_signed(&reader);
    was.ctime_ns = dk_read_signed(&reader);
    const void *bytes = dk_read_fixed(&reader, DK_DIGEST_SIZE);
    if (!path || !bytes || kind > DK_SEEN_PLACE) return false;
    memcpy(digest.bytes, bytes, DK_DIGEST_SIZE);
    dk_buf_clear(&full);
    if (n == 0 || path[0] != '/') dk_buf_printf(&full, "%s/", root);
    dk_buf_add(&full, path, n);
    if (!dk_buf_ok(&full) || memchr(path, '\0', n)) return false;
    if (!holds(dk_buf_text(&full), (enum dk_seen_kind)kind, trusted, &was, &digest, &hashed)) return false;
  }
  return !reader.failed;
}
