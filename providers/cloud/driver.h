/* What a kind of cloud has to say of itself, for run.c to be its dk_cloud_provider (engine/drive/cloud.h): given a call
 * and what was answered so far, which request comes next, or what the call came to. docs/providers.md shows how to
 * write one.
 *
 * A driver is pure. It reads its settings and credentials in `open`; else it asks nobody, waits for nothing and has no
 * clock: run.c sends, waits, logs in, gives up and finds words for what breaks on the way. So a driver is tested on
 * recorded answers. */
#ifndef DK_PROVIDERS_CLOUD_DRIVER_H
#define DK_PROVIDERS_CLOUD_DRIVER_H

#include "engine/drive/cloud.h"
#include "engine/net/http.h"
#include "lang/base/buf.h"

#define DK_CLOUD_HEADERS 16u
#define DK_CLOUD_STORE 33u /* bytes of a store's id in hex, NUL included */

/* Texts that are kept until their owner goes, and wiped then. */
struct dk_cloud_texts {
  char **items;
  uint32_t n, cap;
};
/* NULL: no memory. A NULL text is kept as "". */
const char *dk_cloud_keep(struct dk_cloud_texts *texts, const char *text);
void dk_cloud_texts_finish(struct dk_cloud_texts *texts);

/* A cloud that is open. `open` says where it is, for requests and for people; files and socket as in dk_http_request. */
struct dk_cloud_site {
  char provider[64];
  char store[DK_CLOUD_STORE];
  const char *owner; /* NULL: not said */
  const char *url;   /* "https://lab.example:8443"; a request's path is put behind it. With a socket: http://... */
  const char *unix_socket, *ca_file, *pin_file, *cert_file, *key_file;
  const char *where; /* dk_cloud_provider.where: "https://lab.example:8443, project default"; kept in `texts` */
  bool allows_plain; /* http to another machine: people said so */
  void *own;         /* the driver's: site_size bytes, zeroed */
  void *session;     /* the driver's: session_size bytes, zeroed before each login */
  struct dk_cloud_texts texts, session_texts;
};

/* A request that is to be sent: dk_cloud_ask makes one. */
struct dk_cloud_ask {
  const char *what; /* behind the call's own words: "start it"; NULL: they say enough. Static, as method and type are */
  const char *method; /* one that is neither GET nor HEAD acts */
  enum dk_http_class class;
  uint64_t token_ttl_ns;
  uint64_t wait_ns;         /* before it is sent */
  const char *base;         /* another URL than the site's; NULL */
  uint32_t service;         /* the driver's, for `sign` to know what `base` is to be */
  struct dk_buf path, body; /* path: "/v2/servers?limit=100", escaped */
  const char *type;         /* of the body; NULL: application/json */
  struct dk_http_header headers[DK_CLOUD_HEADERS];
  uint32_t n_headers;
  struct dk_cloud_texts texts; /* of headers and base */
  bool failed;                 /* there was no memory for all of it: it is not sent */
};

/* A call, from its first request to what it came to. */
struct dk_cloud_work {
  const struct dk_cloud_site *site;
  struct dk_cloud_order order;
  uint32_t step; /* the driver's; 0 at first */
  void *own;     /* the driver's: work_size bytes, zeroed at first */
  /* Something may have been made or done by now. Set for each request that acts and was not refused with a status of
   * 4xx; the driver clears it when it knows that nothing is there (an operation failed, what was made is deleted). A
   * CREATE or a SNAPSHOT that fails with this ends as DOUBT. */
  bool has_acted;
  struct dk_cloud_ask ask;
  struct dk_cloud_result result; /* dk_cloud_end, dk_cloud_add, dk_cloud_add_image */
  struct dk_cloud_texts texts;   /* of order and result */
  struct dk_instance *instances;
  uint32_t n_instances, cap_instances;
  struct dk_cloud_image *images;
  uint32_t n_images, cap_images;
};

enum dk_cloud_turn {
  DK_CLOUD_OVER, /* work->result says what it came to */
  DK_CLOUD_ASKS, /* work->ask is to be sent, and answered to the next turn */
};

/* `answer`: of the last request, always one with a status (answer->r is 0), whatever the status is and whoever it came
 * from: a proxy, a page in HTML. NULL: the call begins. */
typedef enum dk_cloud_turn dk_cloud_step_fn(struct dk_cloud_work *work, const struct dk_http_answer *answer);

struct dk_cloud_driver {
  const char *const *request_ids; /* headers, in order of preference, NULL-terminated; NULL: it has none */
  size_t site_size, session_size, work_size;
  /* Settings and credentials. 0, or negative with words, which run.c puts the provider's name before. */
  int (*open)(struct dk_cloud_site *site, const struct dk_cloud_config *config, struct dk_error *error);
  dk_cloud_step_fn *step;
  /* NULL: there is no session. Else it is gone through before the first request, and again when one is answered with
   * 401, which is then sent once more. Its work has no order; `session` is filled in by its last turn. */
  enum dk_cloud_turn (*login)(struct dk_cloud_work *work, struct dk_cloud_site *site,
                              const struct dk_http_answer *answer);
  /* NULL, or adds to a request what says who asks: a token, a signature of that time, the URL that the session knows.
   * Each time before it is sent: headers of before are gone. `nonce` was not there before. Content-Type is added behind
   * it, when there is a body. No memory: ask->failed. */
  void (*sign)(const struct dk_cloud_site *site, struct dk_cloud_ask *ask, int64_t unix_s, uint64_t nonce);
};

/* For `open`. As written; NULL: not given. */
const char *dk_cloud_setting(const struct dk_cloud_config *config, const char *name);

/* For `step` and `login`: the next request, empty but for these. */
struct dk_cloud_ask *dk_cloud_ask(struct dk_cloud_work *work, const char *what, const char *method,
                                  enum dk_http_class class);
/* `value` is copied. Too many, or no memory: ask->failed. */
void dk_cloud_header(struct dk_cloud_ask *ask, const char *name, const char *value);
/* What a name is in a path or a query: all but letters, digits and -._~ in percents (RFC 3986, 2.3). */
void dk_cloud_escape(struct dk_buf *out, const char *text);
/* The end. `error`: NULL when it is FINE. */
enum dk_cloud_turn dk_cloud_end(struct dk_cloud_work *work, enum dk_cloud_failure failure,
                                const struct dk_error *error);
/* The end, for an answer that the driver has no better words for: by its status. */
enum dk_cloud_turn dk_cloud_refuse(struct dk_cloud_work *work, const struct dk_http_answer *answer);
/* One more of a list; texts are copied, NULL is "". false: too many, or no memory, and the call has ended (return
 * DK_CLOUD_OVER). */
bool dk_cloud_add(struct dk_cloud_work *work, const struct dk_instance *instance);
bool dk_cloud_add_image(struct dk_cloud_work *work, const struct dk_cloud_image *image); /* likewise */
/* A store's id in hex. */
bool dk_cloud_read_store(const char *text, uint8_t ret[16]);

#endif
