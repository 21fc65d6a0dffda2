/* See journal.h. */
#include "engine/agent/journal.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/bytes.h"
#include "lang/base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "DKJRNL1"
#define HEAD_SIZE 32u       /* magic 8, generation 8, folder 12 (zeros: not said), CRC 4 */
#define RESERVE (64u << 10) /* allocated in steps of this */
#define LONG (1u << 20)     /* a file beyond this is left when the other is clear */
#define READ_MAX (256u << 20)

enum { KIND_START = 1, KIND_END = 2, KIND_FORGET = 3 };

/* Writing. */

static int pwrite_all(int fd, const void *data, size_t len, uint64_t offset) {
  const char *at = data;
  while (len > 0) {
    ssize_t n = pwrite(fd, at, len, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    at += n;
    offset += (uint64_t)n;
    len -= (size_t)n;
  }
  return 0;
}

/* Blocks up to `size`. Zeros are written where fallocate is not to be had (NFS). */
static int reserve(struct dk_journal *j, unsigned which, uint64_t size) {
  if (size <= j->reserved[which]) return 0;
  size = (size + RESERVE - 1) / RESERVE * RESERVE;
  int r = 0;
  if (fallocate(j->fds[which], 0, 0, (off_t)size) < 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) return -errno;
    static const char zeros[4096];
    uint64_t at = j->reserved[which] > j->end[which] ? j->reserved[which] : j->end[which];
    for (; r == 0 && at < size; at += sizeof zeros) r = pwrite_all(j->fds[which], zeros, sizeof zeros, at);
  }
  if (r == 0) j->reserved[which] = size;
  return r;
}

static int pwrite_head(struct dk_journal *j, unsigned which, uint64_t generation) {
  dk_autobuf head = DK_BUF_INIT;
  dk_buf_add(&head, MAGIC, 8);
  dk_write_u64(&head, generation);
  dk_buf_add(&head, j->folder, sizeof j->folder);
  if (dk_buf_ok(&head)) dk_write_u32(&head, dk_crc32c(head.data, head.len, 0));
  return dk_buf_ok(&head) ? pwrite_all(j->fds[which], head.data, head.len, 0) : -ENOMEM;
}

static int write_head(struct dk_journal *j, unsigned which, uint64_t generation) {
  int r = pwrite_head(j, which, generation);
  if (r < 0) return r;
  j->generation[which] = generation;
  j->end[which] = HEAD_SIZE;
  j->last_seq[which] = 0;
  return 0;
}

static uint32_t seed_of(const struct dk_journal *j, unsigned which) {
  return (uint32_t)(j->generation[which] * 0x9e3779b1u);
}

/* `record` starts with 8 bytes of room for length and CRC. */
static int append(struct dk_journal *j, struct dk_buf *record) {
  if (!dk_buf_ok(record)) return -ENOMEM;
  unsigned c = j->current;
  uint32_t len = (uint32_t)(record->len - 8);
  uint32_t crc = dk_crc32c(record->data + 8, len, seed_of(j, c));
  for (unsigned i = 0; i < 4; i++) {
    record->data[i] = (char)(uint8_t)(len >> (8 * i));
    record->data[4 + i] = (char)(uint8_t)(crc >> (8 * i));
  }
  int r = pwrite_all(j->fds[c], record->data, record->len, j->end[c]);
  if (r < 0) return r;
  j->end[c] += record->len;
  if (j->reserved[c] < j->end[c]) j->reserved[c] = j->end[c];
  return 0;
}

static void put_head(struct dk_buf *record, unsigned kind) {
  dk_write_u64(record, 0);
  dk_write_u8(record, (uint8_t)kind);
}

static void put_id(struct dk_buf *record, struct dk_id id) {
  dk_write_u64(record, id.inc);
  dk_write_varint(record, id.n);
}

/* Reading. */

struct record {
  uint8_t kind;
  uint64_t seq;
  struct dk_journal_start start; /* START; END: the id */
  const uint8_t *result;
  size_t len;
};

