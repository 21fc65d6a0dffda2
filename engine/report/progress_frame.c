/* The frame of a run that is going on: a head, a line per task template, the running tasks, a foot. */
#include "engine/report/cell.h"
#include "engine/report/progress_priv.h"
#include "engine/report/row.h"

#include <string.h>

/* What a line is about decides which go first when the terminal is low: those that need no eye. */
enum line_kind { LINE_FINISHED, LINE_WAITING, LINE_BEST, LINE_ACTIVE, LINE_FAILED };

struct line {
  enum line_kind kind;
  bool hidden;
  size_t off, len; /* in `text` */
};

struct frame {
  struct dk_progress *p;
  uint64_t now_ns;
  struct dk_buf text;
  struct dk_buf lines; /* struct line */
  uint32_t name_width, count_width;
};

static void end_line(struct frame *f, enum line_kind kind, size_t off) {
  while (f->text.len > off && f->text.data[f->text.len - 1] == ' ') {
    dk_buf_truncate(&f->text, f->text.len - 1);
  }
  struct line line = {kind, false, off, f->text.len - off};
  dk_buf_add(&f->lines, &line, sizeof line);
}

static void add_duration(uint64_t ns, struct dk_buf *out) {
  char text[DK_NUMBER_TEXT];
  dk_number_duration_text(ns, text);
  dk_buf_add_text(out, text);
}

static void add_rate(double rate, struct dk_buf *out) {
  if (rate >= 1) {
    dk_buf_printf(out, ", %.0f/s", rate);
  } else if (rate * 60 >= 1) {
    dk_buf_printf(out, ", %.0f/min", rate * 60);
  } else {
    dk_buf_printf(out, ", %.2g/h", rate * 3600);
  }
}

/* Whole seconds: tenths of a guess only flicker. A rate near zero gives more than nanoseconds can say. */
static void add_time_left(double seconds, struct dk_buf *out) {
  const uint64_t most = UINT64_MAX / 1000000000u;
  add_duration((seconds < (double)most ? (uint64_t)(seconds + 0.5) : most) * 1000000000u, out);
}

/* The first thing that the node still waits for. */
static void add_waits_for(struct frame *f, uint32_t n) {
  const struct dk_plan *plan = f->p->plan;
  const struct dk_graph_node *node = &plan->graph.nodes[n];
  for (uint32_t i = 0; i < node->n_edges; i++) {
    uint32_t producer = node->edges[i].producer;
    const struct dk_progress_node *info = &f->p->nodes[producer];
    uint32_t left = info->total - dk_progress_ended(info);
    if (!left || producer == n) {
      continue;
    }
    const struct dk_template *t = &plan->templates[producer];
    if (t->kind == DK_NODE_PICK) {
      const struct dk_progress_node *from = &f->p->nodes[t->from];
      left = from->total - dk_progress_ended(from);
    }
    dk_buf_printf(&f->text, "waits for %s", t->name);
    if (left > 1) {
      dk_buf_printf(&f->text, " (%u points left)", left);
    }
    return;
  }
  dk_buf_add_text(&f->text, "waits for a slot");
}

static void add_bar(uint32_t done, uint32_t total, struct dk_buf *out) {
  const uint32_t width = 20;
  uint32_t full = (uint32_t)((uint64_t)done * width / total);
  dk_buf_add_repeat(out, '#', full);
  dk_buf_add_repeat(out, '-', width - full);
}

static void add_comma_count(struct dk_buf *out, bool *any, uint32_t n, const char *word) {
  if (n) {
    dk_buf_printf(out, "%s%u %s", *any ? ", " : "", n, word);
    *any = true;
  }
}

static void add_ended(const struct dk_progress_node *info, struct dk_buf *out) {
  bool any = false;
  add_comma_count(out, &any, info->by_class[CLASS_FAILED], "FAILED");
  add_comma_count(out, &any, info->by_class[CLASS_NOT_RUN], "not run");
  if (info->metrics_text && !any) {
    dk_buf_add_text(out, info->metrics_text);
  } else if (info->total > 1 || any) {
    add_comma_count(out, &any, info->by_class[CLASS_DONE], "done");
    add_comma_count(out, &any, info->by_class[CLASS_CACHED], "cached");
  } else if (info->by_class[CLASS_CACHED]) {
    dk_buf_add_text(out, "cached");
  }
}

static void add_active(struct frame *f, const struct dk_progress_node *info) {
  struct dk_buf *out = &f->text;
  uint32_t ended = dk_progress_ended(info);
  if (info->total > 1) {
    add_bar(ended, info->total, out);
    dk_buf_add_text(out, "  ");
  }
  dk_buf_printf(out, "%u running", info->by_class[CLASS_RUNNING]);
  bool any = true;
  add_comma_count(out, &any, info->by_class[CLASS_FAILED], "FAILED");
  double rate = dk_progress_rate(info, f->now_ns);
  if (rate > 0 && ended < info->total) {
    add_rate(rate, out);
    dk_buf_add_text(out, ", ");
    add_time_left((double)(info->total - ended) / rate, out);
    dk_buf_add_text(out, " left");
  }
}

