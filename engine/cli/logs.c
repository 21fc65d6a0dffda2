/* dkrun logs: what a task wrote, kept or still being written. */
#include "engine/cli/look.h"
#include "engine/report/log.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536u
#define POLL_NS 100000000L

struct options {
  uint32_t run;
  int64_t tail; /* -1: all */
  bool follow, only_out, only_err, raw;
};

struct reader {
  struct dk_cli *cli;
  struct dk_look look;
  const struct options *options;
  uint32_t task;
  bool escape;
  struct dk_buf carry; /* start of a character whose rest is not there yet */
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"run", required_argument, NULL, 'R'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"tail", required_argument, NULL, 'n'},
                                          {"out", no_argument, NULL, 'o'},
                                          {"err", no_argument, NULL, 'e'},
                                          {"raw", no_argument, NULL, 'r'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":fn:", options, NULL)) != -1) {
    int r = -1;
    switch (opt) {
    case 'R':
      r = dk_look_run_number(optarg, &ret->run)
              ? -1
              : dk_cli_usage("logs", "--run takes a number such as 3, not `%s`", optarg);
      break;
    case 'f': ret->follow = true; break;
    case 'n':
      if (dk_number_parse_int(optarg, strlen(optarg), &ret->tail) < 0 || ret->tail < 0) {
        r = dk_cli_usage("logs", "--tail takes a number of lines, not `%s`", optarg);
      }
      break;
    case 'o': ret->only_out = true; break;
    case 'e': ret->only_err = true; break;
    case 'r': ret->raw = true; break;
    default: r = dk_cli_option(cli, opt, argc, argv, options); break;
    }
    if (r >= 0) {
      return r;
    }
  }
  if (ret->only_out && ret->only_err) {
    return dk_cli_usage("logs", "--out and --err exclude each other: without them both are printed");
  }
  return optind >= argc ? dk_cli_usage("logs", "of which task? (t17, or: train lr=0.1)") : -1;
}

/* Bytes at the end that may be the start of a UTF-8 character. */
static size_t incomplete(const char *text, size_t len) {
  for (size_t back = 1; back <= 3 && back <= len; back++) {
    unsigned char c = (unsigned char)text[len - back];
    if ((c & 0xc0) == 0x80) {
      continue;
    }
    size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return need > back ? back : 0;
  }
  return 0;
}

/* Lines stay lines and tabs tabs; \r in front of a line's end is the program's, not ours to show. */
static void add_escaped_text(struct dk_buf *out, const char *text, size_t len) {
  size_t start = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '\n' || text[i] == '\t') {
      size_t end = text[i] == '\n' && i > start && text[i - 1] == '\r' ? i - 1 : i;
      dk_buf_add_escaped(out, text + start, end - start);
      dk_buf_add_char(out, text[i]);
      start = i + 1;
    }
  }
  dk_buf_add_escaped(out, text + start, len - start);
}

static void print_bytes(struct reader *reader, const struct dk_buf *bytes, bool last) {
  if (!reader->escape) {
    dk_cli_print(reader->cli, bytes);
    return;
  }
  dk_autobuf out = DK_BUF_INIT;
  dk_buf_add(&reader->carry, dk_buf_text(bytes), bytes->len);
  size_t hold = last ? 0 : incomplete(dk_buf_text(&reader->carry), reader->carry.len);
  size_t whole = reader->carry.len - hold;
  char rest[4];
  add_escaped_text(&out, dk_buf_text(&reader->carry), whole);
  memcpy(rest, dk_buf_text(&reader->carry) + whole, hold);
  dk_buf_clear(&reader->carry);
  dk_buf_add(&reader->carry, rest, hold);
  dk_cli_print(reader->cli, &out);
}

static bool output_is_gone(const struct dk_cli *cli) {
  return cli->out_broken || cli->out_error;
}

/* All that is there now. */
static int drain(struct reader *reader, struct dk_log *log, struct dk_error *error) {
  for (;;) {
    dk_autobuf bytes = DK_BUF_INIT;
    long n = dk_log_read(log, &bytes, CHUNK, error);
    if (n <= 0 || output_is_gone(reader->cli)) {
      return (int)n;
    }
    print_bytes(reader, &bytes, false);
  }
}

static int print_kept(struct reader *reader, const struct dk_kept *kept, struct dk_error *error) {
  struct dk_log log;
  int r = dk_log_open_kept(&log, kept, &reader->look.objects, error);
  if (r < 0) {
    return r == -ENOENT ? dk_error_set(error, r, "the log is no longer there: its object was deleted") : r;
  }
  if (reader->options->tail >= 0) {
    r = dk_log_tail(&log, (uint64_t)reader->options->tail, error);
  }
  r = r == 0 ? drain(reader, &log, error) : r;
  dk_autobuf nothing = DK_BUF_INIT;
  print_bytes(reader, &nothing, true);
  dk_log_finish(&log);
  return r;
}

