/* Looking at a slot from outside; see slot.h. */
#include "engine/cli/slot.h"
#include "engine/agent/journal.h"
#include "engine/sys/fs.h"
#include "engine/sys/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void dk_slot_path(const struct dk_cli *cli, uint32_t slot, const char *name, struct dk_buf *out) {
  dk_buf_printf(out, "%s/agent/slots/%u/%s", cli->state, slot, name);
}

static bool is_keeper_there(const struct dk_journal_start *start) {
  uint8_t boot[16];
  dk_proc_boot_id(boot);
  return memcmp(boot, start->boot, sizeof boot) == 0 && dk_proc_is_alive(start->keeper, start->keeper_start_ticks);
}

enum dk_slot_says dk_slot_ask(const struct dk_cli *cli, uint32_t slot, struct dk_id attempt) {
  dk_autobuf path = DK_BUF_INIT;
  struct dk_journal_start start;
  bool is_open;
  dk_slot_path(cli, slot, "", &path);
  int dir = dk_buf_ok(&path) ? open(dk_buf_text(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (dir < 0) {
    return DK_SLOT_MOVED;
  }
  int r = dk_journal_look(dir, &start, &is_open);
  close(dir);
  if (r < 0 || !dk_id_equal(start.id, attempt)) {
    return DK_SLOT_MOVED;
  }
  if (!is_open) {
    return DK_SLOT_ENDED;
  }
  return is_keeper_there(&start) ? DK_SLOT_RUNS : DK_SLOT_LOST;
}

void dk_slots_each_running(const struct dk_cli *cli, void (*fn)(void *ctx, struct dk_id attempt, long keeper),
                           void *ctx) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/agent/slots", cli->state);
  DIR *slots = dk_buf_ok(&path) ? opendir(dk_buf_text(&path)) : NULL;
  struct dirent *entry;
  while (slots && dk_fs_next_entry(slots, &entry) == 0 && entry) {
    struct dk_journal_start start;
    bool is_open;
    int dir = openat(dirfd(slots), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0) {
      continue;
    }
    if (dk_journal_look(dir, &start, &is_open) == 0 && is_open && is_keeper_there(&start)) {
      fn(ctx, start.id, (long)start.keeper);
    }
    close(dir);
  }
  if (slots) {
    closedir(slots);
  }
}
