/* Orders as jobs: see job.h. */
#include "engine/drive/job.h"

#include "engine/drive/environment.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOG_CAP (64u << 20)

static char *own(struct dk_job_build *build, struct dk_buf *buf) {
  char *text = (char *)dk_buf_text(buf);

  build->owned[build->n_owned++] = *buf;
  *buf = (struct dk_buf)DK_BUF_INIT;
  return text;
}

/* Out of the way under a name that gc removes, should this process not live to do it. */
static int remove_tree(const char *path, struct dk_error *error) {
  dk_autobuf aside = DK_BUF_INIT;

  dk_buf_printf(&aside, "%s.dkrun-old", path);
  if (!dk_buf_ok(&aside)) return dk_error_system(error, -ENOMEM, "removing %s", path);
  int r = dk_fs_remove_tree(dk_buf_text(&aside), error);
  if (r == 0 && rename(path, dk_buf_text(&aside)) < 0) r = dk_error_system(error, -errno, "removing %s", path);
  return r < 0 ? r : dk_fs_remove_tree(dk_buf_text(&aside), error);
}

/* The tree of this code digest, made when it is not there, and anew when it is not as it was made: looked through once
 * a run. What is changed in it later the agent sees. */
static int code_tree(struct dk_lookup_state *state, const struct dk_template *tmpl, const char *trees,
                     struct dk_job_build *build, struct dk_error *error) {
  dk_autobuf path = DK_BUF_INIT;
  char hex[DK_DIGEST_HEX + 1];
  struct dk_lookup_template *known = &state->templates[tmpl->node];
  struct stat st;

  dk_digest_hex(&known->code, hex);
  dk_buf_printf(&path, "%s/%s", trees, hex);
  if (!dk_buf_ok(&path)) return -ENOMEM;
  const char *tree = dk_buf_text(&path);
  int r = !known->has_tree ? dk_code_tree_look(tree) : stat(tree, &st) < 0 ? -errno : 0;
  if (r == -EBADMSG) {
    r = remove_tree(tree, error);
    if (r < 0) return r;
    r = -ENOENT;
  }
  if (r == -ENOENT)
    r = dk_code_materialise(state->with.code, tmpl->dir, tmpl->code, tmpl->n_code, tree, error);
  else if (r < 0)
    dk_error_system(error, r, "looking at the code tree %s", tree);
  if (r < 0) return r;
  known->has_tree = true;
  build->job.code = own(build, &path);
  return 0;
}

/* The same tree as an object, to be placed as the content of the task's directory. */
static int code_object(struct dk_lookup_state *state, const struct dk_template *tmpl, const char *trees,
                       struct dk_job_build *build, struct dk_error *error) {
  struct dk_lookup_template *known = &state->templates[tmpl->node];
  int r = 0;

  if (dk_digest_is_zero(&known->code_manifest)) {
    r = code_tree(state, tmpl, trees, build, error);
    if (r == 0) r = dk_objects_put_dir(state->with.objects, build->job.code, &known->code_manifest, error);
    build->job.code = NULL;
  }
  if (r < 0) return r;
  build->job.inputs[build->job.n_inputs++] =
      (struct dk_job_input){.place = (char *)".", .is_dir = true, .digest = known->code_manifest};
  return 0;
}

static int add_input(struct dk_lookup_state *state, const struct dk_prepared *prepared, uint32_t i,
                     struct dk_job_build *build, struct dk_error *error) {
  const struct dk_order_input *input = &prepared->order.inputs[i];
  dk_autobuf path = DK_BUF_INIT;

  if (input->kind == DK_INPUT_MOUNT) { /* used where it lies, by its absolute path */
    build->job.open[build->job.n_open++] = (char *)input->path;
    return 0;
  }
  if (build->job.is_remote) {
    build->job.inputs[build->job.n_inputs++] = (struct dk_job_input){
        .place = (char *)input->place, .is_dir = prepared->is_dir[i], .digest = prepared->inputs[i]};
    return 0;
  }
  if (!dk_objects_has(state->with.objects, &prepared->inputs[i], NULL))
    return dk_error_set(
        error, -ENOENT,
        "the content of input `%s` is gone from .dkrun/objects\nhelp: run again: what made it runs anew", input->name);
  dk_objects_path(state->with.objects, &prepared->inputs[i], &path);
  if (!dk_buf_ok(&path)) return -ENOMEM;
  build->job.inputs[build->job.n_inputs++] =
      (struct dk_job_input){.from = own(build, &path), .place = (char *)input->place, .is_dir = prepared->is_dir[i]};
  return 0;
}

