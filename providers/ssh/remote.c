/* See remote.h. */
#include "providers/ssh/remote.h"

#include <string.h>

/* A POSIX shell's word, whatever is in it. dk_buf_add_shell_word is for people: it may write $'...', which dash does
 * not know. */
static void add_quoted(struct dk_buf *out, const char *text) {
  dk_buf_add_char(out, '\'');
  for (; *text; text++) {
    if (*text == '\'')
      dk_buf_add_text(out, "'\\''");
    else
      dk_buf_add_char(out, *text);
  }
  dk_buf_add_char(out, '\'');
}

/* The agent's own words: numbers, so they need no quotes. */
static void add_options(struct dk_buf *out, const struct dk_dial_options *options) {
  const struct dk_host_config *host = &options->host;

  dk_buf_add_text(out, "options='");
  if (options->slots > 0) dk_buf_printf(out, "--slots %u ", options->slots);
  if (host->nice > 0) dk_buf_printf(out, "--nice %d ", host->nice);
  if (host->most_gpus != UINT32_MAX) dk_buf_printf(out, "--gpus %u ", host->most_gpus);
  if (host->leave > 0) dk_buf_printf(out, "--leave %u ", host->leave);
  dk_buf_add_text(out, "'\n");
}

static const char *const ways[] = {
    [DK_DIAL_AGENT] = "agent", [DK_DIAL_TRY] = "try", [DK_DIAL_CLEAN] = "clean", [DK_DIAL_REMOVE] = "remove"};

void dk_ssh_remote(const struct dk_dial_options *options, struct dk_buf *command, struct dk_buf *text) {
  size_t before = text->len;

  dk_buf_add_text(text, "want_root=");
  add_quoted(text, options->host.root ? options->host.root : "");
  dk_buf_add_text(text, "\nstore=");
  for (unsigned i = 0; i < 8; i++) dk_buf_printf(text, "%02x", options->store[i]);
  dk_buf_printf(text, "\nway=%s\n", ways[options->way]);
  add_options(text, options);
  dk_buf_add_text(text, dk_ssh_remote_text());
  /* Between single quotes there is nothing that csh (!, line ends) or fish (\) would take for theirs. dd reads exactly
   * so many bytes when it reads them one by one: what follows on stdin is not the script's. */
  dk_buf_printf(command, "exec sh -c 'eval \"$(dd bs=1 count=%zu 2>/dev/null)\"'", text->len - before);
}

void dk_ssh_remote_order(const struct dk_ssh_program *program, struct dk_buf *text) {
  char hex[DK_DIGEST_HEX + 1];

  dk_digest_hex(&program->digest, hex);
  dk_buf_printf(text, "%s %llu %s %u\n", program->name, (unsigned long long)program->size, hex, program->cksum);
}
