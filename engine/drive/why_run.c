/* Runs that were, for `why`: opened once, kept until the book is closed. */
#include "engine/drive/why_private.h"

#include "lang/base/alloc.h"
#include "lang/plan/differ.h"

#include <errno.h>
#include <string.h>

#define MAX_PIN (1u << 30)
#define MAX_BACK 200u /* runs that are looked through for the last one of an experiment */

static void run_destroy(struct dk_why_run *run) {
  if (!run) return;
  dk_run_finish(&run->run);
  dk_plan_destroy(run->pin);
  dk_map_finish(&run->names);
  dk_code_close(run->code);
  dk_free(run->has_names);
  dk_free(run);
}

int dk_why_create(const struct dk_why_options *options, struct dk_why_book **ret, struct dk_error *error) {
  struct dk_why_book *book = dk_calloc(1, sizeof *book);
  struct dk_run last;

  *ret = NULL;
  if (!book) return dk_error_system(error, -ENOMEM, "reading earlier runs");
  book->with = *options;
  int r = options->store ? dk_store_get_run(options->store, 0, &last, error) : -ENOENT;
  if (dk_error_is_machine(r)) {
    dk_why_destroy(book);
    return r;
  }
  if (r == 0) {
    book->last = last.number;
    dk_run_finish(&last);
  }
  *ret = book;
  return 0;
}

void dk_why_destroy(struct dk_why_book *book) {
  if (!book) return;
  for (uint32_t i = 0; i < book->n_runs; i++) run_destroy(book->runs[i]);
  dk_free(book->runs);
  dk_free(book);
}

static int read_run(struct dk_why_book *book, struct dk_why_run *run) {
  dk_autobuf bytes = DK_BUF_INIT;
  int r = dk_store_get_run(book->with.store, run->number, &run->run, NULL);

  if (r == 0 && strcmp(run->run.name, book->with.experiment) != 0) r = -ENOENT;
  if (r == 0) r = dk_objects_read(book->with.objects, &run->run.plan, MAX_PIN, &bytes, NULL);
  if (r == 0) r = dk_plan_decode(bytes.data, bytes.len, &run->pin, NULL);
  if (r == 0) run->has_names = dk_calloc(run->pin->n_templates + 1, sizeof *run->has_names);
  if (r == 0 && !run->has_names) r = -ENOMEM;
  run->is_bad = r < 0;
  return dk_error_is_machine(r) ? r : 0;
}

struct dk_why_run *dk_why_open(struct dk_why_book *book, uint32_t number, int *ret_r) {
  *ret_r = 0;
  for (uint32_t i = 0; i < book->n_runs; i++)
    if (book->runs[i]->number == number) return book->runs[i]->is_bad ? NULL : book->runs[i];
  if (!book->with.store || number == 0) return NULL;
  if (!dk_grow(book->runs, book->n_runs, book->cap_runs)) {
    *ret_r = -ENOMEM;
    return NULL;
  }
  struct dk_why_run *run = dk_calloc(1, sizeof *run);
  if (!run) {
    *ret_r = -ENOMEM;
    return NULL;
  }
  run->number = number;
  dk_map_init(&run->names, NULL);
  book->runs[book->n_runs++] = run;
  *ret_r = read_run(book, run);
  return run->is_bad ? NULL : run;
}

struct dk_why_run *dk_why_last(struct dk_why_book *book, uint32_t before, int *ret_r) {
  uint32_t number = before ? before - 1 : book->last;

  *ret_r = 0;
  for (uint32_t i = 0; number > 0 && i < MAX_BACK; i++, number--) {
    struct dk_why_run *run = dk_why_open(book, number, ret_r);
    if (run || *ret_r < 0) return run;
  }
  return NULL;
}

struct asked {
  const struct dk_why_run *run;
  struct dk_buf name; /* of the task of the run that is looked at */
};

static bool is_named(const void *ctx, uint32_t item, const void *key) {
  struct asked *asked = (struct asked *)(uintptr_t)ctx;
  dk_buf_clear(&asked->name);
  dk_plan_task_name(asked->run->pin, item, &asked->name);
  return strcmp(dk_buf_text(&asked->name), key) == 0;
}

static int list_names(struct dk_why_run *run, uint32_t index) {
  const struct dk_graph_node *node = &run->pin->graph.nodes[index];
  dk_autobuf name = DK_BUF_INIT;
  int r = 0;

  for (uint32_t row = 0; r == 0 && row < node->rows; row++) {
    dk_buf_clear(&name);
    dk_plan_task_name(run->pin, node->first + row, &name);
    r = dk_buf_ok(&name) ? dk_map_add(&run->names, dk_hash_bytes(dk_buf_text(&name), name.len, 0), node->first + row)
                         : -ENOMEM;
  }
  run->has_names[index] = r == 0;
  return r;
}

uint32_t dk_why_task_of(struct dk_why_run *run, const struct dk_plan *plan, uint32_t task, int *ret_r) {
  const struct dk_template *tmpl = dk_plan_template(plan, task, NULL);
  uint32_t index = dk_plan_find_template(run->pin, tmpl->name);
  struct asked asked = {run, DK_BUF_INIT};
  dk_autobuf name = DK_BUF_INIT;

  *ret_r = 0;
  if (index == UINT32_MAX || run->pin->templates[index].kind != tmpl->kind) return UINT32_MAX;
  if (!run->has_names[index] && (*ret_r = list_names(run, index)) < 0) return UINT32_MAX;
  dk_plan_task_name(plan, task, &name);
  uint32_t found =
      dk_map_find(&run->names, dk_hash_bytes(dk_buf_text(&name), name.len, 0), is_named, &asked, dk_buf_text(&name));
  if (!dk_buf_ok(&name) || !dk_buf_ok(&asked.name)) *ret_r = -ENOMEM;
  dk_buf_finish(&asked.name);
  return *ret_r < 0 || found == DK_MAP_NONE ? UINT32_MAX : found;
}

struct dk_code_repo *dk_why_code_of(struct dk_why_book *book, struct dk_why_run *run) {
  if (!run->code_tried) (void)dk_code_open_pinned(book->with.state, run->run.snapshot, &run->code, NULL);
  run->code_tried = true;
  return run->code;
}
