/* Records and actions of a step. Out of memory marks the core as failed; the step then ends with -ENOMEM and nothing
 * that it gave may be used. */
#include "engine/core/internal.h"
#include "lang/base/alloc.h"

bool dk_emit_is_full(const struct dk_core *core) {
  return core->out->n_records + core->out->n_actions >= core->out_limit || core->is_failed;
}

struct dk_record *dk_emit_record(struct dk_core *core, enum dk_record_kind kind) {
  struct dk_out *out = core->out;
  struct dk_record *record = &core->no_record;
  if (dk_grow(out->records, out->n_records, out->cap_records)) {
    record = &out->records[out->n_records++];
  } else {
    core->is_failed = true;
  }
  *record = (struct dk_record){.kind = kind};
  return record;
}

struct dk_action *dk_emit_action(struct dk_core *core, enum dk_action_kind kind, uint64_t gate) {
  struct dk_out *out = core->out;
  struct dk_action *action = &core->no_action;
  if (dk_grow(out->actions, out->n_actions, out->cap_actions)) {
    action = &out->actions[out->n_actions++];
  } else {
    core->is_failed = true;
  }
  *action = (struct dk_action){.kind = kind, .gate = gate, .task = DK_NO_TASK};
  return action;
}

struct dk_action *dk_emit_order(struct dk_core *core, enum dk_action_kind kind, uint64_t gate, uint32_t host) {
  struct dk_action *action = dk_emit_action(core, kind, gate);
  action->host = host;
  action->session = core->hosts[host].session;
  return action;
}

void dk_emit_attempt(struct dk_core *core, const struct dk_attempt *attempt, bool del) {
  struct dk_record *record = dk_emit_record(core, DK_REC_ATTEMPT);
  record->del = del;
  record->id = attempt->id;
  record->key = attempt->key;
  record->run = attempt->run;
  record->task = attempt->task;
  record->host = attempt->host;
  record->booked = attempt->booked;
}

void dk_emit_task(struct dk_core *core, const struct dk_core_run *run, uint32_t task, const struct dk_claim *claim) {
  struct dk_record *record = dk_emit_record(core, DK_REC_TASK);
  record->run = run->number;
  record->task = task;
  record->state = run->state[task];
  if (!claim) return;
  record->key = claim->key;
  record->id = claim->last;
  record->cause = claim->cause;
  record->code = claim->code;
  record->attempts = claim->attempts;
  record->tries = claim->tries;
  record->host = claim->host;
  if (claim->attempt != DK_NONE) record->slot = core->attempts[claim->attempt].slot;
}

void dk_emit_bytes(struct dk_core *core, struct dk_record *record, const void *bytes, uint32_t len) {
  struct dk_buf *to = &core->out->bytes;
  if (to->len + len > UINT32_MAX) {
    core->is_failed = true;
    return;
  }
  record->off = (uint32_t)to->len;
  record->len = len;
  if (len) dk_buf_add(to, bytes, len);
  if (!dk_buf_ok(to)) core->is_failed = true;
}
