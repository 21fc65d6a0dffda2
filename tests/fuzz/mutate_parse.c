/* mutate_parse COUNT SEED PATH...: COUNT small damages, made from SEED, to the .dk files below the paths go through the
 * parser. Bytes changed, words left out, doubled and exchanged, texts cut off: what people do by mistake. A failing one
 * is shown with its number; it comes back with the same seed. */
#include "lang/base/alloc.h"
#include "lang/base/buf.h"
#include "tests/fuzz/check_parse.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdio.h>

#define TEXTS_MAX 256

static struct dk_buf texts[TEXTS_MAX];
static size_t n_texts;
static struct dk_buf current; /* what a crash is reported with */
static unsigned long current_number;

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers on every machine. */
static uint64_t seed;
static uint64_t next_random(void) {
  uint64_t z = seed += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static size_t below(size_t n) {
  return n ? (size_t)(next_random() % n) : 0;
}

static void read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || n_texts == TEXTS_MAX) {
    fprintf(stderr, "mutate_parse: cannot read %s\n", path);
    exit(2);
  }
  char chunk[4096];
  size_t n;
  while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) dk_buf_add(&texts[n_texts], chunk, n);
  fclose(file);
  n_texts++;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of names, so that a seed means the same everywhere. */
static void read_folder(const char *path) {
  struct dirent **entries;
  int n = scandir(path, &entries, NULL, NULL);
  if (n < 0) {
    const char *dot = strrchr(path, '.');
    if (dot && strcmp(dot, ".dk") == 0) read_text(path);
    return;
  }
  char **names = calloc((size_t)n + 1, sizeof *names);
  if (!names) exit(2);
  for (int i = 0; i < n; i++) {
    names[i] = strdup(entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  qsort(names, (size_t)n, sizeof *names, compare_names);
  for (int i = 0; i < n; i++) {
    char inner[4096];
    if (names[i][0] != '.' && snprintf(inner, sizeof inner, "%s/%s", path, names[i]) < (int)sizeof inner)
      read_folder(inner);
    free(names[i]);
  }
  free(names);
}

/* A stretch of letters and digits, or one other byte. */
static void pick_word(const struct dk_buf *text, size_t *ret_start, size_t *ret_end) {
  size_t start = below(text->len), end = start + 1;
  const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  if (text->len == 0) start = end = 0;
  if (end > 0 && strchr(letters, text->data[start])) {
    while (start > 0 && strchr(letters, text->data[start - 1]) && text->data[start - 1]) start--;
    while (end < text->len && strchr(letters, text->data[end]) && text->data[end]) end++;
  }
  *ret_start = start;
  *ret_end = end;
}

/* current = its [0, start) + what + its [end, ...). */
static void splice(size_t start, size_t end, const char *what, size_t len) {
  struct dk_buf made = DK_BUF_INIT;
  dk_buf_add(&made, current.data, start);
  dk_buf_add(&made, what, len);
  dk_buf_add(&made, current.data + end, current.len - end);
  dk_buf_finish(&current);
  current = made;
}

static void damage(void) {
  static const char *const bits[] = {"{{", "}}", "\"",  "'",    "\"\"\"",       "{", "}",  "(",    ")",
                                     "[",  "]",  "..",  "\n",   " -",           "#", "=",  "in",   "task ",
                                     "\\", "\t", "if ", "not ", "\xe2\x80\x9c", ",", "1e", "\xff", "over ",
                                     "as "};
  size_t start, end, from, to;
  pick_word(&current, &start, &end);
  pick_word(&current, &from, &to);
  if (current.len == 0) return;
  const char *bit = bits[below(sizeof bits / sizeof *bits)];
  char byte = (char)(next_random() & 0xff);
  switch (below(8)) {
  case 0: splice(start, start + 1, &byte, 1); break;
  case 1: splice(start, end, "", 0); break;
  case 2: splice(end, end, current.data + start, end - start); break;
  case 3: splice(start, end, current.data + from, to - from); break;
  case 4: splice(start, current.len, "", 0); break;
  case 5: splice(start, start, bit, strlen(bit)); break;
  case 6: splice(start, end, bit, strlen(bit)); break;
  default: splice(0, start, "", 0); break;
  }
}

static void report_crash(int signal_number) {
  char head[64];
  int len = snprintf(head, sizeof head, "\nmutation %lu:\n", current_number);
  if (write(2, head, (size_t)len) < 0 || write(2, current.data, current.len) < 0) _exit(3);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fputs("usage: mutate_parse COUNT SEED PATH...\n", stderr);
    return 2;
  }
  signal(SIGABRT, report_crash);
  unsigned long count = strtoul(argv[1], NULL, 10);
  for (int i = 3; i < argc; i++) read_folder(argv[i]);
  if (n_texts == 0) {
    fputs("mutate_parse: no .dk files there\n", stderr);
    return 2;
  }
  for (current_number = 0; current_number < count; current_number++) {
    seed = strtoull(argv[2], NULL, 10) * 1000000007u + current_number;
    const struct dk_buf *text = &texts[below(n_texts)];
    dk_buf_clear(&current);
    dk_buf_add(&current, text->data, text->len);
    for (size_t n = 1 + below(3); n > 0; n--) damage();
    dk_check_parse(dk_buf_text(&current), current.len);
  }
  for (size_t i = 0; i < n_texts; i++) dk_buf_finish(&texts[i]);
  dk_buf_finish(&current);
  printf("%lu mutations of %zu files\n", count, n_texts);
  return 0;
}
