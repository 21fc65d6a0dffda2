/* Commands that parse their words again: eval, sh -c, ssh, awk, python -c, [[ x -eq y ]]: see quote_word.h. */
#include "lang/plan/quote_word.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  enum dk_quote_command kind;
} commands[] = {
    {"eval", DK_COMMAND_EVAL},     {"let", DK_COMMAND_EVAL},        {"trap", DK_COMMAND_EVAL},
    {"sh", DK_COMMAND_SHELL},      {"bash", DK_COMMAND_SHELL},      {"dash", DK_COMMAND_SHELL},
    {"zsh", DK_COMMAND_SHELL},     {"ksh", DK_COMMAND_SHELL},       {"ssh", DK_COMMAND_SSH},
    {"awk", DK_COMMAND_AWK},       {"gawk", DK_COMMAND_AWK},        {"mawk", DK_COMMAND_AWK},
    {"python", DK_COMMAND_SHELL},  {"python3", DK_COMMAND_SHELL},   {"perl", DK_COMMAND_SCRIPT},
    {"ruby", DK_COMMAND_SCRIPT},   {"node", DK_COMMAND_SCRIPT},     {"sed", DK_COMMAND_PLAIN},
    {"[[", DK_COMMAND_TEST},       {"declare", DK_COMMAND_DECLARE}, {"typeset", DK_COMMAND_DECLARE},
    {"local", DK_COMMAND_DECLARE},
};
/* Words in front of a command; what follows may be one. */
static const char *const prefixes[] = {"if",      "then", "else",  "elif",   "do",      "while",  "until", "!",
                                       "{",       "time", "sudo",  "env",    "exec",    "nohup",  "nice",  "command",
                                       "builtin", "srun", "xargs", "stdbuf", "numactl", "timeout"};
static const char *const operators[] = {"-eq", "-ne", "-lt", "-le", "-gt", "-ge"};

static bool is_in(const char *word, const char *const *list, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(word, list[i]) == 0) return true;
  return false;
}
#define IS_IN(word, list) is_in(word, list, sizeof(list) / sizeof *(list))

void dk_word_char(struct dk_quote_frame *frame, char c) {
  frame->has_word = true;
  if (c == '\0')
    frame->is_opaque = true;
  else if (frame->word_len + 1 < DK_QUOTE_WORD)
    frame->word[frame->word_len++] = c;
  frame->word[frame->word_len] = '\0';
}

static size_t name_length(const char *word) {
  size_t n = 0;
  while ((word[n] >= 'a' && word[n] <= 'z') || (word[n] >= 'A' && word[n] <= 'Z') || word[n] == '_' ||
         (n && word[n] >= '0' && word[n] <= '9'))
    n++;
  return n;
}

bool dk_word_is_subscript(const struct dk_quote_frame *frame) {
  size_t n = name_length(frame->word);
  return frame->is_start && n && frame->word[n] == '[' && !strchr(frame->word + n, ']');
}

static bool is_assignment(const char *word) {
  size_t n = name_length(word);
  return n && (word[n] == '=' || (word[n] == '+' && word[n + 1] == '=') || word[n] == '[');
}

static void set_command(struct dk_quote_frame *frame, const char *word) {
  const char *slash = strrchr(word, '/');
  if (slash) word = slash + 1;
  snprintf(frame->command, sizeof frame->command, "%.15s", word);
  frame->kind = DK_COMMAND_PLAIN;
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(word, commands[i].name) == 0) frame->kind = commands[i].kind;
}

/* The word at a command's place. */
static void command_word(struct dk_quote_frame *frame) {
  if (is_assignment(frame->word)) return;
  if (!frame->is_opaque && strcmp(frame->word, "case") == 0) frame->cases++;
  if (!frame->is_opaque && strcmp(frame->word, "esac") == 0 && frame->cases) frame->cases--;
  if (!frame->is_opaque && IS_IN(frame->word, prefixes)) {
    snprintf(frame->command, sizeof frame->command, "%.15s", frame->word);
    return;
  }
  /* timeout 10 sh -c, env -i sh -c, nice -n 5: options and numbers of a word in front */
  if (frame->command[0] && (frame->word[0] == '-' || (frame->word[0] >= '0' && frame->word[0] <= '9'))) return;
  frame->is_start = false;
  frame->n_words = 0;
  if (!frame->is_opaque) set_command(frame, frame->word);
}

