/* A source as an array of tokens: what the grammar, the error reports and the recovery walk over.
 *
 * The scanner (dk.l) finds the words; dk_tokens_scan then decides (words.c) from position and neighbours which words of
 * declarations are names (`task in ["mnli"]`, `a.image`) and which begin a declaration. Kinds are the grammar's TOK_
 * numbers. A string is TOK_STRING_OPEN, any number of TOK_TEXT and holes (TOK_HOLE_OPEN ... TOK_HOLE_CLOSE),
 * TOK_STRING_CLOSE: always balanced, also where the source is not. The last token is always TOK_END. Everything lives
 * in the arena. */
#ifndef DK_SYNTAX_TOKEN_H
#define DK_SYNTAX_TOKEN_H

#include "lang/syntax/parse.h"

#define DK_TOKENS_MAX 4000000u
#define DK_MODES_MAX 16 /* strings and holes inside each other */

enum dk_token_flag {
  DK_TOKEN_LINE_START = 1,   /* the first on its line */
  DK_TOKEN_SPACE_BEFORE = 2, /* a space, a comment, a line end or the start of the file precedes it */
  DK_TOKEN_REPORTED = 4,     /* an error about it was reported already */
  DK_TOKEN_AFTER_ODD = 8,    /* a character before it was reported and left out */
};

struct dk_token {
  uint16_t kind;
  uint16_t flags;
  uint32_t start, end; /* offsets in the source; equal for what was put in to balance */
};

struct dk_comment {
  uint32_t start, end, before; /* the token it precedes */
};

/* Where the scanner is: in code, in a string, in a hole of a string. */
enum dk_mode_kind { DK_MODE_CODE, DK_MODE_QUOTED, DK_MODE_BLOCK, DK_MODE_HOLE };
struct dk_mode {
  enum dk_mode_kind kind;
  uint32_t braces; /* open { in this mode */
  uint32_t open;   /* the token that opened it */
  uint32_t limit;  /* DK_MODE_BLOCK: offset at which an unclosed block is ended, UINT32_MAX when it is closed */
};

struct dk_tokens {
  const struct dk_parse_env *env;
  const struct dk_source *source;
  struct dk_token *items;
  uint32_t count, cap;
  struct dk_comment *comments;
  uint32_t n_comments, cap_comments;
  struct dk_mode modes[DK_MODES_MAX];
  uint32_t n_modes;
  uint32_t blank_end;                   /* where the last blank or comment ended */
  bool line_ended;                      /* a line end came after the last token */
  uint32_t block_marks, block_marks_at; /* how many """ were seen up to there; how many there are */
  uint32_t block_marks_total;
  bool odd_left_out; /* since the last token */
  bool too_nested;   /* reported */
  bool too_many;
};

/* Never fails: what cannot be read is reported and left out or marked. Only a file has declaration words: in an
 * expression all of them are names. */
void dk_tokens_scan(struct dk_tokens *tokens, const struct dk_parse_env *env, const struct dk_source *source,
                    bool is_file);

struct dk_span dk_token_span(const struct dk_tokens *tokens, uint32_t index);
const char *dk_token_text(const struct dk_tokens *tokens, uint32_t index, uint32_t *ret_len);
bool dk_token_is(const struct dk_tokens *tokens, uint32_t index, const char *text);
/* Whether a value may end with the token, so that a word behind it begins a statement. */
bool dk_token_ends_value(int kind);
bool dk_token_begins_value(int kind);
/* Words of expressions, which cannot be names. */
bool dk_token_is_reserved(int kind);
/* task, grid, let ...: a word that begins a declaration. */
bool dk_token_is_decl(int kind);
/* Width of the blanks that its line begins with; a tab goes on to the next multiple of 8. */
uint32_t dk_token_indent(const struct dk_tokens *tokens, uint32_t index);

/* The second pass, words.c. */
void dk_tokens_classify(struct dk_tokens *tokens, bool is_file);

/* For dk.l. */
void dk_tokens_add(struct dk_tokens *tokens, int kind, uint32_t start, uint32_t end);
void dk_tokens_add_comment(struct dk_tokens *tokens, uint32_t start, uint32_t end);
struct dk_mode *dk_tokens_mode(struct dk_tokens *tokens);
/* Opens a string or a hole; false when they are nested too deeply (reported). */
bool dk_tokens_push(struct dk_tokens *tokens, enum dk_mode_kind kind, uint32_t start, uint32_t end);
/* Whether the string in work stands in a hole. */
bool dk_tokens_in_hole(const struct dk_tokens *tokens);
void dk_tokens_pop(struct dk_tokens *tokens, uint32_t start, uint32_t end);
/* The line ends in the middle of quoted strings and holes: reports the innermost and closes all up to a block
 * string. */
void dk_tokens_end_line(struct dk_tokens *tokens, uint32_t at);
void dk_tokens_add_raw(struct dk_tokens *tokens, uint32_t start, uint32_t end, bool is_closed);
/* A character that is no part of the language: reports it, and adds the token that was meant where that can be told. */
void dk_tokens_add_odd(struct dk_tokens *tokens, uint32_t start, uint32_t end);
/* A word with letters beyond ASCII: reported, and a name. */
void dk_tokens_add_foreign(struct dk_tokens *tokens, uint32_t start, uint32_t end);

#endif
