/* Which table an entry is of, told by itself: see repair.h. Keys of the tables that matter have lengths of their own,
 * and where two share one their values cannot be taken for each other. */
#include "engine/store/asked.h"
#include "engine/store/hosts.h"
#include "engine/store/private.h"
#include "engine/store/record.h"
#include "engine/store/rented.h"
#include "engine/store/repair.h"

#include <string.h>

#define CHOICE_SIZE 17u /* version, row, score, candidates */

static bool is_run(const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_run run;
  uint32_t number;
  if (dk_store_run_number(key, klen, &number) || dk_run_decode(value, vlen, &run)) return false;
  bool is_it = run.number == number;
  dk_run_finish(&run);
  return is_it;
}

static bool is_host(const void *value, size_t vlen) {
  struct dk_host_record host;
  if (dk_host_record_decode(value, vlen, &host)) return false;
  dk_host_record_finish(&host);
  return true;
}

static bool is_copy(const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_copy copy;
  return dk_copy_decode(key, klen, value, vlen, &copy) == 0;
}

static bool is_rented(const void *key, size_t klen, const void *value, size_t vlen) {
  struct dk_rented rented;
  return dk_rented_decode(key, klen, value, vlen, &rented) == 0;
}

static enum dk_table of_task(const uint8_t *value, size_t vlen) {
  struct dk_task_record task;
  struct dk_ask asked;
  if (dk_task_record_decode(value, vlen, &task) == 0) return DK_TABLE_TASKS;
  if (dk_ask_decode(value, vlen, &asked) == 0) {
    dk_ask_finish(&asked);
    return DK_TABLE_ASKED;
  }
  return vlen == CHOICE_SIZE && value[0] == 1 ? DK_TABLE_CHOICES : DK_N_TABLES;
}

static enum dk_table of_attempt(const uint8_t *value, size_t vlen) {
  struct dk_result result;
  struct dk_record attempt;
  if (dk_result_decode(value, vlen, &result, NULL) == 0) {
    dk_result_finish(&result);
    return DK_TABLE_FAILURES;
  }
  return dk_attempt_record_decode(value, vlen, &attempt) == 0 ? DK_TABLE_ATTEMPTS : DK_N_TABLES;
}

static bool is_saved(const void *value, size_t vlen) {
  struct dk_saved saved;
  if (dk_saved_decode(value, vlen, &saved)) return false;
  dk_saved_finish(&saved);
  return true;
}

static bool is_metrics(const void *value, size_t vlen) {
  struct dk_metric_values values;
  struct dk_id attempt;
  if (dk_metrics_decode(value, vlen, &attempt, &values)) return false;
  dk_metric_values_finish(&values);
  return true;
}

static bool is_meta(const void *key, size_t klen) {
  static const char *const names[] = {"id",         "format",      "counts",      "binding",
                                      "generation", "incarnation", "copied-from", "rented"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (klen == strlen(names[i]) && memcmp(key, names[i], klen) == 0) return true;
  return klen == strlen(DK_STORE_SPENT) + DK_CURRENCY - 1 && memcmp(key, DK_STORE_SPENT, strlen(DK_STORE_SPENT)) == 0;
}

enum dk_table dk_store_table_of(const void *key, size_t klen, const void *value, size_t vlen) {
  switch (klen) {
  case 4:
    if (is_run(key, klen, value, vlen)) return DK_TABLE_RUNS;
    return is_host(value, vlen) ? DK_TABLE_HOSTS : DK_N_TABLES;
  case 8: return of_task(value, vlen);
  case DK_RENTED_KEY: return is_rented(key, klen, value, vlen) ? DK_TABLE_INSTANCES : DK_N_TABLES;
  case 16: return of_attempt(value, vlen);
  case DK_DIGEST_SIZE: return is_saved(value, vlen) ? DK_TABLE_RESULTS : DK_N_TABLES;
  case DK_COPY_KEY: return is_copy(key, klen, value, vlen) ? DK_TABLE_COPIES : DK_N_TABLES;
  case 2 * DK_DIGEST_SIZE: return is_metrics(value, vlen) ? DK_TABLE_METRICS : DK_N_TABLES;
  default: return is_meta(key, klen) ? DK_TABLE_META : DK_N_TABLES;
  }
}
