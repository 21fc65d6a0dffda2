/* See tls.h. */
#include "tls.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char folder[] = "/tmp/dk-certs-XXXXXX";
static int is_made;

static void must(int is_so, const char *what) {
  if (is_so) return;
  perror(what);
  abort();
}

const char *tls_folder(void) {
  char command[512];

  if (is_made) return folder;
  if (system("command -v openssl >/dev/null") != 0) {
    fputs("no openssl program here: skipped\n", stderr);
    exit(77);
  }
  must(mkdtemp(folder) != NULL, "mkdtemp");
  snprintf(command, sizeof command, "%s/certs.sh %s", DK_TEST_FOLDER, folder);
  must(system(command) == 0, "certs.sh");
  is_made = 1;
  return folder;
}

void tls_remove_folder(void) {
  char command[64];

  snprintf(command, sizeof command, "rm -r %s", folder);
  if (is_made) must(system(command) == 0, command);
  is_made = 0;
}

const char *tls_file(const char *name) {
  static char paths[8][128];
  static unsigned next;
  char *path = paths[next++ % 8];

  snprintf(path, sizeof paths[0], "%s/%s", tls_folder(), name);
  return path;
}

struct tls tls_start(const char *name, const char *client_ca) {
  char cert[64], key[64], line[256] = "";
  struct tls tls;
  int out[2];
  unsigned port = 0;
  posix_spawn_file_actions_t actions;

  snprintf(cert, sizeof cert, "%s.pem", name);
  snprintf(key, sizeof key, "%s.key", name);
  const char *args[] = {"openssl",
                        "s_server",
                        "-accept",
                        "127.0.0.1:0",
                        "-www",
                        "-no_ticket",
                        "-cert",
                        tls_file(cert),
                        "-key",
                        tls_file(key),
                        "-Verify",
                        "1",
                        "-CAfile",
                        client_ca ? tls_file(client_ca) : NULL,
                        "-verify_return_error",
                        NULL};
  if (!client_ca) args[10] = NULL;
  must(pipe(out) == 0, "pipe");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
  posix_spawn_file_actions_addclose(&actions, out[0]);
  posix_spawn_file_actions_addclose(&actions, out[1]);
  errno = posix_spawnp(&tls.pid, "openssl", &actions, NULL, (char **)args, environ);
  must(errno == 0, "openssl");
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  tls.out = out[0];
  FILE *said = fdopen(dup(out[0]), "r");
  while (port == 0 && fgets(line, sizeof line, said)) sscanf(line, "ACCEPT 127.0.0.1:%u", &port);
  fclose(said);
  must(port > 0, "openssl s_server said no port");
  tls.port = (uint16_t)port;
  return tls;
}

void tls_stop(const struct tls *tls) {
  kill(tls->pid, SIGKILL);
  waitpid(tls->pid, NULL, 0);
  close(tls->out);
}
