/* A temporary folder, real git repositories made in it with the git command, and listings to show that something did
 * not change. Asserts on failure: for use inside tests only. */
#ifndef DK_TEST_SOURCE_FIXTURE_H
#define DK_TEST_SOURCE_FIXTURE_H

#include "engine/source/code.h"
#include "engine/source/repo.h"
#include "engine/source/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* cmocka setup and teardown: a new folder, in which HOME is too (no configuration of who runs the tests); its path is
 * fx. */
extern char fx[256];
int fx_setup(void **state);
int fx_teardown(void **state);

/* Runs a script with sh -eu in the folder; it must end well. */
void fx_sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, giving its output (heap, last newline cut). */
char *fx_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A repository at fx/name with the commit "start" of: a.py, model/net.py, model/sub/x.py, run.sh (executable),
 * README.md, exp.dk. */
void fx_repo(const char *name);
/* "%s/name" in fx; a few can be used at once. */
const char *fx_path(const char *name);

/* Opens, takes, closes the repository. Fails the test when it cannot. */
void fx_take(const char *name, struct dk_snapshot *ret);
/* The same, giving back the error that is expected. */
int fx_take_error(const char *name, const struct dk_snapshot_options *options, struct dk_error *error);
/* Is this path in the list? */
bool fx_in(char *const *list, uint32_t n, const char *path);

#endif
