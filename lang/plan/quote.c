/* The state machine over a script's text: see quote.h. What a command does with its words is in quote_word.c. */
#include "lang/plan/quote.h"
#include "lang/plan/quote_word.h"

#include <string.h>

static struct dk_quote_frame *top(struct dk_quote_state *state) {
  return &state->frames[state->depth - 1];
}

static void push(struct dk_quote_state *state, enum dk_quote_place place) {
  if (state->depth == DK_QUOTE_DEPTH) {
    state->is_too_deep = true;
    return;
  }
  memset(&state->frames[state->depth], 0, sizeof *state->frames);
  state->frames[state->depth].place = place;
  state->frames[state->depth++].is_start = true;
}

static void pop(struct dk_quote_state *state) {
  if (state->depth > 1) state->depth--;
}

void dk_quote_init(struct dk_quote_state *state, struct dk_buf *out) {
  memset(state, 0, sizeof *state);
  state->out = out;
  push(state, DK_PLACE_CODE);
}

static bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Copies n bytes. */
static size_t copy(struct dk_quote_state *state, const char *text, size_t n) {
  dk_buf_add(state->out, text, n);
  return n;
}

/* --- $... --- */

static size_t dollar(struct dk_quote_state *state, const char *text, size_t len) {
  enum dk_quote_place place = top(state)->place;
  bool is_bare =
      place == DK_PLACE_CODE || place == DK_PLACE_ARITH || (place == DK_PLACE_PARAM && !top(state)->is_quoted);
  bool is_quoted = !is_bare;
  if (len == 1) {
    state->dollar_at = state->out->len + 1;
    return copy(state, text, 1);
  }
  switch (text[1]) {
  case '(':
    if (len > 2 && text[2] == '(') {
      push(state, DK_PLACE_ARITH);
      return copy(state, text, 3);
    }
    push(state, DK_PLACE_CODE);
    return copy(state, text, 2);
  case '[':
    push(state, DK_PLACE_ARITH);
    top(state)->is_bracket = true;
    return copy(state, text, 2);
  case '{': {
    size_t n = 2;
    push(state, DK_PLACE_PARAM);
    top(state)->is_quoted = is_quoted;
    if (len > 3 && (text[2] == '#' || text[2] == '!') && text[3] != '}') n = 3; /* ${#x}, ${!x} */
    return copy(state, text, n);
  }
  case '\'':
    if (is_quoted) return copy(state, text, 1);
    push(state, DK_PLACE_ANSI);
    return copy(state, text, 2);
  case '"':
    if (place == DK_PLACE_DOUBLE || place == DK_PLACE_HEREDOC) return copy(state, text, 1);
    push(state, DK_PLACE_DOUBLE);
    return copy(state, text, 2);
  case '$':
  case '?':
  case '!':
  case '#':
  case '@':
  case '*':
  case '-': return copy(state, text, 2);
  default: return copy(state, text, 1);
  }
}

/* A backslash and what it takes with it. */
static size_t backslash(struct dk_quote_state *state, const char *text, size_t len) {
  if (len == 1) state->ends_in_backslash = true;
  return copy(state, text, len == 1 ? 1 : 2);
}

/* --- here-documents --- */

static bool ends_word(char c) {
  return c == '\0' || strchr(" \t\n;&|<>()", c) != NULL;
}

/* << or <<-, blanks, the delimiter. */
static size_t heredoc_start(struct dk_quote_state *state, const char *text, size_t len) {
  size_t at = 2;
  bool strips = at < len && text[at] == '-';
  if (strips) at++;
  while (at < len && (text[at] == ' ' || text[at] == '\t')) at++;
  char word[DK_QUOTE_WORD];
  size_t n = 0;
  bool is_literal = false, is_long = false;
  char quote = 0;
  for (; at < len && (quote || !ends_word(text[at])); at++) {
    char c = text[at];
    if (quote && c == quote)
      quote = 0;
    else if (!quote && (c == '\'' || c == '"')) {
      quote = c;
      is_literal = true;
    } else {
      if (c == '\\' && quote != '\'' && at + 1 < len) {
        c = text[++at];
        is_literal = true;
      }
      if (n + 1 < sizeof word)
        word[n++] = c;
      else
        is_long = true;
    }
  }
  word[n] = '\0';
  if (at == len) state->ends_in_delimiter = true; /* a hole may follow */
  if (state->n_heredocs == DK_QUOTE_HEREDOCS)
    state->is_too_deep = true;
  else {
    memcpy(state->heredocs[state->n_heredocs].word, word, n + 1);
    state->heredocs[state->n_heredocs].strips = strips;
    state->heredocs[state->n_heredocs].is_literal = is_literal;
    state->heredocs[state->n_heredocs++].is_long = is_long;
  }
  return copy(state, text, at);
}

