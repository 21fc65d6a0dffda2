/* Hosts asked by a command, without an engine: all at once, each with its own answer. What an engine has to do with
 * them goes on meanwhile. */
#ifndef DK_DRIVE_SURVEY_H
#define DK_DRIVE_SURVEY_H

#include "engine/drive/hosts.h"

struct dk_survey_answer {
  bool has_answered;
  struct dk_error error; /* code 0: it is as below. Else the words, and what of the facts was found out before */
  struct dk_host_facts facts;
  /* Of a TRY: what its agent says (WELCOME). This machine is looked at itself. */
  uint32_t slots, cpus, gpus;
  uint64_t memory, free; /* bytes */
  int64_t clock_ns;      /* ahead of this machine's */
  char *gpu;             /* models, a newline between two; NULL: none */
};
void dk_survey_answer_finish(struct dk_survey_answer *answer);

struct dk_survey_options {
  enum dk_dial_way way; /* all but AGENT; this machine only with TRY */
  const char *state;    /* absolute path of .dkrun; where there is no repository: any folder */
  const char *agent_program;
  uint8_t store[16]; /* zeros: there is none yet */
  /* Called for each when its answer is there; NULL: nobody waits. */
  void (*answered)(void *ctx, uint32_t index);
  void *ctx;
};

#define DK_SURVEY_AT_ONCE 16u

/* Asks at most DK_SURVEY_AT_ONCE of them at a time; answers[i] is that of hosts[i], zero before, and finished by the
 * caller. Takes as long as the slowest, which is minutes at most. 0, or a negative errno with words when nobody can be
 * asked. */
int dk_survey(const struct dk_survey_options *options, const struct dk_hosts_entry *const *hosts, uint32_t n,
              struct dk_survey_answer *answers, struct dk_error *error);

#endif
