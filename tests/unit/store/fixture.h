/* A temporary folder with a store in it, and processes of our own that use it. */
#ifndef DK_TEST_STORE_FIXTURE_H
#define DK_TEST_STORE_FIXTURE_H

#include "engine/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern char fx[256];    /* the folder */
extern char fx_at[300]; /* fx/store */
int fx_setup(void **state);
int fx_teardown(void **state);
void fx_sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens fx_at; fails the test when it cannot. */
struct dk_store *fx_open(const struct dk_store_options *options);
/* Opens it, expecting an error that is given back. */
int fx_open_error(const struct dk_store_options *options, struct dk_error *error);
/* One put, committed. */
int fx_put(struct dk_store *store, enum dk_table table, const char *key, const char *value, struct dk_error *error);
/* The value as text, or "" when there is none; valid until the next call. Fails the test on any other error. */
const char *fx_get(struct dk_store *store, enum dk_table table, const char *key);

/* In a child process: fn's result (0 to 125) is its exit code. No asserts inside. */
typedef int fx_child_fn(int arg);
int fx_child(fx_child_fn *fn, int arg); /* pid */
int fx_wait(int pid);                   /* exit code, or 128 + signal */

#endif
