/* A call's requests: built by its driver, signed, sent, and answered to the driver. See run.h. */
#include "providers/cloud/priv.h"

#include "lang/base/buf.h"
#include "lang/base/map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS_MOST 1000u

static void fail_for_memory(struct dk_cloud_call *call) {
  struct dk_error error = {0};

  dk_error_system(&error, -ENOMEM, "%s", call->words);
  dk_cloud_fail(call, DK_CLOUD_TRANSIENT, &error);
}

static void on_answer(void *ctx, const struct dk_http_answer *answer);

static void send_now(struct dk_cloud_call *call) {
  struct dk_cloud *cloud = call->cloud;
  struct dk_cloud_ask *ask = &call->work.ask;
  const struct dk_cloud_site *site = &cloud->site;
  dk_autobuf url = DK_BUF_INIT;
  char label[240];
  struct dk_error error = {0};

  ask->n_headers = call->n_plain;
  if (cloud->driver->sign)
    cloud->driver->sign(site, ask, (int64_t)(dk_unix_ns() / SECOND_NS), dk_hash_u64(cloud->n_signed++, cloud->seed));
  if (ask->body.len > 0) dk_cloud_header(ask, "Content-Type", ask->type ? ask->type : "application/json");
  dk_buf_printf(&url, "%s%s", ask->base ? ask->base : site->url, dk_buf_text(&ask->path));
  dk_buf_inherit(&url, &ask->path);
  dk_buf_inherit(&url, &ask->body);
  if (!dk_buf_ok(&url) || ask->failed) {
    fail_for_memory(call);
    return;
  }
  snprintf(label, sizeof label, "%s%s%s", call->words, ask->what ? ": " : "", ask->what ? ask->what : "");
  const struct dk_http_request request = {.label = label,
                                          .method = ask->method,
                                          .url = url.data,
                                          .class = ask->class,
                                          .token_ttl_ns = ask->token_ttl_ns,
                                          .headers = ask->headers,
                                          .n_headers = ask->n_headers,
                                          .body = ask->body.data,
                                          .body_len = ask->body.len,
                                          .request_id_headers = cloud->driver->request_ids,
                                          .unix_socket = site->unix_socket,
                                          .ca_file = site->ca_file,
                                          .pin_file = site->pin_file,
                                          .cert_file = site->cert_file,
                                          .key_file = site->key_file,
                                          .allows_plain = site->allows_plain,
                                          .deadline_ns = (call->is_short ? 15 : 60) * SECOND_NS,
                                          .done = on_answer,
                                          .ctx = call};
  call->state = DK_CLOUD_SENT;
  call->session = cloud->session;
  int r = dk_http_send(cloud->http, &request, &call->http, &error);
  if (r < 0) dk_cloud_fail(call, dk_cloud_failure_of(r), &error);
}

/* When its time has come, with a session. */
void dk_cloud_send(struct dk_cloud_call *call) {
  struct dk_cloud *cloud = call->cloud;

  if (call->wait_at > dk_now_ns()) {
    call->state = DK_CLOUD_WAITING;
  } else if (cloud->driver->login && !call->is_login && !cloud->has_session) {
    call->state = DK_CLOUD_LOGGING;
    dk_cloud_log_in(cloud);
  } else {
    send_now(call);
  }
}

void dk_cloud_turn_on(struct dk_cloud_call *call, const struct dk_http_answer *answer) {
  struct dk_cloud *cloud = call->cloud;
  struct dk_error error = {0};

  enum dk_cloud_turn next = call->is_login ? cloud->driver->login(&call->work, &cloud->site, answer)
                                           : cloud->driver->step(&call->work, answer);
  if (next == DK_CLOUD_OVER) {
    struct dk_cloud_result *result = &call->work.result;
    if (answer && result->failure == DK_CLOUD_THROTTLED && result->retry_after_ns == 0)
      result->retry_after_ns = answer->retry_after_ns;
    dk_cloud_settle(call);
    return;
  }
  call->n_plain = call->work.ask.n_headers;
  call->is_renewed = false;
  call->wait_at = call->work.ask.wait_ns ? dk_now_ns() + call->work.ask.wait_ns : 0;
  if (++call->n_requests <= REQUESTS_MOST) {
    dk_cloud_send(call);
    return;
  }
  dk_error_set(&error, -EPROTO, "%s: no end after %u requests", call->words, REQUESTS_MOST);
  dk_cloud_fail(call, DK_CLOUD_TRANSIENT, &error);
}

/* The session has ended. Whoever notices first logs in; this request is sent again. */
static void renew(struct dk_cloud_call *call) {
  struct dk_cloud *cloud = call->cloud;

  call->is_renewed = true;
  if (call->session == cloud->session) cloud->has_session = false;
  dk_cloud_send(call);
}

bool dk_cloud_is_reading(const struct dk_cloud_ask *ask) {
  return strcmp(ask->method, "GET") == 0 || strcmp(ask->method, "HEAD") == 0;
}

static void on_answer(void *ctx, const struct dk_http_answer *answer) {
  struct dk_cloud_call *call = ctx;
  bool is_fine = answer->r == 0 && answer->status >= 200 && answer->status < 300;

  call->http = NULL;
  snprintf(call->request_id, sizeof call->request_id, "%s", answer->request_id);
  call->clock_off = answer->when ? (int64_t)(dk_unix_ns() / SECOND_NS) - answer->when : 0;
  if (answer->when) call->work.result.now_unix = answer->when;
  if (!dk_cloud_is_reading(&call->work.ask) && (is_fine || answer->in_doubt)) call->work.has_acted = true;
  if (answer->r < 0)
    dk_cloud_fail(call, dk_cloud_failure_of(answer->r), &answer->error);
  else if (answer->status == 401 && call->cloud->driver->login && !call->is_login && !call->is_renewed)
    renew(call);
  else
    dk_cloud_turn_on(call, answer);
}
