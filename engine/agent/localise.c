/* See localise.h. */
#include "engine/agent/localise.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[] = {"PATH",       "HOME",        "USER",      "LOGNAME",  "SHELL",
                                    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
                                    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"};
#define N_NAMES (sizeof names / sizeof *names)

static bool has(const struct dk_job *job, const char *name) {
  for (uint32_t i = 0; i < job->n_env; i++) {
    if (strcmp(job->env[i].name, name) == 0) return true;
  }
  return false;
}

static int make_env(struct dk_local_job *ret) {
  struct dk_job *job = &ret->job;
  ret->env = dk_calloc(job->n_env + N_NAMES, sizeof *ret->env);
  if (!ret->env) return -ENOMEM;
  uint32_t n = job->n_env;
  if (n > 0) memcpy(ret->env, job->env, n * sizeof *ret->env);
  for (size_t i = 0; i < N_NAMES; i++) {
    const char *value = has(job, names[i]) ? NULL : getenv(names[i]);
    if (value) ret->env[n++] = (struct dk_pair){(char *)names[i], (char *)value};
  }
  job->env = ret->env;
  job->n_env = n;
  return 0;
}

/* OBJECTS/ab/cdef..., one behind the other in `paths`. */
static int make_inputs(struct dk_local_job *ret) {
  struct dk_job *job = &ret->job;
  size_t size = strlen(ret->objects) + DK_DIGEST_HEX + 3;
  ret->inputs = dk_calloc(job->n_inputs + 1, sizeof *ret->inputs);
  ret->paths = dk_calloc(job->n_inputs + 1, size);
  if (!ret->inputs || !ret->paths) return -ENOMEM;
  for (uint32_t i = 0; i < job->n_inputs; i++) {
    char hex[DK_DIGEST_HEX + 1], *path = ret->paths + i * size;
    dk_digest_hex(&job->inputs[i].digest, hex);
    snprintf(path, size, "%s/%.2s/%s", ret->objects, hex, hex + 2);
    ret->inputs[i] = job->inputs[i];
    ret->inputs[i].from = path;
  }
  job->inputs = ret->inputs;
  return 0;
}

int dk_local_job_make(struct dk_local_job *ret, const struct dk_job *job, const char *root) {
  *ret = (struct dk_local_job){.job = *job};
  if (!job->is_remote || job->objects) return 0;
  size_t size = strlen(root) + sizeof "/objects";
  ret->objects = dk_alloc(size);
  if (!ret->objects) return -ENOMEM;
  snprintf(ret->objects, size, "%s/objects", root);
  ret->job.objects = ret->objects;
  int r = make_inputs(ret);
  if (r == 0) r = make_env(ret);
  if (r < 0) dk_local_job_finish(ret);
  return r;
}

void dk_local_job_finish(struct dk_local_job *local) {
  dk_free(local->objects);
  dk_free(local->paths);
  dk_free(local->inputs);
  dk_free(local->env);
  *local = (struct dk_local_job){.objects = NULL};
}

const char *dk_local_job_lacks(const struct dk_job *job) {
  for (uint32_t i = 0; job->is_remote && i < job->n_open; i++) {
    struct stat st;
    if (stat(job->open[i], &st) < 0) return job->open[i];
  }
  return NULL;
}
