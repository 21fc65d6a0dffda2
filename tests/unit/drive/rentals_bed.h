/* An engine with rented machines, of a cloud whose answers are the test's. */
#ifndef TESTS_DRIVE_RENTALS_BED_H
#define TESTS_DRIVE_RENTALS_BED_H

#include "engine/drive/rentals_priv.h"
#include "tests/unit/drive/two_files.h"

/* --- the cloud --- */

struct dk_cloud {
  char where[64];
};

struct call { /* under way */
  struct dk_cloud *cloud;
  enum dk_cloud_kind kind;
  bool is_image_id;
  char name[DK_RENT_NAME], id[DK_RENT_ID], image[DK_RENT_ID], recipe[DK_DIGEST_HEX + 1];
  dk_cloud_done_fn *done;
  void *ctx;
};
extern uint32_t n_opened;

/* Takes the first call of the kind out of those that are under way, waiting for it: after a refusal by chance up to 10 s
 * (dk_rent_backoff). */
struct call take(enum dk_cloud_kind kind);
bool is_asked(enum dk_cloud_kind kind);
void answer(const struct call *call, struct dk_cloud_result result);

/* --- shells --- */

struct dk_shell {
  struct dk_shell_options with;
  char script[8192];
};
extern struct dk_shell *shell;     /* the one that is open; NULL: none */
struct dk_shell *take_shell(void); /* waits for it */

/* --- the engine --- */

struct bed {
  struct dk_folder folder;
  struct dk_loop *loop;
  struct dk_hosts hosts;
  struct dk_engine *engine;
  uint64_t until;
  char said[8192];
};
extern struct bed bed;

int begin(void **state);
int end(void **state);
void start_engine(void);
void stop_engine(void);
void rest(uint64_t ms);

/* One file of providers; a cloud in it: lab, at a place. */
#define CLOUD_OF(name, place, image, more)                                                                             \
  "provider " name " { kind = \"far\" at = \"" place "\" image = " image " max_instances = 2 "                         \
  "shapes = [{ name = \"s\" cpus = 1 }] " more " }\n"
#define CLOUD(name, place, more) CLOUD_OF(name, place, "\"i\"", more)
void edit(const char *text);
int reload(void);

const struct dk_rented *rented(uint32_t number); /* NULL: there is none */
void want(uint32_t n);                           /* tasks of one cpu */
void make_one(void);                             /* a machine that the cloud has made, by the id "i-1" */
bool has_said(const char *text);
int release(const char *name, struct dk_error *error);

#endif
