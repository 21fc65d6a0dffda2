/* See hosts.h. */
#include "engine/cli/hosts.h"

#include "engine/cli/providers.h"
#include "engine/cli/session.h"
#include "engine/drive/judge.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int look_at_folder(struct dk_cli *cli, struct dk_folder *folder, struct dk_hosts_look *look,
                          struct dk_error *error) {
  struct dk_folder own = {.lock = DK_LOCK_INIT, .objects = {.fd = -1}};
  int r = 0;

  if (!folder && cli->root) r = dk_folder_peek(cli->root, &own, error);
  if (r < 0) return r;
  struct dk_store *store = folder ? folder->store : own.store;
  if (store) dk_store_id(store, look->store);
  r = dk_known_hosts_load(&look->hosts, store, &look->known, error);
  if (r == 0 && store) r = dk_known_hosts_count(&look->known, store, error);
  if (!folder && cli->root) dk_folder_close(&own);
  return r;
}

int dk_hosts_look_open(struct dk_cli *cli, struct dk_folder *folder, struct dk_hosts_look *ret) {
  struct dk_error error = {0};

  *ret = (struct dk_hosts_look){.pid = 0};
  (void)dk_cli_find_root(cli, NULL); /* elsewhere there is the user's file alone */
  if (dk_hosts_load(cli->root, &ret->hosts, &error) < 0) return dk_providers_fail(cli, &ret->hosts, &error);
  int r = look_at_folder(cli, folder, ret, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  ret->is_working = !folder && cli->root && dk_cli_engine_alive(cli, &ret->pid);
  ret->answers = dk_calloc(ret->known.n + 1u, sizeof *ret->answers);
  return ret->answers ? DK_EXIT_OK : dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
}

void dk_hosts_look_close(struct dk_hosts_look *look) {
  for (uint32_t i = 0; look->answers && i < look->known.n; i++) dk_survey_answer_finish(&look->answers[i]);
  dk_free(look->answers);
  dk_known_hosts_finish(&look->known);
  dk_hosts_finish(&look->hosts);
}

struct forward {
  void (*answered)(void *ctx, uint32_t index);
  void *ctx;
  struct dk_hosts_look *look;
  struct dk_survey_answer *answers; /* of those that are asked */
  const uint32_t *which;
};

static void pass_on(void *ctx, uint32_t index) {
  const struct forward *forward = ctx;
  struct dk_survey_answer *answer = &forward->look->answers[forward->which[index]];

  dk_survey_answer_finish(answer);
  *answer = forward->answers[index];
  forward->answers[index] = (struct dk_survey_answer){.has_answered = true};
  if (forward->answered) forward->answered(forward->ctx, forward->which[index]);
}

int dk_hosts_ask(struct dk_cli *cli, struct dk_hosts_look *look, enum dk_dial_way way, const bool *is_meant,
                 void (*answered)(void *ctx, uint32_t index), void *ctx, struct dk_error *error) {
  uint32_t n = 0, most = look->known.n + 1u;
  dk_autofree char *agent = dk_session_agent_program(error);
  dk_autofree char *here = dk_fs_absolute(".");
  dk_autofree const struct dk_hosts_entry **entries = dk_calloc(most, sizeof *entries);
  dk_autofree struct dk_survey_answer *answers = dk_calloc(most, sizeof *answers);
  dk_autofree uint32_t *which = dk_calloc(most, sizeof *which);
  struct forward forward = {answered, ctx, look, answers, which};

  if (!agent) return error->code;
  if (!here || !entries || !answers || !which) return dk_error_system(error, -ENOMEM, "asking the hosts");
  for (uint32_t i = 0; i < look->known.n; i++) {
    if (!is_meant[i] || !look->known.items[i].entry) continue;
    entries[n] = look->known.items[i].entry;
    which[n++] = i;
  }
  struct dk_survey_options options = {.way = way,
                                      .state = cli->state && access(cli->state, F_OK) == 0 ? cli->state : here,
                                      .agent_program = agent,
                                      .answered = pass_on,
                                      .ctx = &forward};
  memcpy(options.store, look->store, sizeof options.store);
  int r = dk_survey(&options, entries, n, answers, error);
  for (uint32_t i = 0; i < n; i++) dk_survey_answer_finish(&answers[i]);
  return r;
}

int dk_hosts_judge_twin(const struct dk_hosts_look *look, uint32_t at, struct dk_error *error) {
  const struct dk_survey_answer *answer = &look->answers[at];

  for (uint32_t i = 0; *answer->facts.place && i < at; i++)
    if (strcmp(look->answers[i].facts.place, answer->facts.place) == 0)
      return dk_judge_twin(dk_known_host_provider(&look->known.items[at]),
                           dk_known_host_provider(&look->known.items[i]), dk_known_host_name(&look->known.items[i]),
                           error);
  return 0;
}

int dk_hosts_no_such(const struct dk_hosts *hosts, const char *name) {
  const char *near = NULL;

  for (uint32_t i = 0; i < hosts->n && !near; i++) {
    const char *const names[] = {hosts->items[i].config.provider, hosts->items[i].config.name};
    near = dk_nearest(name, names, 2);
  }
  for (uint32_t i = 0; i < hosts->n_clouds && !near; i++) near = dk_nearest(name, &hosts->clouds[i].config.provider, 1);
  return dk_cli_failf(DK_EXIT_USAGE, "no provider or host `%s`%s%s%s\nhelp: `dkrun providers` lists them", name,
                      near ? ": did you mean `" : "", near ? near : "", near ? "`?" : "");
}

void dk_hosts_add_name(const struct dk_known_host *host, struct dk_buf *out) {
  const char *provider = dk_known_host_provider(host), *name = dk_known_host_name(host);

  dk_buf_add_escaped(out, provider, strlen(provider));
  if (!dk_known_host_is_remote(host)) return;
  dk_buf_add_char(out, ' ');
  dk_buf_add_escaped(out, name, strlen(name));
}

void dk_hosts_add_words(const char *before, const char *words, struct dk_buf *out) {
  dk_buf_add_text(out, before);
  while (*words) {
    size_t len = strcspn(words, "\n");
    dk_buf_add_escaped(out, words, len);
    words += len;
    if (*words == '\n') words++;
    dk_buf_add_text(out, *words ? "\n  " : "\n");
  }
}
