/* The pages of a data file as LMDB lays them out, read without LMDB. It believes much of what stands in them: a wrong
 * flag or number is no hindrance to reading, and the end of the first commit that meets it.
 *
 * Layout: lmdb 0.9, mdb.c (MDB_page, MDB_node, MDB_db, MDB_meta), little-endian, 64 bits. No table of ours has
 * DUPSORT. */
#include "engine/store/private.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PAGE_HEAD 16u
#define NODE_HEAD 8u
#define DB_SIZE 48u
#define META_DBS 40u /* two MDB_db: of the free pages, of the tables */
#define META_LAST 136u
#define META_TXN 144u
#define KEY_MOST 511u
#define DEPTH_MOST 32u
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4 };
enum { NODE_BIG = 1, NODE_TABLE = 2 };
#define NO_PAGE UINT64_MAX

struct file {
  int fd;
  uint32_t page_size;
  uint64_t last;
  uint8_t *seen; /* a bit a page */
  bool no_memory;
};

/* One MDB_db. */
struct db {
  uint16_t depth;
  uint64_t entries, root;
};

static uint16_t u16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return le16toh(value);
}

static uint64_t u64(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return le64toh(value);
}

static struct db db_at(const uint8_t *at) {
  return (struct db){.depth = u16(at + 6), .entries = u64(at + 32), .root = u64(at + 40)};
}

/* `n` pages from `first`, which nothing else may have. */
static bool take(struct file *file, uint64_t first, uint64_t n) {
  if (first < 2 || n == 0 || n > file->last || first > file->last - n + 1) return false;
  for (uint64_t i = first; i < first + n; i++) {
    if (file->seen[i / 8] >> (i % 8) & 1) return false;
    file->seen[i / 8] |= (uint8_t)(1u << (i % 8));
  }
  return true;
}

static bool read_at(const struct file *file, uint64_t page, void *to, size_t len) {
  return pread(file->fd, to, len, (off_t)(page * file->page_size)) == (ssize_t)len;
}

static bool is_overflow(struct file *file, uint64_t page, uint32_t size) {
  uint8_t head[PAGE_HEAD];
  uint32_t n, should = (PAGE_HEAD - 1 + size) / file->page_size + 1;
  if (page > file->last || !read_at(file, page, head, sizeof head)) return false;
  memcpy(&n, head + 12, sizeof n);
  return u64(head) == page && u16(head + 10) == PAGE_OVERFLOW && le32toh(n) == should && take(file, page, should);
}

static uint32_t size_of(const uint8_t *node) {
  return u16(node) | (uint32_t)u16(node + 2) << 16;
}

static uint64_t child_of(const uint8_t *node) {
  return size_of(node) | (uint64_t)u16(node + 4) << 32;
}

/* How many nodes a page has; 0: none, or it is no page of nodes. */
static uint32_t n_nodes(const struct file *file, const uint8_t *data) {
  uint16_t lower = u16(data + 12), upper = u16(data + 14);
  if (lower < PAGE_HEAD || lower % 2 || lower > upper || upper > file->page_size) return 0;
  return (lower - PAGE_HEAD) / 2u;
}

/* NULL: it does not lie where nodes lie. */
static const uint8_t *node_at(const struct file *file, const uint8_t *data, uint32_t i) {
  uint16_t at = u16(data + PAGE_HEAD + 2 * (size_t)i);
  return at < u16(data + 14) || at + NODE_HEAD > file->page_size ? NULL : data + at;
}

static bool walk(struct file *file, uint64_t page, uint32_t depth, const struct db *db, bool holds_tables,
                 uint64_t *entries);

static bool is_tree(struct file *file, const struct db *db, bool holds_tables) {
  uint64_t entries = 0;
  if (db->root == NO_PAGE) return db->depth == 0 && db->entries == 0;
  return db->depth > 0 && db->depth <= DEPTH_MOST && walk(file, db->root, 1, db, holds_tables, &entries) &&
         entries == db->entries;
}

/* A node of a leaf: key and value lie in the page, or the value in pages of its own; in the tree of tables it is a
 * tree. */
static bool is_leaf_node(struct file *file, const uint8_t *node, size_t room, bool holds_tables) {
  uint32_t size = size_of(node);
  uint16_t flags = u16(node + 4), key = u16(node + 6);
  size_t at = NODE_HEAD + key;
  if (key == 0 || key > KEY_MOST || flags > NODE_TABLE || at > room) return false;
  if (flags == NODE_BIG) return room - at >= 8 && is_overflow(file, u64(node + at), size);
  if (size > room - at || (flags == NODE_TABLE) != holds_tables) return false;
  if (!holds_tables) return true;
  struct db db = size == DB_SIZE ? db_at(node + at) : (struct db){.depth = 1, .root = NO_PAGE};
  return is_tree(file, &db, false);
}

