/* Logs of tasks that run: on this machine what stands in the slot's files, as long as they are the task's own (slot.h);
 * at another host what the engine reads there. */
#include "engine/cli/logs_priv.h"
#include "engine/cli/logs_remote.h"
#include "engine/cli/slot.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define LIVE_CHUNK (1u << 20) /* the slot is asked after each */
#define POLL_NS 100000000L
#define REMOTE_POLL_NS 500000000L

static bool is_same_attempt(struct dk_logs_reader *reader, struct dk_id attempt) {
  const struct dk_task_record *now = &reader->look.rows.tasks[reader->task];
  return now->state == DK_TASK_RUNNING && dk_id_equal(now->attempt, attempt);
}

/* The streams of a running task, in the order they are printed. */
struct streams {
  struct dk_id attempt;
  uint32_t slot;
  bool is_remote, is_patient; /* patient: a host that cannot be reached is waited for */
  bool has_said;              /* that it is */
  struct dk_logs_remote remote;
  struct dk_log logs[2];
  bool open[2]; /* and stands where it is to be shown from */
};

static bool is_asked_for(const struct dk_logs_reader *reader, int stream) {
  return stream == 0 ? !reader->options->only_err : !reader->options->only_out;
}

static void close_stream(struct streams *streams, int i) {
  if (streams->open[i]) {
    dk_log_finish(&streams->logs[i]);
  }
  streams->open[i] = false;
}

static void close_streams(struct streams *streams) {
  close_stream(streams, 0);
  close_stream(streams, 1);
  if (streams->is_remote) {
    dk_logs_remote_finish(&streams->remote);
  }
}

/* Is what was read before this of another task? Of another host it never is. */
static bool has_moved(const struct dk_logs_reader *reader, const struct streams *streams) {
  return !streams->is_remote && dk_slot_ask(reader->cli, streams->slot, streams->attempt) == DK_SLOT_MOVED;
}

static int open_source(struct dk_logs_reader *reader, struct streams *streams, int i, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  if (streams->is_remote) {
    dk_logs_remote_open(&streams->remote, i, &streams->logs[i]);
    return 0;
  }
  dk_slot_path(reader->cli, streams->slot, i ? "err" : "out", &path);
  if (!dk_buf_ok(&path)) {
    return dk_error_system(error, -ENOMEM, "opening the log");
  }
  return dk_log_open_file(&streams->logs[i], dk_buf_text(&path), error);
}

static int open_stream(struct dk_logs_reader *reader, struct streams *streams, int i, struct dk_error *error) {
  int r = open_source(reader, streams, i, error);
  if (r < 0) {
    return r == -ENOENT ? 0 : r; /* kept already, or not made yet */
  }
  streams->open[i] = true;
  if (reader->options->tail >= 0) {
    r = dk_log_tail(&streams->logs[i], (uint64_t)reader->options->tail, error);
  }
  /* Asked after the place to start from was found: that may have been another task's. */
  bool is_over = r == -ESTALE || (r == 0 && has_moved(reader, streams));
  if (r < 0 || is_over) {
    close_stream(streams, i);
  }
  return is_over ? 0 : r;
}

/* -EHOSTUNREACH becomes 0 when it is waited for; said once, until it is there again. */
static int be_patient(struct streams *streams, int r, const struct dk_error *error) {
  if (r == 0) {
    streams->has_said = false;
  }
  if (!streams->is_patient || (r != -EHOSTUNREACH && r != -ENOTCONN)) {
    return r;
  }
  if (r == -EHOSTUNREACH && !streams->has_said) {
    dk_cli_fail(DK_EXIT_OK, error);
    streams->has_said = true;
  }
  return 0;
}

static int open_streams(struct dk_logs_reader *reader, struct streams *streams, struct dk_error *error) {
  const struct dk_task_record *record = &reader->look.rows.tasks[reader->task];
  *streams = (struct streams){.attempt = record->attempt,
                              .slot = record->slot,
                              .is_remote = record->host != DK_HOST_LOCAL,
                              .is_patient = reader->options->follow};
  dk_logs_remote_init(&streams->remote, reader->cli, record->attempt, record->host);
  int r = 0;
  for (int i = 0; i < 2 && r == 0; i++) {
    r = is_asked_for(reader, i) ? open_stream(reader, streams, i, error) : 0;
    r = be_patient(streams, r, error);
  }
  if (r < 0) {
    close_streams(streams);
  }
  return r;
}

