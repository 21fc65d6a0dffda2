/* What a task left behind becomes its result: outputs, files that metrics read, logs. Called when its whole tree is
 * dead. */
#ifndef DK_AGENT_COLLECT_H
#define DK_AGENT_COLLECT_H

#include "engine/agent/blob.h"
#include "engine/wire/message.h"

/* Every output of the job into ret->outputs. On failure ret->cause and ret->text say why (OUTPUT, DISK; KILLED when
 * stopped), ret->outputs is empty. -ENOMEM only. */
int dk_collect_outputs(struct dk_blobs *blobs, int work, const struct dk_job *job, struct dk_result *ret);
/* Files to be kept that exist, into ret->keep_files; the others are marked missing. Small ones inline. One that is
 * there and cannot be kept makes a good result fail: ret->cause and ret->text say why, as above. -ENOMEM only. */
int dk_collect_keep_files(struct dk_blobs *blobs, int work, const struct dk_job *job, struct dk_result *ret);

#endif
