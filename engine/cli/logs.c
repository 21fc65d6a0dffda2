/* dkrun logs: what a task wrote, kept or still being written. */
#include "engine/cli/logs_priv.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536u

static int parse(struct dk_cli *cli, int argc, char **argv, struct dk_logs_options *ret) {
  static const struct option options[] = {{"run", required_argument, NULL, 'R'},
                                          {"where", required_argument, NULL, 'w'},
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
    case 'w': ret->selection.where = optarg; break;
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
  ret->selection.words = (const char *const *)argv + optind;
  ret->selection.n_words = (uint32_t)(argc - optind);
  return optind >= argc && !ret->selection.where
             ? dk_cli_usage("logs", "of which task? (t17, or: train lr=0.1, or: --where 'lr < 0.1')")
             : -1;
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

void dk_logs_print(struct dk_logs_reader *reader, const struct dk_buf *bytes, bool last) {
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

bool dk_logs_output_is_gone(const struct dk_logs_reader *reader) {
  return reader->cli->out_broken || reader->cli->out_error;
}

/* All that is there now. */
int dk_logs_drain(struct dk_logs_reader *reader, struct dk_log *log, struct dk_error *error) {
  for (;;) {
    dk_autobuf bytes = DK_BUF_INIT;
    long n = dk_log_read(log, &bytes, CHUNK, error);
    if (n <= 0 || dk_logs_output_is_gone(reader)) {
      return (int)n;
    }
    dk_logs_print(reader, &bytes, false);
  }
}

int dk_logs_print_kept(struct dk_logs_reader *reader, const struct dk_kept *kept, struct dk_error *error) {
  struct dk_log log;
  int r = dk_log_open_kept(&log, kept, &reader->look.objects, error);
  if (r < 0) {
    return r == -ENOENT ? dk_error_set(error, r, "the log is no longer there: its object was deleted") : r;
  }
  if (reader->options->tail >= 0) {
    r = dk_log_tail(&log, (uint64_t)reader->options->tail, error);
  }
  r = r == 0 ? dk_logs_drain(reader, &log, error) : r;
  dk_autobuf nothing = DK_BUF_INIT;
  dk_logs_print(reader, &nothing, true);
  dk_log_finish(&log);
  return r;
}

static int print_result(struct dk_logs_reader *reader, const struct dk_result *result, struct dk_error *error) {
  bool out = !reader->options->only_err, err = !reader->options->only_out;
  int r = 0;
  if (out && result->out.size) {
    r = dk_logs_print_kept(reader, &result->out, error);
  }
  if (err && result->err.size && r == 0) {
    if (out && result->out.size) {
      dk_cli_printf(reader->cli, "--- stderr\n");
    }
    r = dk_logs_print_kept(reader, &result->err, error);
  }
  return r;
}

static void say_state(const struct dk_logs_reader *reader) {
  dk_autobuf text = DK_BUF_INIT;
  dk_row_label(&reader->look.rows, reader->task, &text);
  dk_cli_failf(DK_EXIT_OK, "%s: %s, it wrote nothing", dk_buf_text(&text),
               dk_task_state_word(reader->look.rows.tasks[reader->task].state));
}

static int print_ended(struct dk_logs_reader *reader, struct dk_error *error) {
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

static bool is_another(const struct dk_task_record *record, struct dk_id attempt) {
  return !dk_id_is_none(record->attempt) && !dk_id_equal(record->attempt, attempt);
}

/* Where what another attempt wrote begins. */
static void mark_attempt(struct dk_logs_reader *reader, uint32_t number) {
  dk_autobuf nothing = DK_BUF_INIT;
  dk_logs_print(reader, &nothing, true);
  dk_cli_printf(reader->cli, "--- attempt %u\n", number);
}

/* A task that had not ended when it was looked at: all that there is of it now. */
static int print_so_far(struct dk_logs_reader *reader, struct dk_error *error) {
  const struct dk_task_record *record = &reader->look.rows.tasks[reader->task];
  while (record->state == DK_TASK_RUNNING) {
    struct dk_id read = record->attempt;
    int r = dk_logs_print_running(reader, error);
    bool has_words = record->state == DK_TASK_RUNNING || dk_task_state_is_end(record->state);
    if (r <= 0 || !is_another(record, read) || !has_words) {
      return r < 0 ? r : 0;
    }
    mark_attempt(reader, record->attempts);
  }
  if (dk_task_state_is_end(record->state)) {
    return print_ended(reader, error);
  }
  say_state(reader);
  return 0;
}

/* A task that has not ended yet. With -f: until it has. */
static int print_unended(struct dk_logs_reader *reader, struct dk_error *error) {
  struct dk_row_source *rows = &reader->look.rows;
  const struct dk_task_record *record = &rows->tasks[reader->task];
  uint32_t pid;
  if (!reader->options->follow) {
    return print_so_far(reader, error);
  }
  struct dk_id followed = {0};
  while (!dk_logs_output_is_gone(reader)) {
    int r = 0;
    bool is_next = !dk_id_is_none(followed) && is_another(record, followed);
    bool has_words = record->state == DK_TASK_RUNNING || dk_task_state_is_end(record->state);
    if (is_next && has_words) {
      mark_attempt(reader, record->attempts);
    }
    if (record->state == DK_TASK_RUNNING) {
      followed = record->attempt;
      r = dk_logs_follow(reader, error);
      bool is_last = dk_task_state_is_end(record->state) && !is_another(record, followed);
      if (r != 0 || is_last) { /* 1: said already */
        return r < 0 ? r : 0;
      }
      continue; /* it is tried again: refreshed is the record already */
    }
    if (dk_task_state_is_end(record->state)) {
      return print_ended(reader, error); /* it was over before it was seen running */
    } else if (!dk_cli_engine_alive(reader->cli, &pid)) {
      say_state(reader);
      return 0;
    } else {
      dk_logs_wait();
    }
    r = dk_row_source_refresh(rows, error);
    if (r < 0) {
      return r;
    }
  }
  return 0;
}

static int print_selected(struct dk_logs_reader *reader, struct dk_error *error) {
  const struct dk_task_record *record = &reader->look.rows.tasks[reader->task];
  uint32_t row;
  const struct dk_template *t = dk_plan_template(reader->look.rows.plan, reader->task, &row);
  if (t->kind == DK_NODE_PICK) {
    return dk_error_set(error, -EINVAL, "`%s` is a pick: it runs nothing and writes no log", t->name);
  }
  return dk_task_state_is_end(record->state) ? print_ended(reader, error) : print_unended(reader, error);
}

static int print_all(struct dk_logs_reader *reader, const uint32_t *tasks, uint32_t n, struct dk_error *error) {
  int r = 0;
  for (uint32_t i = 0; i < n && r == 0 && !dk_logs_output_is_gone(reader); i++) {
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
  struct dk_logs_options options = {.tail = -1};
  struct dk_error error = {0};
  int code = parse(cli, argc, argv, &options);
  if (code >= 0) {
    return code;
  }
  struct dk_logs_reader reader = {.cli = cli, .options = &options, .escape = !options.raw && isatty(STDOUT_FILENO)};
  if (dk_look_open(cli, options.run, &reader.look, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  dk_autofree uint32_t *tasks = NULL;
  uint32_t n = 0;
  code = dk_look_select(&reader.look, &options.selection, &tasks, &n);
  if (code != DK_EXIT_OK) {
    /* said */
  } else if (options.follow && n > 1) {
    code = dk_cli_usage("logs", "-f follows one task, and %u are named: add values of axes, or use a short id", n);
  } else {
    int r = print_all(&reader, tasks, n, &error);
    code = r < 0 ? dk_cli_fail(r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
  }
  dk_buf_finish(&reader.carry);
  dk_look_close(&reader.look);
  return code;
}