/* All that is there now. -ESTALE: the slot has another task; the log stands where this one's was left. */
static int drain_live(struct dk_logs_reader *reader, struct streams *streams, int i, struct dk_error *error) {
  struct dk_log *log = &streams->logs[i];
  for (;;) {
    dk_autobuf bytes = DK_BUF_INIT;
    struct dk_log before = *log;
    long n = dk_log_read(log, &bytes, LIVE_CHUNK, error);
    if (n <= 0) {
      return (int)n;
    }
    if (has_moved(reader, streams)) {
      *log = before;
      return -ESTALE;
    }
    dk_logs_print(reader, &bytes, false);
    if (dk_logs_output_is_gone(reader)) {
      return 0;
    }
  }
}

static int drain_streams(struct dk_logs_reader *reader, struct streams *streams, struct dk_error *error) {
  int r = 0;
  for (int i = 0; i < 2 && r == 0; i++) {
    if (streams->is_remote && is_asked_for(reader, i) && !streams->open[i]) {
      r = open_stream(reader, streams, i, error); /* its host was not there */
    }
    if (r == 0 && streams->open[i]) {
      r = drain_live(reader, streams, i, error);
    }
    r = be_patient(streams, r, error);
  }
  return r;
}

static void wait_ns(long ns) {
  struct timespec pause = {0, ns};
  nanosleep(&pause, NULL);
}

void dk_logs_wait(void) {
  wait_ns(POLL_NS);
}

/* What was written after the place where the live file was left. A log that was cut in its middle has other offsets:
 * its end is shown. */
