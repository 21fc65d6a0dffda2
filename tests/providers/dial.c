/* Dials a host through the provider's interface, for the tests in this folder.
 *
 *   dial [-c SSH_CONFIG] [-p PORT] [-l USER] [-A ADDRESS] [-i IDENTITY] [-K KNOWN_HOSTS] [-r ROOT] [-a AGENT] [-s
 * STORE] [-n SLOTS] [-k MS] [-w] [-q] [-m] HOST
 *
 * Says `up` and the facts, a line each, sends a line to what is there and says what comes back (`echo: ...`), and ends
 * with `done`. -q: sends nothing. -w: waits then for the end of the stream, and says why it ended. -k: hangs up after
 * so many milliseconds at the latest, whatever it has come to. -m: opens a master instead. Failures: `failed: WORDS`,
 * exit code 1. */
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "providers/ssh/child.h"
#include "providers/ssh/master.h"
#include "providers/ssh/ssh.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GREETING "hello, agent\n"

struct test {
  struct dk_loop *loop;
  struct dk_dial *dial;
  int r, fd;
  bool is_done;
};

static void on_done(void *ctx, int r, int fd, const struct dk_host_facts *facts, const struct dk_error *error) {
  struct test *test = ctx;

  if (test->is_done) abort(); /* once */
  test->is_done = true;
  test->r = r;
  test->fd = fd;
  if (r < 0) {
    printf("failed: %s\n", error->text);
    dk_ssh_hang_up(test->dial); /* as who dials does: from within */
    test->dial = NULL;
    return;
  }
  printf("up\narch: %s\nnode: %s\nlibc: %s\nrelease: %sroot: %s\nnote: %s\n", facts->arch, facts->node, facts->libc,
         facts->release, facts->root, facts->note);
}

static int wait_for(int fd, short events, int ms) {
  struct pollfd poll_fd = {.fd = fd, .events = events};

  return poll(&poll_fd, 1, ms);
}

/* What comes is to be what was sent, and nothing before it. */
static int greet(int fd) {
  char text[sizeof GREETING] = "";
  size_t n = 0;

  if (write(fd, GREETING, strlen(GREETING)) != (ssize_t)strlen(GREETING)) return -EIO;
  while (n < strlen(GREETING) && wait_for(fd, POLLIN, 10000) > 0) {
    ssize_t got = read(fd, text + n, strlen(GREETING) - n);
    if (got <= 0) break;
    n += (size_t)got;
  }
  printf("echo: %s", n > 0 ? text : "nothing\n");
  return strcmp(text, GREETING) == 0 ? 0 : -EIO;
}

static void wait_for_end(struct test *test) {
  char text[4096];

  fflush(stdout);
  for (;;) {
    dk_loop_once(test->loop, dk_now_ns() + 10000000);
    ssize_t n = read(test->fd, text, sizeof text);
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
  }
  close(test->fd);
  test->fd = -1;
  const char *why = dk_ssh_why(test->dial);
  printf("ended: %s\n", why ? why : "nothing is known");
}

static unsigned count_open(void) {
  DIR *dir = opendir("/proc/self/fd");
  unsigned n = 0;

  while (dir && readdir(dir)) n++;
  if (dir) closedir(dir);
  return n;
}

static int run(struct dk_dial_options *options, uint64_t hang_up_ms, bool waits, bool greets) {
  struct test test = {.fd = -1};
  struct dk_error error = {0};
  uint64_t started = dk_now_ns(), until = hang_up_ms ? started + hang_up_ms * 1000000 : UINT64_MAX;

  if (dk_loop_create(&test.loop, &error) < 0) return 2;
  unsigned before = count_open();
  options->loop = test.loop;
  options->done = on_done;
  options->ctx = &test;
  int r = dk_ssh_dial(options, &test.dial, &error);
  if (r < 0) printf("failed: %s\n", error.text);
  while (r == 0 && !test.is_done && dk_now_ns() < until) dk_loop_once(test.loop, until);
  if (test.is_done && test.r < 0) r = test.r;
  if (test.fd >= 0 && greets) r = greet(test.fd);
  fprintf(stderr, "dialled in %.0f ms\n", (double)(dk_now_ns() - started) / 1e6);
  if (test.fd >= 0 && waits) wait_for_end(&test);
  if (test.fd >= 0) close(test.fd);
  uint64_t hanging_up = dk_now_ns();
  dk_ssh_hang_up(test.dial);
  if (dk_now_ns() - hanging_up > 500000000u)
    printf("hanging up took %.0f ms\n", (double)(dk_now_ns() - hanging_up) / 1e6);
  dk_ssh_children_settle();
  if (count_open() != before) printf("descriptors were left open\n");
  dk_loop_destroy(test.loop);
  puts(r < 0 ? "over" : test.is_done ? "done" : "hung up");
  return r < 0;
}

int main(int argc, char **argv) {
  struct dk_dial_options options = {.host = {.provider = "lab", .most_gpus = UINT32_MAX}, .state = "/nowhere"};
  uint64_t hang_up_ms = 0;
  bool waits = false, greets = true, is_master = false;
  unsigned store = 1;

  setvbuf(stdout, NULL, _IOLBF, 0);
  dk_alloc_init();
  for (int c; (c = getopt(argc, argv, "c:p:l:A:i:K:r:a:s:n:k:wqm")) != -1;) {
    switch (c) {
    case 'c': options.host.ssh_config = optarg; break;
    case 'p': options.host.port = (uint16_t)atoi(optarg); break;
    case 'l': options.host.user = optarg; break;
    case 'A': options.host.address = optarg; break;
    case 'i': options.host.identity = optarg; break;
    case 'K': options.host.known_hosts = optarg; break;
    case 'r': options.host.root = optarg; break;
    case 'a': options.agent_program = optarg; break;
    case 's': store = (unsigned)atoi(optarg); break;
    case 'n':
      options.slots = (uint32_t)atoi(optarg);
      options.host.leave = 2;
      options.host.nice = 10;
      options.host.most_gpus = 1;
      break;
    case 'k': hang_up_ms = (uint64_t)atoi(optarg); break;
    case 'w': waits = true; break;
    case 'q': greets = false; break;
    case 'm': is_master = true; break;
    default: return 2;
    }
  }
  if (optind + 1 != argc) return 2;
  options.host.name = argv[optind];
  options.store[7] = (uint8_t)store;
  if (is_master) {
    struct dk_error error = {0};
    int r = dk_ssh_open_master(&options.host, &error);
    puts(r < 0 ? error.text : "master");
    return r < 0;
  }
  return run(&options, hang_up_ms, waits, greets);
}
