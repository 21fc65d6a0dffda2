/* See fixture.h. */
#include "tests/unit/source/fixture.h"

#include "lang/base/alloc.h"

#include <unistd.h>

char fx[256];

int fx_setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(fx, sizeof fx, "%s/dk-source-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(fx)) return -1;
  setenv("HOME", fx, 1);
  setenv("XDG_CONFIG_HOME", fx, 1);
  setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  const char *const names[] = {"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) setenv(names[i], "tester", 1);
  return 0;
}

int fx_teardown(void **state) {
  (void)state;
  fx_sh("chmod -R u+rwX . && find . -mindepth 1 -delete");
  return rmdir(fx);
}

static FILE *start(const char *format, va_list ap) {
  static char command[8192];
  int n = snprintf(command, sizeof command, "cd '%s' || exit 1; exec 2>&1; set -eu; ", fx);
  int m = vsnprintf(command + n, sizeof command - (size_t)n, format, ap);
  assert_true(m >= 0 && (size_t)(n + m) < sizeof command);
  FILE *file = popen(command, "re");
  assert_non_null(file);
  return file;
}

static char *finish(FILE *file) {
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  size_t len = fread(text, 1, (1 << 20) - 1, file);
  int status = pclose(file);
  if (status != 0) fail_msg("script failed (%d): %s", status, text);
  while (len > 0 && text[len - 1] == '\n') text[--len] = '\0';
  return text;
}

void fx_sh(const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  FILE *file = start(format, ap);
  va_end(ap);
  free(finish(file));
}

char *fx_out(const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  FILE *file = start(format, ap);
  va_end(ap);
  return finish(file);
}

void fx_repo(const char *name) {
  fx_sh("mkdir -p %s && cd %s && git init -q -b main && mkdir -p model/sub && echo 'print(1)' >a.py && echo net "
        ">model/net.py && "
        "echo x >model/sub/x.py && printf '#!/bin/sh\\n' >run.sh && chmod +x run.sh && echo hello >README.md && "
        "echo 'task t {}' >exp.dk && printf '*.log\\nbuild/\\n.dkrun/\\n' >.gitignore && git add -A && git commit -q "
        "-m start",
        name, name);
}

const char *fx_path(const char *name) {
  static char paths[4][512];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", fx, name);
  return path;
}

static int take(const char *name, const struct dk_snapshot_options *options, struct dk_snapshot *ret,
                struct dk_error *error) {
  struct dk_repo *repo;
  char state[512];
  int err = dk_repo_open(fx_path(name), &repo, error);
  if (err) return err;
  snprintf(state, sizeof state, "%s/.dkrun", dk_repo_root(repo));
  err = dk_snapshot_take(repo, state, options, ret, error);
  dk_repo_close(repo);
  return err;
}

void fx_take(const char *name, struct dk_snapshot *ret) {
  struct dk_error error = {.code = 0};
  if (take(name, NULL, ret, &error)) fail_msg("snapshot: %s", error.text);
}

int fx_take_error(const char *name, const struct dk_snapshot_options *options, struct dk_error *error) {
  struct dk_snapshot snapshot;
  error->text[0] = '\0';
  int err = take(name, options, &snapshot, error);
  if (err == 0) dk_snapshot_finish(&snapshot);
  return err;
}

bool fx_in(char *const *list, uint32_t n, const char *path) {
  for (uint32_t i = 0; i < n; i++)
    if (strcmp(list[i], path) == 0) return true;
  return false;
}
