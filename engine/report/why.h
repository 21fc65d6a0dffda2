/* Why a task has to run: which parts of its key differ from those of the last result under its name. */
#ifndef DK_REPORT_WHY_H
#define DK_REPORT_WHY_H

#include "engine/store/record.h"
#include "lang/plan/plan.h"

/* Appends "code changed since run 12", "program, input train changed since run 3", "env SEED new since run 2", or "never run" when `old` is NULL. Nothing
 * differs: "the result of run 3 is gone". Part names are plan.h's ("program", "input train"). */
void dk_why_text(const struct dk_key_part *parts, uint32_t n_parts, const struct dk_saved *old, struct dk_buf *out);

#endif
