/* bench_scan: the limit of the parser, which is its scanner alone: the same rules (dk.l) with the same options of flex,
 * and actions that keep nothing but the stack of strings and holes.
 *
 *   bench_scan MEGABYTES FILE...     the files, repeated up to that size; prints nothing */
#include "lang/syntax/scan.h"
#include "lang/syntax/token.h"
#include "tests/bench/text.h"

#include <stdio.h>
#include <stdlib.h>

void dk_tokens_add(struct dk_tokens *tokens, int kind, uint32_t start, uint32_t end) {
  (void)kind, (void)start, (void)end;
  tokens->count++;
}

void dk_tokens_add_comment(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  (void)tokens, (void)start, (void)end;
}

struct dk_mode *dk_tokens_mode(struct dk_tokens *tokens) {
  return &tokens->modes[tokens->n_modes - 1];
}

bool dk_tokens_push(struct dk_tokens *tokens, enum dk_mode_kind kind, uint32_t start, uint32_t end) {
  (void)start, (void)end;
  if (tokens->n_modes == DK_MODES_MAX) return false;
  tokens->modes[tokens->n_modes++] = (struct dk_mode){.kind = kind, .limit = UINT32_MAX};
  return true;
}

bool dk_tokens_in_hole(const struct dk_tokens *tokens) {
  return tokens->n_modes >= 2 && tokens->modes[tokens->n_modes - 2].kind == DK_MODE_HOLE;
}

void dk_tokens_pop(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  (void)start, (void)end;
  tokens->n_modes--;
}

void dk_tokens_end_line(struct dk_tokens *tokens, uint32_t at) {
  (void)tokens, (void)at;
}

void dk_tokens_add_raw(struct dk_tokens *tokens, uint32_t start, uint32_t end, bool is_closed) {
  (void)tokens, (void)start, (void)end, (void)is_closed;
}

void dk_tokens_add_odd(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  (void)tokens, (void)start, (void)end;
}

void dk_tokens_add_foreign(struct dk_tokens *tokens, uint32_t start, uint32_t end) {
  (void)tokens, (void)start, (void)end;
}

int main(int argc, char **argv) {
  struct dk_arena arena;
  jmp_buf oom;
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) {
    fprintf(stderr, "bench_scan: out of memory\n");
    return 1;
  }
  uint32_t len;
  char *text = bench_text(argc, argv, &len);
  if (!text) return 2;
  struct dk_tokens tokens = {.n_modes = 1};
  struct dk_scan scan = {&tokens, &arena, text, len};
  bench_clock_start();
  dk_scan_text(&scan);
  bench_clock_stop();
  free(text);
  dk_arena_finish(&arena);
  return tokens.count > 0 ? 0 : 1;
}
