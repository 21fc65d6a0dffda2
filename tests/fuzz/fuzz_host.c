/* What a host says before its agent does: any bytes, in any pieces. The first byte of the input is the size of the
 * pieces, less one. What is found, and what is left of the host's words, is bounded, printable, and the same however it
 * comes. */
#include "providers/ssh/talk.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so) {
  if (!is_so) abort();
}

/* Ends within the field, and has nothing in it that a terminal acts on. */
static void check_text(const char *text, size_t size, bool is_for_people, bool has_lines) {
  check(memchr(text, '\0', size) != NULL);
  for (const char *c = text; *c; c++) {
    unsigned char byte = (unsigned char)*c;
    check((byte >= ' ' && byte < 0x7f) || (is_for_people && byte >= 0x80) || (has_lines && byte == '\n'));
  }
}

#define CHECK_TEXT(field, is_for_people) check_text(field, sizeof(field), is_for_people, false)

static void check_talk(const struct dk_ssh_talk *talk) {
  check(talk->len <= sizeof talk->line);
  check(talk->idle <= DK_SSH_NOISE + 1);
  CHECK_TEXT(talk->facts.arch, false);
  CHECK_TEXT(talk->facts.node, false);
  CHECK_TEXT(talk->facts.libc, false);
  CHECK_TEXT(talk->facts.root, true);
  CHECK_TEXT(talk->facts.note, true);
  check_text(talk->facts.release, sizeof talk->facts.release, false, true);
  CHECK_TEXT(talk->name, false);
  CHECK_TEXT(talk->words, true);
  CHECK_TEXT(talk->help, true);
  CHECK_TEXT(talk->noise, true);
}

/* Up to the first thing that ends a dial; *ret_said has all that was said on the way. Returns how many bytes that took.
 */
static size_t feed(struct dk_ssh_talk *talk, const char *bytes, size_t len, size_t piece, uint64_t *ret_said) {
  size_t at = 0;
  while (at < len) {
    size_t n = len - at < piece ? len - at : piece, used = 0;
    char *copy = malloc(n); /* of just that size: a read past its end is seen */
    if (!copy) exit(2);
    memcpy(copy, bytes + at, n);
    enum dk_ssh_said said = dk_ssh_talk_feed(talk, copy, n, &used);
    free(copy);
    check(used <= n && (said != DK_SSH_NOTHING || used == n));
    check_talk(talk);
    at += used;
    if (said == DK_SSH_NOTHING) continue;
    *ret_said = *ret_said * 31 + (uint64_t)said;
    if (said == DK_SSH_GO) check(talk->is_going);
    if (said == DK_SSH_READY) check(talk->is_going);
    if (said == DK_SSH_READY || said == DK_SSH_DONE || said == DK_SSH_FAILED || said == DK_SSH_FLOOD) break;
  }
  return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  static struct dk_ssh_talk whole, pieces;
  uint64_t said_whole = 0, said_pieces = 0;
  const char *bytes = (const char *)data + 1;
  memset(&whole, 0, sizeof whole);
  memset(&pieces, 0, sizeof pieces);
  size_t used_whole = feed(&whole, bytes, size - 1, SIZE_MAX, &said_whole);
  size_t used_pieces = feed(&pieces, bytes, size - 1, (size_t)data[0] + 1, &said_pieces);
  check(used_whole == used_pieces && said_whole == said_pieces);
  check(memcmp(&whole.facts, &pieces.facts, sizeof whole.facts) == 0);
  check(strcmp(whole.words, pieces.words) == 0 && strcmp(whole.name, pieces.name) == 0);
  return 0;
}
