/* dkrun providers check NAME --boot: a machine of a cloud is made, reached and given back, by an engine like any other:
 * so it is recorded, counted, and found again by the next one whatever becomes of this. */
#include "engine/cli/providers.h"

#include "engine/cli/clouds.h"
#include "engine/cli/session.h"
#include "engine/drive/engine.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define MORE_NS (120 * SECOND)   /* than its provider's `boot`, for the calls before and after */
#define IMAGE_NS (4800 * SECOND) /* more, where an image is to be made first: its setup has an hour */
#define GIVE_BACK_NS (120 * SECOND)
#define LOOK_NS (SECOND / 10)

struct boot {
  struct dk_engine *engine;
  const struct dk_cloud_entry *cloud;
};

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number) {
  (void)number;
  is_interrupted = 1;
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};

  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

/* --- what the engine says --- */

static void on_note(void *ctx, uint32_t run, const struct dk_engine_note *note) {
  (void)ctx, (void)run, (void)note;
}

static void on_ended(void *ctx, uint32_t run, enum dk_run_state state) {
  (void)ctx, (void)run, (void)state;
}

static void on_say(void *ctx, const char *text) {
  (void)ctx;
  fprintf(stderr, "dkrun: %s\n", text);
}

static void on_where(void *ctx, uint32_t slots, const char *text) {
  (void)ctx, (void)slots, (void)text;
}

static uint64_t on_tick(void *ctx, uint64_t now_ns) {
  struct boot *boot = ctx;

  if (boot->engine) dk_engine_wake(boot->engine);
  return now_ns + LOOK_NS;
}

/* --- the machine --- */

static int wait_for_it(struct boot *boot, struct dk_buf *words, enum dk_probe *ret, struct dk_error *error) {
  uint64_t until = dk_now_ns() + boot->cloud->boot_ns + MORE_NS + (boot->cloud->image.setup ? IMAGE_NS : 0);
  int r = 0;

  do {
    r = dk_engine_turn(boot->engine, error);
    *ret = r == 0 ? dk_engine_probed(boot->engine, words) : DK_PROBE_FAILED;
  } while (r == 0 && *ret == DK_PROBE_GOES_ON && dk_now_ns() < until && !is_interrupted);
  return r;
}

/* 1: the cloud has none of it any more; 0: nobody knows yet. */
static int give_back(struct boot *boot, struct dk_error *error) {
  uint64_t until = dk_now_ns() + GIVE_BACK_NS;
  int r = dk_engine_release(boot->engine, boot->cloud->config.provider, true, error);

  if (r == -EHOSTUNREACH) r = 0; /* of an earlier place: that was said */
  while (r == 0 && dk_engine_n_rented(boot->engine) > 0 && dk_now_ns() < until) r = dk_engine_turn(boot->engine, error);
  return r < 0 ? r : dk_engine_n_rented(boot->engine) == 0;
}

static int report(struct dk_cli *cli, const struct boot *boot, enum dk_probe probe, const struct dk_buf *words,
                  uint64_t took_ns, bool is_gone) {
  const char *name = boot->cloud->config.provider;
  char took[DK_NUMBER_TEXT];

  dk_number_duration_text(took_ns / (SECOND / 10) * (SECOND / 10), took);
  if (probe == DK_PROBE_UP)
    dk_cli_printf(cli, "ok        %s  %s, after %s\n", name, dk_cli_text(cli, words), took);
  else if (is_interrupted)
    dk_cli_printf(cli, "problem   %s  interrupted after %s\n", name, took);
  else
    dk_cli_printf(cli, "problem   %s  no machine came up within %s\n", name, took);
  if (is_gone)
    dk_cli_printf(cli, "note      %s  it was given back: the cloud has none of ours\n", name);
  else
    dk_cli_printf(cli,
                  "note      %s  what was made is not known to be gone yet: the next dkrun in this repository goes on "
                  "with that, `dkrun instances` lists it\n",
                  name);
  return probe == DK_PROBE_UP && is_gone ? DK_EXIT_OK : DK_EXIT_ENGINE;
}