static bool parse(const uint8_t *payload, size_t len, struct record *ret) {
  struct dk_reader reader;
  dk_reader_init(&reader, payload, len);
  *ret = (struct record){.kind = dk_read_u8(&reader)};
  if (ret->kind == KIND_FORGET) {
    ret->seq = dk_read_varint(&reader);
    return dk_reader_done(&reader);
  }
  if (ret->kind == KIND_END) ret->seq = dk_read_varint(&reader);
  ret->start.id.inc = dk_read_u64(&reader);
  ret->start.id.n = dk_read_varint(&reader);
  if (ret->kind == KIND_END) {
    ret->result = reader.at;
    ret->len = (size_t)(reader.end - reader.at);
    return !reader.failed;
  }
  ret->start.cpus = dk_read_u32(&reader);
  ret->start.keeper = (pid_t)dk_read_u32(&reader);
  ret->start.keeper_start_ticks = dk_read_u64(&reader);
  const void *boot = dk_read_fixed(&reader, 16);
  if (boot) memcpy(ret->start.boot, boot, 16);
  ret->start.unix_ns = dk_read_u64(&reader);
  return ret->kind == KIND_START && dk_reader_done(&reader);
}

typedef int record_fn(void *ctx, const struct record *record);

static uint32_t u32_at(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

struct head {
  uint64_t generation; /* 0: the file has no head */
  uint8_t folder[DK_JOURNAL_FOLDER];
};

/* Every whole record of one file; *ret_end is where they end. A file without a head has none. */
static int read_file(int fd, struct head *ret, uint64_t *ret_end, record_fn *fn, void *ctx) {
  *ret = (struct head){0};
  *ret_end = 0;
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0) return -errno;
  if (size > (off_t)READ_MAX) size = (off_t)READ_MAX;
  if (size < (off_t)HEAD_SIZE) return 0;
  dk_autofree uint8_t *data = dk_alloc((size_t)size);
  if (!data) return -ENOMEM;
  int r = dk_fs_pread_all(fd, data, (size_t)size, 0);
  if (r < 0) return r;
  if (memcmp(data, MAGIC, 8) != 0 || dk_crc32c(data, HEAD_SIZE - 4, 0) != u32_at(data + HEAD_SIZE - 4)) return 0;
  struct dk_reader head;
  dk_reader_init(&head, data + 8, 8);
  uint64_t generation = dk_read_u64(&head);
  memcpy(ret->folder, data + 16, sizeof ret->folder);
  uint32_t seed = (uint32_t)(generation * 0x9e3779b1u);
  size_t at = HEAD_SIZE;
  while (r == 0 && (size_t)size - at >= 8) {
    uint32_t len = u32_at(data + at);
    struct record record;
    if (len == 0 || len > (size_t)size - at - 8) break;
    if (dk_crc32c(data + at + 8, len, seed) != u32_at(data + at + 4)) break;
    if (!parse(data + at + 8, len, &record)) break;
    r = fn(ctx, &record);
    at += 8 + len;
  }
  ret->generation = generation;
  *ret_end = at;
  return r;
}

struct loading {
  struct dk_journal *journal;
  unsigned which;
};

static int load_record(void *ctx, const struct record *record) {
  struct loading *loading = ctx;
  struct dk_journal *j = loading->journal;
  switch (record->kind) {
  case KIND_START:
    j->start = record->start;
    j->is_open_start = true;
    break;
  case KIND_END:
    if (j->is_open_start && dk_id_equal(j->start.id, record->start.id)) j->is_open_start = false;
    j->last_seq[loading->which] = record->seq;
    if (record->seq >= j->next_seq) j->next_seq = record->seq + 1;
    break;
  default:
    if (record->seq > j->forgotten) j->forgotten = record->seq;
    if (record->seq >= j->next_seq) j->next_seq = record->seq + 1;
    break;
  }
  return 0;
}

static int skip_record(void *ctx, const struct record *record) {
  (void)ctx;
  (void)record;
  return 0;
}

static const uint8_t nowhere[DK_JOURNAL_FOLDER];

/* Which folder this is, as heads have it. */
static int identify(int dir, uint8_t ret[DK_JOURNAL_FOLDER]) {
  struct dk_fs_identity id;
  struct dk_hasher hasher;
  struct dk_digest digest;
  int r = dk_fs_identify(dir, &id);
  if (r < 0) return r;
  dk_hasher_init(&hasher);
  dk_hasher_add_u64(&hasher, id.fs);
  dk_hasher_add_u64(&hasher, id.ino);
  dk_hasher_get(&hasher, &digest);
  memcpy(ret, digest.bytes, DK_JOURNAL_FOLDER);
  return 0;
}

