/* What a task at another host has written so far, read through the engine. */
#ifndef DK_CLI_LOGS_REMOTE_H
#define DK_CLI_LOGS_REMOTE_H

#include "engine/cli/client.h"
#include "engine/report/log.h"

struct dk_logs_remote {
  struct dk_cli *cli;
  struct dk_client client; /* not connected until something is read */
  struct dk_id attempt;
  uint32_t host;
  struct dk_logs_stream {
    struct dk_logs_remote *remote;
    uint8_t number; /* 1 stdout, 2 stderr */
  } streams[2];
};

void dk_logs_remote_init(struct dk_logs_remote *remote, struct dk_cli *cli, struct dk_id attempt, uint32_t host);
/* Reading fails with -EHOSTUNREACH when the host cannot be reached now, -ENOTCONN when no engine is at work. It is
 * always of that attempt: when it does not run there any more, its log is empty. */
void dk_logs_remote_open(struct dk_logs_remote *remote, int stream, struct dk_log *ret);
void dk_logs_remote_finish(struct dk_logs_remote *remote);

#endif
