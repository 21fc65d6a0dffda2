/* What a host says before its agent speaks: lines `dk1 KEY VALUE` among whatever its login prints, then `dkagent
 * ready`. Pure, and bounded: nothing that a host sends makes this grow. */
#ifndef DK_PROVIDERS_SSH_TALK_H
#define DK_PROVIDERS_SSH_TALK_H

#include "engine/drive/provider.h"

#include <stdbool.h>
#include <stddef.h>

#define DK_SSH_LINE 1024         /* a longer line is noise */
#define DK_SSH_NOISE (64u << 10) /* bytes between two things that were to be said */

enum dk_ssh_said {
  DK_SSH_NOTHING, /* all was used; more has to come */
  DK_SSH_ASK,     /* the facts are complete; which program is it to have? */
  DK_SSH_WANT,    /* `name` is to be sent */
  DK_SSH_GO,      /* the program is there; from now on only `ready` is looked for */
  DK_SSH_READY,   /* what follows is the agent's */
  DK_SSH_DONE,    /* of CLEAN and REMOVE: it is done (facts.freed) */
  DK_SSH_FAILED,  /* `words` (and `help`) say why */
  DK_SSH_FLOOD,   /* more than DK_SSH_NOISE bytes of noise */
};

/* Zero to begin with. */
struct dk_ssh_talk {
  struct dk_host_facts facts;
  char name[64];              /* of WANT */
  char words[400], help[200]; /* of FAILED */
  char noise[200];            /* the last line that was not for us and had something in it; printable */
  bool has_spoken, is_going;  /* a line `dk1` came; GO came */
  /* Its own. */
  char line[DK_SSH_LINE];
  size_t len;  /* of it; what does not fit is counted and not kept */
  size_t idle; /* bytes since something was said */
};

/* Takes bytes up to the first thing that is said; *ret_used is how many that were, not one behind its line. */
enum dk_ssh_said dk_ssh_talk_feed(struct dk_ssh_talk *talk, const char *data, size_t len, size_t *ret_used);

#endif