/* Was it written in another folder? */
static bool is_foreign(const struct dk_journal *j, const struct head *head) {
  return head->generation > 0 && memcmp(head->folder, nowhere, sizeof nowhere) != 0 &&
         memcmp(head->folder, j->folder, sizeof j->folder) != 0;
}

/* *ret_unsaid: which heads do not say their folder. -EXDEV: a copy; nothing is loaded. */
static int load(struct dk_journal *j, bool ret_unsaid[2]) {
  struct head heads[2];
  uint64_t end;
  for (unsigned i = 0; i < 2; i++) {
    int r = read_file(j->fds[i], &heads[i], &end, skip_record, NULL);
    if (r == 0 && is_foreign(j, &heads[i])) r = -EXDEV;
    if (r < 0) return r;
    ret_unsaid[i] = heads[i].generation > 0 && memcmp(heads[i].folder, nowhere, sizeof nowhere) == 0;
  }
  unsigned older = heads[0].generation <= heads[1].generation ? 0 : 1;
  for (unsigned i = 0; i < 2; i++) {
    struct loading loading = {j, i == 0 ? older : 1 - older};
    unsigned which = loading.which;
    if (heads[which].generation == 0) continue;
    int r = read_file(j->fds[which], &heads[which], &j->end[which], load_record, &loading);
    if (r < 0) return r;
    j->generation[which] = heads[which].generation;
  }
  j->current = 1 - older;
  return 0;
}

static const char *const names[2] = {"journal.0", "journal.1"};

static int open_files(struct dk_journal *j, int dir, int flags) {
  int r = 0;
  for (unsigned i = 0; r == 0 && i < 2; i++) {
    j->fds[i] = openat(dir, names[i], flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->fds[i] < 0) r = -errno;
  }
  return r;
}

int dk_journal_look(int dir, struct dk_journal_start *ret, bool *ret_is_open) {
  struct dk_journal j = {.fds = {-1, -1}, .next_seq = 1};
  bool unsaid[2];
  int r = identify(dir, j.folder);
  if (r == 0) r = open_files(&j, dir, O_RDONLY);
  if (r == 0) r = load(&j, unsaid);
  dk_journal_close(&j);
  *ret = j.start;
  *ret_is_open = j.is_open_start;
  if (r == -EXDEV) r = -ENOENT;
  return r == 0 && dk_id_is_none(j.start.id) ? -ENOENT : r;
}

/* The files are those of another folder's keeper, perhaps by hard links: removed, never written to. Both before one is
 * made: what is left by a kill in between is still known as a copy. */
static int start_anew(struct dk_journal *j, int dir) {
  dk_journal_close(j);
  for (unsigned i = 0; i < 2; i++) {
    if (unlinkat(dir, names[i], 0) < 0 && errno != ENOENT) return -errno;
  }
  return open_files(j, dir, O_RDWR | O_CREAT | O_EXCL);
}

int dk_journal_open(struct dk_journal *j, int dir, struct dk_error *error) {
  *j = (struct dk_journal){.fds = {-1, -1}, .next_seq = 1};
  bool unsaid[2] = {false, false};
  int r = identify(dir, j->folder);
  if (r == 0) r = open_files(j, dir, O_RDWR | O_CREAT);
  if (r == 0) r = load(j, unsaid);
  j->was_copied = r == -EXDEV;
  if (j->was_copied) r = start_anew(j, dir);
  for (unsigned i = 0; r == 0 && i < 2; i++) {
    j->reserved[i] = 0; /* what is sparse is no room: reserve() asks again, at no cost where there are blocks */
    if (j->generation[i] > 0 && !unsaid[i]) continue;
    if (j->generation[i] > 0) {
      (void)pwrite_head(j, i, j->generation[i]); /* of a version that did not say it; tried again when next opened */
      continue;
    }
    j->end[i] = HEAD_SIZE;
    r = reserve(j, i, HEAD_SIZE);
    if (r == 0) r = write_head(j, i, i + 1);
  }
  if (r == 0 && j->generation[1 - j->current] > j->generation[j->current]) j->current = 1 - j->current;
  if (r == 0) return 0;
  dk_journal_close(j);
  return dk_error_system(error, r, "cannot open the journal of a slot");
}

