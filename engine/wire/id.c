/* Names of causes, as people and tables see them. */
#include "engine/wire/id.h"

const char *dk_cause_name(enum dk_cause cause) {
  switch (cause) {
  case DK_CAUSE_OK: return "ok";
  case DK_CAUSE_EXIT: return "exit";
  case DK_CAUSE_SIGNAL: return "signal";
  case DK_CAUSE_TIMEOUT: return "timeout";
  case DK_CAUSE_OOM: return "oom";
  case DK_CAUSE_KILLED: return "killed";
  case DK_CAUSE_OUTPUT: return "output";
  case DK_CAUSE_INPUT: return "input";
  case DK_CAUSE_DISK: return "disk";
  case DK_CAUSE_SPAWN: return "spawn";
  case DK_CAUSE_LOST: return "lost";
  }
  return "unknown";
}
