/* Contents of hosts come here: whole, or with words why not, through all that agents, streams, disk and memory do. */
#include "far.h"
#include "tests/support/shim/shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PART ((size_t)DK_PART_MAX)

static struct far_reached reach_one(struct far_engine *f, const struct far_content *content, bool is_dir) {
  struct far_reached reached;
  assert_int_equal(far_reach(f, &content, &is_dir, 1, &reached), 0);
  assert_false(reached.is_done); /* nobody is called from within */
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  return reached;
}

static void start(struct far_engine *f) {
  assert_int_equal(far_start(f, 60000, NULL), 0);
}

static void sizes(void **state) {
  struct far_engine *f = *state;
  static const size_t lens[] = {0, 1, PART - 1, PART, PART + 1, 40 * PART, 40 * PART + 7};
  enum { N = sizeof lens / sizeof *lens };
  const struct far_content *contents[N];
  struct far_reached reached;
  start(f);
  for (uint32_t i = 0; i < N; i++) far_add(f, 1, lens[i], i, true);
  for (uint32_t i = 0; i < N; i++) contents[i] = f->fars[0].contents[i];
  assert_int_equal(far_reach(f, contents, NULL, N, &reached), 0);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_int_equal(reached.r, 0);
  for (uint32_t i = 0; i < N; i++) assert_true(far_is_here(f, contents[i]));
  assert_int_equal(far_n_tmp(f), 0);
  /* Here now: nobody is asked. */
  uint32_t n_asked = f->fars[0].n_asked;
  assert_int_equal(far_reach(f, contents, NULL, N, &reached), 0);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_true(reached.r == 0 && f->fars[0].n_asked == n_asked);
  /* Nothing is wanted. */
  assert_int_equal(far_reach(f, contents, NULL, 0, &reached), 0);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_int_equal(reached.r, 0);
}

/* Whatever an agent does, nothing but the right content becomes an object, and the next one comes all the same. */
static void ways(void **state) {
  struct far_engine *f = *state;
  static const struct {
    enum far_way way;
    size_t len;
    int r;
    bool is_kept; /* as a copy that is there */
    const char *words;
  } cases[] = {
      {FAR_GONE, 10, -ENOENT, false, "cleaned away"},
      {FAR_GONE_MID, 9 * PART, -ENOENT, false, "cleaned away"},
      {FAR_CLOSED, 10, -EREMOTEIO, true, "h1: it cannot be read"},
      {FAR_ALTERED, 3 * PART, -EBADMSG, false, "not the content that was asked for"},
      {FAR_ALTERED, 1, -EBADMSG, false, "not the content that was asked for"},
      {FAR_SWAPPED, 9 * PART, -EPROTO, true, "another part than was asked for"},
      {FAR_GROWING, 9 * PART, -EPROTO, true, "another part than was asked for"},
      {FAR_SHORT, 3 * PART, -EPROTO, true, "another part than was asked for"},
      {FAR_OTHER, 3 * PART, -EPROTO, true, "another content than was asked for"},
  };
  start(f);
  for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct far_content *bad = far_add(f, 1, cases[i].len, 100 + i, true);
    bad->way = cases[i].way;
    struct dk_digest digest = bad->digest;
    struct far_reached reached = reach_one(f, bad, false);
    assert_int_equal(reached.r, cases[i].r);
    if (!strstr(reached.words, cases[i].words)) fail_msg("case %u: %s", i, reached.words);
    assert_int_equal(far_has_copy(f, 1, &digest), cases[i].is_kept);
    assert_false(dk_objects_has(&f->folder.objects, &digest, NULL));
    assert_int_equal(far_n_tmp(f), 0);
    struct far_content *good = far_add(f, 1, 2 * PART + 1, 200 + i, true);
    reached = reach_one(f, good, false);
    assert_int_equal(reached.r, 0);
    assert_true(far_is_here(f, good));
  }
}

