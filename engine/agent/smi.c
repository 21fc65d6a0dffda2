/* See smi.h. */
#include "engine/agent/smi.h"
#include "engine/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 10u
#define TEXT_MAX (256u << 10)

bool dk_smi_start(struct dk_smi *smi, uint64_t now_ns) {
  static const char *const argv[] = {"nvidia-smi", "--query-compute-apps=gpu_bus_id,pid",
                                     "--format=csv,noheader,nounits", NULL};
  int fds[2];
  if (dk_smi_stuck(smi) > 0) return false;
  if (pipe2(fds, O_CLOEXEC) < 0) return false;
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = (char *const *)argv;
  how.dir = "/";
  how.fds[1] = fds[1];
  *smi = (struct dk_smi){.fd = fds[0], .until_ns = now_ns + PATIENCE_S * UINT64_C(1000000000)};
  int r = dk_spawn(&how, &smi->pid, NULL);
  close(fds[1]);
  if (r == 0 && fcntl(smi->fd, F_SETFL, O_NONBLOCK) == 0) return true;
  dk_smi_stop(smi);
  return false;
}

/* "00000000:3B:00.0, 4711" */
static void read_line(const char *line, const struct dk_gpus *gpus, bool *busy) {
  char address[40];
  size_t len = strcspn(line, ",");
  uint64_t bus;
  if (len >= sizeof address) return;
  memcpy(address, line, len);
  address[len] = '\0';
  if (!dk_gpu_parse_bus(address, &bus)) return;
  for (uint32_t i = 0; i < gpus->n; i++) {
    if (gpus->items[i].bus == bus) busy[i] = true;
  }
}

bool dk_smi_look(struct dk_smi *smi, const struct dk_gpus *gpus, uint64_t now_ns, bool ret_busy[DK_GPU_MAX]) {
  char bytes[4096];
  ssize_t n;
  while ((n = read(smi->fd, bytes, sizeof bytes)) > 0) {
    if (smi->text.len < TEXT_MAX) dk_buf_add(&smi->text, bytes, (size_t)n);
  }
  bool has_ended = n == 0;
  if (!has_ended && now_ns < smi->until_ns) return false;
  if (!has_ended)
    fprintf(stderr, "dkagent: nvidia-smi did not answer within %us and was ended: GPUs that others use count as free\n",
            PATIENCE_S);
  for (char *line = smi->text.data; has_ended && dk_buf_ok(&smi->text) && line && *line;) {
    char *end = line + strcspn(line, "\n");
    bool is_last = *end == '\0';
    *end = '\0';
    read_line(line, gpus, ret_busy);
    line = is_last ? end : end + 1;
  }
  dk_smi_stop(smi);
  return true;
}

pid_t dk_smi_stuck(struct dk_smi *smi) {
  if (smi->stuck > 0 && waitpid(smi->stuck, NULL, WNOHANG) != 0) smi->stuck = 0;
  return smi->stuck;
}

void dk_smi_stop(struct dk_smi *smi) {
  if (smi->pid > 0) {
    kill(smi->pid, SIGKILL);
    smi->stuck = smi->pid;
    for (int i = 0; i < 100 && dk_smi_stuck(smi) > 0; i++) usleep(1000);
    if (smi->stuck > 0)
      fprintf(stderr, "dkagent: nvidia-smi (process %ld) cannot be ended: it is not asked again before that is gone\n",
              (long)smi->pid);
  }
  if (smi->fd >= 0) close(smi->fd);
  dk_buf_finish(&smi->text);
  *smi = (struct dk_smi){.fd = -1, .stuck = smi->stuck};
}
