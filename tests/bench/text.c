/* See text.h. */
#include "tests/bench/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t read_file(const char *path, char *room, size_t cap) {
  FILE *file = fopen(path, "re");
  size_t n = file ? fread(room, 1, cap, file) : 0;
  if (file) fclose(file);
  if (n == 0) fprintf(stderr, "cannot read %s\n", path);
  return n;
}

char *bench_text(int argc, char **argv, uint32_t *ret_len) {
  size_t size = argc > 2 ? strtoul(argv[1], NULL, 10) * 1000000 : 0, len = 0;
  if (size < 1000000 || size > 16000000) {
    fprintf(stderr, "usage: %s MEGABYTES(1..16) FILE...\n", argv[0]);
    return NULL;
  }
  char *text = malloc(size + 2);
  for (int i = 2; text && i < argc; i++) {
    size_t n = read_file(argv[i], text + len, size - len);
    if (n == 0) {
      free(text);
      return NULL;
    }
    len += n;
  }
  size_t once = len;
  for (; text && len + once <= size; len += once) memcpy(text + len, text, once);
  if (text) memset(text + len, 0, 2);
  *ret_len = (uint32_t)len;
  return text;
}

static struct timespec wall, cpu;

static double since(clockid_t clock, const struct timespec *start) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)(t.tv_sec - start->tv_sec) + (double)(t.tv_nsec - start->tv_nsec) * 1e-9;
}

void bench_clock_start(void) {
  clock_gettime(CLOCK_MONOTONIC, &wall);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
}

void bench_clock_stop(void) {
  double took = since(CLOCK_MONOTONIC, &wall), used = since(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  dprintf(3, "%.6f %.6f 0 0 0 0\n", took, used);
}
