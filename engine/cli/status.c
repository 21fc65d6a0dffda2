/* dkrun status: the runs there are, or how one of them went. */
#include "engine/cli/look.h"
#include "engine/cli/term.h"
#include "engine/report/cell.h"
#include "engine/report/json.h"
#include "engine/report/summary.h"
#include "engine/store/hosts.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_RUNS 20

struct options {
  uint32_t run;
  bool all, json;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {
      {"all", no_argument, NULL, 'a'}, {"format", required_argument, NULL, 'F'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":a", options, NULL)) != -1) {
    int r = -1;
    if (opt == 'a') {
      ret->all = true;
    } else if (opt == 'F') {
      ret->json = strcmp(optarg, "json") == 0;
      if (!ret->json && strcmp(optarg, "text") != 0) {
        r = dk_cli_usage("status", "--format takes text or json, not `%s`", optarg);
      }
    } else {
      r = dk_cli_option(cli, opt, argc, argv, options);
    }
    if (r >= 0) {
      return r;
    }
  }
  int code = dk_look_run_argument("status", argc, argv, &ret->run);
  return code == DK_EXIT_OK ? -1 : code;
}

struct runs {
  struct dk_run *items;
  uint32_t n;
  struct dk_store *store;
  struct dk_objects objects;
};

/* Of a run that nobody ended the counts are taken from its tasks. One that cannot be read is shown without. Returns the
 * tasks that run. */
static uint32_t count_run(const struct runs *runs, struct dk_run *run) {
  struct dk_row_source rows;
  if (run->n_tasks || dk_row_source_open(&rows, runs->store, &runs->objects, run->number, NULL, NULL) < 0) {
    return 0;
  }
  run->n_tasks = rows.run.n_tasks;
  run->n_done = rows.run.n_done;
  run->n_cached = rows.run.n_cached;
  run->n_failed = rows.run.n_failed;
  run->n_not_run = rows.run.n_not_run;
  uint32_t n_running = rows.n_running;
  dk_row_source_finish(&rows);
  return n_running;
}

static int take_run(void *ctx, const void *key, size_t klen, const void *value, size_t vlen) {
  struct runs *runs = ctx;
  (void)key;
  (void)klen;
  struct dk_run *grown = dk_realloc_array(runs->items, runs->n + 1u, sizeof *grown);
  if (!grown) {
    return -ENOMEM;
  }
  runs->items = grown;
  int r = dk_run_decode(value, vlen, &runs->items[runs->n]);
  runs->n += r == 0;
  return r;
}

static void runs_finish(struct runs *runs) {
  for (uint32_t i = 0; i < runs->n; i++) {
    dk_run_finish(&runs->items[i]);
  }
  dk_free(runs->items);
}

/* For people in their time zone, or as RFC 3339 in UTC. */
static void add_time(uint64_t unix_ns, bool for_people, struct dk_buf *out) {
  time_t seconds = (time_t)(unix_ns / 1000000000u);
  struct tm tm;
  char text[40];
  if (for_people && localtime_r(&seconds, &tm)) {
    dk_buf_add(out, text, strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm));
  } else if (!for_people && gmtime_r(&seconds, &tm)) {
    dk_buf_add(out, text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm));
  }
}

static void add_commit(const struct dk_run *run, struct dk_buf *out) {
  dk_buf_printf(out, "%.7s", run->commit);
  if (run->n_changed) {
    dk_buf_printf(out, "+%u", run->n_changed);
  }
}

