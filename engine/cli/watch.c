/* Watching a run: see watch.h. */
#include "engine/cli/watch.h"
#include "engine/cli/term.h"
#include "engine/drive/fleet.h"
#include "engine/report/phase.h"
#include "engine/report/summary.h"
#include "engine/report/table.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_NS 500000000u /* how often it is looked whether the run is paused */

struct dk_watch {
  struct dk_watch_options with;
  struct dk_row_source rows; /* as it was found; its pin is the plan */
  struct dk_progress *progress;
  struct dk_live *live;
  struct dk_buf hosts; /* where its tasks ran, when that was not this machine alone */
  int n_stops;         /* how often ^C was heard */
  uint64_t pause_at;   /* when that is next */
  bool is_paused, has_left, has_told_jobs;
};

/* What is told */

static void note_at(struct dk_watch *watch, uint64_t now_ns, const struct dk_engine_note *note) {
  struct dk_progress_note out = {
      .task = note->task,
      .state = note->state,
      .started = note->started,
      .cause = note->cause,
      .code = note->code,
      .attempts = note->attempts,
      .memory = note->memory,
      .wall_ns = note->wall_ns,
      .text = note->text,
      .metrics = note->metrics,
  };

  if (note->choice) dk_progress_choice(watch->progress, note->task, note->choice);
  dk_progress_note(watch->progress, now_ns, &out);
}

void dk_watch_note(struct dk_watch *watch, const struct dk_engine_note *note) {
  note_at(watch, dk_now_ns(), note);
}

void dk_watch_say(struct dk_watch *watch, const char *text) {
  dk_progress_say(watch->progress, "%s", text);
}

/* Tasks run on this machine and nowhere else. */
static bool is_only_here(const char *where) {
  size_t len = strlen(DK_FLEET_HERE);

  return strncmp(where, DK_FLEET_HERE, len) == 0 && strcmp(where + len, "\n") == 0;
}

void dk_watch_jobs_text(uint32_t jobs, uint32_t slots, const char *where, struct dk_buf *out) {
  if (jobs <= slots || !is_only_here(where)) return;
  dk_buf_printf(out,
                "at most %u task%s at a time, not %u: the agent that works here was started for so many. It ends a "
                "minute after its last run; a run that starts it anew with -j %u has %u",
                slots, slots == 1 ? "" : "s", jobs, jobs, jobs);
}

/* "this machine, 2 slots", "on lab: h1 h2, 8 slots". */
static void add_place(const char *where, uint32_t slots, struct dk_buf *out) {
  size_t len = strcspn(where, "\n");

  if (len == 0) {
    dk_buf_add_text(out, "no host is up");
    return;
  }
  dk_buf_add_text(out, is_only_here(where) ? "" : "on ");
  dk_buf_add_escaped(out, where, len);
  dk_buf_printf(out, ", %u slot%s", slots, dk_cli_s(slots));
}

void dk_watch_where(struct dk_watch *watch, uint32_t slots, const char *where) {
  dk_autobuf jobs = DK_BUF_INIT, text = DK_BUF_INIT;
  const char *away = where + strcspn(where, "\n");

  dk_watch_jobs_text(watch->with.jobs, slots, where, &jobs);
  if (jobs.len && !watch->has_told_jobs) dk_watch_say(watch, dk_buf_text(&jobs));
  watch->has_told_jobs |= jobs.len > 0;
  slots = watch->with.jobs && watch->with.jobs < slots ? watch->with.jobs : slots;
  add_place(where, slots, &text);
  dk_progress_set_where(watch->progress, dk_buf_text(&text));
  dk_progress_set_away(watch->progress, *away && away[1] ? away + 1 : NULL);
  if (is_only_here(where) || *where == '\n') return;
  dk_buf_clear(&watch->hosts);
  dk_buf_add_escaped(&watch->hosts, where, (size_t)(away - where));
}

/* Who asked for it may sit elsewhere. */
static void look_at_pause(struct dk_watch *watch, uint64_t now_ns) {
  char text[96];
  if (watch->n_stops || now_ns < watch->pause_at) return;
  watch->pause_at = now_ns + PAUSE_NS;
  bool is_paused = dk_run_pause(watch->with.store, watch->with.run) == DK_PAUSE_ALL;
  if (is_paused == watch->is_paused) return;
  watch->is_paused = is_paused;
  snprintf(text, sizeof text, "paused: nothing new starts until `dkrun resume --run %u`", watch->with.run);
  dk_progress_set_stopping(watch->progress, is_paused ? text : NULL);
}

