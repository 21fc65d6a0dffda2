/* Where in a bash script a hole stands, and what is written for it there (language.md, "Interpolation never pastes").
 *
 * A small state machine reads the script's literal text (fed in pieces, holes between them) and copies it to `out`,
 * with "${dk_1}" and the like in the places of the holes. It follows bash's manual, 3.1.2 Quoting, 3.5 Shell Expansions
 * and 3.6.6 Here Documents. It is no parser of bash: a wrong guess can split a word, never run one, because values only
 * ever are in parameters. Keeps true: in no place that bash evaluates as arithmetic, parses again or takes literally is
 * a hole accepted. */
#ifndef DK_PLAN_QUOTE_H
#define DK_PLAN_QUOTE_H

#include "lang/base/buf.h"

#define DK_QUOTE_DEPTH 64
#define DK_QUOTE_WORD 64
#define DK_QUOTE_HEREDOCS 16
#define DK_QUOTE_WARNINGS 64

enum dk_quote_place {
  DK_PLACE_CODE,
  DK_PLACE_DOUBLE,
  DK_PLACE_SINGLE,
  DK_PLACE_ANSI /* $'...' */,
  DK_PLACE_PARAM /* ${...} */,
  DK_PLACE_BACKTICK,
  DK_PLACE_ARITH,
  DK_PLACE_COMMENT,
  DK_PLACE_HEREDOC,
  DK_PLACE_RAW_HEREDOC,
};

enum dk_quote_result {
  DK_QUOTE_OK,
  DK_QUOTE_IN_COMMENT,
  DK_QUOTE_IN_HEREDOC,   /* <<'EOF': taken literally */
  DK_QUOTE_IN_DELIMITER, /* << {{x}} */
  DK_QUOTE_IN_BACKTICKS,
  DK_QUOTE_IN_ARITHMETIC, /* $(( )), (( )), a[ ], ${x:n}: bash evaluates values there */
  DK_QUOTE_IN_PARAMETER,  /* the name in ${ } */
  DK_QUOTE_AFTER_BACKSLASH,
  DK_QUOTE_LIST_IN_WORD, /* a list that is not a whole bare word */
  DK_QUOTE_TOO_DEEP,
};

/* A simple command as far as it has been read: is a word of it parsed again by what it runs? */
enum dk_quote_command {
  DK_COMMAND_PLAIN,
  DK_COMMAND_EVAL,
  DK_COMMAND_SHELL,
  DK_COMMAND_SSH,
  DK_COMMAND_AWK,
  DK_COMMAND_SCRIPT,
  DK_COMMAND_TEST,
  DK_COMMAND_DECLARE
};

struct dk_quote_frame {
  enum dk_quote_place place;
  uint32_t parens; /* open inside */
  bool is_bracket; /* ARITH: ends at ] and not at )) */
  bool is_quoted;  /* PARAM: stands in "..." or a here-document */
  uint8_t zone;    /* PARAM: 0 name, 1 word, 2 pattern, 3 arithmetic */
  uint32_t cases;  /* CODE: open `case` */
  bool is_start;   /* CODE: the next word is a command's */
  bool has_word;   /* CODE: inside a word */
  bool is_opaque;  /* CODE: the word has quotes or expansions in it */
  char word[DK_QUOTE_WORD];
  uint32_t word_len;
  char command[16];
  enum dk_quote_command kind;
  uint32_t n_words;          /* words of the command behind its name */
  bool wants_code, saw_code; /* the next (this) word is a program */
  bool skips_word;           /* the next word belongs to an option */
  bool after_operator;       /* [[ ]]: the last word was -eq or the like */
  uint32_t last_hole;        /* [[ ]]: hole of the last word + 1 */
};

struct dk_quote_warning {
  uint32_t hole;
  char command[16];
};

struct dk_quote_state {
  struct dk_buf *out;
  struct dk_quote_frame frames[DK_QUOTE_DEPTH];
  uint32_t depth; /* frames[depth - 1] is the top */
  bool is_too_deep;
  struct {
    char word[DK_QUOTE_WORD];
    bool strips, is_literal, is_long;
  } heredocs[DK_QUOTE_HEREDOCS];
  uint32_t n_heredocs; /* waiting for the next newline; the first one is open while a HEREDOC frame is */
  bool at_line_start;  /* of a here-document */
  bool ends_in_backslash, ends_in_delimiter;
  size_t dollar_at; /* where in out a lone $ stands at the end of the text, + 1; else 0 */
  uint32_t n_holes;
  struct dk_quote_warning warnings[DK_QUOTE_WARNINGS];
  uint32_t n_warnings;
};

void dk_quote_init(struct dk_quote_state *state, struct dk_buf *out);
/* Literal text up to the next hole or the end. */
void dk_quote_text(struct dk_quote_state *state, const char *text, size_t len);
/* A hole that shows parameter dk_<number>. `next`: the byte of literal text behind it, '\0' at the end of the script,
 * -1 if another hole follows. Anything but OK: nothing was written. */
enum dk_quote_result dk_quote_hole(struct dk_quote_state *state, uint32_t number, bool is_list, int next);
/* A hole that is pasted (raw): the machine goes on as if it were letters. The caller writes the text. */
void dk_quote_raw(struct dk_quote_state *state);
/* Ends the last word (a warning may come from it). */
void dk_quote_end(struct dk_quote_state *state);

/* 'text' with ' as '\'' : what stands behind dk_1= in front of the script. */
void dk_quote_value(struct dk_buf *out, const char *text, size_t len);

#endif
