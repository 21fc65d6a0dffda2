/* The hosts on which tasks may run, and the clouds that make such: what the user's file of providers says and what the
 * repository's makes of it.
 *
 * The user's file is providers.dk in the folder of configuration (config.h); it declares providers. The repository's is
 * providers.dk at its root. It chooses among the user's providers and limits them: `provider lab { leave = 4 }`,
 * without `kind`. A block with `kind` declares a provider of its own, which counts when the user has trusted the file
 * as it is now (trust.h). Where the repository's file names any provider, only those are used; where there is no
 * provider at all, there is one: this machine. */
#ifndef DK_DRIVE_HOSTS_H
#define DK_DRIVE_HOSTS_H

#include "engine/drive/hours.h"
#include "engine/drive/image.h"
#include "engine/drive/provider.h"
#include "lang/base/digest.h"
#include "lang/diag/diag.h"

struct dk_hosts_entry {
  const struct dk_provider *provider; /* how it is reached */
  struct dk_host_config config;       /* strings live as long as the dk_hosts */
  bool mixed;                         /* its system may be another than this machine's */
  uint64_t lost_after_ns;             /* silent for so long, its tasks are started elsewhere; 0: as the core has it */
  struct dk_hours hours;              /* when it gets tasks */
  uint32_t user_line, root_line;      /* of its block in the user's and in the repository's file; 0: not there */
};

/* A provider that makes machines. */
struct dk_cloud_entry {
  const struct dk_provider *provider; /* its `cloud` is there */
  struct dk_cloud_config config;      /* strings live as long as the dk_hosts */
  struct dk_host_config host;         /* of each of its instances, but for what tells them apart */
  bool mixed;                         /* as of hosts, like the three below */
  uint64_t lost_after_ns;
  struct dk_hours hours;
  uint32_t user_line, root_line;
  struct dk_recipe image; /* what an instance is made from */
  uint32_t max_instances; /* at a time */
  uint64_t idle_ns;       /* one with nothing to do is kept so long */
  uint64_t boot_ns;       /* what an instance may take from its creation to its agent's first word */
  const struct dk_shape *shapes;
  uint32_t n_shapes; /* 0: its kind knows them, and the file leaves them out */
};

struct dk_hosts_priv;

struct dk_hosts {
  struct dk_hosts_entry *items; /* by provider, then as written */
  uint32_t n;
  struct dk_cloud_entry *clouds; /* as written */
  uint32_t n_clouds;
  const char *user_file, *root_file; /* their absolute paths; NULL: there is none */
  uint32_t n_user, n_root;           /* providers in them */
  bool is_declared;                  /* the repository's file declares providers of its own */
  bool is_trusted;                   /* and the user has trusted it as it is */
  const char *const *read;           /* what the repository's file reads, itself too: paths below the root */
  uint32_t n_read;
  struct dk_digest digest; /* what there is to be trusted: of the repository's file and what it reads */
  struct dk_hosts_priv *priv;
};

enum dk_hosts_trust {
  DK_HOSTS_AS_TRUSTED,    /* what the user has trusted */
  DK_HOSTS_AS_IF_TRUSTED, /* what would be, if the user did */
};

/* `root`: the repository's, absolute; NULL: there is none. 0; -EINVAL: the files have errors, `error` has the first of
 * them, dk_hosts_diags all; another negative errno with words. dk_hosts_finish is due in any case. */
int dk_hosts_load(const char *root, struct dk_hosts *ret, struct dk_error *error);
int dk_hosts_load_as(const char *root, enum dk_hosts_trust trust, struct dk_hosts *ret, struct dk_error *error);
void dk_hosts_finish(struct dk_hosts *hosts);

/* May tasks run on other machines than this one? */
bool dk_hosts_has_remote(const struct dk_hosts *hosts);

/* Would an engine do the same with both? */
bool dk_cloud_entry_equal(const struct dk_cloud_entry *a, const struct dk_cloud_entry *b);

enum dk_hosts_file { DK_HOSTS_USER, DK_HOSTS_ROOT };
/* What is wrong with a file; NULL: it is not there, or was not read. */
const struct dk_diags *dk_hosts_diags(const struct dk_hosts *hosts, enum dk_hosts_file file);

#endif