static int print_result(struct reader *reader, const struct dk_result *result, struct dk_error *error) {
  bool out = !reader->options->only_err, err = !reader->options->only_out;
  int r = 0;
  if (out && result->out.size) {
    r = print_kept(reader, &result->out, error);
  }
  if (err && result->err.size && r == 0) {
    if (out && result->out.size) {
      dk_cli_printf(reader->cli, "--- stderr\n");
    }
    r = print_kept(reader, &result->err, error);
  }
  return r;
}

static int slot_path(const struct reader *reader, const char *name, struct dk_buf *out) {
  dk_buf_printf(out, "%s/agent/slots/%u/%s", reader->cli->state, reader->look.rows.tasks[reader->task].slot, name);
  return dk_buf_ok(out) ? 0 : -ENOMEM;
}

static bool is_same_attempt(struct reader *reader, struct dk_id attempt) {
  const struct dk_task_record *now = &reader->look.rows.tasks[reader->task];
  return now->state == DK_TASK_RUNNING && dk_id_equal(now->attempt, attempt);
}

/* The streams of a running task, in the order they are printed. */
struct streams {
  struct dk_log logs[2];
  bool open[2];
};

static int open_streams(struct reader *reader, struct streams *streams, struct dk_error *error) {
  static const char *const names[] = {"out", "err"};
  memset(streams, 0, sizeof *streams);
  for (int i = 0; i < 2; i++) {
    dk_autobuf path = DK_BUF_INIT;
    if ((i == 0 && reader->options->only_err) || (i == 1 && reader->options->only_out)) {
      continue;
    }
    if (slot_path(reader, names[i], &path) < 0) {
      return dk_error_system(error, -ENOMEM, "opening the log");
    }
    int r = dk_log_open_file(&streams->logs[i], dk_buf_text(&path), error);
    if (r < 0 && r != -ENOENT) {
      return r;
    }
    streams->open[i] = r == 0;
    if (r == 0 && reader->options->tail >= 0) {
      r = dk_log_tail(&streams->logs[i], (uint64_t)reader->options->tail, error);
      if (r < 0) {
        return r;
      }
    }
  }
  return 0;
}

static void close_streams(struct streams *streams) {
  for (int i = 0; i < 2; i++) {
    if (streams->open[i]) {
      dk_log_finish(&streams->logs[i]);
    }
  }
}

/* 0: read up to now; -ESTALE: the slot belongs to another attempt. */
static int drain_streams(struct reader *reader, struct streams *streams, struct dk_error *error) {
  for (int i = 0; i < 2; i++) {
    int r = streams->open[i] ? drain(reader, &streams->logs[i], error) : 0;
    if (r < 0) {
      return r;
    }
  }
  return 0;
}

static void wait_a_little(void) {
  struct timespec pause = {0, POLL_NS};
  nanosleep(&pause, NULL);
}

/* What was written after the place where the live file was left. A log that was cut in its middle has other offsets: its end is shown. */
static int print_rest(struct reader *reader, const struct dk_kept *kept, uint64_t seen, struct dk_error *error) {
  struct dk_log log;
  if (kept->total <= seen || !kept->size) {
    return 0;
  }
  int r = dk_log_open_kept(&log, kept, &reader->look.objects, error);
  if (r < 0) {
    return r;
  }
  if (kept->size == kept->total) {
    log.at = seen;
  } else {
    r = dk_log_tail(&log, 10, error);
  }
  r = r == 0 ? drain(reader, &log, error) : r;
  dk_log_finish(&log);
  return r;
}

static int print_ends(struct reader *reader, const struct streams *streams, struct dk_error *error) {
  struct dk_result result;
  int r = dk_row_result(&reader->look.rows, reader->task, &result, error);
  if (r < 0) {
    return r == -ENOENT ? 0 : r;
  }
  if (!reader->options->only_err) {
    r = print_rest(reader, &result.out, streams->open[0] ? streams->logs[0].at : 0, error);
  }
  if (!reader->options->only_out && r == 0) {
    r = print_rest(reader, &result.err, streams->open[1] ? streams->logs[1].at : 0, error);
  }
  dk_result_finish(&result);
  return r;
}

static int follow(struct reader *reader, struct dk_error *error) {
  struct dk_row_source *rows = &reader->look.rows;
  struct streams streams;
  struct dk_id attempt = rows->tasks[reader->task].attempt;
  int r = open_streams(reader, &streams, error);
  while (r == 0 && !output_is_gone(reader->cli)) {
    r = drain_streams(reader, &streams, error);
    if (r < 0 && r != -ESTALE) {
      break;
    }
    /* What is read before this look at the record was the task's own; later it may be another's. */
    int refreshed = dk_row_source_refresh(rows, error);
    if (refreshed < 0) {
      r = refreshed;
      break;
    }
    if (!is_same_attempt(reader, attempt)) {
      r = dk_id_equal(rows->tasks[reader->task].attempt, attempt) ? print_ends(reader, &streams, error) : 0;
      break;
    }
    r = 0;
    wait_a_little();
  }
  close_streams(&streams);
  return r;
}

