/* What encode.c and decode.c agree on. */
#ifndef DK_PLAN_CODEC_H
#define DK_PLAN_CODEC_H

#include "lang/plan/plan.h"

#define DK_PIN_MAGIC 0x6e69706bu /* "kpin" */
#define DK_PIN_VERSION 3         /* 2 had no growth of memory; 1 no programs, lines of variables and paths of columns */

#endif
