/* See trouble.h. The texts are OpenSSH's, 7.9 to 10. */
#include "providers/ssh/trouble.h"

#include "providers/ssh/argv.h"

#include "lang/base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

/* In order: the first that is found in a line counts. */
static const struct {
  const char *text;
  enum dk_ssh_trouble_kind kind;
} known[] = {
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", DK_SSH_KEY_CHANGED},
    {"has changed and you have requested strict checking", DK_SSH_KEY_CHANGED},
    {"REVOKED HOST KEY", DK_SSH_KEY_CHANGED},
    {"Host key verification failed", DK_SSH_KEY_UNKNOWN},
    {"host key is known for", DK_SSH_KEY_UNKNOWN},
    {"Permission denied (", DK_SSH_DENIED},
    {"Too many authentication failures", DK_SSH_DENIED},
    {"Could not resolve hostname", DK_SSH_NO_NAME},
    {"Connection timed out", DK_SSH_NO_ANSWER},
    {"Operation timed out", DK_SSH_NO_ANSWER},
    {"No route to host", DK_SSH_NO_ANSWER},
    {"Network is unreachable", DK_SSH_NO_ANSWER},
    {"Host is down", DK_SSH_NO_ANSWER},
    {"not responding", DK_SSH_NO_ANSWER},
    {"Connection refused", DK_SSH_REFUSED},
    {"Bad configuration option", DK_SSH_BAD_CONFIG},
    {"Bad owner or permissions on", DK_SSH_BAD_CONFIG},
    {"Can't open user config file", DK_SSH_BAD_CONFIG},
    {"bad configuration options", DK_SSH_BAD_CONFIG},
};

/* Said around an error, or in no connection with one. */
static const char *const idle_talk[] = {
    "debug",
    "Warning: Permanently added",
    "** ", /* what newer ones say of old key exchanges */
    "@@@",
    "mux_client_", /* it goes on without the master */
    "ControlSocket ",
    "Authenticated to ",
    "Killed by signal 15",
};

static bool says_something(const char *line) {
  if (line[strspn(line, " @-*#=_.")] == '\0') return false;
  for (size_t i = 0; i < sizeof idle_talk / sizeof *idle_talk; i++)
    if (strncmp(line, idle_talk[i], strlen(idle_talk[i])) == 0) return false;
  return true;
}

static void take_line(struct dk_ssh_trouble *trouble) {
  char *line = trouble->line;
  size_t n = 0;

  for (size_t i = 0; i < trouble->len; i++)
    if ((unsigned char)line[i] >= ' ' && line[i] != 0x7f) line[n++] = line[i];
  line[n] = '\0';
  trouble->len = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!strstr(line, known[i].text)) continue;
    /* "Host key verification failed" ends both; "port 65535: Connection refused" may be the jump host's before it. */
    if (!(trouble->kind == DK_SSH_KEY_CHANGED && known[i].kind == DK_SSH_KEY_UNKNOWN)) trouble->kind = known[i].kind;
    break;
  }
  /* Said behind what tells more: of a jump host's own ssh, of a line in a configuration file. */
  bool is_echo = trouble->last[0] != '\0' && trouble->kind != DK_SSH_UNCLEAR &&
                 (strstr(line, "UNKNOWN port 65535") || strstr(line, "kex_exchange_identification") ||
                  strstr(line, ": terminating, "));
  if (says_something(line) && !is_echo) memcpy(trouble->last, line, n + 1);
}

void dk_ssh_trouble_feed(struct dk_ssh_trouble *trouble, const char *data, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (data[i] == '\n')
      take_line(trouble);
    else if (trouble->len + 1 < sizeof trouble->line)
      trouble->line[trouble->len++] = data[i];
  }
}

void dk_ssh_trouble_end(struct dk_ssh_trouble *trouble) {
  if (trouble->len > 0) take_line(trouble);
}

/* ssh itself ends with 255; any other code is that of what ran there, after a login that went well. */
static bool was_logged_in(int status) {
  return status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) != 255;
}