static int boot_with(struct dk_cli *cli, struct boot *boot, const struct dk_engine_options *options,
                     struct dk_error *error, int *ret_code) {
  dk_autobuf words = DK_BUF_INIT;
  enum dk_probe probe;
  uint64_t since = dk_now_ns();

  int r = dk_engine_create(options, &boot->engine, error);
  if (r < 0) return r;
  r = wait_for_it(boot, &words, &probe, error);
  uint64_t took = dk_now_ns() - since;
  if (r == 0) r = give_back(boot, error);
  if (r >= 0) *ret_code = report(cli, boot, probe, &words, took, r == 1);
  dk_engine_destroy(boot->engine);
  boot->engine = NULL;
  return r < 0 ? r : 0;
}

/* --- may it be made? --- */

static int ask_consent(struct dk_cli *cli, const struct dk_cloud_entry *cloud, bool yes) {
  dk_autobuf text = DK_BUF_INIT;

  if (yes) return DK_EXIT_OK;
  dk_buf_printf(&text, "%s: a machine is made, reached and given back", cloud->config.provider);
  if (cloud->image.setup) dk_buf_printf(&text, ", and its image if it is not there");
  dk_buf_add_text(&text, "; ");
  dk_clouds_add_cost_of(cloud, &text);
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
    return dk_cli_failf(DK_EXIT_USAGE, "%s\nhelp: nobody can be asked here: --yes agrees", dk_cli_text(cli, &text));
  dk_buf_add_text(&text, ". Go on? [y/N] ");
  return dk_cli_is_agreed(cli, dk_cli_text(cli, &text)) ? DK_EXIT_OK : DK_EXIT_FAILED;
}

static const struct dk_cloud_entry *find(const struct dk_hosts *hosts, const char *name) {
  for (uint32_t i = 0; i < hosts->n_clouds; i++)
    if (strcmp(hosts->clouds[i].config.provider, name) == 0) return &hosts->clouds[i];
  return NULL;
}

static int boot_one(struct dk_cli *cli, const struct dk_hosts *hosts, const struct dk_cloud_entry *cloud,
                    struct dk_error *error, int *ret_code) {
  struct dk_folder folder = {0};
  struct dk_loop *loop = NULL;
  struct boot boot = {.cloud = cloud};
  dk_autofree char *agent = dk_session_agent_program(error);

  if (!agent) return error->code;
  int r = dk_folder_open(cli->root, "dkrun providers check", &folder, error);
  if (r == 0) r = dk_loop_create(&loop, error);
  const struct dk_engine_options options = {.folder = &folder,
                                            .root = cli->root,
                                            .hosts = hosts,
                                            .agent_program = agent,
                                            .loop = loop,
                                            .probe = cloud->config.provider,
                                            .observer = {&boot, on_note, on_ended, on_say, on_where, on_tick}};
  catch_signals();
  if (r == 0) r = boot_with(cli, &boot, &options, error, ret_code);
  dk_loop_destroy(loop);
  dk_folder_close(&folder);
  return r;
}

int dk_providers_boot(struct dk_cli *cli, const char *name, bool yes) {
  struct dk_hosts hosts;
  struct dk_error error = {0};
  int code = DK_EXIT_OK, r = dk_cli_find_root(cli, &error);

  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (dk_hosts_load(cli->root, &hosts, &error) < 0) {
    code = dk_providers_fail(cli, &hosts, &error);
    dk_hosts_finish(&hosts);
    return code;
  }
  const struct dk_cloud_entry *cloud = find(&hosts, name);
  if (!cloud) code = dk_cli_failf(DK_EXIT_USAGE, "--boot is for a provider that makes machines: `%s` does not", name);
  if (code == DK_EXIT_OK) code = ask_consent(cli, cloud, yes);
  if (code == DK_EXIT_OK) r = boot_one(cli, &hosts, cloud, &error, &code);
  dk_hosts_finish(&hosts);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : code;
}