uint64_t dk_watch_tick(struct dk_watch *watch, uint64_t now_ns) {
  look_at_pause(watch, now_ns);
  dk_live_tick(watch->live, now_ns);
  return dk_live_deadline(watch->live, now_ns);
}

/* What the person wants */

static void wish(struct dk_watch *watch, enum dk_wish what) {
  watch->with.wish(watch->with.ctx, what);
}

static void stop(struct dk_watch *watch) {
  int n = ++watch->n_stops - (watch->with.asks ? 1 : 0);

  if (n == 0) {
    dk_progress_set_stopping(watch->progress, "^C again stops the run; d leaves it running; any other key goes on");
  } else if (n == 1) {
    dk_progress_set_stopping(watch->progress, "stopping: running tasks get 5 s to end, ^C again kills them");
    wish(watch, DK_WISH_CANCEL);
  } else {
    dk_progress_set_stopping(watch->progress, "stopping: running tasks are killed");
    wish(watch, DK_WISH_CANCEL_HARD);
  }
}

static void on_signal(void *ctx, int signal) {
  struct dk_watch *watch = ctx;

  /* Where nobody can be asked what ^C means, it means this command, not the run. */
  bool can_ask = dk_live_input_fd(watch->live) >= 0;
  if (watch->with.asks && (signal != SIGINT || !can_ask))
    wish(watch, DK_WISH_DETACH);
  else
    stop(watch);
}

static void on_other_key(struct dk_watch *watch) {
  if (!watch->with.asks || watch->n_stops != 1) return;
  watch->n_stops = 0;
  watch->is_paused = false; /* if it is, that is said again */
  dk_progress_set_stopping(watch->progress, NULL);
}

static void on_key(void *ctx, int fd, short revents) {
  struct dk_watch *watch = ctx;

  (void)revents;
  switch (dk_live_key(watch->live)) {
  case DK_LIVE_KEY_QUIT: stop(watch); break;
  case DK_LIVE_KEY_DETACH:
    if (watch->with.asks) wish(watch, DK_WISH_DETACH);
    break;
  case DK_LIVE_KEY_OTHER: on_other_key(watch); break;
  case DK_LIVE_KEY_CLOSED: dk_loop_unwatch(watch->with.loop, fd); break;
  case DK_LIVE_KEY_NONE: break;
  }
}

/* What there is already */

/* What had ended before we came counts from the run's beginning. */
static void note_row(struct dk_watch *watch, uint32_t task, uint64_t began_ns) {
  struct dk_row_source *rows = &watch->rows;
  const struct dk_task_record *record = &rows->tasks[task];
  struct dk_choice choice;
  struct dk_engine_note note = {.task = task,
                                .state = record->state,
                                .started = record->state == DK_TASK_RUNNING,
                                .cause = record->cause,
                                .code = record->code,
                                .attempts = record->attempts};

  if (record->state == DK_TASK_DONE || record->state == DK_TASK_CACHED) note.metrics = dk_row_metrics(rows, task);
  if (record->state == DK_TASK_DONE && dk_plan_template(rows->plan, task, NULL)->kind == DK_NODE_PICK &&
      dk_row_choice(rows, task, &choice, NULL) == 0)
    note.choice = &choice;
  note_at(watch, dk_task_state_is_end(record->state) ? began_ns : dk_now_ns(), &note);
}

/* Or one would wait for it without a word. */
static void say_pause(struct dk_watch *watch) {
  uint32_t run = watch->with.run;
  enum dk_run_pause pause = dk_run_pause(watch->with.store, run);

  if (pause == DK_PAUSE_NONE) return;
  dk_progress_say(watch->progress,
                  pause == DK_PAUSE_ALL ? "run %u is paused: nothing new starts until `dkrun resume --run %u`"
                                        : "some tasks of run %u are paused: they wait for `dkrun resume --run %u`",
                  run, run);
}

