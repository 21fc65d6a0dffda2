/* See environ.h. */
#include "engine/agent/environ.h"
#include "engine/agent/survivors.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

static const char *const own_names[] = {"DK_ATTEMPT", "DK_SLOT", "DK_DIR", "DK_METRICS", "TMPDIR"};
#define N_OWN (sizeof own_names / sizeof *own_names)

static bool is_own(const char *name) {
  for (size_t i = 0; i < N_OWN; i++) {
    if (strcmp(name, own_names[i]) == 0) return true;
  }
  return false;
}

static void put(struct dk_buf *buf, const char *name, const char *value) {
  dk_buf_add_text(buf, name);
  dk_buf_add_char(buf, '=');
  dk_buf_add(buf, value, strlen(value) + 1);
}

static size_t put_env(struct dk_buf *buf, const struct dk_job *job, struct dk_id id, uint32_t slot,
                      const char *slot_path) {
  size_t n = N_OWN;
  for (uint32_t i = 0; i < job->n_env; i++) {
    if (is_own(job->env[i].name)) continue;
    put(buf, job->env[i].name, job->env[i].value);
    n++;
  }
  char attempt[DK_ATTEMPT_TEXT];
  dk_attempt_text(id, attempt);
  put(buf, "DK_ATTEMPT", attempt);
  dk_buf_printf(buf, "DK_SLOT=%u", slot);
  dk_buf_add_char(buf, '\0');
  dk_buf_printf(buf, "DK_DIR=%s/work", slot_path);
  dk_buf_add_char(buf, '\0');
  dk_buf_printf(buf, "DK_METRICS=%s/work/" DK_METRICS_FILE, slot_path);
  dk_buf_add_char(buf, '\0');
  dk_buf_printf(buf, "TMPDIR=%s/tmp", slot_path);
  dk_buf_add_char(buf, '\0');
  return n;
}

int dk_environ_make(struct dk_environ *ret, const struct dk_job *job, struct dk_id id, uint32_t slot,
                    const char *slot_path, const char *script_path) {
  dk_autobuf buf = DK_BUF_INIT;
  *ret = (struct dk_environ){0};
  size_t n = put_env(&buf, job, id, slot, slot_path);
  ret->env = dk_calloc(n + 1, sizeof *ret->env);
  ret->argv = dk_calloc((size_t)job->n_argv + 3, sizeof *ret->argv);
  ret->storage = dk_buf_steal(&buf);
  if (!ret->env || !ret->argv || !ret->storage) {
    dk_environ_finish(ret);
    return -ENOMEM;
  }
  char *at = ret->storage;
  for (size_t i = 0; i < n; i++) {
    ret->env[i] = at;
    at += strlen(at) + 1;
  }
  uint32_t args = job->n_argv;
  memcpy(ret->argv, job->argv, args * sizeof *ret->argv);
  if (job->script && strlen(job->script) > DK_SCRIPT_INLINE) {
    ret->argv[args] = (char *)script_path;
  } else if (job->script) {
    ret->argv[args] = (char *)"-c";
    ret->argv[args + 1] = job->script;
  }
  return 0;
}

void dk_environ_finish(struct dk_environ *environ_) {
  dk_free(environ_->env);
  dk_free(environ_->argv);
  dk_free(environ_->storage);
  *environ_ = (struct dk_environ){0};
}
