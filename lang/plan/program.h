/* The program of a task: its text with numbered holes, and the script that bash is given. Private to lang/plan.
 *
 * A hole's number is its index + 1; the same expression twice is one hole. */
#ifndef DK_PLAN_PROGRAM_H
#define DK_PLAN_PROGRAM_H

#include "lang/plan/template.h"

#define DK_NO_HOLE UINT32_MAX

struct dk_hole {
  struct dk_expr *expr;
  struct dk_cell cell;
  const char *source; /* as written, without the braces */
  bool is_raw;        /* pasted */
  bool is_list;       /* several words: an array in the script, spliced in a list */
  const char *path;   /* where its value comes from: the let or parameter that it names, else where it stands first */
  uint32_t line;
};

/* Literal text, or a hole. */
struct dk_piece {
  const char *text;
  size_t len;
  uint32_t hole;
  uint32_t line; /* that it begins in; 0 in `script` */
};

/* One item of `run = [...]`: pieces put together, or one expression alone, which may give several words. */
struct dk_run_word {
  struct dk_piece *pieces;
  uint32_t n_pieces;
  bool is_whole;
};

struct dk_program {
  const char *path; /* of the file that the text stands in */
  bool is_shell;
  bool is_block; /* a line end in the text is one in the file */
  const char **shell;
  uint32_t n_shell; /* its words, without the script */
  struct dk_hole *holes;
  uint32_t n_holes;
  struct dk_piece *text;
  uint32_t n_text; /* shell: as written */
  struct dk_piece *script;
  uint32_t n_script; /* shell: with "${dk_1}" in place; only raw holes are left */
  struct dk_run_word *words;
  uint32_t n_words; /* list */
};

#endif
