/* What a call came to, and the words for it: see run.h. */
#include "providers/cloud/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_OFF_MOST 300 /* seconds: signatures and certificates are refused from about here */

/* `words` behind the first line, which says what happened, or as one more line of help. */
static void add_words(struct dk_error *error, const char *words, bool is_help) {
  char text[sizeof error->text];
  size_t len = is_help ? strlen(error->text) : strcspn(error->text, "\n");

  snprintf(text, sizeof text, "%s", error->text);
  dk_error_set(error, error->code < 0 ? error->code : -EIO, "%.*s%s%s%s", (int)len, text, is_help ? "\nhelp: " : "",
               words, text + len);
}

static void complete_words(struct dk_cloud_call *call) {
  struct dk_error *error = &call->work.result.error;
  enum dk_cloud_failure failure = call->work.result.failure;
  const char *provider = call->work.site->provider;
  char words[200];

  if (strncmp(error->text, provider, strlen(provider)) != 0) dk_error_prefix(error, "%s", call->words);
  if (call->request_id[0] && !strstr(error->text, call->request_id)) {
    snprintf(words, sizeof words, ", request %s", call->request_id);
    add_words(error, words, false);
  }
  if (failure == DK_CLOUD_DENIED && llabs(call->clock_off) > CLOCK_OFF_MOST) {
    snprintf(words, sizeof words, "this machine's clock is %lld minutes %s that of the cloud: set it right",
             llabs(call->clock_off) / 60, call->clock_off > 0 ? "ahead of" : "behind");
    add_words(error, words, true);
  }
  if (failure == DK_CLOUD_DOUBT && call->work.order.kind != DK_CLOUD_DELETE)
    add_words(error, "; it may have been made all the same", false);
}

void dk_cloud_settle(struct dk_cloud_call *call) {
  struct dk_cloud_result *result = &call->work.result;
  enum dk_cloud_kind kind = call->work.order.kind;
  bool is_create = !call->is_login && (kind == DK_CLOUD_CREATE || kind == DK_CLOUD_SNAPSHOT);
  bool is_delete = !call->is_login && kind == DK_CLOUD_DELETE;

  call->state = DK_CLOUD_SETTLED;
  if (result->failure == DK_CLOUD_FINE && is_create && !result->id) {
    dk_error_system(&result->error, -ENOMEM, "%s", call->words);
    result->failure = DK_CLOUD_DOUBT;
  }
  if (result->failure == DK_CLOUD_FINE) return;
  if (call->work.has_acted && (is_create || (is_delete && result->failure == DK_CLOUD_TRANSIENT)))
    result->failure = DK_CLOUD_DOUBT;
  complete_words(call);
}

void dk_cloud_fail(struct dk_cloud_call *call, enum dk_cloud_failure failure, const struct dk_error *error) {
  dk_cloud_end(&call->work, failure, error);
  dk_cloud_settle(call);
}

enum dk_cloud_failure dk_cloud_failure_of(int r) {
  switch (r) {
  case -EACCES:
  case -EPERM:
  case -EKEYREJECTED: return DK_CLOUD_DENIED;
  case -EINVAL: return DK_CLOUD_BAD;
  default: return DK_CLOUD_TRANSIENT;
  }
}
