/* What a run may pay for rented machines: --max-cost, or an answer. */
#ifndef DK_CLI_CONSENT_H
#define DK_CLI_CONSENT_H

#include "engine/cli/cli.h"
#include "engine/store/record.h"

/* "5USD", "0.50EUR", "0": nothing. */
bool dk_consent_parse(const char *text, struct dk_consent *ret);
/* Where the files of providers have machines with prices and nothing was said, asks; where nobody can be asked, says
 * that something has to be said. An exit code; FAILED: the answer is no. Without such machines nothing is asked. */
int dk_consent_get(struct dk_cli *cli, struct dk_consent *consent);

#endif