static void open_heredoc(struct dk_quote_state *state) {
  push(state, state->heredocs[0].is_literal ? DK_PLACE_RAW_HEREDOC : DK_PLACE_HEREDOC);
  state->at_line_start = true;
}

/* Length of the line with the delimiter at text, 0 if it is another line. */
static size_t delimiter_line(const struct dk_quote_state *state, const char *text, size_t len) {
  size_t at = 0, n = strlen(state->heredocs[0].word);
  while (state->heredocs[0].strips && at < len && text[at] == '\t') at++;
  if (len - at < n || memcmp(text + at, state->heredocs[0].word, n) != 0) return 0;
  at += n;
  return at < len && text[at] == '\n' ? at + 1 : 0;
}

static size_t heredoc_text(struct dk_quote_state *state, const char *text, size_t len) {
  if (state->at_line_start) {
    size_t n = delimiter_line(state, text, len);
    if (n) {
      pop(state);
      state->n_heredocs--;
      memmove(state->heredocs, state->heredocs + 1, state->n_heredocs * sizeof *state->heredocs);
      copy(state, text, n);
      if (state->n_heredocs) open_heredoc(state);
      return n;
    }
  }
  state->at_line_start = *text == '\n';
  if (top(state)->place == DK_PLACE_RAW_HEREDOC) return copy(state, text, 1);
  if (*text == '\\') {
    if (len > 1 && text[1] == '\n') state->at_line_start = false;
    return backslash(state, text, len);
  }
  if (*text == '$') return dollar(state, text, len);
  if (*text == '`') push(state, DK_PLACE_BACKTICK);
  return copy(state, text, 1);
}

/* --- code --- */

static bool starts_comment(const struct dk_quote_frame *frame) {
  return !frame->has_word;
}

static size_t close_paren(struct dk_quote_state *state, const char *text) {
  struct dk_quote_frame *frame = top(state);
  dk_word_end(state, frame);
  dk_word_command_end(frame);
  if (frame->parens)
    frame->parens--;
  else if (!frame->cases && state->depth > 1)
    pop(state);
  return copy(state, text, 1);
}

static size_t code_text(struct dk_quote_state *state, const char *text, size_t len) {
  struct dk_quote_frame *frame = top(state);
  char c = *text;
  switch (c) {
  case ' ':
  case '\t': dk_word_end(state, frame); return copy(state, text, 1);
  case '\n':
    dk_word_end(state, frame);
    dk_word_command_end(frame);
    copy(state, text, 1);
    if (state->n_heredocs) open_heredoc(state);
    return 1;
  case ';':
  case '&':
  case '|':
    dk_word_end(state, frame);
    dk_word_command_end(frame);
    return copy(state, text, 1);
  case '#':
    if (!starts_comment(frame)) break;
    push(state, DK_PLACE_COMMENT);
    return copy(state, text, 1);
  case '(':
    if (frame->is_start && !frame->has_word && len > 1 && text[1] == '(') {
      push(state, DK_PLACE_ARITH);
      return copy(state, text, 2);
    }
    if (frame->kind == DK_COMMAND_PLAIN && strcmp(frame->command, "for") == 0 && len > 1 && text[1] == '(') {
      push(state, DK_PLACE_ARITH); /* for ((i = 0; ...)) */
      return copy(state, text, 2);
    }
    dk_word_end(state, frame);
    dk_word_command_end(frame);
    frame->parens++;
    return copy(state, text, 1);
  case ')': return close_paren(state, text);
  case '<':
    dk_word_end(state, frame);
    if (len > 2 && text[1] == '<' && text[2] == '<') return copy(state, text, 3);
    if (len > 1 && text[1] == '<') return heredoc_start(state, text, len);
    return copy(state, text, 1);
  case '>': dk_word_end(state, frame); return copy(state, text, 1);
  case '\\':
    if (len > 1 && text[1] == '\n') return copy(state, text, 2); /* a line goes on */
    dk_word_char(frame, '\0');
    return backslash(state, text, len);
  case '\'':
    dk_word_char(frame, '\0');
    push(state, DK_PLACE_SINGLE);
    return copy(state, text, 1);
  case '"':
    dk_word_char(frame, '\0');
    push(state, DK_PLACE_DOUBLE);
    return copy(state, text, 1);
  case '`':
    dk_word_char(frame, '\0');
    push(state, DK_PLACE_BACKTICK);
    return copy(state, text, 1);
  case '$': dk_word_char(frame, '\0'); return dollar(state, text, len);
  default: break;
  }
  dk_word_char(frame, c);
  return copy(state, text, 1);
}

