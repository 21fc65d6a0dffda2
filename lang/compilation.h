/* What the doors share: one compilation, with its arena, what it reads, and the one place where a lack of memory lands.
 * Private to lang/load and lang/provider_file. */
#ifndef DK_LANG_COMPILATION_H
#define DK_LANG_COMPILATION_H

#include "lang/files.h"
#include "lang/lang.h"

struct dk_compilation {
  struct dk_arena arena;
  jmp_buf oom; /* set by the door right after dk_compilation_init: all else may jump there */
  struct dk_strs strs;
  struct dk_sources sources;
  struct dk_diags diags;
  struct dk_files files;
  struct dk_eval_files eval_files;
  struct dk_eval eval;
};

/* On zeroed memory. dk_compilation_finish is right after it whatever has happened since. */
void dk_compilation_init(struct dk_compilation *c);
void dk_compilation_begin(struct dk_compilation *c, dk_check_pattern_fn *check_pattern);
void dk_compilation_finish(struct dk_compilation *c);

/* As dk_load_seen; in the arena. */
struct dk_load_seen *dk_compilation_seen(struct dk_compilation *c, uint32_t *ret_n);

#endif
