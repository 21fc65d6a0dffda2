/* The canonical form of a directory: see object.h. The parser takes any bytes; what it gives back is safe to write out
 * as a tree: sorted, every path plain and under real directories only, every link staying inside. */
#include "engine/objects/object.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void dk_manifest_add(struct dk_buf *out, const struct dk_manifest_entry *entry) {
  char hex[DK_DIGEST_HEX + 1];
  if (out->len == 0) dk_buf_add_text(out, DK_MANIFEST_HEAD);
  switch (entry->kind) {
  case 'f':
  case 'x':
    dk_digest_hex(&entry->digest, hex);
    dk_buf_printf(out, "%c %s %llu %s", entry->kind, hex, (unsigned long long)entry->size, entry->path);
    break;
  case 'l':
    dk_buf_printf(out, "l %s", entry->target);
    dk_buf_add_char(out, '\0');
    dk_buf_add_text(out, entry->path);
    break;
  case 'd': dk_buf_printf(out, "d %s", entry->path); break;
  default: assert(false && "kind of a manifest entry");
  }
  dk_buf_add_char(out, '\0');
}

static bool is_plain(const char *path) {
  for (const char *at = path;; at++) {
    size_t len = strcspn(at, "/");
    if (len == 0 || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.')) return false;
    at += len;
    if (*at == '\0') return true;
  }
}

/* A string up to its NUL, which must be there. */
static const char *take_text(const char **at, const char *end) {
  const char *nul = memchr(*at, '\0', (size_t)(end - *at));
  const char *text = *at;
  if (!nul) return NULL;
  *at = nul + 1;
  return text;
}

/* "<hex> <size> <path>": one way to write a number. */
static bool parse_file(const char *text, struct dk_manifest_entry *ret) {
  if (strlen(text) < DK_DIGEST_HEX + 4 || text[DK_DIGEST_HEX] != ' ') return false;
  if (dk_digest_parse(text, DK_DIGEST_HEX, &ret->digest)) return false;
  const char *at = text + DK_DIGEST_HEX + 1;
  if (at[0] == '0' && at[1] != ' ') return false;
  uint64_t size = 0;
  size_t digits = 0;
  for (; *at >= '0' && *at <= '9'; at++, digits++) {
    if (size > (UINT64_MAX - 9) / 10) return false;
    size = size * 10 + (uint64_t)(*at - '0');
  }
  if (digits == 0 || *at != ' ') return false;
  ret->size = size;
  ret->path = at + 1;
  return true;
}

static bool parse_entry(const char **at, const char *end, struct dk_manifest_entry *ret) {
  memset(ret, 0, sizeof *ret);
  if (end - *at < 3 || (*at)[1] != ' ') return false;
  ret->kind = **at;
  *at += 2;
  const char *text = take_text(at, end);
  if (!text) return false;
  switch (ret->kind) {
  case 'f':
  case 'x':
    if (!parse_file(text, ret)) return false;
    break;
  case 'l':
    ret->target = text;
    ret->path = take_text(at, end);
    if (!ret->path || !dk_fs_link_is_inside(ret->path, ret->target)) return false;
    break;
  case 'd': ret->path = text; break;
  default: return false;
  }
  return is_plain(ret->path);
}

static int compare_key(const void *key, const void *entry) {
  return strcmp(key, ((const struct dk_manifest_entry *)entry)->path);
}

/* No entry lies below another one: that one would have to be a file, a link or an empty directory. */
static int check_folders(const struct dk_manifest_entry *items, uint32_t n) {
  int err = 0;
  for (uint32_t i = 0; i < n && err == 0; i++) {
    dk_autofree char *folder = dk_strdup(items[i].path);
    if (!folder) return -ENOMEM;
    for (char *slash = strrchr(folder, '/'); slash && err == 0; slash = strrchr(folder, '/')) {
      *slash = '\0';
      if (bsearch(folder, items, n, sizeof *items, compare_key)) err = -EBADMSG;
    }
  }
  return err;
}

static int parse_all(const char *at, const char *end, struct dk_manifest_entry **ret, uint32_t *ret_n) {
  uint32_t cap = 0;
  while (at < end) {
    if (!dk_grow(*ret, *ret_n, cap)) return -ENOMEM;
    struct dk_manifest_entry *entry = &(*ret)[*ret_n];
    if (!parse_entry(&at, end, entry)) return -EBADMSG;
    if (*ret_n > 0 && strcmp((*ret)[*ret_n - 1].path, entry->path) >= 0) return -EBADMSG;
    ++*ret_n;
  }
  return check_folders(*ret, *ret_n);
}

int dk_manifest_parse(const void *data, size_t len, struct dk_manifest_entry **ret, uint32_t *ret_n,
                      struct dk_error *error) {
  const char *at = data;
  *ret = NULL;
  *ret_n = 0;
  int err = -EBADMSG;
  if (len >= strlen(DK_MANIFEST_HEAD) && memcmp(at, DK_MANIFEST_HEAD, strlen(DK_MANIFEST_HEAD)) == 0)
    err = parse_all(at + strlen(DK_MANIFEST_HEAD), at + len, ret, ret_n);
  if (err == 0) return 0;
  uint32_t n = *ret_n;
  dk_free(*ret);
  *ret = NULL;
  *ret_n = 0;
  if (err == -ENOMEM) return dk_error_system(error, err, "reading a directory's list of files");
  return dk_error_set(error, err, "a directory's list of files is not well formed (entry %u)", n + 1);
}