/* --- the other places --- */

static size_t double_text(struct dk_quote_state *state, const char *text, size_t len) {
  switch (*text) {
  case '"': pop(state); return copy(state, text, 1);
  case '\\': return backslash(state, text, len);
  case '$': return dollar(state, text, len);
  case '`': push(state, DK_PLACE_BACKTICK); return copy(state, text, 1);
  default: return copy(state, text, 1);
  }
}

/* In ${name...}: which zone begins at the first character behind the name. */
static uint8_t zone_of(const char *text, size_t len) {
  switch (*text) {
  case ':': return len > 1 && strchr("-=+?", text[1]) ? 1 : 3;
  case '-':
  case '=':
  case '+':
  case '?': return 1;
  case '#':
  case '%':
  case '/':
  case '^':
  case ',': return 2;
  default: return 3; /* [: a subscript; @: a transformation */
  }
}

static size_t param_text(struct dk_quote_state *state, const char *text, size_t len) {
  struct dk_quote_frame *frame = top(state);
  char c = *text;
  if (frame->zone == 0 && !is_name_char(c) && c != '}') frame->zone = zone_of(text, len);
  switch (c) {
  case '}': pop(state); return copy(state, text, 1);
  case '\\': return backslash(state, text, len);
  case '$': return dollar(state, text, len);
  case '`': push(state, DK_PLACE_BACKTICK); return copy(state, text, 1);
  case '"': push(state, DK_PLACE_DOUBLE); return copy(state, text, 1);
  case '\'':
    if (!frame->is_quoted || frame->zone == 2) push(state, DK_PLACE_SINGLE); /* "${x:-'}" has a plain quote */
    return copy(state, text, 1);
  case ']':
    if (frame->zone == 3 && len > 1) frame->zone = 0; /* behind a subscript the operator follows */
    return copy(state, text, 1);
  default: return copy(state, text, 1);
  }
}

static size_t arith_text(struct dk_quote_state *state, const char *text, size_t len) {
  struct dk_quote_frame *frame = top(state);
  switch (*text) {
  case '(': frame->parens++; return copy(state, text, 1);
  case ')':
    if (frame->parens) {
      frame->parens--;
      return copy(state, text, 1);
    }
    if (frame->is_bracket) return copy(state, text, 1);
    pop(state);
    return copy(state, text, len > 1 && text[1] == ')' ? 2 : 1);
  case ']':
    if (frame->is_bracket) pop(state);
    return copy(state, text, 1);
  case '\\': return backslash(state, text, len);
  case '$': return dollar(state, text, len);
  case '`': push(state, DK_PLACE_BACKTICK); return copy(state, text, 1);
  case '"': push(state, DK_PLACE_DOUBLE); return copy(state, text, 1);
  case '\'': push(state, DK_PLACE_SINGLE); return copy(state, text, 1);
  default: return copy(state, text, 1);
  }
}

/* Reads at least one byte. */
static size_t read_some(struct dk_quote_state *state, const char *text, size_t len) {
  switch (top(state)->place) {
  case DK_PLACE_CODE: return code_text(state, text, len);
  case DK_PLACE_DOUBLE: return double_text(state, text, len);
  case DK_PLACE_PARAM: return param_text(state, text, len);
  case DK_PLACE_ARITH: return arith_text(state, text, len);
  case DK_PLACE_HEREDOC:
  case DK_PLACE_RAW_HEREDOC: return heredoc_text(state, text, len);
  case DK_PLACE_SINGLE:
    if (*text == '\'') pop(state);
    return copy(state, text, 1);
  case DK_PLACE_ANSI:
    if (*text == '\\') return backslash(state, text, len);
    if (*text == '\'') pop(state);
    return copy(state, text, 1);
  case DK_PLACE_BACKTICK:
    if (*text == '\\') return backslash(state, text, len);
    if (*text == '`') pop(state);
    return copy(state, text, 1);
  case DK_PLACE_COMMENT:
    if (*text != '\n') return copy(state, text, 1);
    pop(state);
    return code_text(state, text, len);
  }
  return len;
}

void dk_quote_text(struct dk_quote_state *state, const char *text, size_t len) {
  if (len == 0) return;
  state->ends_in_backslash = state->ends_in_delimiter = false;
  state->dollar_at = 0;
  for (size_t at = 0; at < len;) at += read_some(state, text + at, len - at);
}

/* --- holes --- */

static struct dk_quote_frame *nearest_code(struct dk_quote_state *state) {
  for (uint32_t i = state->depth; i-- > 0;)
    if (state->frames[i].place == DK_PLACE_CODE) return &state->frames[i];
  return &state->frames[0];
}