/* The other host has it too. */
static void elsewhere(void **state) {
  struct far_engine *f = *state;
  start(f);
  struct far_content *bad = far_add(f, 1, 5 * PART, 1, true), *good = far_add(f, 2, 5 * PART, 1, true);
  bad->way = FAR_GONE_MID;
  struct far_reached reached = reach_one(f, good, false);
  assert_int_equal(reached.r, 0);
  assert_true(far_is_here(f, good));
  assert_false(far_has_copy(f, 1, &good->digest));
  /* One is away: the other is asked at once. */
  f->fars[0].is_away = true;
  far_break(f, &f->fars[0]);
  far_rest(f, 50);
  far_add(f, 1, 7, 2, true);
  good = far_add(f, 2, 7, 2, true);
  reached = reach_one(f, good, false);
  assert_int_equal(reached.r, 0);
  assert_string_equal(reached.waits, "");
}

/* What has come stays; the rest is asked for in the next session. */
static void resumed(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  start(f);
  far_rest(f, 50);
  struct far_content *content = far_add(f, 1, 60 * PART + 3, 1, true);
  far->close_after = 30;
  struct far_reached reached = reach_one(f, content, false);
  assert_int_equal(reached.r, 0);
  assert_true(far_is_here(f, content));
  assert_true(far->n_dials == 2 && strstr(reached.waits, "h1 cannot be reached"));
  uint32_t n_again = 0;
  for (uint32_t i = 0; i < far->n_asked; i++) n_again += far->asked[i].offset == 0;
  assert_int_equal(n_again, 1);
  assert_true(far->n_asked < 61 + 2 * 16); /* no more than what was on its way is asked for twice */
}

static void on_urgent(void *ctx, int r, const char *words) {
  (void)words;
  struct far_reached *reached = ctx;
  reached->is_done = true;
  reached->r = r;
  dk_engine_wake(reached->engine);
}

/* What one does not have, or sends in its place, comes from the other one. */
static void next_source(void **state) {
  struct far_engine *f = *state;
  static const enum far_way ways[] = {FAR_GONE,  FAR_GONE_MID, FAR_CLOSED, FAR_ALTERED,
                                      FAR_SHORT, FAR_SWAPPED,  FAR_OTHER,  FAR_GROWING};
  start(f);
  far_rest(f, 50);
  for (uint32_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    far_add(f, 1, 9 * PART, i, true)->way = ways[i];
    struct far_content *good = far_add(f, 2, 9 * PART, i, true);
    uint32_t n_asked = f->fars[0].n_asked;
    struct far_reached reached = reach_one(f, good, false);
    if (reached.r != 0) fail_msg("way %u: %s", ways[i], reached.words);
    assert_true(far_is_here(f, good) && f->fars[0].n_asked > n_asked && far_has_copy(f, 2, &good->digest));
    bool is_lost = ways[i] == FAR_GONE || ways[i] == FAR_GONE_MID || ways[i] == FAR_ALTERED;
    assert_int_equal(far_has_copy(f, 1, &good->digest), !is_lost);
  }
  assert_int_equal(far_n_tmp(f), 0);
  /* None gives it: what is said is what may change by itself. */
  far_add(f, 1, 10, 50, true)->way = FAR_CLOSED;
  struct far_content *gone = far_add(f, 2, 10, 50, true);
  gone->way = FAR_GONE;
  struct far_reached reached = reach_one(f, gone, false);
  assert_int_equal(reached.r, -EREMOTEIO);
  assert_non_null(strstr(reached.words, "h1: it cannot be read"));
}

static uint64_t least_asked(const struct far *far) {
  uint64_t least = UINT64_MAX;
  for (uint32_t i = 0; i < far->n_asked; i++)
    if (far->asked[i].offset < least) least = far->asked[i].offset;
  return least;
}

