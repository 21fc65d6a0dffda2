/* The user's and the repository's file of providers in a room of their own, and what is read out of them, as text. */
#ifndef TESTS_DRIVE_TWO_FILES_H
#define TESTS_DRIVE_TWO_FILES_H

#include "engine/drive/hosts.h"

#include <stddef.h>

extern char room[64]; /* with repo/ and config/dkrun/, the folder of configuration */
int set_up(void **state);
int tear_down(void **state);

const char *at(const char *name);             /* below the room; the last four stay valid */
void put(const char *name, const char *text); /* NULL: the file is removed */
void put_both(const char *user, const char *root);
/* A line for each host and each cloud, or for each diagnostic ("E0224 yours 1:24 message"). */
void load_as(enum dk_hosts_trust trust, struct dk_buf *out);

struct row {
  const char *user, *root, *want;
};
void check(const struct row *rows, size_t n, enum dk_hosts_trust trust);
#define CHECK(rows, trust) check(rows, sizeof(rows) / sizeof *(rows), trust)

#endif
