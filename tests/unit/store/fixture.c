/* See fixture.h. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

char fx[256], fx_at[300];

int fx_setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(fx, sizeof fx, "%s/dk-store-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(fx)) return -1;
  snprintf(fx_at, sizeof fx_at, "%s/store", fx);
  return 0;
}

int fx_teardown(void **state) {
  (void)state;
  fx_sh("chmod -R u+rwX . && find . -mindepth 1 -delete");
  return rmdir(fx);
}

void fx_sh(const char *format, ...) {
  char command[4096];
  va_list ap;
  int n = snprintf(command, sizeof command, "cd '%s' || exit 1; set -eu; ", fx);
  va_start(ap, format);
  vsnprintf(command + n, sizeof command - (size_t)n, format, ap);
  va_end(ap);
  if (system(command) != 0) fail_msg("script failed: %s", command);
}

struct dk_store *fx_open(const struct dk_store_options *options) {
  struct dk_store *store;
  struct dk_error error;
  if (dk_store_open(fx_at, options, &store, &error)) fail_msg("opening: %s", error.text);
  return store;
}

int fx_open_error(const struct dk_store_options *options, struct dk_error *error) {
  struct dk_store *store;
  error->text[0] = '\0';
  int err = dk_store_open(fx_at, options, &store, error);
  if (err == 0) {
    dk_store_close(store);
    fail_msg("it could be opened");
  }
  assert_null(store);
  assert_int_equal(error->code, err);
  return err;
}

int fx_put(struct dk_store *store, enum dk_table table, const char *key, const char *value, struct dk_error *error) {
  struct dk_batch batch = DK_BATCH_INIT;
  dk_batch_put(&batch, table, key, strlen(key), value, strlen(value));
  int err = dk_store_commit(store, &batch, error);
  dk_batch_finish(&batch);
  return err;
}

const char *fx_get(struct dk_store *store, enum dk_table table, const char *key) {
  static char text[256];
  dk_autobuf value = DK_BUF_INIT;
  struct dk_error error;
  int err = dk_store_get(store, table, key, strlen(key), &value, &error);
  if (err && err != -ENOENT) fail_msg("%s", error.text);
  snprintf(text, sizeof text, "%s", dk_buf_text(&value));
  return text;
}

int fx_child(fx_child_fn *fn, int arg) {
  fflush(NULL);
  int pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    /* The test program's own handlers would go on with its tests in the child. */
    static const int fatal[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGABRT};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
    _exit(fn(arg));
  }
  return pid;
}

int fx_wait(int pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