/* The connection to one breaks in the middle: the other is asked from that byte on. */
static void goes_on(void **state) {
  struct far_engine *f = *state;
  start(f);
  far_rest(f, 50);
  far_add(f, 1, 60 * PART + 3, 1, true);
  const struct far_content *content = far_add(f, 2, 60 * PART + 3, 1, true);
  f->fars[0].close_after = 30;
  f->fars[0].is_away = true; /* for the next dial */
  struct far_reached reached = reach_one(f, content, false);
  assert_int_equal(reached.r, 0);
  assert_true(far_is_here(f, content));
  uint64_t from = least_asked(&f->fars[1]);
  assert_true(from >= 15 * PART && from <= 30 * PART);
  assert_string_equal(reached.waits, "");
}

/* What had come of it was altered: nobody knows by whom, and all of it comes once more from the one that is there. */
static void altered_before(void **state) {
  struct far_engine *f = *state;
  start(f);
  far_rest(f, 50);
  far_add(f, 1, 60 * PART + 3, 1, true)->way = FAR_ALTERED;
  const struct far_content *content = far_add(f, 2, 60 * PART + 3, 1, true);
  f->fars[0].close_after = 30;
  f->fars[0].is_away = true;
  struct far_reached reached = reach_one(f, content, false);
  assert_int_equal(reached.r, 0);
  assert_true(far_is_here(f, content) && far_has_copy(f, 2, &content->digest));
  assert_int_equal(least_asked(&f->fars[1]), 0);
  assert_true(f->fars[1].asked[0].offset >= 15 * PART);
}

static void wait_for_parts(struct far_engine *f, const struct far_content *content, uint32_t n) {
  struct dk_pull_progress progress = {.here = 0};
  for (int i = 0; i < 400 && progress.here < n * PART; i++) {
    far_rest(f, 10);
    assert_true(dk_pull_progress(f->engine->pulls, &content->digest, false, &progress));
  }
}

/* It answers, and sends nothing of what it is asked for: what was asked of it comes from the other one. */
static void silent(void **state) {
  struct far_engine *f = *state;
  struct far *mute = &f->fars[0];
  start(f);
  far_rest(f, 50);
  far_add(f, 1, 40 * PART, 1, true);
  const struct far_content *content = far_add(f, 2, 40 * PART, 1, true);
  struct far_reached reached;
  mute->mute_after = 3;
  assert_int_equal(far_reach(f, &content, NULL, 1, &reached), 0);
  wait_for_parts(f, content, 3);
  far_pass_silence(f, mute);
  assert_non_null(strstr(f->said, "h1: its agent answers, but has sent nothing of what it was asked for in 120 s; "
                                  "connecting again"));
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_true(reached.r == 0 && far_is_here(f, content));
  assert_int_equal(least_asked(&f->fars[1]), 3 * PART);
  assert_true(far_has_copy(f, 1, &content->digest)); /* nothing is known against it */
}

/* No other one has it: it is asked in a new session, and when it is silent there too, not before it counts as lost. One
 * answer, and it is as any other. */
static void silent_twice(void **state) {
  struct far_engine *f = *state;
  struct far *mute = &f->fars[0];
  f->fars[1].is_away = true;
  start(f);
  far_rest(f, 50);
  const struct far_content *content = far_add(f, 1, 40 * PART, 1, true);
  const struct dk_engine_host *host = f->engine->hosts[1];
  struct far_reached reached;
  mute->is_mute = true;
  assert_int_equal(far_reach(f, &content, NULL, 1, &reached), 0);
  far_pass_silence(f, mute);
  assert_true(dk_link_deadline(host->link) < dk_now_ns() + UINT64_C(10000000000));
  far_pass_pause(f, mute);
  far_pass_silence(f, mute);
  assert_non_null(strstr(host->record.words, ", twice\nhelp: "));
  assert_true(dk_link_deadline(host->link) > dk_now_ns() + host->lost_after_ns);
  uint64_t lost_at = host->down_at + host->lost_after_ns;
  f->engine->hosts[1]->lost_after_ns = 0; /* it was asked for so long ago */
  dk_fleet_tick(f->engine, lost_at);
  assert_true(host->is_lost);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  f->engine->hosts[1]->lost_after_ns = UINT64_C(60000000000);
  assert_int_equal(reached.r, -EHOSTUNREACH);
  assert_non_null(strstr(reached.words, "has sent nothing of what it was asked for"));
  mute->is_mute = false;
  mute->mute_after = 3;
  far_pass_pause(f, mute);
  assert_int_equal(far_reach(f, &content, NULL, 1, &reached), 0);
  wait_for_parts(f, content, 3);
  far_pass_silence(f, mute);
  assert_null(strstr(host->record.words, ", twice"));
  mute->is_mute = false;
  far_pass_pause(f, mute);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_true(reached.r == 0 && far_is_here(f, content));
}