static int print_running(struct reader *reader, struct dk_error *error) {
  struct streams streams;
  struct dk_id attempt = reader->look.rows.tasks[reader->task].attempt;
  int r = open_streams(reader, &streams, error);
  if (r == 0) {
    r = drain_streams(reader, &streams, error);
  }
  close_streams(&streams);
  if (r == -ESTALE ||
      (r == 0 && dk_row_source_refresh(&reader->look.rows, error) == 0 && !is_same_attempt(reader, attempt))) {
    dk_cli_failf(DK_EXIT_OK, "the task ended in the meantime: `dkrun logs` again shows all of it");
    return 0;
  }
  return r;
}

static void say_state(const struct reader *reader) {
  dk_autobuf text = DK_BUF_INIT;
  dk_row_label(&reader->look.rows, reader->task, &text);
  dk_cli_failf(DK_EXIT_OK, "%s: %s, it wrote nothing", dk_buf_text(&text),
               dk_task_state_word(reader->look.rows.tasks[reader->task].state));
}

static int print_ended(struct reader *reader, struct dk_error *error) {
  struct dk_result result;
  int r = dk_row_result(&reader->look.rows, reader->task, &result, error);
  if (r == -ENOENT) {
    say_state(reader);
    return 0;
  }
  if (r == 0) {
    r = print_result(reader, &result, error);
    if (r == 0 && !result.out.size && !result.err.size) {
      say_state(reader);
    }
    dk_result_finish(&result);
  }
  return r;
}

/* A task that has not ended yet. With -f: until it has. */
static int print_unended(struct reader *reader, struct dk_error *error) {
  struct dk_row_source *rows = &reader->look.rows;
  const struct dk_task_record *record = &rows->tasks[reader->task];
  uint32_t pid;
  if (!reader->options->follow) {
    if (record->state == DK_TASK_RUNNING) {
      return print_running(reader, error);
    }
    say_state(reader);
    return 0;
  }
  while (!output_is_gone(reader->cli)) {
    int r = 0;
    if (record->state == DK_TASK_RUNNING) {
      r = follow(reader, error);
      if (r < 0 || dk_task_state_is_end(record->state)) {
        return r;
      }
    } else if (dk_task_state_is_end(record->state)) {
      return print_ended(reader, error); /* it was over before it was seen running */
    } else if (!dk_cli_engine_alive(reader->cli, &pid)) {
      say_state(reader);
      return 0;
    } else {
      wait_a_little();
    }
    r = dk_row_source_refresh(rows, error);
    if (r < 0) {
      return r;
    }
  }
  return 0;
}

static int print_selected(struct reader *reader, struct dk_error *error) {
  const struct dk_task_record *record = &reader->look.rows.tasks[reader->task];
  uint32_t row;
  const struct dk_template *t = dk_plan_template(reader->look.rows.plan, reader->task, &row);
  if (t->kind == DK_NODE_PICK) {
    return dk_error_set(error, -EINVAL, "`%s` is a pick: it runs nothing and writes no log", t->name);
  }
  return dk_task_state_is_end(record->state) ? print_ended(reader, error) : print_unended(reader, error);
}

static int print_all(struct reader *reader, const uint32_t *tasks, uint32_t n, struct dk_error *error) {
  int r = 0;
  for (uint32_t i = 0; i < n && r == 0 && !output_is_gone(reader->cli); i++) {
    reader->task = tasks[i];
    if (n > 1) {
      dk_autobuf label = DK_BUF_INIT;
      dk_row_label(&reader->look.rows, tasks[i], &label);
      dk_cli_printf(reader->cli, "%s==> %s\n", i ? "\n" : "", dk_buf_text(&label));
    }
    r = print_selected(reader, error);
  }
  return r;
}

int dk_cmd_logs(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {.tail = -1};
  struct dk_error error = {0};
  int code = parse(cli, argc, argv, &options);
  if (code >= 0) {
    return code;
  }
  struct reader reader = {.cli = cli, .options = &options, .escape = !options.raw && isatty(STDOUT_FILENO)};
  if (dk_look_open(cli, options.run, &reader.look, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  dk_autofree uint32_t *tasks = NULL;
  uint32_t n = 0;
  int r = dk_plan_select(reader.look.rows.plan, (const char *const *)argv + optind, (uint32_t)(argc - optind), &tasks,
                         &n, &error);
  if (r < 0) {
    code = dk_cli_fail(r == -ENOMEM ? DK_EXIT_ENGINE : DK_EXIT_USAGE, &error);
  } else if (options.follow && n > 1) {
    code = dk_cli_usage("logs", "-f follows one task, and %u are named: add values of axes, or use a short id", n);
  } else {
    r = print_all(&reader, tasks, n, &error);
    code = r < 0 ? dk_cli_fail(r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
  }
  dk_buf_finish(&reader.carry);
  dk_look_close(&reader.look);
  return code;
}
