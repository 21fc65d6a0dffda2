/* What people are told of the hosts: once when it happens, and who comes later what still holds. See fleet.h. */
#include "engine/drive/fleet.h"

#include "engine/drive/engine_priv.h"
#include "engine/drive/judge.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

/* Words of one trouble may differ from try to try: as long as it lasts, people read of it so often. */
#define SAY_AGAIN_NS UINT64_C(600000000000)

static void add_name(const struct dk_engine_host *host, const char *words, struct dk_error *ret) {
  bool is_remote = dk_fleet_is_remote(host);

  dk_error_set(ret, -ENOTCONN, "%s%s%s", is_remote ? host->record.name : "", is_remote ? ": " : "", words);
}

void dk_fleet_tell(const struct dk_engine_host *host, const char *words) {
  struct dk_error text = {0};

  add_name(host, words, &text);
  dk_engine_say(host->engine, text.text);
}

/* Once for each trouble: who looks on need not read it every few seconds. */
void dk_fleet_say(struct dk_engine_host *host, const char *words) {
  if (host->said && strcmp(host->said, words) == 0) return;
  char *said = dk_strdup(words);
  if (said) { /* without memory it may be told twice */
    dk_free(host->said);
    host->said = said;
  }
  dk_fleet_tell(host, words);
}

/* What helps stays below it. */
static void down_words(const char *why, bool is_retried, struct dk_error *ret) {
  size_t len = strcspn(why, "\n"), shown = len > 0 && why[len - 1] == '.' ? len - 1 : len;

  dk_error_set(ret, -ENOTCONN, "%.*s%s%s", (int)shown, why, is_retried ? "; connecting again" : "", why + len);
}

void dk_fleet_say_down(struct dk_engine_host *host, const char *why, bool is_retried) {
  struct dk_error words = {0};

  if (host->down_told_at && dk_now_ns() - host->down_told_at < SAY_AGAIN_NS) return;
  host->down_told_at = dk_now_ns();
  down_words(why, is_retried, &words);
  dk_fleet_say(host, words.text);
}

/* The one that weighs most; false: it is well, or was not heard of yet. */
static bool trouble_of(const struct dk_engine_host *host, struct dk_error *ret) {
  if (!host->link) return false;
  if (dk_fleet_is_leaving(host)) {
    dk_error_set(ret, -EAGAIN, DK_FLEET_LEAVING);
    return true;
  }
  if (host->record.state == DK_HOST_DOWN) {
    down_words(host->record.words, true, ret);
    return host->down_told_at != 0; /* a state that the store kept was not told */
  }
  if (host->record.state == DK_HOST_BARRED) {
    dk_error_set(ret, -EXDEV, "%s", host->record.words);
    return true;
  }
  if (!host->session) return false;
  if (host->full_until)
    dk_error_set(ret, -ENOSPC, DK_FLEET_FULL);
  else if (!host->was_open)
    dk_error_set(ret, -EAGAIN, DK_FLEET_CLOSED);
  else
    return dk_fleet_is_remote(host) && dk_judge_clock(host->record.clock_ns, ret) < 0;
  return true;
}

void dk_engine_each_trouble(const struct dk_engine *engine, void (*say)(void *ctx, const char *text), void *ctx) {
  for (uint32_t i = 0; i < engine->n_hosts; i++) {
    struct dk_error words = {0}, text = {0};
    if (!engine->hosts[i] || !trouble_of(engine->hosts[i], &words)) continue;
    add_name(engine->hosts[i], words.text, &text);
    say(ctx, text.text);
  }
}
