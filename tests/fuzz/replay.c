/* The main program of a fuzz target without a fuzzer: runs it once over each file of the folders and files given. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_files;

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
  int result = 0;
  for (int i = 1; i < argc; i++)
    if (replay(argv[i]) != 0) result = 1;
  printf("%u inputs\n", n_files);
  return n_files == 0 ? 1 : result;
}
