/* The door for files of providers: a file becomes a list of its blocks, each with the values of its fields, or
 * diagnostics. Which kinds of providers there are and what their fields mean is the caller's knowledge. */
#ifndef DK_LANG_PROVIDER_FILE_H
#define DK_LANG_PROVIDER_FILE_H

#include "lang/lang.h"

struct dk_provider_field {
  const struct dk_schema_field *schema;
  struct dk_span name_span;
  const struct dk_expr *expr; /* for spans: see dk_provider_item_span */
  dk_value_id value;          /* of a type that the schema allows; never null: that counts as left out */
};

/* `provider name { kind = "ssh" ... }` */
struct dk_provider_block {
  const char *name;
  const char *kind; /* one of dk_provider_kinds.names; NULL: not written */
  struct dk_span name_span;
  const struct dk_provider_field *fields; /* those that are given, but for `kind`, in the schema's order */
  uint32_t n_fields;
  bool is_broken; /* something in it is wrong and was reported: fields may be missing */
};

struct dk_provider_file {
  struct dk_arena *arena; /* for whoever judges; lives as long as the load */
  struct dk_diags *diags;
  const struct dk_values *values;
  const struct dk_provider_block *blocks; /* in the order written */
  uint32_t n_blocks;
  struct dk_digest digest; /* of all that was read: the file, what it imports and loads, with their names */
  const struct dk_load_seen *seen;
  uint32_t n_seen;
};

struct dk_provider_file_options {
  const struct dk_provider_kinds *kinds;
  const char *root; /* imports and loads stay inside; NULL: the file's directory */
  const char *name; /* what the file is called in messages; NULL: `path` */
  bool is_private;  /* files that others than the user and root could have written are refused (E0707) */
  /* What the language cannot know: adds diagnostics of its own, and keeps what it makes of the blocks in the arena.
   * Called once, also when there are errors already; not when the file cannot be read. It may jump (lang/base/arena.h):
   * it owns nothing on the heap. NULL: nobody. */
  void (*judge)(void *ctx, const struct dk_provider_file *file);
  void *judge_ctx;
};

struct dk_provider_load;

/* 0 and *ret set, also when the file has errors: see dk_provider_load_diags. -ENOMEM. */
int dk_provider_file_load(const char *path, const struct dk_provider_file_options *options,
                          struct dk_provider_load **ret, struct dk_error *error);
void dk_provider_load_destroy(struct dk_provider_load *load);
const struct dk_diags *dk_provider_load_diags(const struct dk_provider_load *load);

/* Of a list's element, where the list is written out; else of all of the field's value. */
struct dk_span dk_provider_item_span(const struct dk_provider_field *field, uint32_t item);

#endif