static int print_rest(struct dk_logs_reader *reader, const struct dk_kept *kept, const struct streams *streams, int i,
                      struct dk_error *error) {
  struct dk_log log;
  uint64_t seen = streams->open[i] ? streams->logs[i].at : 0;
  if (!kept->size || (streams->open[i] && kept->total <= seen)) {
    return 0;
  }
  if (!streams->open[i]) {
    return dk_logs_print_kept(reader, kept, error); /* nothing of it was shown */
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
  r = r == 0 ? dk_logs_drain(reader, &log, error) : r;
  dk_log_finish(&log);
  return r;
}

/* The result of an attempt, wherever it is: a later run may have collected it. -ENOENT: it is not known. */
static int attempt_result(struct dk_logs_reader *reader, struct dk_id attempt, struct dk_result *ret) {
  struct dk_saved saved;
  int r = dk_store_get_failure(reader->look.store, attempt, ret, NULL);
  if (r != -ENOENT) {
    return r;
  }
  r = dk_store_get_saved(reader->look.store, &reader->look.rows.tasks[reader->task].key, &saved, NULL);
  if (r < 0) {
    return r;
  }
  bool is_its = dk_id_equal(saved.attempt, attempt);
  if (is_its) {
    *ret = saved.result;
    memset(&saved.result, 0, sizeof saved.result); /* moved out */
  }
  dk_saved_finish(&saved);
  return is_its ? 0 : -ENOENT;
}

/* -ENOENT: there is no result of the attempt. */
static int print_ends(struct dk_logs_reader *reader, const struct streams *streams, struct dk_error *error) {
  struct dk_result result;
  int r = attempt_result(reader, streams->attempt, &result);
  if (r < 0) {
    return r == -ENOENT ? r : dk_error_system(error, r, "reading the result of the task");
  }
  for (int i = 0; i < 2 && r == 0; i++) {
    r = is_asked_for(reader, i) ? print_rest(reader, i ? &result.err : &result.out, streams, i, error) : 0;
  }
  dk_result_finish(&result);
  return r;
}

static void say_unknown_end(const struct dk_logs_reader *reader, const struct streams *streams,
                            enum dk_slot_says says) {
  dk_autobuf text = DK_BUF_INIT;
  dk_row_label(&reader->look.rows, reader->task, &text);
  dk_cli_failf(DK_EXIT_OK, "%s: %s, and no engine is at work: its end is known at the next `dkrun run`",
               dk_buf_text(&text),
               streams->is_remote      ? "it runs at another host"
               : says == DK_SLOT_MOVED ? "its slot runs another task now"
               : says == DK_SLOT_LOST  ? "its keeper is gone"
                                       : "it has ended");
}

/* One look at a task that is followed: prints what is new. 0: go on, 1: this attempt is over, 2: so it is, and its end
 * is not known. */
static int follow_once(struct dk_logs_reader *reader, struct streams *streams, struct dk_error *error) {
  uint32_t pid;
  int r = drain_streams(reader, streams, error);
  if (r < 0 && r != -ESTALE) {
    return r;
  }
  /* Asked before the record is read: an engine that ended in between has written the end. */
  bool is_alive = dk_cli_engine_alive(reader->cli, &pid);
  enum dk_slot_says says = is_alive             ? DK_SLOT_RUNS
                           : streams->is_remote ? DK_SLOT_MOVED
                                                : dk_slot_ask(reader->cli, streams->slot, streams->attempt);
  r = dk_row_source_refresh(&reader->look.rows, error);
  if (r < 0) {
    return r;
  }
  bool is_over = !is_same_attempt(reader, streams->attempt);
  if (!is_over && says == DK_SLOT_RUNS) {
    return 0;
  }
  r = drain_streams(reader, streams, error); /* its last words */
  if (r == 0 || r == -ESTALE) {
    r = print_ends(reader, streams, error);
  }
  if (r == -ENOENT && !is_over) {
    say_unknown_end(reader, streams, says);
    return 2;
  }
  return r < 0 && r != -ENOENT ? r : is_over ? 1 : 2;
}

/* Until the attempt is over. What follow_once gives; 0: the output is gone. */
static int follow_to_end(struct dk_logs_reader *reader, struct streams *streams, struct dk_error *error) {
  int r = 0;
  while (r == 0 && !dk_logs_output_is_gone(reader)) {
    r = follow_once(reader, streams, error);
    if (r == 0) {
      wait_ns(streams->is_remote ? REMOTE_POLL_NS : POLL_NS);
    }
  }
  return r;
}

int dk_logs_follow(struct dk_logs_reader *reader, struct dk_error *error) {
  struct streams streams;
  int r = open_streams(reader, &streams, error);
  r = r == 0 ? follow_to_end(reader, &streams, error) : r;
  close_streams(&streams);
  return r < 0 ? r : r == 2;
}

/* Its host, or the engine, may be away because the task has ended meanwhile: then its log is here. */
int dk_logs_print_running(struct dk_logs_reader *reader, struct dk_error *error) {
  struct streams streams;
  struct dk_error unread = {0};
  uint32_t pid;
  bool is_alive = dk_cli_engine_alive(reader->cli, &pid);
  int r = open_streams(reader, &streams, error);
  r = r == 0 ? drain_streams(reader, &streams, error) : r;
  int read = dk_row_source_refresh(&reader->look.rows, &unread);
  bool is_over = read == 0 && !is_same_attempt(reader, streams.attempt);
  bool is_away = r == -ENOTCONN || r == -EHOSTUNREACH;
  enum dk_slot_says says = streams.is_remote ? DK_SLOT_RUNS : dk_slot_ask(reader->cli, streams.slot, streams.attempt);
  r = r == -ESTALE ? 0 : r;
  if (r == 0 && read < 0) {
    *error = unread;
    r = read;
  } else if (is_over ? r == 0 || is_away : r == 0 && is_alive && says == DK_SLOT_MOVED) {
    streams.is_patient = true;
    r = follow_to_end(reader, &streams, error);
  } else if (r == 0 && says == DK_SLOT_MOVED && print_ends(reader, &streams, error) < 0) {
    say_unknown_end(reader, &streams, says);
  } else if (r == -ENOTCONN) {
    dk_error_set(error, r,
                 "the task runs at another host, and no engine is at work that could read there\n"
                 "help: `dkrun attach %u` goes on with its run",
                 reader->look.rows.run.number);
  }
  close_streams(&streams);
  return r < 0 ? r : r == 1;
}
