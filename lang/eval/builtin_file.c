/* Built-in functions that name files (load and glob read the repository through dk_eval_files) or stand for what a
 * task's body does with them (inert calls). */
#include "lang/eval/internal.h"

#include <string.h>

static const struct dk_source *source_of(const struct dk_call *call) {
  return dk_sources_place(call->ev->eval->checked->sources, call->expr->span.start).source;
}

static bool no_files(struct dk_call *call) {
  dk_ev_error(call->ev, DK_E0310, call->expr->span, "files cannot be read here");
  return false;
}

bool dk_fn_load(struct dk_call *call) {
  const struct dk_eval_files *files = call->ev->eval->files;
  const struct dk_str *path;
  const char *text;
  size_t len;
  if (!dk_call_text(call, 0, &path)) return false;
  if (!files || !files->read) return no_files(call);
  if (!files->read(files->ctx, source_of(call), path, dk_call_span(call, 0), &text, &len)) {
    call->ev->why = DK_EVAL_FAILED;
    return false;
  }
  return dk_ev_step(call->ev, call->expr, len / 16) &&
         dk_ev_data(call->ev, call->expr, path->text, text, len, call->ret);
}

bool dk_fn_glob(struct dk_call *call) {
  const struct dk_eval_files *files = call->ev->eval->files;
  const struct dk_str *pattern;
  const char **paths;
  uint32_t n;
  if (!dk_call_text(call, 0, &pattern)) return false;
  if (!files || !files->glob) return no_files(call);
  if (!files->glob(files->ctx, source_of(call), pattern, dk_call_span(call, 0), &paths, &n)) {
    call->ev->why = DK_EVAL_FAILED;
    return false;
  }
  if (!dk_ev_elements(call->ev, call->expr, n, "this list")) return false;
  dk_value_id *items = dk_arena_array(call->ev->eval->checked->arena, dk_value_id, (size_t)n + 1);
  for (uint32_t i = 0; i < n; i++)
    if (!dk_ev_text(call->ev, call->expr, paths[i], strlen(paths[i]), &items[i])) return false;
  return dk_call_return_list(call, items, n);
}

/* A path (or one of a list) as the repository knows it. */
static bool resolve(struct dk_call *call, dk_value_id id, dk_value_id *ret) {
  const struct dk_eval_files *files = call->ev->eval->files;
  *ret = id;
  if (dk_value_get(call->ev->values, id)->type != DK_TYPE_STRING)
    return dk_call_wants(call, 0, "a path or a list of paths");
  if (!files || !files->resolve) return true;
  const struct dk_str *path =
      files->resolve(files->ctx, source_of(call), dk_value_str(call->ev->values, id), dk_call_span(call, 0));
  if (path)
    *ret = dk_value_string(call->ev->values, path);
  else
    call->ev->why = DK_EVAL_FAILED;
  return path != NULL;
}

bool dk_fn_file(struct dk_call *call) {
  dk_value_id path = call->args[0];
  const struct dk_value *value = dk_value_get(call->ev->values, path);
  if (value->type == DK_TYPE_LIST) {
    uint32_t n = value->len;
    dk_value_id *items = dk_arena_array(call->ev->eval->checked->arena, dk_value_id, (size_t)n + 1);
    if (!dk_ev_elements(call->ev, call->expr, n, "this list")) return false;
    for (uint32_t i = 0; i < n; i++)
      if (!resolve(call, dk_value_item(call->ev->values, call->args[0], i), &items[i])) return false;
    if (!dk_ev_list(call->ev, call->expr, items, n, &path)) return false;
  } else if (!resolve(call, path, &path)) {
    return false;
  }
  *call->ret = dk_value_call(call->ev->values, DK_INERT_FILE, &path, 1);
  return dk_ev_weight(call->ev, call->expr, *call->ret);
}

static bool inert(struct dk_call *call, enum dk_inert which, uint32_t n_texts) {
  const struct dk_str *text;
  for (uint32_t i = 0; i < n_texts; i++)
    if (!dk_call_text(call, i, &text)) return false;
  *call->ret = dk_value_call(call->ev->values, which, call->args, call->n);
  return dk_ev_weight(call->ev, call->expr, *call->ret);
}

bool dk_fn_mount(struct dk_call *call) {
  return inert(call, DK_INERT_MOUNT, 2);
}

bool dk_fn_write(struct dk_call *call) {
  return inert(call, DK_INERT_WRITE, 1);
}

bool dk_fn_match(struct dk_call *call) {
  return inert(call, DK_INERT_MATCH, 2);
}

bool dk_fn_json(struct dk_call *call) {
  return inert(call, DK_INERT_JSON, 2);
}

bool dk_fn_csv(struct dk_call *call) {
  return inert(call, DK_INERT_CSV, 2);
}

bool dk_fn_secret(struct dk_call *call) {
  return inert(call, DK_INERT_SECRET, 1);
}

bool dk_fn_raw(struct dk_call *call) {
  if (dk_value_get(call->ev->values, call->args[0])->type == DK_TYPE_STRING) return inert(call, DK_INERT_RAW, 1);
  return dk_call_wants(call, 0, "a text");
}