static void template_line(struct frame *f, uint32_t n) {
  const struct dk_progress_node *info = &f->p->nodes[n];
  uint32_t ended = dk_progress_ended(info);
  size_t off = f->text.len;
  const char *name = f->p->plan->templates[n].name;
  dk_buf_add_text(&f->text, "  ");
  dk_cell_left(&f->text, name, strlen(name), f->name_width);
  dk_buf_printf(&f->text, " %*u/%-*u ", (int)f->count_width, ended, (int)f->count_width, info->total);
  enum line_kind kind = LINE_WAITING;
  if (ended == info->total) {
    kind = LINE_FINISHED;
    add_ended(info, &f->text);
  } else if (info->by_class[CLASS_RUNNING] || ended) {
    kind = LINE_ACTIVE;
    add_active(f, info);
  } else {
    add_waits_for(f, n);
  }
  end_line(f, info->by_class[CLASS_FAILED] ? LINE_FAILED : kind, off);
}

static void best_lines(struct frame *f, uint32_t n) {
  for (uint32_t i = 0; i < f->p->n_bests; i++) {
    const struct dk_progress_best *best = &f->p->bests[i];
    const struct dk_template *pick = &f->p->plan->templates[best->pick];
    if (pick->from != n || !best->has) {
      continue;
    }
    size_t off = f->text.len;
    dk_buf_add_repeat(&f->text, ' ', 2 + f->name_width + 1 + 2 * f->count_width + 2);
    dk_buf_printf(&f->text, "%s %s%s  ", pick->name, best->is_final ? "" : "so far ", best->text);
    dk_candidate_point(f->p->plan, pick, best->row, true, &f->text);
    end_line(f, LINE_BEST, off);
  }
}

static void collect_lines(struct frame *f) {
  const struct dk_plan *plan = f->p->plan;
  uint32_t most = 1;
  for (uint32_t n = 0; n < plan->n_templates; n++) {
    if (plan->templates[n].kind != DK_NODE_TASK || !f->p->nodes[n].total) {
      continue;
    }
    uint32_t columns = dk_text_columns(plan->templates[n].name, strlen(plan->templates[n].name));
    f->name_width = columns > f->name_width ? columns : f->name_width;
    most = f->p->nodes[n].total > most ? f->p->nodes[n].total : most;
  }
  f->name_width = f->name_width > 24 ? 24 : f->name_width;
  for (f->count_width = 1; most >= 10; most /= 10) {
    f->count_width++;
  }
  for (uint32_t n = 0; n < plan->n_templates; n++) {
    if (plan->templates[n].kind == DK_NODE_TASK && f->p->nodes[n].total) {
      template_line(f, n);
      best_lines(f, n);
    }
  }
}

/* Hides lines, least interesting kind first, until at most `room` are left (one of them then says how many are hidden).
 * Returns the hidden. */
static uint32_t hide_lines(struct line *lines, uint32_t n, uint32_t room) {
  uint32_t hidden = 0;
  if (n <= room) {
    return 0;
  }
  for (int kind = LINE_FINISHED; kind <= LINE_FAILED; kind++) {
    for (uint32_t i = 0; i < n; i++) {
      uint32_t at = kind == LINE_FINISHED ? i : n - 1 - i;
      if (n - hidden + 1 <= room) {
        return hidden;
      }
      if ((int)lines[at].kind == kind) {
        lines[at].hidden = true;
        hidden++;
      }
    }
  }
  return hidden;
}

static void put_line(const struct dk_progress_view *view, enum dk_paint paint, const char *text, size_t len,
                     struct dk_buf *out) {
  bool painted = view->color && paint != DK_PAINT_NONE;
  dk_buf_add_text(out, dk_paint_on(painted, paint));
  dk_cell_cut(out, text, len, view->width);
  dk_buf_add_text(out, dk_paint_off(painted));
  dk_buf_add_char(out, '\n');
}

static void put_head(struct frame *f, const struct dk_progress_view *view, struct dk_buf *out) {
  dk_autobuf head = DK_BUF_INIT, clock = DK_BUF_INIT;
  dk_buf_printf(&head, "%s  run %u", f->p->plan->name, f->p->run);
  if (f->p->commit) {
    dk_buf_printf(&head, "  %s", f->p->commit);
  }
  if (f->p->where) {
    dk_buf_printf(&head, "  %s", f->p->where);
  }
  dk_clock_text(f->now_ns - f->p->start_ns, &clock);
  if (view->width > clock.len + 1) {
    dk_autobuf line = DK_BUF_INIT;
    /* Not the last columns: some terminals wrap there. */
    uint32_t width = view->width > 76 ? 76 : view->width;
    dk_cell_left(&line, dk_buf_text(&head), head.len, width - (uint32_t)clock.len - 1);
    dk_buf_printf(&line, " %s", dk_buf_text(&clock));
    put_line(view, DK_PAINT_BOLD, dk_buf_text(&line), line.len, out);
  } else {
    put_line(view, DK_PAINT_BOLD, dk_buf_text(&head), head.len, out);
  }
}

