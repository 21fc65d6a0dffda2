/* A loop with a dk_http, one request at a time, and what became of it. Names that end in .test are this machine's
 * (getaddrinfo is the test's): slow.test is answered when the test says so, gone.test never exists. */
#ifndef DK_TEST_NET_FIXTURE_H
#define DK_TEST_NET_FIXTURE_H

#include "engine/net/http.h"
#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
  int n_done;
  int r, status;
  bool in_doubt;
  uint32_t tries;
  char words[sizeof((struct dk_error *)0)->text];
  char body[4096]; /* its beginning */
  size_t body_len;
  char request_id[64], elsewhere[64], header[64]; /* header: X-Id's value */
  uint64_t retry_after_ns;
  int64_t when;
  char refused[sizeof((struct dk_error *)0)->text];
  int refused_code;
  uint32_t n_waits;
  uint64_t waited_ns;
  char why[sizeof((struct dk_error *)0)->text];
};

extern struct dk_loop *loop;
extern struct dk_http *http;
extern struct server *server;

int set_up(void **state);
int tear_down(void **state);

/* A GET of http://127.0.0.1:PORT/path that may be repeated; `out` is ctx. Its url is one of a few buffers. */
struct dk_http_request request_of(const char *path, struct outcome *out);
const char *url_of(const char *scheme, const char *host, uint16_t port, const char *path);
/* Until it is done; fails the test after 30 s. */
void run_until_done(const struct outcome *out);
/* Sends it and runs. */
void ask(const struct dk_http_request *request, struct outcome *out);
void run_for(uint64_t ns);

void resolver_release(void); /* slow.test is answered */
uint32_t resolver_waiting(void);

#define assert_has(text, part)                                                                                         \
  do {                                                                                                                 \
    if (!strstr((text), (part))) fail_msg("\"%s\" has no \"%s\"", (text), (part));                                     \
  } while (0)
#define assert_lacks(text, part)                                                                                       \
  do {                                                                                                                 \
    if (strstr((text), (part))) fail_msg("\"%s\" has \"%s\"", (text), (part));                                         \
  } while (0)

#endif
