/* See judge.h. */
#include "engine/drive/judge.h"

#include "engine/drive/environment.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Clocks of machines that are kept by NTP differ by less; from here on files' times mislead people. */
#define CLOCK_TOLERATED_NS 5000000000

int dk_judge_system(const struct dk_host_facts *facts, const char *provider, bool is_mixed, struct dk_buf *ret_system,
                    struct dk_error *error) {
  dk_autobuf here = DK_BUF_INIT;
  struct dk_digest own, its;

  dk_environment_of_host(facts, &its, ret_system);
  int r = dk_environment_id(&own, error);
  if (r < 0) return r;
  if (is_mixed || dk_digest_equal(&own, &its)) return 0;
  dk_environment_text(&here);
  return dk_error_set(error, -EXDEV,
                      "it is %s, and this machine %s: it gets no tasks\n"
                      "help: results would not be what this machine makes; `mixed = true` in the block of provider "
                      "`%s` allows it",
                      dk_buf_text(ret_system), dk_buf_text(&here), provider);
}

int dk_judge_twin(const char *provider, const char *twin_provider, const char *twin_name, struct dk_error *error) {
  bool is_other = strcmp(provider, twin_provider) != 0;

  return dk_error_set(error, -EXDEV,
                      "this is the same machine as %s%s%s%s: only one of them is used\n"
                      "help: take this name out of providers.dk",
                      twin_name, is_other ? " of provider `" : "", is_other ? twin_provider : "", is_other ? "`" : "");
}

int dk_judge_clock(int64_t ahead_ns, struct dk_error *error) {
  if (ahead_ns <= CLOCK_TOLERATED_NS && ahead_ns >= -CLOCK_TOLERATED_NS) return 0;
  return dk_error_set(error, -ETIME,
                      "its clock is %" PRId64
                      " s %s this machine's: times that tasks there write and show differ by that",
                      (ahead_ns < 0 ? -ahead_ns : ahead_ns) / 1000000000, ahead_ns < 0 ? "behind" : "ahead of");
}