static void put_away(const struct frame *f, const struct dk_progress_view *view, struct dk_buf *out) {
  dk_autobuf line = DK_BUF_INIT;
  dk_buf_add_text(&line, "  ");
  dk_buf_add_escaped(&line, f->p->away, strlen(f->p->away));
  put_line(view, DK_PAINT_YELLOW, dk_buf_text(&line), line.len, out);
}

static void put_templates(struct frame *f, const struct dk_progress_view *view, uint32_t room, struct dk_buf *out) {
  struct line *lines = (struct line *)(void *)f->lines.data;
  uint32_t n = (uint32_t)(f->lines.len / sizeof *lines), hidden = hide_lines(lines, n, room);
  for (uint32_t i = 0; i < n; i++) {
    static const enum dk_paint paints[] = {DK_PAINT_DIM, DK_PAINT_NONE, DK_PAINT_CYAN, DK_PAINT_NONE, DK_PAINT_RED};
    if (!lines[i].hidden) {
      put_line(view, paints[lines[i].kind], dk_buf_text(&f->text) + lines[i].off, lines[i].len, out);
    }
  }
  if (hidden && room) {
    dk_autobuf more = DK_BUF_INIT;
    dk_buf_printf(&more, "  ... %u more lines", hidden);
    put_line(view, DK_PAINT_DIM, dk_buf_text(&more), more.len, out);
  }
}

static void put_running(struct frame *f, const struct dk_progress_view *view, uint32_t room, struct dk_buf *out) {
  uint32_t n = f->p->n_running, shown = n;
  if (!n || room < 2) {
    return;
  }
  if (n > room - 1) {
    shown = room - 2;
  }
  dk_buf_add_char(out, '\n');
  for (uint32_t i = 0; i < shown; i++) {
    dk_autobuf line = DK_BUF_INIT;
    uint64_t since = f->p->running[i].since_ns;
    dk_buf_printf(&line, "  t%u ", f->p->running[i].task + 1);
    dk_row_name(f->p->plan, f->p->running[i].task, &line);
    dk_buf_add_text(&line, "   ");
    add_duration(f->now_ns > since ? (f->now_ns - since) / 100000000u * 100000000u : 0, &line);
    put_line(view, DK_PAINT_NONE, dk_buf_text(&line), line.len, out);
  }
  if (shown < n) {
    dk_autobuf line = DK_BUF_INIT;
    dk_buf_printf(&line, "  and %u more running", n - shown);
    put_line(view, DK_PAINT_NONE, dk_buf_text(&line), line.len, out);
  }
}

static void put_foot(struct frame *f, const struct dk_progress_view *view, struct dk_buf *out) {
  dk_autobuf line = DK_BUF_INIT;
  struct dk_progress_counts c;
  dk_progress_counts(f->p, UINT32_MAX, &c);
  if (f->p->stopping) {
    dk_buf_printf(&line, "  %s", f->p->stopping);
  } else {
    dk_buf_printf(&line, "  failed %u   cached %u", c.failed, c.cached);
    if (c.not_run) {
      dk_buf_printf(&line, "   not run %u", c.not_run);
    }
    dk_buf_add_text(&line, !view->keys       ? ""
                           : f->p->can_leave ? "   d leave it running, q or ^C stop"
                                             : "   q or ^C stop");
  }
  put_line(view,
           f->p->stopping ? DK_PAINT_YELLOW
           : c.failed     ? DK_PAINT_RED
                          : DK_PAINT_DIM,
           dk_buf_text(&line), line.len, out);
}

void dk_progress_frame(struct dk_progress *p, uint64_t now_ns, const struct dk_progress_view *view,
                       struct dk_buf *out) {
  struct frame f = {.p = p, .now_ns = now_ns};
  if (view->height < 3) { /* room for one line: counts */
    if (view->height) {
      put_foot(&f, view, out);
    }
    return;
  }
  collect_lines(&f);
  bool has_away = p->away && view->height > 4;
  uint32_t room = view->height - 3 - has_away; /* head, blank, foot */
  uint32_t n = (uint32_t)(f.lines.len / sizeof(struct line));
  uint32_t for_running = p->n_running ? (p->n_running > 3 ? 4 : p->n_running) + 1 : 0;
  uint32_t for_templates = room > for_running ? room - for_running : room;
  for_templates = n < for_templates ? n : for_templates;
  put_head(&f, view, out);
  if (has_away) put_away(&f, view, out);
  put_templates(&f, view, for_templates, out);
  put_running(&f, view, room - for_templates, out);
  dk_buf_add_char(out, '\n');
  put_foot(&f, view, out);
  dk_buf_finish(&f.text);
  dk_buf_finish(&f.lines);
}