/* What was said, or how it ended. */
static void add_last(struct dk_buf *out, const struct dk_ssh_trouble *trouble, int status, const char *noise) {
  bool is_login = was_logged_in(status);

  if (is_login && noise && *noise)
    dk_buf_printf(out, "its login shell ended with exit code %d, having said: %s", WEXITSTATUS(status), noise);
  else if (trouble->last[0] != '\0')
    dk_buf_add_text(out, trouble->last);
  else if (noise && *noise)
    dk_buf_printf(out, "the connection ended; the last that was said: %s", noise);
  else if (is_login)
    dk_buf_printf(out, "its login shell ended with exit code %d", WEXITSTATUS(status));
  else if (status >= 0 && WIFSIGNALED(status))
    dk_buf_printf(out, "ssh was ended by signal %d", WTERMSIG(status));
  else
    dk_buf_add_text(out, "the connection ended, and ssh did not say why");
}

/* Of a machine that we had made: nobody has seen its key, and nobody has a password. False: as of any other host. */
static bool explain_rented(const struct dk_ssh_trouble *trouble, const char *said, const char *command,
                           struct dk_error *error) {
  static const char help[] = "help: its image has to run the script that a machine is given for its first boot "
                             "(cloud-init), and to have the `user`";

  if (trouble->kind == DK_SSH_KEY_UNKNOWN || trouble->kind == DK_SSH_KEY_CHANGED)
    dk_error_set(error, -EKEYREJECTED,
                 "its host key is not the one that it was given when it was made: it may still be starting, or this is "
                 "not it\n%s",
                 help);
  else if (trouble->kind == DK_SSH_DENIED)
    dk_error_set(error, -EACCES, "ssh is not let in: %s\n%s\nhelp: this is how it has to work: %s true", said, help,
                 command);
  else
    return false;
  return true;
}

int dk_ssh_trouble_explain(const struct dk_ssh_trouble *trouble, const struct dk_host_config *host, int status,
                           const char *noise, struct dk_error *error) {
  dk_autobuf last = DK_BUF_INIT, by_hand = DK_BUF_INIT;

  add_last(&last, trouble, status, noise);
  dk_ssh_by_hand(host, &by_hand);
  const char *said = dk_buf_text(&last), *command = dk_buf_text(&by_hand);
  /* A login's banner, or the agent, may use ssh's words. */
  bool is_login = was_logged_in(status);
  if (!is_login && host->known_hosts && explain_rented(trouble, said, command, error)) return error->code;
  switch (is_login ? DK_SSH_UNCLEAR : trouble->kind) {
  case DK_SSH_KEY_UNKNOWN:
    return dk_error_set(error, -EKEYREJECTED,
                        "its host key is not known here\n"
                        "help: connect once by hand, and compare the key that is shown: %s",
                        command);
  case DK_SSH_KEY_CHANGED:
    return dk_error_set(error, -EKEYREJECTED,
                        "its host key is another one than is known here: it was set up anew, or this is not it\n"
                        "help: if you know why, connect once by hand, and do what ssh says: %s",
                        command);
  case DK_SSH_DENIED:
    return dk_error_set(error, -EACCES,
                        "ssh is not let in: %s\n"
                        "help: with a key it has to work like this: %s true\n"
                        "help: where a password or a code is asked for, give it once: dkrun providers check %s",
                        said, command, host->provider ? host->provider : "");
  case DK_SSH_NO_NAME:
    return dk_error_set(error, -ENOENT, "%s\nhelp: is the name right? does this work: %s true", said, command);
  case DK_SSH_NO_ANSWER:
    return dk_error_set(
        error, -ETIMEDOUT,
        "it does not answer: %s\n"
        "help: is it up, and does this machine reach its network (VPN, jump host)? does this work: %s true",
        said, command);
  case DK_SSH_REFUSED:
    return dk_error_set(error, -ECONNREFUSED, "no ssh server answers there: %s\nhelp: is the port right?", said);
  case DK_SSH_BAD_CONFIG:
    return dk_error_set(error, -EINVAL, "%s\nhelp: ssh has to work by hand: %s true", said, command);
  case DK_SSH_UNCLEAR: break;
  }
  return dk_error_set(error, -ECONNABORTED, "%s", said);
}
