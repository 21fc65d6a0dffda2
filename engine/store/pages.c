/* The pages of a data file as LMDB lays them out, read without LMDB. It believes much of what stands in them: a wrong flag or number is no
 * hindrance to reading, and the end of the first commit that meets it.
 *
 * Layout: lmdb 0.9, mdb.c (MDB_page, MDB_node, MDB_db, MDB_meta), little-endian, 64 bits. No table of ours has DUPSORT. */
#include "engine/store/private.h"
#include "lang/base/alloc.h"

#include <endian.h>
#include <errno.h>
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

static bool walk(struct file *file, uint64_t page, uint32_t depth, const struct db *db, bool holds_tables,
                 uint64_t *entries);

static bool is_tree(struct file *file, const struct db *db, bool holds_tables) {
  uint64_t entries = 0;
  if (db->root == NO_PAGE) return db->depth == 0 && db->entries == 0;
  return db->depth > 0 && db->depth <= DEPTH_MOST && walk(file, db->root, 1, db, holds_tables, &entries) &&
         entries == db->entries;
}

/* A node of a leaf: key and value lie in the page, or the value in pages of its own; in the tree of tables it is a tree. */
static bool is_leaf_node(struct file *file, const uint8_t *node, size_t room, bool holds_tables) {
  uint32_t size = u16(node) | (uint32_t)u16(node + 2) << 16;
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
  uint16_t lower = u16(data + 12), upper = u16(data + 14);
  bool is_leaf = depth == db->depth;
  if (u16(data + 10) != (is_leaf ? PAGE_LEAF : PAGE_BRANCH)) return false;
  if (lower < PAGE_HEAD || lower % 2 || lower > upper || upper > file->page_size) return false;
  uint32_t n = (lower - PAGE_HEAD) / 2;
  if (n == 0) return false;
  for (uint32_t i = 0; i < n; i++) {
    uint16_t at = u16(data + PAGE_HEAD + 2 * (size_t)i);
    if (at < upper || at + NODE_HEAD > file->page_size) return false;
    const uint8_t *node = data + at;
    if (is_leaf) {
      if (!is_leaf_node(file, node, file->page_size - at, holds_tables)) return false;
    } else {
      uint64_t child = u16(node) | (uint64_t)u16(node + 2) << 16 | (uint64_t)u16(node + 4) << 32;
      if (NODE_HEAD + u16(node + 6) > file->page_size - at) return false;
      if (!walk(file, child, depth + 1, db, holds_tables, entries)) return false;
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
  bool is_whole = is_tree(&file, &free_pages, false) && is_tree(&file, &tables, true);
  dk_free(file.seen);
  return file.no_memory ? ENOMEM : is_whole ? 0 : MDB_CORRUPTED;
}
