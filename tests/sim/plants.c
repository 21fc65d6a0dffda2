/* The table of planted bugs: each has a simulator of its own, in a folder beside this one (CMakeLists.txt builds them,
 * and the list of their names). */
#include "tests/sim/plants.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool own_folder(char *ret, size_t size) {
  ssize_t n = readlink("/proc/self/exe", ret, size - 1);
  if (n <= 0 || (size_t)n == size - 1) return false;
  ret[n] = 0;
  char *slash = strrchr(ret, '/');
  if (slash) *slash = 0;
  return slash != NULL;
}

/* What the bug's simulator says of the first seed that catches it. */
static bool is_caught(const char *folder, const char *name, uint64_t last, char *ret, size_t size) {
  char command[4096];
  snprintf(command, sizeof command, "'%s/%s' --first --seeds 1..%llu 2>&1", folder, name, (unsigned long long)last);
  FILE *out = popen(command, "r");
  if (!out) return false;
  bool has_line = fgets(ret, (int)size, out) != NULL;
  if (has_line) ret[strcspn(ret, "\n")] = 0;
  char rest[256];
  while (fgets(rest, sizeof rest, out)) continue;
  int status = pclose(out);
  return has_line && WIFEXITED(status) && WEXITSTATUS(status) == 1 && strncmp(ret, "seed ", 5) == 0;
}

bool sim_plants(const char *name, uint64_t last) {
  char own[2048], folder[2100], path[2110], line[400], said[800];
  uint32_t n = 0, caught = 0;
  if (!own_folder(own, sizeof own)) return false;
  snprintf(folder, sizeof folder, "%s/%s", own, name);
  snprintf(path, sizeof path, "%s/list", folder);
  FILE *list = fopen(path, "r");
  if (!list) {
    fprintf(stderr, "no planted bugs: cannot open %s\n", path);
    return false;
  }
  while (fgets(line, sizeof line, list)) {
    line[strcspn(line, "\n")] = 0;
    char *title = strchr(line, ' ');
    if (!title) continue;
    *title++ = 0;
    snprintf(said, sizeof said, "NOT CAUGHT by seeds 1..%llu", (unsigned long long)last);
    bool is = is_caught(folder, line, last, said, sizeof said);
    printf("%-22s %s\n%22s %s\n", line, title, "", said);
    fflush(stdout);
    n++;
    caught += is;
  }
  fclose(list);
  printf("%u planted bugs, %u caught\n", n, caught);
  return n > 0 && caught == n;
}
