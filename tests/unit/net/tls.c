/* See tls.h. */
#include "tls.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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
  tls.pid = fork();
  must(tls.pid >= 0, "fork");
  if (tls.pid == 0) {
    /* A test that fails does not stop it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    if (dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(null, 2) < 0) _exit(127);
    close(out[0]);
    close(out[1]);
    execvp("openssl", (char **)args);
    _exit(127);
  }
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
