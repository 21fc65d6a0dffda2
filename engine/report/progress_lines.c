/* Plain lines of a run: one per event worth a line, put together when tasks are quick.
 *
 * Failures and retries are always told at once (the first 50 of them, three of those with the same words; then
 * counted). Tasks that are done get a line each at up to 20 a second; what is above that, cached tasks and tasks that
 * were not run are held for at most a second and told as one line. */
#include "engine/report/cell.h"
#include "engine/report/progress_priv.h"
#include "engine/report/row.h"
#include "lang/base/alloc.h"

#include <string.h>

#define LINES_PER_SECOND 20.0
#define HOLD_NS 1000000000u
#define FAILURES_TOLD 50u
#define SAME_TOLD 3u /* of failures of one template that have the same words */

static void add_count(struct dk_progress *p, struct dk_buf *out) {
  struct dk_progress_counts c;
  dk_progress_counts(p, UINT32_MAX, &c);
  dk_buf_printf(out, "[%u/%u] ", c.done + c.cached + c.failed + c.not_run, c.total);
}

static void add_held(struct dk_buf *out, uint32_t n, const char *word, bool *any) {
  if (n) {
    dk_buf_printf(out, "%s%u %s", *any ? ", " : "", n, word);
    *any = true;
  }
}

static void release(struct dk_progress *p) {
  if (!p->held_since_ns) {
    return;
  }
  bool any = false;
  add_count(p, &p->all);
  dk_buf_add_text(&p->all, p->held_failed ? "FAILED and others: " : "");
  add_held(&p->all, p->held_failed, "failed", &any);
  add_held(&p->all, p->held_done, "done", &any);
  add_held(&p->all, p->held_cached, "cached", &any);
  add_held(&p->all, p->held_not_run, "not run", &any);
  dk_buf_add_char(&p->all, '\n');
  p->held_since_ns = 0;
  p->held_failed = p->held_done = p->held_cached = p->held_not_run = 0;
}

static void hold(struct dk_progress *p, uint64_t now_ns, uint32_t *counter) {
  ++*counter;
  if (!p->held_since_ns) {
    p->held_since_ns = now_ns ? now_ns : 1;
  }
}

static bool take_token(struct dk_progress *p, uint64_t now_ns) {
  if (now_ns > p->tokens_at_ns) {
    p->tokens += LINES_PER_SECOND * ((double)(now_ns - p->tokens_at_ns) / 1e9);
    p->tokens = p->tokens > LINES_PER_SECOND ? LINES_PER_SECOND : p->tokens;
    p->tokens_at_ns = now_ns;
  }
  if (p->tokens < 1) {
    return false;
  }
  p->tokens -= 1;
  return true;
}

static void add_task(struct dk_progress *p, uint32_t task, struct dk_buf *out) {
  dk_buf_printf(out, "t%u ", task + 1);
  dk_row_name(p->plan, task, out);
}

static void add_wall(uint64_t wall_ns, struct dk_buf *out) {
  if (wall_ns) {
    char text[DK_NUMBER_TEXT];
    dk_number_duration_text(wall_ns, text);
    dk_buf_printf(out, "  %s", text);
  }
}

static void add_metrics(struct dk_progress *p, const struct dk_progress_note *note, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(p->plan, note->task, &row);
  for (uint32_t i = 0; note->metrics && i < t->n_metrics && i < note->metrics->n; i++) {
    const struct dk_metric_value *value = &note->metrics->items[i];
    dk_buf_printf(out, "  %s ", t->metrics[i].name);
    if (value->state == DK_METRIC_MISSING) {
      dk_buf_add_char(out, '-');
    } else {
      dk_shown_text(value->text, strlen(value->text), out);
    }
  }
}

static void failure_line(struct dk_progress *p, const struct dk_progress_note *note, struct dk_buf *out) {
  dk_buf_add_text(out, note->state == DK_TASK_FAILED ? "FAILED " : "again ");
  add_task(p, note->task, out);
  dk_buf_add_text(out, "  ");
  dk_cause_text(note->cause, note->code, note->text, out);
  add_wall(note->wall_ns, out);
  if (note->state == DK_TASK_BACKOFF) {
    dk_buf_printf(out, ", attempt %u follows", note->attempts + 1u);
    if (note->memory) {
      char text[DK_NUMBER_TEXT];
      dk_number_size_text(note->memory, text);
      dk_buf_printf(out, " with %s of memory", text);
    }
  } else if (note->attempts > 1) {
    dk_buf_printf(out, ", %u attempts", note->attempts);
  }
}

void dk_progress_told_finish(struct dk_progress *p) {
  for (uint32_t i = 0; i < p->n_told; i++) dk_free(p->told[i].text);
  dk_free(p->told);
}

