/* Draws a run that is going on; see live.h. */
#include "engine/cli/live.h"
#include "engine/cli/term.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <unistd.h>

#define FRAME_NS 100000000u /* ten a second */

struct dk_live {
  struct dk_progress *progress;
  enum dk_live_mode mode;
  bool color, draws, keys, finished;
  bool dead;      /* nobody reads: stdout failed */
  uint32_t lines; /* of the frame that stands on the terminal */
  uint32_t width; /* that it was drawn for */
  uint64_t drawn_ns;
};

int dk_live_create(struct dk_live **ret, struct dk_progress *progress, enum dk_live_mode mode, bool color,
                   struct dk_error *error) {
  struct dk_live *live = dk_calloc(1, sizeof *live);
  if (!live) {
    return dk_error_system(error, -ENOMEM, "making the view of the run");
  }
  live->progress = progress;
  live->mode = mode;
  live->color = color;
  live->draws = mode == DK_LIVE_AUTO && dk_term_can_draw(STDOUT_FILENO);
  live->keys = live->draws && isatty(STDIN_FILENO) && dk_term_enter(STDIN_FILENO, STDOUT_FILENO) == 0;
  *ret = live;
  return 0;
}

void dk_live_destroy(struct dk_live *live) {
  if (live) {
    dk_live_finish(live, live->drawn_ns);
    dk_free(live);
  }
}

static void put(struct dk_live *live, const struct dk_buf *buf) {
  const char *at = dk_buf_text(buf);
  size_t len = buf->len;
  while (len && !live->dead) {
    ssize_t n = write(STDOUT_FILENO, at, len);
    if (n < 0 && errno != EINTR) {
      live->dead = true; /* a run goes on without its audience; the summary's output tells of a full disk */
    }
    if (n > 0) {
      at += n;
      len -= (size_t)n;
    }
  }
}

/* Back to the first line of the frame. Lines that were cut at the old width stand on one row each only if the window
 * did not get narrower: then rows are counted anew. */
static void add_erase(const struct dk_live *live, uint32_t width, struct dk_buf *out) {
  uint32_t rows = live->lines;
  if (width && width < live->width) {
    rows *= (live->width + width - 1) / width;
  }
  if (rows) {
    dk_buf_printf(out, "\x1b[%uA", rows);
  }
  dk_buf_add_text(out, "\r\x1b[J");
}

static uint32_t count_lines(const struct dk_buf *buf, size_t from) {
  uint32_t n = 0;
  for (size_t i = from; i < buf->len; i++) {
    n += buf->data[i] == '\n';
  }
  return n;
}

static void draw(struct dk_live *live, uint64_t now_ns) {
  struct dk_progress_view view = {.color = live->color, .keys = true};
  dk_autobuf out = DK_BUF_INIT;
  uint32_t width, height;
  dk_term_size(STDOUT_FILENO, &width, &height);
  /* The last column and the last row stay free: writing there makes terminals wrap and scroll. */
  view.width = width > 1 ? width - 1 : 1;
  view.height = height > 1 ? height - 1 : 1;
  dk_buf_add_text(&out, "\x1b[?2026h"); /* synchronized output, where it is known: no flicker */
  add_erase(live, width, &out);
  dk_progress_take_lines(live->progress, now_ns, DK_LINES_IMPORTANT, false, live->color, &out);
  size_t frame = out.len;
  dk_progress_frame(live->progress, now_ns, &view, &out);
  uint32_t lines = count_lines(&out, frame);
  dk_buf_add_text(&out, "\x1b[?2026l");
  if (dk_buf_ok(&out)) {
    put(live, &out);
    live->lines = lines;
    live->width = width;
  }
  live->drawn_ns = now_ns;
}

static void print_lines(struct dk_live *live, uint64_t now_ns, bool flush) {
  dk_autobuf out = DK_BUF_INIT;
  dk_progress_take_lines(live->progress, now_ns, live->mode == DK_LIVE_QUIET ? DK_LINES_IMPORTANT : DK_LINES_ALL, flush,
                         live->color, &out);
  if (dk_buf_ok(&out)) {
    put(live, &out);
  }
}

void dk_live_tick(struct dk_live *live, uint64_t now_ns) {
  if (live->finished) {
    return;
  }
  if (!live->draws) {
    print_lines(live, now_ns, false);
    live->drawn_ns = now_ns;
  } else if (dk_term_take_redraw() || !live->drawn_ns || now_ns - live->drawn_ns >= FRAME_NS) {
    draw(live, now_ns);
  }
}

uint64_t dk_live_deadline(const struct dk_live *live, uint64_t now_ns) {
  if (live->finished || live->dead) {
    return UINT64_MAX;
  }
  if (live->draws) {
    uint64_t next = live->drawn_ns + FRAME_NS;
    return next > now_ns ? next : now_ns + 1;
  }
  return dk_progress_deadline(live->progress);
}

int dk_live_input_fd(const struct dk_live *live) {
  return live->keys ? STDIN_FILENO : -1;
}

enum dk_live_key dk_live_key(struct dk_live *live) {
  char c;
  if (!live->keys) {
    return DK_LIVE_KEY_CLOSED;
  }
  ssize_t n = read(STDIN_FILENO, &c, 1);
  if (n == 1) {
    return c == 'q' || c == 'Q' ? DK_LIVE_KEY_QUIT : c == 'd' || c == 'D' ? DK_LIVE_KEY_DETACH : DK_LIVE_KEY_OTHER;
  }
  /* VMIN is 0, so nothing there is 0 as well; poll said that there is something: it is the end. */
  return n < 0 && (errno == EINTR || errno == EAGAIN) ? DK_LIVE_KEY_NONE : DK_LIVE_KEY_CLOSED;
}

void dk_live_finish(struct dk_live *live, uint64_t now_ns) {
  if (live->finished) {
    return;
  }
  live->finished = true;
  if (live->draws) {
    dk_autobuf out = DK_BUF_INIT;
    uint32_t width, height;
    dk_term_size(STDOUT_FILENO, &width, &height);
    if (live->lines) {
      add_erase(live, width, &out);
    }
    dk_progress_take_lines(live->progress, now_ns, DK_LINES_IMPORTANT, true, live->color, &out);
    put(live, &out);
  } else {
    print_lines(live, now_ns, true);
  }
  if (live->keys) {
    dk_term_leave();
  }
}