/* What the task may not read, and how messages name what is in it. */
static int add_sandbox(struct dk_lookup_state *state, const struct dk_template *tmpl, const struct dk_order *order,
                       struct dk_job_build *build) {
  dk_autobuf folder = DK_BUF_INIT;
  if (order->no_sandbox) return 0;
  build->job.repository = (char *)state->with.root;
  dk_buf_printf(&folder, "%s%s%s", state->with.root, *tmpl->dir ? "/" : "", tmpl->dir);
  if (!dk_buf_ok(&folder)) return -ENOMEM;
  build->job.folder = own(build, &folder);
  return 0;
}

uint64_t dk_job_memory(const struct dk_plan *plan, uint32_t task, uint32_t ooms, uint64_t most) {
  uint64_t memory = dk_plan_memory(plan, task, ooms);
  return memory > most ? most : memory;
}

int dk_job_build(struct dk_lookup_state *state, uint32_t task, const struct dk_prepared *prepared,
                 const struct dk_job_options *options, struct dk_job_build *ret, struct dk_error *error) {
  const struct dk_plan *plan = state->with.plan;
  const struct dk_template *tmpl = dk_plan_template(plan, task, NULL);
  const struct dk_order *order = &prepared->order;
  struct dk_job *job = &ret->job;
  dk_autobuf label = DK_BUF_INIT;
  int r = 0;

  *ret = (struct dk_job_build){0};
  ret->owned = dk_calloc(order->n_inputs + 3, sizeof *ret->owned);
  job->is_remote = options->is_remote;
  job->inputs = dk_calloc(order->n_inputs + 2, sizeof *job->inputs);
  job->outputs = dk_calloc(order->n_outputs + 1, sizeof *job->outputs);
  job->open = dk_calloc(order->n_inputs + 1, sizeof *job->open);
  if (!ret->owned || !job->inputs || !job->outputs || !job->open) r = -ENOMEM;

  dk_plan_task_name(plan, task, &label);
  if (r == 0) job->label = own(ret, &label);
  job->argv = (char **)order->argv;
  job->n_argv = order->n_argv;
  job->script = (char *)order->script;
  job->keep_files = (char **)order->keep_files;
  job->n_keep_files = order->n_keep_files;
  job->objects = options->is_remote ? NULL : state->with.objects->root;
  job->timeout_ms = (order->timeout_ns + 999999) / 1000000;
  job->grace_ms = DK_JOB_GRACE_MS;
  job->log_cap = LOG_CAP;
  job->memory = options->memory;
  job->cpus = order->cpus > 0 ? order->cpus : 1;
  job->gpus = order->gpus;
  job->gpu = (char *)order->gpu;
  for (uint32_t i = 0; r == 0 && i < order->n_outputs; i++)
    job->outputs[i] = (struct dk_job_output){(char *)order->outputs[i].name, (char *)order->outputs[i].path,
                                             order->outputs[i].is_dir};
  job->n_outputs = order->n_outputs;
  if (r == 0 && tmpl->n_code > 0)
    r = options->is_remote ? code_object(state, tmpl, options->trees, ret, error)
                           : code_tree(state, tmpl, options->trees, ret, error);
  for (uint32_t i = 0; r == 0 && i < order->n_inputs; i++) r = add_input(state, prepared, i, ret, error);
  if (r == 0 && !options->is_remote) r = add_sandbox(state, tmpl, order, ret);
  if (r == 0) r = dk_environment_of(order, state->with.variables, options->is_remote, &job->env, &job->n_env, error);
  if (r < 0) {
    dk_job_build_finish(ret);
    return r == -ENOMEM ? dk_error_system(error, r, "handing out a task of %s", tmpl->name) : r;
  }
  return 0;
}

void dk_job_build_finish(struct dk_job_build *build) {
  for (uint32_t i = 0; i < build->n_owned; i++) dk_buf_finish(&build->owned[i]);
  dk_free(build->owned);
  dk_free(build->job.inputs);
  dk_free(build->job.outputs);
  dk_free(build->job.open);
  dk_environment_finish(build->job.env, build->job.n_env);
  *build = (struct dk_job_build){0};
}
