/* Directories: the manifest first, then those of its files that are not here. What is in it is not trusted. */
#include "engine/agent/fetch_private.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 64u             /* files looked for in one go */
#define BELIEVE_NS 60000000000u /* a directory that was here so long ago still is: only somebody's hand takes objects */

static bool is_whole(const struct dk_fetch *f, const struct dk_digest *digest) {
  for (uint32_t i = 0; i < WHOLE_MAX; i++) {
    if (dk_digest_equal(&f->whole[i].digest, digest) && dk_now_ns() < f->whole[i].until_ns) return true;
  }
  return false;
}

static void stop_looking(struct dk_fetch *f, uint32_t at) {
  for (uint32_t i = 0; i < f->n_looking; i++) {
    if (f->looking[i] != at) continue;
    f->looking[i] = f->looking[--f->n_looking];
    return;
  }
}

static void drop_manifest(struct tree *tree) {
  dk_free(tree->entries);
  dk_buf_finish(&tree->manifest);
  tree->entries = NULL;
}

void dk_fetch_finish_tree(struct tree *tree) {
  drop_manifest(tree);
  dk_free(tree->lacks);
  dk_free(tree->orders);
  *tree = (struct tree){.phase = TREE_FREE, .manifest = DK_BUF_INIT};
}

static void drop_tree(struct dk_fetch *f, uint32_t at) {
  struct tree *tree = &f->trees[at];
  stop_looking(f, at);
  for (uint32_t i = 0; i < tree->n_lacks; i++) dk_fetch_leave(f, tree->lacks[i], (struct waiter){at, true});
  dk_fetch_finish_tree(tree);
}

static int start_looking(struct dk_fetch *f, uint32_t at) {
  if (!dk_grow(f->looking, f->n_looking, f->cap_looking)) return -ENOMEM;
  f->looking[f->n_looking++] = at;
  f->trees[at].phase = TREE_LOOKING;
  return 0;
}

/* It waits for this from now on, if it is not here: 0. 1: it is. */
static int lack(struct dk_fetch *f, uint32_t at, const struct dk_digest *digest) {
  struct tree *tree = &f->trees[at];
  bool is_new;
  if (!dk_grow(tree->lacks, tree->n_lacks, tree->cap_lacks)) return -ENOMEM;
  int r = dk_fetch_need(f, digest, (struct waiter){at, true}, &tree->lacks[tree->n_lacks], &is_new);
  if (r != 0 || !is_new) return r;
  tree->n_lacks++;
  tree->missing++;
  return 0;
}

static int begin_tree(struct dk_fetch *f, uint32_t at) {
  if (dk_objects_has(&f->objects, &f->trees[at].digest, NULL)) return start_looking(f, at);
  f->trees[at].phase = TREE_COMING;
  int r = lack(f, at, &f->trees[at].digest);
  return r == 1 ? start_looking(f, at) : r;
}

/* The living one with this digest, else a free place; n_trees: none. */
static uint32_t find_tree(const struct dk_fetch *f, const struct dk_digest *digest) {
  uint32_t place = f->n_trees;
  for (uint32_t i = 0; i < f->n_trees; i++) {
    if (f->trees[i].phase == TREE_FREE)
      place = i;
    else if (dk_digest_equal(&f->trees[i].digest, digest))
      return i;
  }
  return place;
}

int dk_fetch_need_tree(struct dk_fetch *f, const struct dk_digest *digest, uint32_t order, uint32_t *ret_at,
                       bool *ret_is_new) {
  *ret_is_new = false;
  if (is_whole(f, digest)) return 1;
  uint32_t at = *ret_at = find_tree(f, digest);
  if (at == f->n_trees) {
    if (!dk_grow(f->trees, f->n_trees, f->cap_trees)) return -ENOMEM;
    f->trees[f->n_trees++] = (struct tree){.phase = TREE_FREE, .manifest = DK_BUF_INIT};
  }
  struct tree *tree = &f->trees[at];
  for (uint32_t i = 0; i < tree->n_orders; i++) {
    if (tree->orders[i] == order) return 0;
  }
  if (!dk_grow(tree->orders, tree->n_orders, tree->cap_orders)) return -ENOMEM;
  tree->orders[tree->n_orders++] = order;
  if (tree->phase == TREE_FREE) {
    tree->digest = *digest;
    int r = begin_tree(f, at);
    if (r < 0) {
      drop_tree(f, at);
      return r;
    }
  }
  *ret_is_new = true;
  return 0;
}

void dk_fetch_leave_tree(struct dk_fetch *f, uint32_t at, uint32_t order) {
  struct tree *tree = &f->trees[at];
  uint32_t i = 0;
  while (i < tree->n_orders && tree->orders[i] != order) i++;
  if (tree->phase == TREE_FREE || i == tree->n_orders) return;
  tree->orders[i] = tree->orders[--tree->n_orders];
  if (tree->n_orders == 0) drop_tree(f, at);
}