/* A word behind the command's name: is the next one a program? */
static void argument_word(struct dk_quote_state *state, struct dk_quote_frame *frame) {
  const char *word = frame->word;
  bool is_option = word[0] == '-' && word[1] && !frame->is_opaque;
  frame->n_words++;
  if (frame->wants_code) {
    frame->wants_code = false;
    frame->saw_code = true;
    return;
  }
  if (frame->skips_word) {
    frame->skips_word = false;
    return;
  }
  switch (frame->kind) {
  case DK_COMMAND_SHELL:
  case DK_COMMAND_SCRIPT:
    if (!is_option || strcmp(word, "-m") == 0)
      frame->saw_code = true; /* a script or module: what follows are its words */
    if (frame->saw_code || !is_option || word[1] == '-') return;
    frame->skips_word = strpbrk(word, "oOWX") != NULL;
    frame->wants_code = strpbrk(word, frame->kind == DK_COMMAND_SHELL ? "c" : "eE") != NULL;
    return;
  case DK_COMMAND_AWK:
    if (is_option) frame->skips_word = strcmp(word, "-v") == 0 || strcmp(word, "-F") == 0;
    if (is_option && strcmp(word, "-f") == 0) frame->saw_code = frame->skips_word = true;
    if (!is_option) frame->saw_code = true; /* the program; files follow */
    return;
  case DK_COMMAND_DECLARE: /* -i: what is assigned is evaluated as arithmetic */
    if (is_option && strchr(word, 'i')) frame->saw_code = true;
    return;
  case DK_COMMAND_TEST:
    frame->after_operator = !frame->is_opaque && IS_IN(word, operators);
    if (frame->after_operator && frame->last_hole && state->n_warnings < DK_QUOTE_WARNINGS) {
      struct dk_quote_warning *warning = &state->warnings[state->n_warnings++];
      warning->hole = frame->last_hole - 1;
      snprintf(warning->command, sizeof warning->command, "[[ %.11s", word);
    }
    return;
  default: return;
  }
}

void dk_word_end(struct dk_quote_state *state, struct dk_quote_frame *frame) {
  if (!frame->has_word) return;
  if (frame->is_start)
    command_word(frame);
  else
    argument_word(state, frame);
  if (frame->kind == DK_COMMAND_TEST && !frame->after_operator && !frame->is_opaque) frame->last_hole = 0;
  frame->has_word = frame->is_opaque = false;
  frame->word_len = 0;
  frame->word[0] = '\0';
}

void dk_word_command_end(struct dk_quote_frame *frame) {
  frame->is_start = true;
  frame->kind = DK_COMMAND_PLAIN;
  frame->command[0] = '\0';
  frame->n_words = 0;
  frame->wants_code = frame->saw_code = frame->skips_word = frame->after_operator = false;
  frame->last_hole = 0;
}

static bool is_parsed_again(const struct dk_quote_frame *frame) {
  if (frame->is_start) return false;
  switch (frame->kind) {
  case DK_COMMAND_EVAL: return true;
  case DK_COMMAND_SHELL:
  case DK_COMMAND_SCRIPT: return frame->wants_code;
  case DK_COMMAND_SSH: return frame->n_words > 0; /* behind the host */
  case DK_COMMAND_AWK: return !frame->saw_code && !frame->skips_word;
  case DK_COMMAND_TEST: return frame->after_operator;
  case DK_COMMAND_DECLARE: return frame->saw_code;
  case DK_COMMAND_PLAIN: return false;
  }
  return false;
}

void dk_word_hole(struct dk_quote_state *state, struct dk_quote_frame *frame, uint32_t hole) {
  if (is_parsed_again(frame) && state->n_warnings < DK_QUOTE_WARNINGS) {
    struct dk_quote_warning *warning = &state->warnings[state->n_warnings++];
    warning->hole = hole;
    const char *option = frame->kind == DK_COMMAND_SHELL ? " -c" : frame->kind == DK_COMMAND_SCRIPT ? " -e" : "";
    snprintf(warning->command, sizeof warning->command, "%.12s%s", frame->command, option);
  }
  dk_word_char(frame, '\0');
  frame->last_hole = hole + 1;
}