static void add_run_line(const struct dk_run *run, uint32_t n_running, enum dk_run_phase phase, bool color,
                         struct dk_buf *out) {
  dk_autobuf took = DK_BUF_INIT, counts = DK_BUF_INIT;
  const char *word = dk_run_phase_word(run, phase);
  enum dk_paint paint = strcmp(word, "done") == 0     ? DK_PAINT_GREEN
                        : strcmp(word, "failed") == 0 ? DK_PAINT_RED
                                                      : DK_PAINT_YELLOW;
  if (run->ended_unix_ns > run->started_unix_ns) {
    dk_clock_text(run->ended_unix_ns - run->started_unix_ns, &took);
  } else {
    dk_buf_add_char(&took, '-');
  }
  dk_buf_printf(&counts, "%u ran, %u cached", run->n_done, run->n_cached);
  if (n_running) {
    dk_buf_printf(&counts, ", %u %s", n_running, dk_run_phase_is_alive(phase) ? "running" : "running when it was lost");
  }
  if (run->n_failed) {
    dk_buf_printf(&counts, ", %u failed", run->n_failed);
  }
  if (run->n_not_run) {
    dk_buf_printf(&counts, ", %u not run", run->n_not_run);
  }
  dk_buf_inherit(out, &took);
  dk_buf_inherit(out, &counts);
  dk_buf_printf(out, "%5u  %s%-11s%s  ", run->number, dk_paint_on(color, paint), word, dk_paint_off(color));
  add_time(run->started_unix_ns, true, out);
  dk_buf_printf(out, "  %8s  ", dk_buf_text(&took));
  size_t start = out->len;
  add_commit(run, out);
  while (out->len - start < 11 && dk_buf_ok(out)) {
    dk_buf_add_char(out, ' ');
  }
  dk_buf_add_escaped(out, run->file, strlen(run->file));
  if (run->params && *run->params) {
    dk_buf_add_char(out, ' ');
    dk_buf_add_escaped(out, run->params, strlen(run->params));
  }
  dk_buf_printf(out, "  %s\n", dk_buf_text(&counts));
}

static void add_json_text(struct dk_buf *out, const char *name, const char *text) {
  dk_buf_printf(out, ",\"%s\":", name);
  dk_json_add_string(out, text ? text : "", text ? strlen(text) : 0);
}

static void add_json_time(struct dk_buf *out, const char *name, uint64_t unix_ns) {
  dk_buf_printf(out, ",\"%s\":", name);
  if (!unix_ns) {
    dk_buf_add_text(out, "null");
    return;
  }
  dk_buf_add_char(out, '"');
  add_time(unix_ns, false, out);
  dk_buf_add_char(out, '"');
}

/* Without the closing brace. */
static void add_json_run(const struct dk_run *run, enum dk_run_phase phase, struct dk_buf *out) {
  dk_buf_printf(out, "{\"run\":%u,\"state\":\"%s\"", run->number, dk_run_phase_word(run, phase));
  add_json_text(out, "experiment", run->name);
  add_json_text(out, "file", run->file);
  add_json_text(out, "commit", run->commit);
  add_json_text(out, "snapshot", run->snapshot);
  dk_buf_printf(out, ",\"changed_files\":%u", run->n_changed);
  add_json_text(out, "params", run->params);
  add_json_time(out, "started", run->started_unix_ns);
  add_json_time(out, "ended", run->ended_unix_ns);
  dk_buf_printf(out, ",\"tasks\":%u,\"ran\":%u,\"cached\":%u,\"failed\":%u,\"not_run\":%u", run->n_tasks, run->n_done,
                run->n_cached, run->n_failed, run->n_not_run);
}

/* Of each currency, millionths of it: exact, and what JSON's numbers hold. */
static void add_json_cost(struct dk_store *store, const struct dk_run *run, struct dk_buf *out) {
  struct dk_purse cost;
  if (dk_store_run_cost(store, run, dk_unix_ns(), &cost, NULL) < 0) cost = run->cost;
  dk_buf_add_text(out, ",\"cost\":[");
  for (uint32_t i = 0; i < cost.n; i++) {
    dk_buf_printf(out, "%s{\"currency\":\"%s\",\"millionths\":%" PRIu64 "}", i ? "," : "", cost.items[i].currency,
                  cost.items[i].micro);
  }
  dk_buf_add_char(out, ']');
}

