/* See talk.h. */
#include "providers/ssh/talk.h"

#include <string.h>

#define OURS "dk1 "
#define READY "dkagent ready"

/* A text of the host's as far as it is printable ASCII and fits; UTF-8 is welcome where people read it. */
static void take(char *ret, size_t size, const char *text, bool is_for_people) {
  size_t n = 0;

  for (; *text && n + 1 < size; text++) {
    unsigned char c = (unsigned char)*text;
    if ((c >= ' ' && c < 0x7f) || (is_for_people && c >= 0x80)) ret[n++] = *text;
  }
  ret[n] = '\0';
}

#define TAKE(field, text) take(field, sizeof(field), text, false)
#define TAKE_WORDS(field, text) take(field, sizeof(field), text, true)

/* The rest of `line` behind `key` and a space; NULL when it is another key's. */
static const char *value(const char *line, const char *key) {
  size_t len = strlen(key);

  if (strncmp(line, key, len) != 0) return NULL;
  if (line[len] == '\0') return line + len;
  return line[len] == ' ' ? line + len + 1 : NULL;
}

/* Each name once, and whole, so that the parts of it are what a local reading of the file gives. */
static void take_release(struct dk_host_facts *facts, const char *text) {
  const char *name = strncmp(text, "ID=", 3) == 0            ? "ID="
                     : strncmp(text, "VERSION_ID=", 11) == 0 ? "VERSION_ID="
                                                             : NULL;
  size_t used = strlen(facts->release), len = strlen(text);

  if (!name || used + len + 2 > sizeof facts->release) return;
  for (const char *c = text; *c; c++)
    if (*c < ' ' || *c >= 0x7f) return;
  for (const char *line = facts->release; *line; line = strchr(line, '\n') + 1)
    if (strncmp(line, name, strlen(name)) == 0) return;
  memcpy(facts->release + used, text, len);
  memcpy(facts->release + used + len, "\n", 2);
}

/* A number of bytes; what is none leaves *ret as it was. */
static bool take_number(const char *text, uint64_t *ret) {
  uint64_t n = 0;

  if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 19) return false;
  for (; *text; text++) n = n * 10 + (uint64_t)(*text - '0');
  *ret = n;
  return true;
}

static enum dk_ssh_said take_ours(struct dk_ssh_talk *talk, const char *line) {
  const char *text;

  talk->has_spoken = true;
  if ((text = value(line, "arch"))) TAKE(talk->facts.arch, text);
  if ((text = value(line, "node"))) TAKE(talk->facts.node, text);
  if ((text = value(line, "libc"))) TAKE(talk->facts.libc, text);
  if ((text = value(line, "root"))) TAKE_WORDS(talk->facts.root, text);
  if ((text = value(line, "place"))) TAKE(talk->facts.place, text);
  if ((text = value(line, "note"))) TAKE_WORDS(talk->facts.note, text);
  if ((text = value(line, "help"))) TAKE_WORDS(talk->help, text);
  if ((text = value(line, "release"))) take_release(&talk->facts, text);
  if ((text = value(line, "used"))) (void)take_number(text, &talk->facts.used);
  if ((text = value(line, "freed")) && take_number(text, &talk->facts.freed)) return DK_SSH_DONE;
  if ((text = value(line, "fail"))) {
    TAKE_WORDS(talk->words, text);
    return DK_SSH_FAILED;
  }
  if ((text = value(line, "want"))) {
    TAKE(talk->name, text);
    return DK_SSH_WANT;
  }
  if (value(line, "ask")) return DK_SSH_ASK;
  if (value(line, "go")) {
    talk->is_going = true;
    return DK_SSH_GO;
  }
  return DK_SSH_NOTHING;
}

static enum dk_ssh_said take_line(struct dk_ssh_talk *talk) {
  bool is_whole = talk->len < sizeof talk->line;
  size_t len = is_whole ? talk->len : sizeof talk->line - 1;
  char *line = talk->line;

  talk->len = 0;
  if (len > 0 && line[len - 1] == '\r') len--;
  line[len] = '\0';
  if (memchr(line, '\0', len)) is_whole = false;
  if (is_whole && !talk->is_going && strncmp(line, OURS, strlen(OURS)) == 0)
    return take_ours(talk, line + strlen(OURS));
  if (is_whole && talk->is_going && strcmp(line, READY) == 0) return DK_SSH_READY;
  char noise[sizeof talk->noise];
  TAKE_WORDS(noise, line);
  if (noise[strspn(noise, " ")] != '\0') memcpy(talk->noise, noise, sizeof noise);
  return DK_SSH_NOTHING;
}

enum dk_ssh_said dk_ssh_talk_feed(struct dk_ssh_talk *talk, const char *data, size_t len, size_t *ret_used) {
  enum dk_ssh_said said = DK_SSH_NOTHING;
  size_t i = 0;

  while (i < len && said == DK_SSH_NOTHING) {
    char c = data[i++];
    if (++talk->idle > DK_SSH_NOISE) {
      said = DK_SSH_FLOOD;
    } else if (c == '\n') {
      said = take_line(talk);
    } else if (talk->len < sizeof talk->line) {
      talk->line[talk->len++] = c;
    }
  }
  if (said != DK_SSH_NOTHING) talk->idle = 0;
  *ret_used = i;
  return said;
}
