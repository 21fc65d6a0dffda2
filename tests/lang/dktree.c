/* dktree FILE | -e TEXT: prints the diagnostics of reading it, a line `---`, and the syntax tree. What the case runner
 * starts as long as it is not given a dkrun, and a help when the grammar is worked on. Exit 0 without errors, 1
 * with. */
#include "lang/base/alloc.h"
#include "lang/syntax/parse.h"
#include "tests/lang/dump.h"

#include <stdlib.h>
#include <string.h>

static int read_file(const char *path, struct dk_buf *buf) {
  FILE *file = fopen(path, "rb");
  if (!file) return -1;
  char chunk[4096];
  size_t n;
  while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) dk_buf_add(buf, chunk, n);
  int failed = ferror(file);
  fclose(file);
  return failed || !dk_buf_ok(buf) ? -1 : 0;
}

static int show(const char *path, const char *text, size_t len, bool is_expr) {
  struct dk_arena arena;
  jmp_buf on_oom;
  dk_arena_init(&arena, &on_oom);
  if (setjmp(on_oom)) {
    dk_arena_finish(&arena);
    fputs("dktree: out of memory\n", stderr);
    return 2;
  }
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  dk_strs_init(&strs, &arena);
  dk_sources_init(&sources, &arena);
  dk_diags_init(&diags, &arena, &sources);
  struct dk_parse_env env = {&arena, &strs, &diags};
  const struct dk_source *source = dk_sources_add(&sources, path, text, len);
  struct dk_buf out = DK_BUF_INIT, tree = DK_BUF_INIT;
  if (is_expr) {
    const struct dk_expr *expr = dk_parse_expr(&env, source);
    if (expr) dk_dump_expr(expr, &tree);
    dk_buf_add_char(&tree, '\n');
  } else {
    dk_dump_module(dk_parse_file(&env, source), &tree);
  }
  dk_diags_sort(&diags);
  dk_diags_render(&diags, getenv("DKTREE_COLOR") != NULL, &out);
  fwrite(dk_buf_text(&out), 1, out.len, stdout);
  puts("---");
  fwrite(dk_buf_text(&tree), 1, tree.len, stdout);
  dk_buf_finish(&out);
  dk_buf_finish(&tree);
  int status = diags.n_errors > 0;
  dk_arena_finish(&arena);
  return status;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "-e") == 0) return show("<expression>", argv[2], strlen(argv[2]), true);
  if (argc != 2) {
    fputs("usage: dktree FILE | dktree -e EXPRESSION\n", stderr);
    return 2;
  }
  dk_autobuf text = DK_BUF_INIT;
  if (read_file(argv[1], &text) != 0 || text.len > DK_SOURCE_MAX) {
    fprintf(stderr, "dktree: cannot read %s\n", argv[1]);
    return 2;
  }
  const char *name = strrchr(argv[1], '/');
  return show(name ? name + 1 : argv[1], dk_buf_text(&text), text.len, false);
}
