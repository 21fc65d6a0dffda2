/* Between logs.c (the command, kept logs) and logs_live.c (tasks that run). */
#ifndef DK_CLI_LOGS_PRIV_H
#define DK_CLI_LOGS_PRIV_H

#include "engine/cli/look.h"
#include "engine/report/log.h"

struct dk_logs_options {
  uint32_t run;
  int64_t tail; /* -1: all */
  bool follow, only_out, only_err, raw;
  struct dk_selection selection;
};

struct dk_logs_reader {
  struct dk_cli *cli;
  struct dk_look look;
  const struct dk_logs_options *options;
  uint32_t task;
  bool escape;
  struct dk_buf carry; /* start of a character whose rest is not there yet */
};

/* logs.c */
void dk_logs_print(struct dk_logs_reader *reader, const struct dk_buf *bytes, bool last);
bool dk_logs_output_is_gone(const struct dk_logs_reader *reader);
int dk_logs_drain(struct dk_logs_reader *reader, struct dk_log *log,
                  struct dk_error *error); /* all that is there now */
int dk_logs_print_kept(struct dk_logs_reader *reader, const struct dk_kept *kept, struct dk_error *error);

/* logs_live.c: of a task whose record says that it runs. What it has written so far: 0. 1: the attempt ended
 * meanwhile, and that was all of it; the record is read anew. Or a negative errno. */
int dk_logs_print_running(struct dk_logs_reader *reader, struct dk_error *error);
void dk_logs_wait(void); /* until the next look */
/* Prints on until the attempt is over. 0: it is, 1: it is, and its end is not known (said); or a negative errno. */
int dk_logs_follow(struct dk_logs_reader *reader, struct dk_error *error);

#endif
