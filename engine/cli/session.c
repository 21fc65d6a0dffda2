/* What run and plan share: see session.h. */
#include "engine/cli/session.h"

#include "engine/sys/fs.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where dkagent can be, seen from the directory of dkrun: DK_AGENT_INSTALLED is set by CMake from the install
 * directories. */
static const char *const agent_places[] = {"dkagent", "../agent/dkagent", DK_AGENT_INSTALLED};

char *dk_session_agent_program(struct dk_error *error) {
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

  if (n < 0) {
    dk_error_system(error, -errno, "finding dkagent");
    return NULL;
  }
  self[n] = 0;
  *strrchr(self, '/') = 0;
  for (size_t i = 0; i < sizeof agent_places / sizeof *agent_places; i++) {
    dk_autobuf path = DK_BUF_INIT;
    dk_buf_printf(&path, "%s/%s", self, agent_places[i]);
    if (dk_buf_ok(&path) && access(path.data, X_OK) == 0) return dk_buf_steal(&path);
  }
  dk_error_set(error, -ENOENT,
               "dkagent is not there: it belongs beside dkrun, in %s\nhelp: install both with `cmake --install`", self);
  return NULL;
}

/* The file's path from the repository's root; a file outside it is an error. */
static char *relative_file(const char *root, const char *path, struct dk_error *error) {
  dk_autofree char *full = dk_fs_absolute(path);
  size_t len = strlen(root);

  if (!full) {
    dk_error_system(error, -errno, "finding %s", path);
    return NULL;
  }
  if (strncmp(full, root, len) == 0 && full[len] == '/') return dk_strdup(full + len + 1);
  dk_error_set(error, -EXDEV, "%s lies outside the repository %s", path, root);
  return NULL;
}

static char *params_text(const struct dk_cli_params *params) {
  dk_autobuf text = DK_BUF_INIT;

  for (uint32_t i = 0; i < params->n; i++) {
    dk_buf_printf(&text, "%s%s=", i ? " " : "", params->items[i].name);
    dk_buf_add_shell_word(&text, params->items[i].text, strlen(params->items[i].text));
  }
  dk_buf_add_text(&text, "");
  return dk_buf_ok(&text) ? dk_strdup(dk_buf_text(&text)) : NULL;
}

/* The file decides which repository is meant, not the directory that dkrun was started in. */
static int set_root(struct dk_cli *cli, const char *root, struct dk_error *error) {
  dk_autobuf state = DK_BUF_INIT;

  dk_buf_printf(&state, "%s/.dkrun", root);
  dk_free(cli->root);
  dk_free(cli->state);
  cli->root = dk_strdup(root);
  cli->state = dk_buf_steal(&state);
  return cli->root && cli->state ? 0 : dk_error_system(error, -ENOMEM, "opening the repository");
}

int dk_session_asked(const char *file, const struct dk_cli_params *params, char **ret_root, char **ret_file,
                     char **ret_params) {
  dk_autofree char *full = dk_fs_absolute(file);
  char *root = full ? dk_cli_root_above(full) : NULL;

  *ret_root = root;
  *ret_file = root ? dk_strdup(full + strlen(root) + 1) : NULL;
  *ret_params = root ? params_text(params) : NULL;
  return *ret_file && *ret_params ? 0 : -ENOENT;
}

int dk_session_open(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, struct dk_session *ret) {
  struct dk_error error = {0};
  dk_autofree char *found = NULL;
  int r;

  *ret = (struct dk_session){0};
  if (!file) {
    r = dk_cli_default_file(cli, &found);
    if (r != DK_EXIT_OK) return r;
    file = found;
  }
  r = dk_cli_load(cli, file, params, &ret->load);
  if (r != DK_EXIT_OK) return r;
  ret->plan = dk_load_plan(ret->load);
  r = dk_repo_open(file, &ret->repo, &error);
  if (r == 0) r = set_root(cli, dk_repo_root(ret->repo), &error);
  if (r == 0) r = (ret->file = relative_file(cli->root, file, &error)) ? 0 : -1;
  if (r == 0) r = (ret->params = params_text(params)) ? 0 : dk_error_system(&error, -ENOMEM, "reading the parameters");
  if (r < 0) {
    dk_session_close(ret);
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  return DK_EXIT_OK;
}

int dk_session_pin(struct dk_cli *cli, struct dk_session *session, struct dk_error *error) {
  struct dk_snapshot_options options = {.dry_run = true};
  int r = dk_snapshot_take(session->repo, cli->state, &options, &session->snapshot, error);

  if (r == 0) {
    dk_autobuf note = DK_BUF_INIT;
    dk_snapshot_left_out_text(&session->snapshot, &note);
    dk_cli_note(dk_buf_text(&note));
  }
  return r;
}

void dk_session_close(struct dk_session *session) {
  dk_snapshot_finish(&session->snapshot);
  dk_repo_close(session->repo);
  dk_load_destroy(session->load);
  dk_free(session->file);
  dk_free(session->params);
  *session = (struct dk_session){0};
}