/* Nobody can be reached: the first one that comes back is asked. */
static void comes_back(void **state) {
  struct far_engine *f = *state;
  f->fars[0].is_away = f->fars[1].is_away = true;
  start(f);
  far_add(f, 1, 3 * PART, 1, true);
  const struct far_content *content = far_add(f, 2, 3 * PART, 1, true);
  struct far_reached reached;
  assert_int_equal(far_reach(f, &content, NULL, 1, &reached), 0);
  far_rest(f, 100);
  f->fars[1].is_away = false;
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_int_equal(reached.r, 0);
  assert_int_equal(f->fars[0].n_asked, 0);
}

/* A host can fill the disk with no more than it was said to have. */
static void other_size(void **state) {
  struct far_engine *f = *state;
  start(f);
  far_rest(f, 50);
  for (int by = -1; by <= 1; by += 2) {
    struct far_content *content = far_add(f, 1, 20 * PART, 1, false);
    struct far_reached reached = {.engine = f->engine};
    const struct dk_copy copy = {content->digest, 1, (uint64_t)((int64_t)content->len + by), false};
    assert_int_equal(dk_pull(f->engine->pulls, &copy, DK_PULL_URGENT, on_urgent, &reached), 0);
    assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
    assert_int_equal(reached.r, -EPROTO);
    assert_int_equal(far_n_tmp(f), 0);
    assert_false(far_is_here(f, content));
  }
}

/* Files of a directory that are gone at one host come from the other one. */
static void directory_of_two(void **state) {
  struct far_engine *f = *state;
  dk_autobuf manifest = DK_BUF_INIT;
  start(f);
  far_rest(f, 50);
  for (uint32_t i = 0; i < 20; i++) {
    char path[8];
    snprintf(path, sizeof path, "f%02u", i);
    struct far_content *here = far_add(f, 1, PART + i, i, false);
    far_add(f, 2, PART + i, i, false);
    if (i % 3 == 0) here->way = i % 2 ? FAR_GONE : FAR_ALTERED;
    dk_manifest_add(&manifest,
                    &(struct dk_manifest_entry){.kind = 'f', .digest = here->digest, .size = here->len, .path = path});
  }
  far_add_bytes(f, 1, manifest.data, manifest.len, true, true);
  const struct far_content *dir = far_add_bytes(f, 2, manifest.data, manifest.len, true, true);
  struct far_reached reached = reach_one(f, dir, true);
  assert_int_equal(reached.r, 0);
  assert_true(f->fars[0].n_asked > 0 && f->fars[1].n_asked > 0);
  assert_int_equal(dk_objects_has_dir(&f->folder.objects, &dir->digest, NULL), 1);
  assert_int_equal(far_n_tmp(f), 0);
}

