/* Nothing to do: see again.h. What is printed is rendered once for a run and kept beside the store, in `shown/`: it
 * never changes, and rendering it reads every task. */
#include "engine/cli/again.h"
#include "engine/cli/session.h"
#include "engine/drive/folder.h"
#include "engine/drive/unchanged.h"
#include "engine/report/summary.h"
#include "engine/report/table.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/version.h"

#include <string.h>
#include <unistd.h>

#define SHOWN_MAX_BYTES (4u << 20)

/* The tables and the summary of the run, in colour. */
static int render(struct dk_folder *folder, uint32_t run, struct dk_buf *out) {
  const struct dk_summary_options options = {.color = true, .is_again = true};
  struct dk_row_source rows;
  int r = dk_row_source_open(&rows, folder->store, &folder->objects, run, NULL, NULL);

  if (r < 0) return r;
  if (rows.plan->n_tables > 0 && rows.run.n_done + rows.run.n_cached > 0) {
    r = dk_tables_render(&rows, DK_FORMAT_TEXT, true, out, NULL);
    dk_buf_add_char(out, '\n');
  }
  if (r == 0) r = dk_summary_render(&rows, &options, out, NULL);
  dk_row_source_finish(&rows);
  return dk_buf_ok(out) ? r : -1;
}

static void add_path(const struct dk_folder *folder, const struct dk_unchanged *unchanged, struct dk_buf *dir,
                     struct dk_buf *path) {
  char hex[DK_DIGEST_HEX + 1];

  dk_digest_hex(&unchanged->asked, hex);
  dk_buf_printf(dir, "%s/shown", folder->path);
  dk_buf_printf(path, "%s/%.16s", dk_buf_text(dir), hex);
}

/* "dkrun 0.1 shows run 3 with nothing to do\n" in front of the text: another program, or another run, is rendered
 * anew. */
static int text_of(struct dk_folder *folder, const struct dk_unchanged *unchanged, struct dk_buf *out) {
  dk_autobuf dir = DK_BUF_INIT, path = DK_BUF_INIT, head = DK_BUF_INIT, text = DK_BUF_INIT;

  add_path(folder, unchanged, &dir, &path);
  dk_buf_printf(&head, "dkrun %s shows run %u with nothing to do\n", DK_VERSION, unchanged->run);
  if (!dk_buf_ok(&dir) || !dk_buf_ok(&path) || !dk_buf_ok(&head)) return -1;
  if (dk_fs_read(dk_buf_text(&path), SHOWN_MAX_BYTES, &text, NULL) == 0 && text.len > head.len &&
      memcmp(text.data, head.data, head.len) == 0) {
    dk_buf_add(out, text.data + head.len, text.len - head.len);
    return dk_buf_ok(out) ? 0 : -1;
  }
  if (render(folder, unchanged->run, out) < 0) return -1;
  dk_buf_add(&head, dk_buf_text(out), out->len);
  if (dk_buf_ok(&head) && head.len <= SHOWN_MAX_BYTES && dk_fs_mkdirs(dk_buf_text(&dir), 0700, NULL) == 0)
    (void)dk_fs_write(dk_buf_text(&path), head.data, head.len, 0600, false, NULL); /* only to be quicker */
  return 0;
}

/* What came from programs is escaped, so every escape sequence is a colour. */
static void print(struct dk_cli *cli, const struct dk_buf *text) {
  const char *at = dk_buf_text(text), *end = at + text->len;

  if (dk_cli_color(cli, STDOUT_FILENO)) {
    dk_cli_print(cli, text);
    return;
  }
  while (at < end) {
    const char *escape = memchr(at, '\x1b', (size_t)(end - at));
    dk_cli_write(cli, at, (size_t)((escape ? escape : end) - at));
    const char *behind = escape ? memchr(escape, 'm', (size_t)(end - escape)) : NULL;
    at = behind ? behind + 1 : end;
  }
}

bool dk_again(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, int *ret_exit) {
  struct dk_folder folder;
  struct dk_unchanged unchanged;
  dk_autobuf text = DK_BUF_INIT;
  dk_autofree char *found = NULL, *root = NULL, *relative = NULL, *given = NULL;
  bool is_again = false;

  if (!file && dk_cli_only_file(&found) == 0) file = found;
  if (!file || dk_session_asked(file, params, &root, &relative, &given) < 0) return false;
  if (dk_folder_peek(root, &folder, NULL) < 0) return false;
  struct dk_asked asked = {root, relative, given};
  if (folder.store && dk_unchanged_find(&asked, folder.path, folder.store, &folder.objects, NULL, &unchanged))
    is_again = text_of(&folder, &unchanged, &text) == 0;
  dk_folder_close(&folder);
  if (is_again) {
    print(cli, &text);
    *ret_exit = DK_EXIT_OK;
  }
  return is_again;
}