void dk_journal_close(struct dk_journal *j) {
  for (unsigned i = 0; i < 2; i++) {
    if (j->fds[i] >= 0) close(j->fds[i]);
    j->fds[i] = -1;
  }
}

/* Goes on in the other file when that is clear and this one long; starts this one anew when all of it is forgotten. */
static int turn_over(struct dk_journal *j) {
  unsigned c = j->current, other = 1 - c;
  if (j->end[c] < LONG || j->last_seq[other] > j->forgotten) return 0;
  int r = write_head(j, other, j->generation[c] + 1);
  if (r < 0) return r;
  j->current = other;
  /* The new file alone must tell how far is forgotten: the old one may be overwritten next. */
  dk_autobuf record = DK_BUF_INIT;
  put_head(&record, KIND_FORGET);
  dk_write_varint(&record, j->forgotten);
  return append(j, &record);
}

int dk_journal_begin(struct dk_journal *j, const struct dk_journal_start *start, size_t end_max,
                     struct dk_error *error) {
  dk_autobuf record = DK_BUF_INIT;
  put_head(&record, KIND_START);
  put_id(&record, start->id);
  dk_write_u32(&record, start->cpus);
  dk_write_u32(&record, (uint32_t)start->keeper);
  dk_write_u64(&record, start->keeper_start_ticks);
  dk_buf_add(&record, start->boot, sizeof start->boot);
  dk_write_u64(&record, start->unix_ns);
  int r = turn_over(j);
  if (r == 0) r = reserve(j, j->current, j->end[j->current] + record.len + end_max + 64);
  if (r == 0) r = append(j, &record);
  if (r < 0) return dk_error_system(error, r, "no room for the journal of a slot");
  j->start = *start;
  j->is_open_start = true;
  return 0;
}

int dk_journal_note(struct dk_journal *j, struct dk_id id, const struct dk_result *result, uint64_t *ret_seq,
                    struct dk_error *error) {
  uint64_t seq = *ret_seq = j->next_seq++;
  dk_autobuf record = DK_BUF_INIT;
  put_head(&record, KIND_END);
  dk_write_varint(&record, seq);
  put_id(&record, id);
  int r = dk_result_encode(result, &record);
  if (r == 0) r = append(j, &record);
  j->last_seq[j->current] = seq;
  return r < 0 ? dk_error_system(error, r, "cannot write the journal of a slot") : 0;
}

int dk_journal_finish(struct dk_journal *j, const struct dk_result *result, uint64_t *ret_seq, struct dk_error *error) {
  j->is_open_start = false;
  return dk_journal_note(j, j->start.id, result, ret_seq, error);
}

void dk_journal_forget(struct dk_journal *j, uint64_t seq) {
  if (seq <= j->forgotten || seq >= j->next_seq) return;
  j->forgotten = seq;
  dk_autobuf record = DK_BUF_INIT;
  put_head(&record, KIND_FORGET);
  dk_write_varint(&record, seq);
  /* Not written (a full disk): those ends are reported once more, which the engine knows to ignore. */
  (void)append(j, &record);
}

struct each {
  dk_journal_end_fn *fn;
  void *ctx;
  uint64_t after;
};

static int each_record(void *ctx, const struct record *record) {
  struct each *each = ctx;
  if (record->kind != KIND_END || record->seq <= each->after) return 0;
  struct dk_result result;
  int r = dk_result_decode(record->result, record->len, &result, NULL);
  if (r < 0) return r;
  r = each->fn(each->ctx, record->seq, record->start.id, &result);
  dk_result_finish(&result);
  return r;
}

int dk_journal_each(struct dk_journal *j, dk_journal_end_fn *fn, void *ctx, struct dk_error *error) {
  struct each each = {fn, ctx, j->forgotten};
  for (unsigned i = 0; i < 2; i++) {
    unsigned which = i == 0 ? 1 - j->current : j->current;
    struct head head;
    uint64_t end;
    int r = read_file(j->fds[which], &head, &end, each_record, &each);
    if (r < 0) return dk_error_system(error, r, "cannot read the journal of a slot");
  }
  return 0;
}