static void lost(void **state) {
  struct far_engine *f = *state;
  f->fars[0].is_away = f->fars[1].is_away = true;
  assert_int_equal(far_start(f, 600, NULL), 0);
  const struct far_content *contents[] = {far_add(f, 2, 5, 1, true), NULL};
  contents[1] = far_add(f, 1, 5, 1, false);
  far_add(f, 1, 77, 2, true);
  struct far_reached reached = reach_one(f, f->fars[0].contents[1], false);
  assert_int_equal(reached.r, -EHOSTUNREACH);
  assert_non_null(strstr(reached.words, "h1 has the only copy and cannot be reached: "));
  assert_non_null(strstr(reached.words, "nobody is there"));
  assert_non_null(strstr(reached.words, "\nhelp: "));
  assert_non_null(strstr(reached.waits, "h1 cannot be reached: nobody is there"));
  assert_true(far_has_copy(f, 1, &f->fars[0].contents[1]->digest));
  /* Lost already. Two of them, of which one is said. */
  assert_int_equal(far_reach(f, contents, NULL, 2, &reached), 0);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_true(reached.r == -EHOSTUNREACH && reached.which == 0);
  /* It comes back. */
  f->fars[0].is_away = false;
  for (int i = 0; i < 100 && !f->engine->hosts[1]->session; i++) far_rest(f, 100);
  reached = reach_one(f, f->fars[0].contents[1], false);
  assert_int_equal(reached.r, 0);
}

static int add_lines(struct far_engine *f, uint32_t n, uint32_t n_empty, struct dk_buf *manifest) {
  for (uint32_t i = 0; i < n; i++) {
    char path[32], bytes[32];
    snprintf(path, sizeof path, "f%06u", i);
    snprintf(bytes, sizeof bytes, "content %u", i % 4000); /* some are the same */
    size_t len = i < n_empty ? 0 : strlen(bytes);
    struct dk_digest digest;
    assert_int_equal(dk_content_of(bytes, len, &digest), 0);
    if (i < 4003) far_add_bytes(f, 1, bytes, len, false, false);
    dk_manifest_add(manifest, &(struct dk_manifest_entry){.kind = 'f', .digest = digest, .size = len, .path = path});
  }
  return dk_buf_ok(manifest) ? 0 : -ENOMEM;
}

static void directories(void **state) {
  struct far_engine *f = *state;
  dk_autobuf manifest = DK_BUF_INIT;
  start(f);
  assert_int_equal(add_lines(f, 10000, 3, &manifest), 0);
  struct far_content *dir = far_add_bytes(f, 1, manifest.data, manifest.len, true, true);
  struct dk_digest digest = dir->digest;
  struct far_reached reached = reach_one(f, dir, true);
  assert_int_equal(reached.r, 0);
  assert_int_equal(dk_objects_has_dir(&f->folder.objects, &digest, NULL), 1);
  assert_int_equal(far_n_tmp(f), 0);
  /* An empty one. */
  dir = far_add_bytes(f, 1, DK_MANIFEST_HEAD, strlen(DK_MANIFEST_HEAD), true, true);
  reached = reach_one(f, dir, true);
  assert_int_equal(reached.r, 0);
  /* One of its files is gone there: so is the directory. */
  dk_buf_clear(&manifest);
  const struct dk_digest missing = {{1, 2, 3}};
  dk_manifest_add(&manifest, &(struct dk_manifest_entry){.kind = 'x', .digest = missing, .size = 5, .path = "a"});
  dir = far_add_bytes(f, 1, manifest.data, manifest.len, true, true);
  digest = dir->digest;
  reached = reach_one(f, dir, true);
  assert_int_equal(reached.r, -ENOENT);
  assert_false(far_has_copy(f, 1, &digest));
  /* What it says is a directory is none. */
  dir = far_add_bytes(f, 1, "dkrun directory 1\nf ../x", 24, true, true);
  digest = dir->digest;
  reached = reach_one(f, dir, true);
  assert_int_equal(reached.r, -EBADMSG);
  assert_false(far_has_copy(f, 1, &digest));
}

/* Given up in the middle, what is still on its way is not taken for what is asked next; what somebody else wants too
 * goes on. */
