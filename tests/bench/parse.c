/* bench_parse: scanner and parser on a long file: text to syntax tree, and all of it freed. Its limit is bench_scan.
 *
 *   bench_parse MEGABYTES FILE...     the files, repeated up to that size */
#include "lang/syntax/parse.h"
#include "tests/bench/text.h"

#include <stdio.h>
#include <stdlib.h>

static bool parse(const char *text, uint32_t len) {
  struct dk_arena arena;
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  jmp_buf oom;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) {
    fprintf(stderr, "bench_parse: out of memory\n");
    dk_arena_finish(&arena);
    return false;
  }
  dk_strs_init(&strs, &arena);
  dk_sources_init(&sources, &arena);
  dk_diags_init(&diags, &arena, &sources);
  struct dk_parse_env env = {&arena, &strs, &diags};
  const struct dk_module *module = dk_parse_file(&env, dk_sources_add(&sources, "bench.dk", text, len));
  bool ok = module->n_decls > 0 && diags.count == 0;
  dk_arena_finish(&arena);
  return ok;
}

int main(int argc, char **argv) {
  uint32_t len;
  char *text = bench_text(argc, argv, &len);
  if (!text) return 2;
  bench_clock_start();
  bool ok = parse(text, len);
  bench_clock_stop();
  free(text);
  if (!ok) fprintf(stderr, "bench_parse: the text has errors\n");
  return ok ? 0 : 1;
}
