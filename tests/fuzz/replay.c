/* replay [-m COUNT SEED] PATH...: the main program of a fuzz target without a fuzzer. Runs it once over each file of
 * the folders and files given; with -m then over COUNT damaged ones of them, made from SEED: bits and bytes changed,
 * parts left out, doubled and put in from another. One that fails is shown in hex with its number; it comes back with
 * the same seed. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEPT_MAX 256u

static unsigned n_files;
static struct input {
  uint8_t *data;
  size_t size;
} kept[KEPT_MAX]; /* what is damaged */
static unsigned n_kept;
static struct input current; /* what a crash is reported with */
static unsigned long current_number;

static void keep(const uint8_t *data, size_t size) {
  if (n_kept == KEPT_MAX || size == 0) return;
  kept[n_kept].data = malloc(size);
  if (!kept[n_kept].data) exit(2);
  memcpy(kept[n_kept].data, data, size);
  kept[n_kept++].size = size;
}

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers on every machine. */
static uint64_t seed;
static size_t below(size_t n) {
  uint64_t z = seed += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return n ? (size_t)((z ^ z >> 31) % n) : 0;
}

/* current = its first `start` bytes, `n` of `from`, its bytes from `end` on. In an allocation of just that size. */
static void splice(size_t start, size_t end, const uint8_t *from, size_t n) {
  size_t size = start + n + current.size - end;
  uint8_t *made = malloc(size ? size : 1);
  if (!made) exit(2);
  if (start) memcpy(made, current.data, start);
  if (n) memcpy(made + start, from, n);
  if (current.size > end) memcpy(made + start + n, current.data + end, current.size - end);
  free(current.data);
  current = (struct input){made, size};
}

static void damage(void) {
  const struct input *other = &kept[below(n_kept)];
  size_t at = below(current.size), n = below(current.size - at) + 1, from = below(other->size);
  static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
  if (current.size == 0) return;
  switch (below(7)) {
  case 0: current.data[at] = (uint8_t)(current.data[at] ^ 1u << below(8)); break;
  case 1: current.data[at] = edges[below(sizeof edges)]; break;
  case 2: current.data[at] = (uint8_t)below(256); break;
  case 3: splice(at, at + (n > 8 ? 8 : n), other->data, 0); break;
  case 4: splice(at, at, other->data + from, below(other->size - from) + 1); break;
  case 5: splice(at, at, edges + below(sizeof edges), 1); break;
  default: splice(at, current.size, other->data, 0); break;
  }
}

static void report_crash(int signal_number) {
  fprintf(stderr, "\nmutation %lu:", current_number);
  for (size_t i = 0; i < current.size; i++) fprintf(stderr, " %02x", current.data[i]);
  fputc('\n', stderr);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void mutate(unsigned long count, uint64_t from) {
  signal(SIGABRT, report_crash);
  for (current_number = 0; current_number < count && n_kept > 0; current_number++) {
    seed = from * 1000000007u + current_number;
    const struct input *start = &kept[below(n_kept)];
    splice(0, current.size, start->data, start->size);
    for (size_t n = 1 + below(4); n > 0; n--) damage();
    LLVMFuzzerTestOneInput(current.data, current.size);
  }
  free(current.data);
  for (unsigned i = 0; i < n_kept; i++) free(kept[i].data);
}

static int replay_file(const char *path, const struct stat *st) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    return -1;
  }
  /* An allocation of just the size, so that a read past its end is seen. */
  size_t size = (size_t)st->st_size;
  uint8_t *data = malloc(size ? size : 1);
  int result = data && fread(data, 1, size, file) == size ? 0 : -1;
  fclose(file);
  if (result == 0) {
    LLVMFuzzerTestOneInput(data, size);
    keep(data, size);
    n_files++;
  } else {
    fprintf(stderr, "%s: cannot be read\n", path);
  }
  free(data);
  return result;
}

static int replay(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) {
    perror(path);
    return -1;
  }
  if (!S_ISDIR(st.st_mode)) return replay_file(path, &st);
  DIR *dir = opendir(path);
  if (!dir) {
    perror(path);
    return -1;
  }
  int result = 0;
  const struct dirent *entry;
  while ((entry = readdir(dir)) != NULL) {
    char inner[4096];
    if (entry->d_name[0] == '.') continue;
    int len = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    if (len < 0 || (size_t)len >= sizeof inner || replay(inner) != 0) result = -1;
  }
  closedir(dir);
  return result;
}

int main(int argc, char **argv) {
  bool has_count = argc > 3 && strcmp(argv[1], "-m") == 0;
  int result = 0;
  for (int i = has_count ? 4 : 1; i < argc; i++)
    if (replay(argv[i]) != 0) result = 1;
  mutate(has_count ? strtoul(argv[2], NULL, 10) : 0, has_count ? strtoull(argv[3], NULL, 10) : 0);
  printf("%u inputs\n", n_files);
  return n_files == 0 ? 1 : result;
}