static void render_runs(const struct dk_cli *cli, const struct options *options, struct runs *runs,
                        struct dk_buf *out) {
  uint32_t pid, first = options->all || runs->n <= SHOWN_RUNS ? 0 : runs->n - SHOWN_RUNS;
  bool alive = dk_cli_engine_alive(cli, &pid), color = dk_cli_color(cli, STDOUT_FILENO);
  if (options->json) {
    dk_buf_printf(out, "{\"engine\":%u,\"runs\":[", alive ? pid : 0);
    for (uint32_t i = first; i < runs->n; i++) {
      dk_buf_add_text(out, i > first ? ",\n" : "\n");
      count_run(runs, &runs->items[i]);
      add_json_run(&runs->items[i], dk_run_phase(runs->store, &runs->items[i], alive, pid), out);
      add_json_cost(runs->store, &runs->items[i], out);
      dk_buf_add_char(out, '}');
    }
    dk_buf_add_text(out, "]}\n");
    return;
  }
  if (!runs->n) {
    dk_buf_add_text(out, "no runs yet\n");
    return;
  }
  dk_buf_add_text(out, "  run  state        started               took  commit     file\n");
  for (uint32_t i = first; i < runs->n; i++) {
    uint32_t n_running = count_run(runs, &runs->items[i]);
    add_run_line(&runs->items[i], n_running, dk_run_phase(runs->store, &runs->items[i], alive, pid), color, out);
  }
  if (first) {
    dk_buf_printf(out, "and %u before these: dkrun status --all\n", first);
  }
  if (alive) {
    dk_buf_printf(out, "an engine is at work (process %u)\n", pid);
  }
}

/* Of a host that is there and all the same gets no tasks the engine left words: it was taken out of the files. */
static int add_leaving(void *ctx, const struct dk_host_record *host) {
  if (host->state == DK_HOST_UP && *host->words) {
    dk_buf_printf(ctx, "  %s: %s\n", host->name, host->words);
  }
  return 0;
}