static void has_all(struct dk_fetch *f, uint32_t at) {
  struct tree *tree = &f->trees[at];
  f->whole[f->next_whole] = (struct whole){tree->digest, dk_now_ns() + BELIEVE_NS};
  f->next_whole = (f->next_whole + 1) % WHOLE_MAX;
  dk_autofree uint32_t *orders = tree->orders;
  uint32_t n = tree->n_orders;
  tree->orders = NULL;
  tree->n_orders = 0;
  drop_tree(f, at);
  for (uint32_t i = 0; i < n; i++) dk_fetch_order_has(f, orders[i]);
}

void dk_fetch_fail_tree(struct dk_fetch *f, uint32_t at, enum dk_refusal reason, const char *text) {
  /* The last order that leaves takes it away. */
  while (f->trees[at].phase != TREE_FREE) dk_fetch_order_fails(f, f->trees[at].orders[0], reason, text);
}

static void fail(struct dk_fetch *f, uint32_t at, int code, struct dk_error *why) {
  struct dk_error error = {0};
  if (!why || !why->code)
    dk_error_system(why = &error, code, "looking for the files of a directory in %s", f->objects.root);
  dk_fetch_fail_tree(f, at, dk_fetch_refusal(code), why->text);
}

void dk_fetch_tree_has(struct dk_fetch *f, uint32_t at) {
  struct tree *tree = &f->trees[at];
  tree->missing--;
  if (tree->phase == TREE_COMING) {
    tree->n_lacks = 0;
    int r = start_looking(f, at);
    if (r < 0) fail(f, at, r, NULL);
  } else if (tree->phase == TREE_LACKING && tree->missing == 0) {
    has_all(f, at);
  }
}

/* One that is damaged, or went meanwhile, is asked for. 1: it is. */
static int read_manifest(struct dk_fetch *f, uint32_t at, struct dk_error *error) {
  struct tree *tree = &f->trees[at];
  int r = dk_objects_read(&f->objects, &tree->digest, DK_MANIFEST_MAX, &tree->manifest, error);
  if (r == 0)
    return dk_manifest_parse(tree->manifest.data, tree->manifest.len, &tree->entries, &tree->n_entries, error);
  if (r != -EBADMSG && r != -ENOENT) return r;
  dk_autobuf path = DK_BUF_INIT;
  dk_objects_path(&f->objects, &tree->digest, &path);
  if (!dk_buf_ok(&path)) return dk_error_set(error, -ENOMEM, "no memory");
  (void)unlinkat(f->objects.fd, path.data + strlen(f->objects.root) + 1, 0); /* the folder may have moved */
  stop_looking(f, at);
  tree->phase = TREE_COMING;
  drop_manifest(tree);
  r = lack(f, at, &tree->digest);
  if (r == 1) return dk_error_set(error, -EIO, "the object %s is damaged, and cannot be removed", path.data);
  return r < 0 ? r : 1;
}

/* 0; -EBADMSG: its size is not what the manifest says. */
static int look_at_file(struct dk_fetch *f, uint32_t at, const struct dk_manifest_entry *entry) {
  uint64_t size;
  if (entry->kind != 'f' && entry->kind != 'x') return 0;
  if (!dk_fetch_find(f, &entry->digest) && dk_objects_has(&f->objects, &entry->digest, &size))
    return size == entry->size ? 0 : -EBADMSG;
  int r = lack(f, at, &entry->digest);
  return r < 0 ? r : 0;
}

static int look(struct dk_fetch *f, uint32_t at) {
  struct tree *tree = &f->trees[at];
  int r = 0;
  for (uint32_t i = 0; r == 0 && i < AT_ONCE && tree->looked < tree->n_entries; i++)
    r = look_at_file(f, at, &tree->entries[tree->looked++]);
  return r;
}

void dk_fetch_look(struct dk_fetch *f) {
  uint32_t at = f->looking[f->n_looking - 1];
  struct tree *tree = &f->trees[at];
  struct dk_error error = {0};
  int r = tree->manifest.data ? 0 : read_manifest(f, at, &error);
  if (r == 1) return;
  if (r == 0) r = look(f, at);
  if (r == -EBADMSG || r == -EFBIG) {
    char hex[DK_DIGEST_HEX + 1], text[160];
    dk_digest_hex(&tree->digest, hex);
    snprintf(text, sizeof text, "an input directory's list of files is no such list, or a wrong one (%.12s)", hex);
    dk_fetch_fail_tree(f, at, DK_REFUSED_BAD, text);
  } else if (r < 0) {
    fail(f, at, r, &error);
  } else if (tree->looked == tree->n_entries) {
    stop_looking(f, at);
    drop_manifest(tree);
    tree->phase = TREE_LACKING;
    if (tree->missing == 0) has_all(f, at);
  }
}