static bool is_page(struct file *file, const uint8_t *data, uint32_t depth, const struct db *db, bool holds_tables,
                    uint64_t *entries) {
  bool is_leaf = depth == db->depth;
  if (u16(data + 10) != (is_leaf ? PAGE_LEAF : PAGE_BRANCH)) return false;
  uint32_t n = n_nodes(file, data);
  if (n == 0) return false;
  for (uint32_t i = 0; i < n; i++) {
    const uint8_t *node = node_at(file, data, i);
    if (!node) return false;
    size_t room = (size_t)(data + file->page_size - node);
    if (is_leaf) {
      if (!is_leaf_node(file, node, room, holds_tables)) return false;
    } else {
      if (NODE_HEAD + u16(node + 6) > room) return false;
      if (!walk(file, child_of(node), depth + 1, db, holds_tables, entries)) return false;
    }
  }
  if (is_leaf) *entries += n;
  return true;
}

static bool walk(struct file *file, uint64_t page, uint32_t depth, const struct db *db, bool holds_tables,
                 uint64_t *entries) {
  if (!take(file, page, 1)) return false;
  dk_autofree uint8_t *data = dk_alloc(file->page_size);
  if (!data) {
    file->no_memory = true;
    return false;
  }
  return read_at(file, page, data, file->page_size) && u64(data) == page &&
         is_page(file, data, depth, db, holds_tables, entries);
}

/* The value of a node that lies in the page, or in pages of its own. */
static bool value_of(const struct file *file, const uint8_t *node, size_t room, struct dk_buf *big, MDB_val *ret) {
  uint32_t size = size_of(node);
  size_t at = NODE_HEAD + u16(node + 6);
  uint16_t flags = u16(node + 4);
  *ret = (MDB_val){size, (void *)(uintptr_t)(node + at)};
  if (flags == 0) return size <= room - at;
  if (flags != NODE_BIG || room - at < 8) return false;
  uint64_t page = u64(node + at);
  uint8_t head[PAGE_HEAD];
  if (page > file->last || !read_at(file, page, head, sizeof head)) return false;
  if (u64(head) != page || u16(head + 10) != PAGE_OVERFLOW) return false;
  if (size > (file->last - page + 1) * file->page_size - PAGE_HEAD) return false;
  dk_buf_clear(big);
  ret->mv_data = dk_buf_reserve(big, size);
  return ret->mv_data &&
         pread(file->fd, ret->mv_data, size, (off_t)(page * file->page_size + PAGE_HEAD)) == (ssize_t)size;
}

static int each_of_leaf(const struct file *file, const uint8_t *data, bool is_current, dk_pair_fn *fn, void *ctx) {
  dk_autobuf big = DK_BUF_INIT;
  uint32_t n = n_nodes(file, data);
  int r = 0;
  for (uint32_t i = 0; i < n && r == 0; i++) {
    const uint8_t *node = node_at(file, data, i);
    MDB_val key, value;
    if (!node) continue;
    size_t room = (size_t)(data + file->page_size - node);
    key = (MDB_val){u16(node + 6), (void *)(uintptr_t)(node + NODE_HEAD)};
    if (key.mv_size == 0 || key.mv_size > KEY_MOST || NODE_HEAD + key.mv_size > room) continue;
    if (value_of(file, node, room, &big, &value)) r = fn(ctx, &key, &value, is_current);
  }
  return r;
}

/* A value of the list of free pages: how many, and their numbers. */
static int mark_free(void *ctx, const MDB_val *key, const MDB_val *value, bool is_current) {
  struct file *file = ctx;
  const uint8_t *at = value->mv_data;
  (void)key;
  (void)is_current;
  if (value->mv_size < 8 || u64(at) > value->mv_size / 8 - 1) return EBADMSG;
  for (uint64_t i = 1; i <= u64(at); i++) {
    uint64_t page = u64(at + 8 * i);
    if (page > file->last) return EBADMSG;
    file->seen[page / 8] |= (uint8_t)(1u << (page % 8));
  }
  return 0;
}

static int mark_free_below(struct file *file, uint64_t page, uint32_t depth) {
  dk_autofree uint8_t *data = dk_alloc(file->page_size);
  if (!data) return ENOMEM;
  if (depth == 0 || page > file->last || !read_at(file, page, data, file->page_size) || u64(data) != page)
    return EBADMSG;
  uint16_t flags = u16(data + 10);
  if (flags == PAGE_LEAF) return each_of_leaf(file, data, true, mark_free, file);
  if (flags != PAGE_BRANCH) return EBADMSG;
  int r = 0;
  for (uint32_t i = 0; i < n_nodes(file, data) && r == 0; i++) {
    const uint8_t *node = node_at(file, data, i);
    r = node ? mark_free_below(file, child_of(node), depth - 1) : EBADMSG;
  }
  return r;
}

/* Marks the free pages as seen: no tree may lead to one. */
static bool knows_free(struct file *file, const struct db *free_pages) {
  int err = free_pages->root == NO_PAGE ? 0 : mark_free_below(file, free_pages->root, DEPTH_MOST);
  if (err == ENOMEM) file->no_memory = true;
  return err == 0;
}

