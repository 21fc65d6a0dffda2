/* Images that dkrun makes: `image NAME { from = "..."  setup = "..." }` of a file of providers. A machine is made from
 * the base, runs the setup, is wiped of what makes it that one machine, and is kept as an image of its cloud, by which
 * it is found again: by the digest of its recipe. Whose store made it does not matter; who may write in the cloud's
 * project could put anything there anyway. */
#ifndef DK_DRIVE_IMAGE_H
#define DK_DRIVE_IMAGE_H

#include "lang/base/buf.h"
#include "lang/base/digest.h"

#define DK_IMAGE_SETUP_MOST (64u << 10) /* bytes of a setup */
#define DK_IMAGE_SETUP_S 3600           /* that a setup may take */
#define DK_IMAGE_PID "/run/dkrun-setup" /* on the machine, while a setup runs there: the number of its process */

/* How one is made. */
struct dk_recipe {
  const char *name;               /* for people: as it is declared, or the provider's; not in the digest */
  const char *from;               /* as the cloud names it */
  const char *setup;              /* for sh; NULL: machines are made from `from` as it is */
  char digest[DK_DIGEST_HEX + 1]; /* "": there is no setup */
};

/* Of `from` and `setup`, into `digest`. What is done behind the setup is in it as well, by a number of ours. */
void dk_recipe_seal(struct dk_recipe *recipe);

/* The name of the image in its cloud: [a-z0-9-], at most 60 bytes. */
#define DK_IMAGE_NAME 64u
void dk_recipe_image_name(const struct dk_recipe *recipe, uint64_t incarnation, char ret[DK_IMAGE_NAME]);

/* The script for a shell of whoever logs in, root or one who may use sudo without a password: prints a line, runs the
 * setup as root, with nothing on its stdin, and then wipes the machine. What both print goes to stdout and stderr. Exit
 * code: the setup's (1 for what ssh would take for its own), 124: it took too long. The buffer says whether there was
 * memory. */
void dk_recipe_script(const struct dk_recipe *recipe, struct dk_buf *ret);

#endif