static void given_up(void **state) {
  struct far_engine *f = *state;
  struct far *far = &f->fars[0];
  dk_autobuf manifest = DK_BUF_INIT;
  start(f);
  assert_int_equal(add_lines(f, 100, 0, &manifest), 0);
  struct far_content *dir = far_add_bytes(f, 1, manifest.data, manifest.len, true, true);
  struct dk_digest of_dir = dir->digest;
  far_rest(f, 50);
  const struct far_content *large = far_add(f, 1, 40 * PART, 1, true);
  struct far_reached reached, other;
  far->mute_after = 1;
  assert_int_equal(far_reach(f, &large, NULL, 1, &reached), 0);
  for (int i = 0; i < 400 && far->n_asked < 1 + 16; i++) far_rest(f, 10);
  assert_int_equal(far->n_asked, 1 + 16);
  dk_engine_leave(f->engine, &reached);
  assert_int_equal(far_reach(f, &large, NULL, 1, &other), 0);
  far_rest(f, 20);
  far_speak(far);
  assert_int_equal(far_turns(f, &other.is_done, NULL), 0);
  assert_int_equal(other.r, 0);
  assert_true(far_is_here(f, large));
  assert_false(reached.is_done);

  large = far_add(f, 1, 40 * PART, 2, true);
  far->mute_after = 1;
  assert_int_equal(far_reach(f, &large, NULL, 1, &reached), 0);
  assert_int_equal(far_reach(f, &large, NULL, 1, &other), 0);
  far_rest(f, 20);
  dk_engine_leave(f->engine, &reached);
  far_speak(far);
  assert_int_equal(far_turns(f, &other.is_done, NULL), 0);
  assert_true(other.r == 0 && far_is_here(f, large));

  /* A directory, when its files are on their way. */
  for (uint32_t i = 0; i < far->n_contents; i++)
    if (dk_digest_equal(&far->contents[i]->digest, &of_dir)) dir = far->contents[i];
  const struct far_content *wanted = dir;
  const bool is_dir = true;
  assert_int_equal(far_reach(f, &wanted, &is_dir, 1, &reached), 0);
  uint32_t before = far->n_asked;
  for (int i = 0; i < 1000 && far->n_asked == before; i++) far_rest(f, 1);
  far->is_mute = true;
  far_rest(f, 30);
  dk_engine_leave(f->engine, &reached);
  far_speak(far);
  struct far_reached again = reach_one(f, wanted, true);
  assert_int_equal(again.r, 0);
  assert_false(reached.is_done);
  /* Left alone, with answers to come, when the engine ends. */
  large = far_add(f, 1, 40 * PART, 3, true);
  assert_int_equal(far_reach(f, &large, NULL, 1, &reached), 0);
  far_rest(f, 2);
  far_stop(f);
  assert_false(reached.is_done);
  assert_int_equal(far_n_tmp(f), 0);
}

/* What results wait for is not behind what people ask for. */
static void urgent(void **state) {
  struct far_engine *f = *state;
  start(f);
  far_rest(f, 50);
  far_add(f, 1, 200 * PART, 1, true);
  struct far_content *small = far_add(f, 1, 3, 2, true);
  const struct far_content *large = f->fars[0].contents[0];
  struct far_reached reached, quick = {.engine = f->engine};
  assert_int_equal(far_reach(f, &large, NULL, 1, &reached), 0);
  far_rest(f, 1);
  const struct dk_copy copy = {small->digest, 1, small->len, false};
  assert_int_equal(dk_pull(f->engine->pulls, &copy, DK_PULL_URGENT, on_urgent, &quick), 0);
  assert_int_equal(far_turns(f, &quick.is_done, NULL), 0);
  assert_true(quick.r == 0 && !reached.is_done);
  assert_int_equal(far_turns(f, &reached.is_done, NULL), 0);
  assert_int_equal(reached.r, 0);
  assert_true(reached.n_progress < 200);
}

/* Nothing half is left when there is no room, and the engine goes on; what it wanted for itself is told when it asks.
 */