static int list_runs(struct dk_cli *cli, const struct options *options) {
  struct dk_error error = {0};
  struct runs runs = {0};
  dk_autobuf out = DK_BUF_INIT;
  if (dk_cli_open_store(cli, &runs.store, &runs.objects, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  int r = dk_store_each(runs.store, DK_TABLE_RUNS, "", 0, take_run, &runs, &error);
  if (r < 0 && !error.code) {
    dk_error_system(&error, r, "reading the list of runs");
  }
  if (r == 0) {
    uint32_t pid;
    render_runs(cli, options, &runs, &out);
    r = !options->json && dk_cli_engine_alive(cli, &pid) ? dk_store_each_host(runs.store, add_leaving, &out, &error)
                                                         : 0;
  }
  if (r == 0) {
    dk_cli_print(cli, &out);
  }
  runs_finish(&runs);
  dk_objects_close(&runs.objects);
  dk_store_close(runs.store);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

static int add_json_failures(struct dk_look *look, struct dk_buf *out, struct dk_error *error) {
  bool any = false;
  for (uint32_t t = 0; t < look->rows.n_tasks; t++) {
    uint32_t row;
    const struct dk_task_record *record = &look->rows.tasks[t];
    if (record->state != DK_TASK_FAILED || dk_plan_template(look->rows.plan, t, &row)->kind != DK_NODE_TASK) {
      continue;
    }
    dk_autobuf name = DK_BUF_INIT, cause = DK_BUF_INIT, host = DK_BUF_INIT;
    struct dk_result result;
    int r = dk_row_result(&look->rows, t, &result, error);
    if (r < 0 && r != -ENOENT && r != -EBADMSG) {
      return r;
    }
    bool has_result = r == 0;
    dk_plan_task_name(look->rows.plan, t, &name);
    dk_row_host(look->store, record, "", &host);
    dk_cause_text(record->cause, record->code, has_result ? result.text : NULL, &cause);
    dk_buf_inherit(out, &name);
    dk_buf_inherit(out, &host);
    dk_buf_inherit(out, &cause);
    dk_buf_printf(out, "%s{\"id\":\"t%u\"", any ? ",\n" : "\n", t + 1);
    add_json_text(out, "task", dk_buf_text(&name));
    add_json_text(out, "host", dk_buf_text(&host));
    add_json_text(out, "cause", dk_cause_name(record->cause));
    dk_buf_printf(out, ",\"code\":%d,\"attempts\":%u", record->code, record->attempts);
    add_json_text(out, "text", dk_buf_text(&cause));
    dk_buf_add_char(out, '}');
    if (has_result) {
      dk_result_finish(&result);
    }
    any = true;
  }
  return 0;
}

static void add_json_templates(struct dk_look *look, struct dk_buf *out) {
  const struct dk_plan *plan = look->rows.plan;
  bool any = false;
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_graph_node *node = &plan->graph.nodes[plan->templates[i].node];
    uint32_t by_state[DK_TASK_CANCELLED + 1] = {0};
    if (plan->templates[i].kind != DK_NODE_TASK) {
      continue;
    }
    for (uint32_t t = node->first; t < node->first + node->rows; t++) {
      if (look->rows.tasks[t].state <= DK_TASK_CANCELLED) {
        by_state[look->rows.tasks[t].state]++;
      }
    }
    dk_buf_printf(out, "%s{\"name\":\"%s\",\"tasks\":%u", any ? ",\n" : "\n", plan->templates[i].name, node->rows);
    dk_buf_printf(
        out, ",\"ran\":%u,\"cached\":%u,\"failed\":%u,\"not_run\":%u,\"skipped\":%u,\"cancelled\":%u,\"running\":%u}",
        by_state[DK_TASK_DONE], by_state[DK_TASK_CACHED], by_state[DK_TASK_FAILED], by_state[DK_TASK_NOT_RUN],
        by_state[DK_TASK_SKIPPED], by_state[DK_TASK_CANCELLED], by_state[DK_TASK_RUNNING]);
    any = true;
  }
}

static void add_running(struct dk_look *look, struct dk_buf *out) {
  uint32_t n = 0;
  for (uint32_t t = 0; t < look->rows.n_tasks; t++) {
    if (look->rows.tasks[t].state == DK_TASK_RUNNING && n++ < 20) {
      dk_buf_add_text(out, "  running ");
      dk_row_label(&look->rows, t, out);
      dk_row_host(look->store, &look->rows.tasks[t], "  on ", out);
      dk_buf_add_char(out, '\n');
    }
  }
  if (n > 20) {
    dk_buf_printf(out, "  and %u more\n", n - 20);
  }
}

static int show_run(struct dk_cli *cli, const struct options *options) {
  struct dk_error error = {0};
  struct dk_look look;
  dk_autobuf out = DK_BUF_INIT;
  uint32_t pid, height;
  if (dk_look_open(cli, options->run, &look, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  bool alive = dk_cli_engine_alive(cli, &pid);
  enum dk_run_phase phase = dk_run_phase(look.store, &look.rows.run, alive, pid);
  int r = 0;
  if (options->json) {
    add_json_run(&look.rows.run, phase, &out);
    add_json_cost(look.store, &look.rows.run, &out);
    dk_buf_add_text(&out, ",\"templates\":[");
    add_json_templates(&look, &out);
    dk_buf_add_text(&out, "],\"failures\":[");
    r = add_json_failures(&look, &out, &error);
    dk_buf_add_text(&out, "]}\n");
  } else {
    struct dk_summary_options summary = {
        .color = dk_cli_color(cli, STDOUT_FILENO), .max_failures = options->all ? UINT32_MAX : 0, .phase = phase};
    if (isatty(STDOUT_FILENO)) {
      dk_term_size(STDOUT_FILENO, &summary.width, &height);
    }
    r = dk_summary_render(&look.rows, &summary, &out, &error);
    if (dk_run_phase_is_alive(phase)) {
      add_running(&look, &out);
      r = r < 0 ? r : dk_store_each_host(look.store, add_leaving, &out, &error);
      dk_buf_printf(&out, "  an engine is at work (process %u)\n", pid);
    }
  }
  if (r == 0) {
    dk_cli_print(cli, &out);
  }
  dk_look_close(&look);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

int dk_cmd_status(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  int code = parse(cli, argc, argv, &options);
  if (code >= 0) {
    return code;
  }
  return options.run ? show_run(cli, &options) : list_runs(cli, &options);
}
