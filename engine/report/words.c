/* States and causes in words; contract in row.h. */
#include "engine/report/row.h"

#include <string.h>

const char *dk_task_state_word(enum dk_task_state state) {
  switch (state) {
  case DK_TASK_WAITING:
  case DK_TASK_LOOKUP: return "waiting";
  case DK_TASK_READY: return "ready";
  case DK_TASK_RUNNING: return "running";
  case DK_TASK_SHARED: return "waiting";
  case DK_TASK_BACKOFF: return "to be tried again";
  case DK_TASK_DONE: return "done";
  case DK_TASK_CACHED: return "cached";
  case DK_TASK_FAILED: return "failed";
  case DK_TASK_NOT_RUN: return "not run";
  case DK_TASK_SKIPPED: return "skipped";
  case DK_TASK_CANCELLED: return "cancelled";
  }
  return "unknown";
}

const char *dk_run_state_word(enum dk_run_state state) {
  switch (state) {
  case DK_RUN_RUNNING: return "running";
  case DK_RUN_DONE: return "done";
  case DK_RUN_FAILED: return "failed";
  case DK_RUN_INTERRUPTED: return "interrupted";
  }
  return "unknown";
}

void dk_run_command(const struct dk_run *run, struct dk_buf *out) {
  bool is_quoted = false;
  dk_buf_add_text(out, "dkrun run ");
  dk_buf_add_shell_word(out, run->file, strlen(run->file));
  if (*run->params) dk_buf_add_text(out, " -p ");
  for (const char *at = run->params; *at; at++) { /* its values are shell words already: blanks in them are in quotes */
    if (*at == '\'') is_quoted = !is_quoted;
    if (*at == '\\' && !is_quoted && at[1]) dk_buf_add_char(out, *at++);
    dk_buf_add_char(out, *at);
    if (*at == ' ' && !is_quoted) dk_buf_add_text(out, "-p ");
  }
}

static void signal_text(int32_t code, struct dk_buf *out) {
  const char *abbreviation = sigabbrev_np(code);
  dk_buf_printf(out, "killed by signal %d", code);
  if (abbreviation) {
    dk_buf_printf(out, " (%s)", abbreviation);
  }
}

void dk_shown_text(const char *text, size_t len, struct dk_buf *out) {
  size_t shown = len;
  if (len > DK_SHOWN_MAX) {
    /* Not in the middle of a character: a UTF-8 sequence goes on with 10xxxxxx (RFC 3629). */
    for (shown = DK_SHOWN_MAX; shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80; shown--) continue;
  }
  dk_buf_add_escaped(out, text, shown);
  if (shown < len) dk_buf_add_text(out, "...");
}

void dk_cause_text(enum dk_cause cause, int32_t code, const char *text, struct dk_buf *out) {
  switch (cause) {
  case DK_CAUSE_OK: dk_buf_add_text(out, "ok"); break;
  case DK_CAUSE_EXIT: dk_buf_printf(out, "exit code %d", code); break;
  case DK_CAUSE_SIGNAL: signal_text(code, out); break;
  case DK_CAUSE_TIMEOUT: dk_buf_add_text(out, "timed out"); break;
  case DK_CAUSE_OOM: dk_buf_add_text(out, "killed: out of memory"); break;
  case DK_CAUSE_KILLED: dk_buf_add_text(out, "stopped by dkrun"); break;
  case DK_CAUSE_OUTPUT: dk_buf_add_text(out, "an output could not be kept"); break;
  case DK_CAUSE_INPUT: dk_buf_add_text(out, "an input could not be used"); break;
  case DK_CAUSE_DISK: dk_buf_add_text(out, "no space, or an I/O error"); break;
  case DK_CAUSE_SPAWN: dk_buf_add_text(out, "could not be started"); break;
  case DK_CAUSE_LOST: dk_buf_add_text(out, "lost: its machine went down, or was away for too long"); break;
  default: dk_buf_printf(out, "cause %d", (int)cause); break;
  }
  /* A signal is named above already; what stands behind a line's end is help (dk_cause_help). */
  size_t len = text && cause != DK_CAUSE_SIGNAL ? strcspn(text, "\n") : 0;
  if (len > 0) {
    dk_buf_add_text(out, ": ");
    dk_buf_add_escaped(out, text, len);
  }
}

void dk_cause_help(const char *text, const char *prefix, struct dk_buf *out) {
  for (const char *line = text ? strchr(text, '\n') : NULL; line; line = strchr(line + 1, '\n')) {
    dk_buf_add_text(out, prefix);
    dk_buf_add_escaped(out, line + 1, strcspn(line + 1, "\n"));
    dk_buf_add_char(out, '\n');
  }
}
