/* See booking.h. */
#include "engine/agent/booking.h"

#include <string.h>
#include <unistd.h>

#define POLL_NS 1000000000u     /* a release wakes; this is for what does not */
#define BLIND_NS 50000000u      /* the same without inotify */
#define LOOK_NS 5000000000u     /* what was seen of others on the GPUs is believed this long */
#define GIVE_WAY_NS 5000000000u /* GPUs that others use: asked again */

void dk_booking_init(struct dk_booking *booking, const struct dk_machine *machine, int ledger, bool books_cpus) {
  memset(booking, 0, sizeof *booking);
  booking->machine = machine;
  booking->ledger = ledger;
  booking->books_cpus = books_cpus;
  booking->stage = DK_POOL_N;
  booking->watch = -1;
  booking->smi = (struct dk_smi)DK_SMI_INIT;
}

static void stop_waiting(struct dk_booking *b) {
  b->is_waiting = false;
  b->ticket = 0;
  b->stage = DK_POOL_N;
  if (b->watch >= 0) close(b->watch);
  b->watch = -1;
  dk_smi_stop(&b->smi);
}

void dk_booking_drop(struct dk_booking *b) {
  bool had_any = b->is_held || b->is_waiting;
  stop_waiting(b);
  b->is_held = false;
  b->n_gpus = 0;
  if (had_any && b->ledger >= 0) dk_ledger_release(b->ledger);
}

void dk_booking_finish(struct dk_booking *b) {
  dk_booking_drop(b);
}

static uint32_t pieces_of(const struct dk_booking *b, const struct dk_need *need) {
  uint64_t pieces = need->memory / DK_LEDGER_PIECE + (need->memory % DK_LEDGER_PIECE > 0);
  return pieces > b->machine->pieces.n ? b->machine->pieces.n : (uint32_t)pieces; /* all but a part of a piece */
}

static uint32_t amount(const struct dk_booking *b, const struct dk_need *need, enum dk_pool pool) {
  if (pool == DK_POOL_GPU) return need->gpus;
  if (pool == DK_POOL_MEMORY) return pieces_of(b, need);
  if (!b->books_cpus) return 0;
  uint32_t cpus = need->cpus ? need->cpus : 1;
  return cpus > b->machine->n_cpus ? b->machine->n_cpus : cpus;
}

/* The GPUs that this job may get, as ranges of one; others' left out or not. */
static size_t gpus_for(const struct dk_booking *b, const struct dk_need *need, bool with_busy,
                       struct dk_range ret[DK_GPU_MAX]) {
  size_t n = 0;
  memset(ret, 0, DK_GPU_MAX * sizeof *ret);
  for (uint32_t i = 0; i < b->machine->gpus.n; i++) {
    if (dk_gpu_is_model(&b->machine->gpus.items[i], need->gpu_model) && (with_busy || !b->busy[i]))
      ret[n++] = (struct dk_range){i, 1};
  }
  return n;
}

/* GPUs of others. */

/* What is booked is not another's, whatever runs on it. */
static void forget_booked(struct dk_booking *b) {
  for (uint32_t i = 0; i < b->machine->gpus.n; i++) {
    struct dk_range one = {i, 1};
    if (b->busy[i] && dk_ledger_free(b->ledger, DK_POOL_GPU, &one, 1) == 0) b->busy[i] = false;
  }
}

/* true: it is known what others use, as far as that can be known. */
static bool look_at_gpus(struct dk_booking *b, uint64_t now_ns) {
  if (b->smi.fd >= 0) {
    if (!dk_smi_look(&b->smi, &b->machine->gpus, now_ns, b->busy)) return false;
  } else {
    if (b->looked_ns > 0 && now_ns < b->looked_ns + LOOK_NS) return true;
    memset(b->busy, 0, sizeof b->busy);
    dk_gpus_busy(b->machine->root, &b->machine->gpus, b->busy);
    if (b->machine->gpus.vendor == DK_GPU_NVIDIA && dk_smi_start(&b->smi, now_ns)) return false;
  }
  forget_booked(b);
  b->looked_ns = now_ns;
  return true;
}

/* Taking. */