/* How often a failure of this template had these words before. Without words, or beyond what is remembered: 0. */
static uint32_t told_before(struct dk_progress *p, const struct dk_progress_note *note) {
  uint32_t row, node = dk_graph_node_of(&p->plan->graph, note->task, &row);
  size_t len = note->text ? strcspn(note->text, "\n") : 0;
  if (len == 0 || note->state != DK_TASK_FAILED) return 0;
  for (uint32_t i = 0; i < p->n_told; i++) {
    struct dk_progress_told *told = &p->told[i];
    if (told->node == node && strlen(told->text) == len && memcmp(told->text, note->text, len) == 0) return told->n++;
  }
  if (!p->told) p->told = dk_calloc(DK_PROGRESS_TOLD, sizeof *p->told);
  char *text = p->told && p->n_told < DK_PROGRESS_TOLD ? dk_strndup(note->text, len) : NULL;
  if (text) p->told[p->n_told++] = (struct dk_progress_told){.node = node, .n = 1, .text = text};
  return 0;
}

/* One of the few lines that are told in both kinds of view. */
static void important_line(struct dk_progress *p, const struct dk_buf *line) {
  add_count(p, &p->all);
  dk_buf_add(&p->all, dk_buf_text(line), line->len);
  dk_buf_add_char(&p->all, '\n');
  dk_buf_add(&p->important, dk_buf_text(line), line->len);
  dk_buf_add_char(&p->important, '\n');
}

static void done_line(struct dk_progress *p, const struct dk_progress_note *note) {
  release(p);
  add_count(p, &p->all);
  dk_buf_add_text(&p->all, "done ");
  add_task(p, note->task, &p->all);
  add_wall(note->wall_ns, &p->all);
  add_metrics(p, note, &p->all);
  dk_buf_add_char(&p->all, '\n');
}

void dk_progress_line_note(struct dk_progress *p, uint64_t now_ns, const struct dk_progress_note *note) {
  switch (note->state) {
  case DK_TASK_DONE:
    if (take_token(p, now_ns)) {
      done_line(p, note);
    } else {
      hold(p, now_ns, &p->held_done);
    }
    break;
  case DK_TASK_CACHED: hold(p, now_ns, &p->held_cached); break;
  case DK_TASK_NOT_RUN:
  case DK_TASK_SKIPPED:
  case DK_TASK_CANCELLED: hold(p, now_ns, &p->held_not_run); break;
  case DK_TASK_FAILED:
  case DK_TASK_BACKOFF: {
    uint32_t same = told_before(p, note);
    if (p->failures_told < FAILURES_TOLD && same < SAME_TOLD) {
      dk_autobuf line = DK_BUF_INIT;
      p->failures_told++;
      failure_line(p, note, &line);
      dk_buf_add_text(&line, same + 1 == SAME_TOLD ? " (more like it are only counted)" : "");
      release(p);
      important_line(p, &line);
    } else if (note->state == DK_TASK_FAILED) {
      hold(p, now_ns, &p->held_failed);
    }
    break;
  }
  default: break;
  }
}

void dk_progress_say(struct dk_progress *p, const char *format, ...) {
  dk_autobuf line = DK_BUF_INIT;
  va_list ap;
  va_start(ap, format);
  dk_buf_vprintf(&line, format, ap);
  va_end(ap);
  release(p);
  dk_buf_add(&p->all, dk_buf_text(&line), line.len);
  dk_buf_add_char(&p->all, '\n');
  dk_buf_add(&p->important, dk_buf_text(&line), line.len);
  dk_buf_add_char(&p->important, '\n');
}

/* Lines that tell of a failure in red. A line is not whole when there was no memory for its end. */
static void paint_lines(const struct dk_buf *text, bool color, struct dk_buf *out) {
  const char *at = dk_buf_text(text), *end = at + text->len;
  while (at < end) {
    const char *eol = memchr(at, '\n', (size_t)(end - at));
    if (!eol) eol = end;
    size_t len = (size_t)(eol - at);
    bool red = color && memmem(at, len < 24 ? len : 24, "FAILED", 6);
    dk_buf_add_text(out, dk_paint_on(red, DK_PAINT_RED));
    dk_buf_add(out, at, len);
    dk_buf_add_text(out, dk_paint_off(red));
    dk_buf_add_char(out, '\n');
    at = eol + 1;
  }
}

void dk_progress_take_lines(struct dk_progress *p, uint64_t now_ns, enum dk_progress_lines which, bool flush,
                            bool color, struct dk_buf *out) {
  if (flush || (p->held_since_ns && now_ns >= p->held_since_ns + HOLD_NS)) {
    release(p);
  }
  paint_lines(which == DK_LINES_ALL ? &p->all : &p->important, color, out);
  dk_buf_clear(&p->all);
  dk_buf_clear(&p->important);
}

uint64_t dk_progress_deadline(const struct dk_progress *p) {
  if (p->all.len) {
    return 0;
  }
  return p->held_since_ns ? p->held_since_ns + HOLD_NS : UINT64_MAX;
}