static enum dk_quote_result refusal(struct dk_quote_state *state) {
  if (state->is_too_deep) return DK_QUOTE_TOO_DEEP;
  if (state->ends_in_backslash) return DK_QUOTE_AFTER_BACKSLASH;
  if (state->ends_in_delimiter) return DK_QUOTE_IN_DELIMITER;
  for (uint32_t i = state->depth; i-- > 0;) {
    const struct dk_quote_frame *frame = &state->frames[i];
    switch (frame->place) {
    case DK_PLACE_COMMENT: return DK_QUOTE_IN_COMMENT;
    case DK_PLACE_RAW_HEREDOC: return DK_QUOTE_IN_HEREDOC;
    case DK_PLACE_BACKTICK: return DK_QUOTE_IN_BACKTICKS;
    case DK_PLACE_ARITH: return DK_QUOTE_IN_ARITHMETIC;
    case DK_PLACE_PARAM:
      if (frame->zone == 0) return DK_QUOTE_IN_PARAMETER;
      if (frame->zone == 3) return DK_QUOTE_IN_ARITHMETIC;
      break;
    case DK_PLACE_CODE: return dk_word_is_subscript(frame) ? DK_QUOTE_IN_ARITHMETIC : DK_QUOTE_OK;
    case DK_PLACE_HEREDOC: return DK_QUOTE_OK;
    case DK_PLACE_DOUBLE:
    case DK_PLACE_SINGLE:
    case DK_PLACE_ANSI: break;
    }
  }
  return DK_QUOTE_OK;
}

/* "a$" and a hole: the dollar is text, but "$" before a quote or a brace would be read as more. */
static void escape_dollar(struct dk_quote_state *state) {
  if (!state->dollar_at) return;
  enum dk_quote_place place = top(state)->place;
  if (place == DK_PLACE_SINGLE || place == DK_PLACE_ANSI) return;
  dk_buf_truncate(state->out, state->dollar_at - 1);
  dk_buf_add_text(state->out, "\\$");
  state->dollar_at = 0;
}

enum dk_quote_result dk_quote_hole(struct dk_quote_state *state, uint32_t number, bool is_list, int next) {
  enum dk_quote_result result = refusal(state);
  if (result != DK_QUOTE_OK) return result;
  struct dk_quote_frame *frame = top(state), *code = nearest_code(state);
  if (is_list && (frame->place != DK_PLACE_CODE || frame->has_word || next == -1 || !ends_word((char)next)))
    return DK_QUOTE_LIST_IN_WORD;
  escape_dollar(state);
  state->at_line_start = false;
  if (frame->place != DK_PLACE_HEREDOC) dk_word_hole(state, code, state->n_holes);
  state->n_holes++;
  switch (frame->place) {
  case DK_PLACE_SINGLE: dk_buf_printf(state->out, "'\"${dk_%u}\"'", number); break;
  case DK_PLACE_ANSI: dk_buf_printf(state->out, "'\"${dk_%u}\"$'", number); break;
  case DK_PLACE_DOUBLE:
  case DK_PLACE_HEREDOC: dk_buf_printf(state->out, "${dk_%u}", number); break;
  case DK_PLACE_PARAM:
    if (frame->is_quoted && frame->zone == 1)
      dk_buf_printf(state->out, "${dk_%u}", number);
    else
      dk_buf_printf(state->out, "\"${dk_%u}\"", number);
    break;
  default: dk_buf_printf(state->out, is_list ? "\"${dk_%u[@]}\"" : "\"${dk_%u}\"", number); break;
  }
  return DK_QUOTE_OK;
}

void dk_quote_raw(struct dk_quote_state *state) {
  state->at_line_start = state->ends_in_backslash = state->ends_in_delimiter = false;
  state->dollar_at = 0;
  state->n_holes++;
  if (top(state)->place == DK_PLACE_CODE) dk_word_char(top(state), '\0');
}

void dk_quote_end(struct dk_quote_state *state) {
  if (top(state)->place == DK_PLACE_CODE) dk_word_end(state, top(state));
}

void dk_quote_value(struct dk_buf *out, const char *text, size_t len) {
  dk_buf_add_char(out, '\'');
  for (size_t at = 0; at < len;) {
    const char *quote = memchr(text + at, '\'', len - at);
    size_t n = quote ? (size_t)(quote - text) - at : len - at;
    dk_buf_add(out, text + at, n);
    if (quote) dk_buf_add_text(out, "'\\''");
    at += n + (quote ? 1 : 0);
  }
  dk_buf_add_char(out, '\'');
}
