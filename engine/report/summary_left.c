/* What may still run somewhere of a run that has ended: it was cancelled, or done elsewhere, while a host was away.
 * Nothing is expected of it any more; it is recorded until its host has said that it has ended. */
#include "engine/report/summary_priv.h"

#include "engine/store/hosts.h"
#include "lang/base/alloc.h"

#include <errno.h>

static bool is_left(const struct dk_record *record, uint32_t run) {
  return record->kind == DK_REC_ATTEMPT && record->run == run && record->host != DK_HOST_LOCAL;
}

static int put_host(struct summary *s, uint32_t number, uint32_t n, struct dk_error *error) {
  struct dk_host_record host;
  int r = dk_store_get_host(s->rows->store, number, &host, error);

  if (r == -ENOENT) return 0;
  if (r < 0) return r;
  dk_buf_printf(s->out,
                "  note    %u task%s of it may still run at %s %s: the next run that reaches this host ends %s\n", n,
                n == 1 ? "" : "s", host.provider, host.name, n == 1 ? "it" : "them");
  dk_host_record_finish(&host);
  return 0;
}

int dk_summary_left(struct summary *s, struct dk_error *error) {
  struct dk_record *records = NULL;
  uint32_t n = 0, run = s->rows->run.number;

  if (s->rows->run.state == DK_RUN_RUNNING) return 0;
  int r = dk_store_load_core(s->rows->store, &records, &n, error);
  for (uint32_t i = 0; r == 0 && i < n; i++) {
    uint32_t of_host = 0;
    bool is_first = is_left(&records[i], run);
    for (uint32_t k = 0; k < n && is_first; k++) {
      if (!is_left(&records[k], run) || records[k].host != records[i].host) continue;
      is_first = k >= i;
      of_host++;
    }
    if (is_first) r = put_host(s, records[i].host, of_host, error);
  }
  dk_free(records);
  return r;
}