int dk_check_pages(MDB_txn *txn) {
  struct file file = {.fd = -1};
  uint8_t meta[META_TXN + 8];
  MDB_stat stat;
  int rc = mdb_env_get_fd(mdb_txn_env(txn), &file.fd);
  if (rc == 0) rc = mdb_env_stat(mdb_txn_env(txn), &stat);
  if (rc) return rc;
  file.page_size = stat.ms_psize;
  /* The transaction keeps the pages of its own state from being used again, so they are there while an engine works. */
  bool found = false;
  for (uint64_t i = 0; i < 2 && !found; i++)
    found = read_at(&file, i, meta, sizeof meta) && u64(meta + META_TXN) == mdb_txn_id(txn);
  if (!found) return 0; /* two commits later: the next look finds it */
  file.last = u64(meta + META_LAST);
  off_t size = lseek(file.fd, 0, SEEK_END);
  if (size < 0 || file.last >= (uint64_t)size / file.page_size + 1) return MDB_CORRUPTED;
  file.seen = dk_calloc((size_t)(file.last / 8 + 1), 1);
  if (!file.seen) return ENOMEM;
  struct db free_pages = db_at(meta + META_DBS), tables = db_at(meta + META_DBS + DB_SIZE);
  bool is_whole = is_tree(&file, &free_pages, false) && knows_free(&file, &free_pages) && is_tree(&file, &tables, true);
  dk_free(file.seen);
  return file.no_memory ? ENOMEM : is_whole ? 0 : MDB_CORRUPTED;
}

/* What is left of a file whose trees lead nowhere. A page is never changed in place once it is committed, so a leaf
 * that is not in the list of free pages holds what the last commit left in it; one that is free holds what was there
 * earlier, and is passed by. */

#define META_MAGIC 0xBEEFC0DEu
#define META_SEEN (META_TXN + 8)
#define PAGE_SIZE_LEAST 512u
#define PAGE_SIZE_MOST 65536u

/* A meta page by itself: *ret_page_size as it stands there. */
static bool read_meta(int fd, off_t at, uint8_t ret[META_SEEN], uint32_t *ret_page_size) {
  uint32_t magic;
  if (pread(fd, ret, META_SEEN, at) != META_SEEN) return false;
  memcpy(&magic, ret + PAGE_HEAD, sizeof magic);
  memcpy(ret_page_size, ret + META_DBS, sizeof *ret_page_size);
  uint32_t size = *ret_page_size = le32toh(*ret_page_size);
  return le32toh(magic) == META_MAGIC && size >= PAGE_SIZE_LEAST && size <= PAGE_SIZE_MOST && (size & (size - 1)) == 0;
}

/* The newer one of the two; false: neither can be read. */
static bool newest_meta(struct file *file, uint8_t ret[META_SEEN]) {
  uint8_t other[META_SEEN];
  uint32_t size = 0;
  bool has_first = read_meta(file->fd, 0, ret, &size);
  file->page_size = has_first ? size : (uint32_t)sysconf(_SC_PAGESIZE);
  if (!read_meta(file->fd, file->page_size, other, &size) || size != file->page_size) return has_first;
  if (!has_first || u64(other + META_TXN) > u64(ret + META_TXN)) memcpy(ret, other, sizeof other);
  return true;
}

static int each_leaf(struct file *file, bool is_current, dk_pair_fn *fn, void *ctx) {
  dk_autofree uint8_t *data = dk_alloc(file->page_size);
  int r = data ? 0 : ENOMEM;
  for (uint64_t page = 2; page <= file->last && r == 0; page++) {
    bool is_free = is_current && (file->seen[page / 8] >> (page % 8) & 1);
    if (is_free || !read_at(file, page, data, file->page_size)) continue;
    if (u64(data) == page && u16(data + 10) == PAGE_LEAF) r = each_of_leaf(file, data, is_current, fn, ctx);
  }
  return r;
}

int dk_pages_each_pair(const char *path, dk_pair_fn *fn, void *ctx) {
  struct file file = {.fd = -1};
  uint8_t meta[META_SEEN];
  dk_autobuf data = DK_BUF_INIT;
  dk_buf_printf(&data, "%s/data.mdb", path);
  if (!dk_buf_ok(&data)) return ENOMEM;
  file.fd = open(data.data, O_RDONLY | O_CLOEXEC);
  if (file.fd < 0) return errno;
  bool has_meta = newest_meta(&file, meta);
  off_t size = lseek(file.fd, 0, SEEK_END);
  int r = size < 0 ? errno : 0;
  file.last = size > 0 ? (uint64_t)size / file.page_size : 0;
  if (has_meta && u64(meta + META_LAST) < file.last) file.last = u64(meta + META_LAST);
  file.seen = dk_calloc((size_t)(file.last / 8 + 1), 1);
  if (!file.seen) r = ENOMEM;
  if (r == 0) {
    struct db free_pages = has_meta ? db_at(meta + META_DBS) : (struct db){0};
    bool is_current = has_meta && knows_free(&file, &free_pages);
    r = each_leaf(&file, is_current, fn, ctx);
  }
  dk_free(file.seen);
  close(file.fd);
  return r;
}
