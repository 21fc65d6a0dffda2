/* See trust.h. A line is `v1 DIGEST PATH`; one that begins with another version is a later program's, and is left alone.
 * Anything else is damage, and then the whole file is not believed, nor written. */
#include "engine/drive/trust.h"

#include "engine/drive/config.h"
#include "engine/sys/fs.h"
#include "engine/sys/lock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define MARK "v1 "
#define MARK_LEN (sizeof MARK - 1)
#define PATH_AT (MARK_LEN + DK_DIGEST_HEX + 1)
#define FILE_MAX ((size_t)4 << 20)
#define LOCK_TRIES 500 /* of 10 ms: who holds it writes a few kilobytes */

static bool is_line(const char *line, size_t len) {
  size_t digits = strspn(line + 1, "0123456789");
  struct dk_digest digest;

  if (len == 0) return true;
  if (memchr(line, '\0', len) || line[0] != 'v' || digits == 0 || line[1 + digits] != ' ') return false;
  if (strncmp(line, MARK, MARK_LEN) != 0) return true;
  return len > PATH_AT && line[PATH_AT - 1] == ' ' && line[PATH_AT] == '/' &&
         dk_digest_parse(line + MARK_LEN, DK_DIGEST_HEX, &digest) == 0;
}

/* A line that was cut off could name another repository than the one that was trusted. */
static int check(const char *path, const struct dk_buf *text, struct dk_error *error) {
  const char *line = dk_buf_text(text), *all = line + text->len;

  for (unsigned n = 1; line < all; n++) {
    const char *end = memchr(line, '\n', (size_t)(all - line));
    if (!end || !is_line(line, (size_t)(end - line)))
      return dk_error_set(error, -EBADMSG,
                          "%s is damaged: line %u is not `v1 DIGEST PATH` with a line end, so nothing in it counts\n"
                          "help: remove that line, or the file, and then say `dkrun trust` again where you want it",
                          path, n);
    line = end + 1;
  }
  return 0;
}

/* Who could write to it could trust anything in the user's name. Not there: it stays empty. */
static int read_all(const char *path, struct dk_buf *ret, struct dk_error *error) {
  struct stat st;
  if (stat(path, &st) < 0) return errno == ENOENT ? 0 : dk_error_system(error, -errno, "reading %s", path);
  if (!S_ISREG(st.st_mode)) return dk_error_set(error, -EINVAL, "%s is no regular file\nhelp: remove it", path);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return dk_error_set(error, -EPERM, "%s belongs to somebody else, so what it says does not count\nhelp: remove it",
                        path);
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return dk_error_set(error, -EPERM,
                        "%s can be written to by others, so what it says does not count\nhelp: look at what is in it, "
                        "then chmod go-w it",
                        path);
  int r = dk_fs_read(path, FILE_MAX, ret, error);
  return r < 0 ? r : check(path, ret, error);
}

/* Is this line (without its newline) about the repository? */
static bool is_about(const char *line, size_t len, const char *root) {
  size_t n = strlen(root);
  return len == PATH_AT + n && memcmp(line, MARK, MARK_LEN) == 0 && memcmp(line + PATH_AT, root, n) == 0;
}

static bool find(const struct dk_buf *text, const char *root, struct dk_digest *ret) {
  for (const char *line = dk_buf_text(text), *end; (end = strchr(line, '\n')); line = end + 1)
    if (is_about(line, (size_t)(end - line), root) && dk_digest_parse(line + MARK_LEN, DK_DIGEST_HEX, ret) == 0)
      return true;
  return false;
}

int dk_trust_find(const char *root, struct dk_digest *ret, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
  int r = dk_config_path("trusted", &path, NULL);
  if (r == -ENOENT) return 0;
  if (r < 0) return dk_error_system(error, r, "finding your configuration");
  r = read_all(dk_buf_text(&path), &text, error);
  return r < 0 ? r : find(&text, root, ret);
}

/* Everything but what is about the repository. */
static void add_others(const struct dk_buf *text, const char *root, struct dk_buf *ret) {
  for (const char *line = dk_buf_text(text), *end; *line; line = end) {
    size_t len = strcspn(line, "\n");
    end = line + len + (line[len] == '\n');
    if (is_about(line, len, root)) continue;
    dk_buf_add(ret, line, len);
    dk_buf_add_char(ret, '\n');
  }
}

static int replace(const char *path, const char *root, const struct dk_digest *digest, struct dk_error *error) {
  dk_autobuf text = DK_BUF_INIT, changed = DK_BUF_INIT;
  struct dk_digest before;
  char hex[DK_DIGEST_HEX + 1];
  int r = read_all(path, &text, error);
  if (r < 0) return r;
  bool is_there = find(&text, root, &before);
  if (digest ? is_there && dk_digest_equal(digest, &before) : !is_there) return 0;
  add_others(&text, root, &changed);
  if (digest) {
    dk_digest_hex(digest, hex);
    dk_buf_printf(&changed, MARK "%s %s\n", hex, root);
  }
  if (!dk_buf_ok(&changed)) return dk_error_system(error, -ENOMEM, "writing %s", path);
  r = dk_fs_write(path, dk_buf_text(&changed), changed.len, 0600, true, error);
  return r < 0 ? r : 1;
}

int dk_trust_set(const char *root, const struct dk_digest *digest, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT, lock_path = DK_BUF_INIT, dir = DK_BUF_INIT;
  struct dk_lock lock = DK_LOCK_INIT;
  if (strchr(root, '\n'))
    return dk_error_set(error, -EINVAL, "%s has a line end in its name, and so it cannot be trusted", root);
  int r = dk_config_path("trusted", &path, error);
  if (r == 0) r = dk_config_path("trusted.lock", &lock_path, error);
  if (r == 0) r = dk_config_path("", &dir, error);
  if (r < 0) return r;
  if (digest) r = dk_fs_mkdirs(dk_buf_text(&dir), 0700, error);
  if (!digest && access(dk_buf_text(&path), F_OK) < 0 && errno == ENOENT) return 0;
  for (int i = 0; r == 0 && i < LOCK_TRIES; i++) {
    r = dk_lock_take(&lock, dk_buf_text(&lock_path), NULL, error);
    if (r != -EWOULDBLOCK) break;
    poll(NULL, 0, 10);
    if (i + 1 < LOCK_TRIES) r = 0;
  }
  if (r == 0) r = replace(dk_buf_text(&path), root, digest, error);
  dk_lock_release(&lock);
  return r;
}