static int begin(struct dk_watch *watch, struct dk_error *error) {
  const struct dk_watch_options *with = &watch->with;
  dk_autobuf commit = DK_BUF_INIT;
  int r = dk_row_source_open(&watch->rows, with->store, with->objects, with->run, NULL, error);

  if (r < 0) return r;
  const struct dk_run *run = &watch->rows.run;
  dk_buf_printf(&commit, "%.7s", run->commit);
  if (run->n_changed > 0) dk_buf_printf(&commit, "+%u", run->n_changed);
  struct dk_progress_head head = {.run = with->run, .commit = dk_buf_text(&commit)};
  uint64_t began = dk_now_ns(), unix_ns = dk_unix_ns();
  if (unix_ns > run->started_unix_ns && unix_ns - run->started_unix_ns < began) began -= unix_ns - run->started_unix_ns;
  r = dk_progress_create(&watch->progress, watch->rows.plan, NULL, &head, began, error);
  if (r == 0) dk_progress_set_can_leave(watch->progress, with->asks);
  for (uint32_t task = 0; r == 0 && with->catches_up && task < watch->rows.n_tasks; task++)
    if (watch->rows.has_record[task]) note_row(watch, task, began);
  if (r == 0 && with->catches_up && run->state == DK_RUN_RUNNING) say_pause(watch);
  return r;
}

int dk_watch_create(const struct dk_watch_options *options, struct dk_watch **ret, struct dk_error *error) {
  struct dk_watch *watch = dk_calloc(1, sizeof *watch);
  struct dk_loop *loop = options->loop;

  *ret = NULL;
  if (!watch) return dk_error_system(error, -ENOMEM, "watching the run");
  watch->with = *options;
  int r = begin(watch, error);
  if (r == 0)
    r = dk_live_create(&watch->live, watch->progress, options->mode, dk_cli_color(options->cli, STDOUT_FILENO), error);
  if (r == 0) r = dk_loop_signal(loop, SIGINT, on_signal, watch);
  if (r == 0) r = dk_loop_signal(loop, SIGTERM, on_signal, watch);
  if (r == 0 && options->asks) r = dk_loop_signal(loop, SIGHUP, on_signal, watch);
  if (r == 0 && dk_live_input_fd(watch->live) >= 0)
    r = dk_loop_watch(loop, dk_live_input_fd(watch->live), POLLIN, on_key, watch);
  if (r < 0) {
    dk_watch_destroy(watch);
    return r;
  }
  *ret = watch;
  return 0;
}

void dk_watch_leave(struct dk_watch *watch) {
  if (!watch->has_left && watch->live) dk_live_finish(watch->live, dk_now_ns());
  watch->has_left = true;
}

void dk_watch_destroy(struct dk_watch *watch) {
  if (!watch) return;
  if (watch->live && dk_live_input_fd(watch->live) >= 0)
    dk_loop_unwatch(watch->with.loop, dk_live_input_fd(watch->live));
  dk_live_destroy(watch->live);
  dk_progress_destroy(watch->progress);
  dk_buf_finish(&watch->hosts);
  if (watch->rows.plan) dk_row_source_finish(&watch->rows);
  dk_free(watch);
}

/* What came out: the same as `dkrun status` and `dkrun results` say later. */
int dk_watch_print_end(struct dk_watch *watch, struct dk_error *error) {
  const struct dk_watch_options *with = &watch->with;
  struct dk_row_source rows;
  struct dk_summary_options options = {.color = dk_cli_color(with->cli, STDOUT_FILENO),
                                       .where = watch->hosts.len ? dk_buf_text(&watch->hosts) : NULL};
  dk_autobuf out = DK_BUF_INIT;
  uint32_t height;
  int r = dk_row_source_open(&rows, with->store, with->objects, with->run, watch->rows.plan, error);

  if (r < 0) return r;
  /* Tables first: with many rows what failed would be out of sight. */
  if (rows.plan->n_tables > 0 && rows.run.n_done + rows.run.n_cached > 0) {
    r = dk_tables_render(&rows, DK_FORMAT_TEXT, options.color, &out, error);
    dk_buf_add_char(&out, '\n');
  }
  if (isatty(STDOUT_FILENO)) dk_term_size(STDOUT_FILENO, &options.width, &height);
  if (r == 0) r = dk_summary_render(&rows, &options, &out, error);
  if (r == 0) dk_cli_print(with->cli, &out);
  enum dk_run_state state = rows.run.state;
  dk_row_source_finish(&rows);
  if (r < 0) return r;
  return state == DK_RUN_DONE ? DK_EXIT_OK : state == DK_RUN_FAILED ? DK_EXIT_FAILED : DK_EXIT_INTERRUPTED;
}
