/* libcurl is loaded when HTTP is wanted and not before, and what is said when it cannot be. */
#include "engine/net/head.h"
#include "engine/net/http.h"
#include "engine/net/json.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIBRARY "libcurl.so.4"
#define CHILD "create"

static char folder[] = "/tmp/dk-load-XXXXXX";
static char path[sizeof folder + sizeof LIBRARY];

static bool is_loaded(void) {
  void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD);
  if (library) dlclose(library);
  return library != NULL;
}

static void when_wanted(void **state) {
  (void)state;
  static const char date[] = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  struct dk_loop *loop;
  struct dk_http *http;
  struct dk_head head;
  struct dk_json document;
  dk_head_init(&head, 1000);
  assert_int_equal(dk_head_add(&head, date, strlen(date)), 0);
  assert_int_equal(dk_head_when(&head), 784111777);
  dk_head_finish(&head);
  assert_int_equal(dk_json_parse("{}", 2, "lab", &document, NULL), 0);
  dk_json_finish(&document);
  assert_int_equal(dk_loop_create(&loop, NULL), 0);
  assert_false(is_loaded());
  assert_int_equal(dk_http_create(loop, 1, &http, NULL), 0);
  assert_true(is_loaded());
  dk_http_destroy(http);
  assert_true(is_loaded());
  dk_loop_destroy(loop);
}

/* What main does in a process that finds another libcurl: tries twice, and says why not. */
static int create(void) {
  struct dk_loop *loop;
  struct dk_http *http;
  struct dk_error first = {0}, error = {0};

  if (dk_loop_create(&loop, NULL) < 0) return 1;
  int r = dk_http_create(loop, 1, &http, &first);
  if (dk_http_create(loop, 1, &http, &error) != r || r != error.code || http) return 1;
  if (strcmp(first.text, error.text) != 0) return 1;
  dk_loop_destroy(loop);
  printf("%d %s", r, error.text);
  return 0;
}

/* In a process whose first libcurl is `path`. */
static const char *words(void) {
  static char text[2048];
  size_t len = 0;
  ssize_t n;
  int out[2], status;

  assert_int_equal(pipe(out), 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], 1);
    setenv("LD_LIBRARY_PATH", folder, 1);
    execl("/proc/self/exe", "test_load", CHILD, (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  while ((n = read(out[0], text + len, sizeof text - 1 - len)) > 0) len += (size_t)n;
  close(out[0]);
  text[len] = '\0';
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  return text;
}

static void cannot_be_loaded(void **state) {
  (void)state;
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fclose(file);
  const char *text = words();
  char code[16];
  snprintf(code, sizeof code, "%d ", -ENOTSUP);
  assert_int_equal(strncmp(text, code, strlen(code)), 0);
  assert_non_null(strstr(text, "libcurl cannot be loaded ("));
  assert_non_null(strstr(text, path));
  assert_non_null(strstr(text, "\nhelp: install it: apt-get install libcurl4"));
}

/* A library that is none of curl's goes by its name. */
static void lacks_functions(void **state) {
  (void)state;
  Dl_info info;
  assert_int_not_equal(dladdr((void *)(uintptr_t)_cmocka_run_group_tests, &info), 0);
  char *other = realpath(info.dli_fname, NULL);
  assert_non_null(other);
  unlink(path);
  assert_int_equal(symlink(other, path), 0);
  free(other);
  const char *text = words();
  assert_non_null(strstr(text, "this machine's libcurl lacks curl_"));
  assert_non_null(strstr(text, "\nhelp: dkrun needs libcurl 7.88 or later"));
}

static int start(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/" LIBRARY, folder);
  return 0;
}

static int end(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], CHILD) == 0) return create();
  const struct CMUnitTest tests[] = {cmocka_unit_test(when_wanted), cmocka_unit_test(cannot_be_loaded),
                                     cmocka_unit_test(lacks_functions)};
  return cmocka_run_group_tests_name("load", tests, start, end);
}