static void full_disk(void **state) {
  struct far_engine *f = *state;
  start(f);
  far_rest(f, 50);
  struct far_content *content = far_add(f, 1, 20 * PART, 1, true);
  assert_int_equal(dk_shim_arm("write ENOSPC 7+"), 0);
  struct far_reached reached = reach_one(f, content, false);
  dk_shim_arm(NULL);
  assert_int_equal(reached.r, -ENOSPC);
  assert_non_null(strstr(reached.words, "No space left"));
  assert_int_equal(far_n_tmp(f), 0);
  assert_true(far_has_copy(f, 1, &content->digest));
  const struct dk_copy copy = {content->digest, 1, content->len, false};
  struct dk_error error = {0};
  assert_int_equal(dk_pull(f->engine->pulls, &copy, DK_PULL_IN_TURN, NULL, NULL), 0);
  assert_int_equal(dk_shim_arm("write ENOSPC 7+"), 0);
  int r = 0;
  for (int i = 0; i < 12000 && r == 0; i++) {
    far_rest(f, 10);
    r = dk_pull_take_failure(f->engine->pulls, &content->digest, &error);
  }
  dk_shim_arm(NULL);
  assert_int_equal(r, -ENOSPC);
  assert_int_equal(dk_pull_take_failure(f->engine->pulls, &content->digest, &error), 0);
  reached = reach_one(f, content, false);
  assert_true(reached.r == 0 && far_is_here(f, content));
}

/* One allocation after the other fails: it comes, or words say that there is no memory, or the engine ends. What is
 * there then is whole, and the next engine has the rest. */
static void no_memory(void **state) {
  struct far_engine *f = *state;
  uint32_t n_failed = 0, n_ended = 0;
  bool is_over = false;
  f->fars[1].is_away = true;
  for (uint64_t at = 1; !is_over; at++) {
    dk_autobuf manifest = DK_BUF_INIT;
    struct far_reached reached = {.is_done = false};
    const bool are_dirs[] = {false, true};
    char path[2][8] = {"a", "b"};
    struct dk_error error = {0};
    for (uint32_t i = 0; i < 2; i++) {
      struct far_content *file = far_add(f, 1, PART + i, (uint32_t)at * 8 + i, false);
      dk_manifest_add(&manifest, &(struct dk_manifest_entry){
                                     .kind = 'f', .digest = file->digest, .size = file->len, .path = path[i]});
    }
    far_add_bytes(f, 1, manifest.data, manifest.len, true, true);
    far_add(f, 1, 3 * PART, (uint32_t)at * 8 + 2, true);
    const struct far_content *wanted[] = {f->fars[0].contents[3], f->fars[0].contents[2]};
    if (!f->engine) start(f);
    far_rest(f, 5);
    dk_alloc_fail_at(0);
    dk_alloc_fail_once(at);
    int r = far_reach(f, wanted, are_dirs, 2, &reached);
    uint64_t began = dk_now_ns();
    /* An agent of the test that could not answer is left alone. */
    for (f->until_ns = 0; r == 0 && !reached.is_done && dk_now_ns() - began < 300000000; f->until_ns = dk_now_ns())
      r = dk_engine_turn(f->engine, &error);
    is_over = dk_alloc_count() < at && reached.is_done;
    dk_alloc_fail_at(0);
    if (r < 0) {
      assert_int_equal(r, -ENOMEM);
      n_ended++;
    } else if (reached.is_done && reached.r < 0) {
      assert_true(reached.words[0]);
      n_failed++;
    } else if (reached.is_done) {
      assert_true(far_is_here(f, wanted[0]));
      assert_int_equal(dk_objects_has_dir(&f->folder.objects, &wanted[1]->digest, NULL), 1);
    }
    if (r < 0 || !reached.is_done || reached.r < 0) far_stop(f);
    assert_true(is_over || at < 2000);
    far_clear(&f->fars[0]);
  }
  assert_true(n_failed + n_ended > 5);
  if (f->engine) assert_int_equal(far_n_tmp(f), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(sizes, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(ways, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(elsewhere, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(resumed, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(next_source, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(goes_on, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(altered_before, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(silent, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(silent_twice, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(comes_back, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(other_size, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(directory_of_two, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(lost, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(directories, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(given_up, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(urgent, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(full_disk, far_setup, far_teardown),
      cmocka_unit_test_setup_teardown(no_memory, far_setup, far_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
