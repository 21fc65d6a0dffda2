/* The files that one compilation reads: experiment, imported modules, data. Private to lang/load.
 *
 * Keeps true: a file is read once, however it is spelt; nothing outside the repository's root is opened (symbolic links
 * resolved); the size is known before anything is read; paths start at the file they are written in. All memory is the
 * arena's. What may be left open when memory runs out is in `dir`, and dk_files_finish closes it. */
#ifndef DK_LANG_FILES_H
#define DK_LANG_FILES_H

#include "lang/base/buf.h"
#include "lang/eval/eval.h"

#include "lang/base/digest.h"

#include <dirent.h>

struct dk_file {
  const char *real;               /* canonical path; NULL for an embedded module */
  const char *dir;                /* directory of `real` */
  const char *name;               /* relative to the root; "std.hardware" for an embedded module */
  const struct dk_source *source; /* NULL for data */
  const char *text;
  size_t len;
};

/* A directory that a glob looked into. */
struct dk_listing {
  const char *path;        /* relative to the root, "" is the root */
  struct dk_digest digest; /* dk_names_digest; zero: it could not be opened */
};

struct dk_files {
  struct dk_arena *arena;
  struct dk_strs *strs;
  struct dk_diags *diags;
  const char *root;                                                /* canonical */
  bool (*pinned)(void *ctx, const char *path, struct dk_buf *ret); /* see lang.h; NULL: none */
  void *pinned_ctx;
  bool is_private;     /* what others than the user and root could have written is refused */
  struct dk_buf bytes; /* of the pinned file that is being read */
  struct dk_file **items;
  uint32_t count, cap;
  DIR *dir; /* being read */
  struct dk_listing *listings;
  uint32_t n_listings, cap_listings;
  uint64_t visited;    /* directory entries that globs looked at */
  struct dk_map asked; /* items are the ids of the paths that dk_files_missing was asked for */
};

/* root NULL: the directory of the experiment. */
void dk_files_init(struct dk_files *files, struct dk_arena *arena, struct dk_strs *strs, struct dk_diags *diags);
void dk_files_finish(struct dk_files *files);
/* The experiment itself; sets files->root. `name`: what it is called, NULL: `path`. NULL after a diagnostic. */
const struct dk_source *dk_files_root(struct dk_files *files, const char *path, const char *name, const char *root);

/* dk_read_module_fn and the functions of dk_eval_files; ctx is a dk_files. */
const struct dk_source *dk_files_module(void *ctx, const struct dk_decl *import, struct dk_span at);
bool dk_files_read(void *ctx, const struct dk_source *from, const struct dk_str *path, struct dk_span at,
                   const char **ret_text, size_t *ret_len);
bool dk_files_glob(void *ctx, const struct dk_source *from, const struct dk_str *pattern, struct dk_span at,
                   const char ***ret_paths, uint32_t *ret_n);
const struct dk_str *dk_files_resolve(void *ctx, const struct dk_source *from, const struct dk_str *path,
                                      struct dk_span at);

/* A path below the root, seen from there. */
const char *dk_files_below(const struct dk_files *files, const char *path);

/* missing.c: `missing` of dk_eval_files. */
struct dk_diag *dk_files_missing(void *ctx, const struct dk_str *path, struct dk_span at);

#endif
