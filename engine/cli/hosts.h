/* The hosts that commands look at and ask: those of the files of providers, with what the store knows of them. */
#ifndef DK_CLI_HOSTS_H
#define DK_CLI_HOSTS_H

#include "engine/cli/cli.h"
#include "engine/drive/folder.h"
#include "engine/drive/known.h"
#include "engine/drive/survey.h"

struct dk_hosts_look {
  struct dk_hosts hosts;
  struct dk_known_hosts known;
  struct dk_survey_answer *answers; /* of known.items, where they were asked */
  uint8_t store[16];                /* its id; zeros: nothing was run here yet */
  bool is_working;                  /* an engine, now */
  uint32_t pid;
};

/* `folder` is an open one; NULL: the repository's, read for as long as this takes, or none where there is no
 * repository. Says what is wrong; an exit code. Close in any case. */
int dk_hosts_look_open(struct dk_cli *cli, struct dk_folder *folder, struct dk_hosts_look *ret);
void dk_hosts_look_close(struct dk_hosts_look *look);

/* Asks those that are marked; answers are in look->answers. `answered` may be NULL. */
int dk_hosts_ask(struct dk_cli *cli, struct dk_hosts_look *look, enum dk_dial_way way, const bool *is_meant,
                 void (*answered)(void *ctx, uint32_t index), void *ctx, struct dk_error *error);
/* Is it, as the answers have it, the same machine as one that comes before it? -EXDEV with words; 0: no. */
int dk_hosts_judge_twin(const struct dk_hosts_look *look, uint32_t at, struct dk_error *error);
/* Of what people typed: no such host or provider; an exit code, not 0. */
int dk_hosts_no_such(const struct dk_hosts *hosts, const char *name);
/* "lab h2" */
void dk_hosts_add_name(const struct dk_known_host *host, struct dk_buf *out);
/* Words of more than one line: the others below the first, indented. */
void dk_hosts_add_words(const char *before, const char *words, struct dk_buf *out);

int dk_hosts_clean(struct dk_cli *cli, int argc, char **argv);             /* `dkrun hosts clean`; an exit code */
int dk_hosts_check(struct dk_cli *cli, const char *name, bool files_only); /* `dkrun providers check`; the same */

#endif