static bool take_gpus(struct dk_booking *b, const struct dk_need *need, uint64_t now_ns) {
  struct dk_range from[DK_GPU_MAX];
  if (!look_at_gpus(b, now_ns)) return false;
  size_t n = gpus_for(b, need, false, from);
  if (n < need->gpus) {
    /* Nobody knows how long others use theirs: those who need fewer are let through. */
    dk_ledger_leave(b->ledger, DK_POOL_GPU);
    b->way_until_ns = now_ns + GIVE_WAY_NS;
    return false;
  }
  return dk_ledger_take(b->ledger, DK_POOL_GPU, from, n, need->gpus, b->gpus);
}

static bool take_stage(struct dk_booking *b, const struct dk_need *need, uint64_t now_ns) {
  const struct dk_machine *m = b->machine;
  b->ticket = dk_ledger_queue(b->ledger, b->stage, b->ticket);
  if (b->ticket > 0 && !dk_ledger_is_first(b->ledger, b->stage, b->ticket)) return false;
  if (b->stage == DK_POOL_GPU) return take_gpus(b, need, now_ns);
  if (b->stage == DK_POOL_MEMORY)
    return dk_ledger_take(b->ledger, DK_POOL_MEMORY, &m->pieces, 1, pieces_of(b, need), NULL);
  return dk_ledger_take(b->ledger, DK_POOL_CPU, m->cpus, m->n_cpu_ranges, amount(b, need, DK_POOL_CPU), NULL);
}

static bool fits_held(const struct dk_booking *b, const struct dk_need *need) {
  /* GPUs and memory are given back each time: what comes next may want another model, and they are slow tasks
   * anyway. */
  return b->is_held && b->n_gpus == 0 && b->memory == 0 && need->gpus == 0 && pieces_of(b, need) == 0 &&
         b->cpus == amount(b, need, DK_POOL_CPU);
}

static void begin_waiting(struct dk_booking *b, uint64_t now_ns) {
  b->is_waiting = true;
  b->since_ns = now_ns;
  b->way_until_ns = 0;
  b->stage = 0;
}

static bool take_all(struct dk_booking *b, const struct dk_need *need, uint64_t now_ns) {
  for (; b->stage < DK_POOL_N; b->stage++) {
    if (amount(b, need, b->stage) == 0) continue;
    if (!take_stage(b, need, now_ns)) return false;
    /* Into the next queue before it leaves this one: who comes later stays behind. */
    enum dk_pool next = b->stage + 1;
    while (next < DK_POOL_N && amount(b, need, next) == 0) next++;
    if (next < DK_POOL_N) b->ticket = dk_ledger_queue(b->ledger, next, b->ticket);
    dk_ledger_leave(b->ledger, b->stage);
  }
  return true;
}

bool dk_booking_take(struct dk_booking *b, const struct dk_need *need, uint64_t now_ns) {
  if (b->ledger < 0) {
    struct dk_range from[DK_GPU_MAX];
    (void)gpus_for(b, need, true, from);
    b->n_gpus = need->gpus;
    for (uint32_t i = 0; i < need->gpus; i++) b->gpus[i] = from[i].first;
    return true;
  }
  if (fits_held(b, need)) return true;
  if (b->is_held) dk_booking_drop(b);
  if (!b->is_waiting) begin_waiting(b, now_ns);
  if (b->watch >= 0) dk_ledger_drain(b->watch);
  if (now_ns < b->way_until_ns) return false;
  bool has_all = take_all(b, need, now_ns);
  if (!has_all && b->watch < 0) {
    /* What was given back before it was watched for would not be heard. */
    b->watch = dk_ledger_watch(b->ledger);
    has_all = take_all(b, need, now_ns);
  }
  if (!has_all) {
    b->again_ns = b->way_until_ns > now_ns ? b->way_until_ns : now_ns + (b->watch >= 0 ? POLL_NS : BLIND_NS);
    return false;
  }
  stop_waiting(b);
  b->is_held = true;
  b->cpus = amount(b, need, DK_POOL_CPU);
  b->memory = pieces_of(b, need);
  b->n_gpus = need->gpus;
  return true;
}

void dk_booking_leave(struct dk_booking *b, const struct dk_need *next) {
  if (!b->is_held || (next && fits_held(b, next) && !dk_ledger_is_wanted(b->ledger))) return;
  dk_booking_drop(b);
}

/* Waiting. */

void dk_booking_fds(const struct dk_booking *b, int ret[DK_BOOKING_FDS]) {
  ret[0] = b->watch;
  ret[1] = b->smi.fd;
}

uint64_t dk_booking_deadline(const struct dk_booking *b) {
  return b->is_waiting ? b->again_ns : UINT64_MAX;
}
