/* What the files of run.h share. */
#ifndef DK_PROVIDERS_CLOUD_PRIV_H
#define DK_PROVIDERS_CLOUD_PRIV_H

#include "providers/cloud/run.h"

#define SECOND_NS UINT64_C(1000000000)

enum dk_cloud_state {
  DK_CLOUD_SENT,    /* a request is under way */
  DK_CLOUD_WAITING, /* until wait_at */
  DK_CLOUD_LOGGING, /* until there is a session */
  DK_CLOUD_SETTLED, /* its result is there, to be told from the tick */
};

struct dk_cloud_call {
  struct dk_cloud_call *next;
  struct dk_cloud *cloud;
  bool is_login, is_short; /* is_short: people wait for it */
  enum dk_cloud_state state;
  struct dk_cloud_work work;
  struct dk_shape shape, *shapes; /* of its order */
  struct dk_http_call *http;
  dk_cloud_done_fn *done;
  void *ctx;
  char words[160]; /* "lab: create dk-1" */
  uint64_t wait_at, until;
  uint32_t time_s;              /* that it has in all */
  uint32_t n_requests, n_plain; /* n_plain: headers of the driver's step */
  uint64_t session;             /* whose the last request was */
  bool is_renewed;              /* this request was answered with 401 before */
  char request_id[128];         /* of the last answer */
  int64_t clock_off;            /* of this machine's clock from the cloud's, seconds */
};

struct dk_cloud {
  const struct dk_cloud_driver *driver;
  struct dk_cloud_site site;
  struct dk_http *http;
  struct dk_cloud_call *calls;
  uint64_t seed, n_signed; /* of nonces */
  uint64_t session;        /* number of the last one; 0: there was none yet */
  bool has_session, is_logging;
  bool is_in_tick, is_closed;
};

/* run.c */
void dk_cloud_log_in(struct dk_cloud *cloud); /* unless it does already */

/* send.c */
void dk_cloud_turn_on(struct dk_cloud_call *call, const struct dk_http_answer *answer);
void dk_cloud_send(struct dk_cloud_call *call); /* its request, when its time has come and there is a session */
bool dk_cloud_is_reading(const struct dk_cloud_ask *ask); /* it does not act */

/* settle.c */
void dk_cloud_settle(struct dk_cloud_call *call); /* work.result is what it came to */
void dk_cloud_fail(struct dk_cloud_call *call, enum dk_cloud_failure failure, const struct dk_error *error);
/* What a negative errno of engine/net/http comes to. */
enum dk_cloud_failure dk_cloud_failure_of(int r);

#endif
