/* What a host says, and what ssh says: in any pieces, of any length, honest or not. */
#include "providers/ssh/talk.h"
#include "providers/ssh/trouble.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Feeds it in pieces of `size` bytes until something is said; *at is where that ended. */
static enum dk_ssh_said feed(struct dk_ssh_talk *talk, const char *text, size_t len, size_t size, size_t *at) {
  while (*at < len) {
    size_t piece = len - *at < size ? len - *at : size, used = 0;
    enum dk_ssh_said said = dk_ssh_talk_feed(talk, text + *at, piece, &used);
    assert_true(used <= piece);
    assert_true(said != DK_SSH_NOTHING || used == piece);
    *at += used;
    if (said != DK_SSH_NOTHING) return said;
  }
  return DK_SSH_NOTHING;
}

static const char all[] =
    "Welcome!\ndk1\nno end of line\n"
    "dk1 arch x86_64\r\ndk1 node h1\ndk1 release ID=debian\ndk1 release VERSION_ID=\"12\"\n"
    "dk1 release ID=again\ndk1 release PRETTY=x\ndk1 libc 2.36\ndk1 unknown key\n"
    "dk1 root /root/x y\ndk1 note in \xc3\xa9\x1b[1m\ndkagent ready\ndk1 ask\n"
    "dk1 want dkagent-0123\nnoise\ndk1 go\ndk1 want more\nnot yet dkagent ready\ndkagent ready\nDK...";

static void in_pieces(void **state) {
  (void)state;
  for (size_t size = 1; size < sizeof all; size++) {
    struct dk_ssh_talk talk = {.len = 0};
    size_t at = 0, len = sizeof all - 1;
    assert_int_equal(feed(&talk, all, len, size, &at), DK_SSH_ASK);
    assert_string_equal(talk.facts.arch, "x86_64");
    assert_string_equal(talk.facts.node, "h1");
    assert_string_equal(talk.facts.release, "ID=debian\nVERSION_ID=\"12\"\n");
    assert_string_equal(talk.facts.libc, "2.36");
    assert_string_equal(talk.facts.root, "/root/x y");
    assert_string_equal(talk.facts.note, "in \xc3\xa9[1m");
    assert_int_equal(feed(&talk, all, len, size, &at), DK_SSH_WANT);
    assert_string_equal(talk.name, "dkagent-0123");
    assert_int_equal(feed(&talk, all, len, size, &at), DK_SSH_GO);
    assert_int_equal(feed(&talk, all, len, size, &at), DK_SSH_READY);
    assert_string_equal(all + at, "DK..."); /* not a byte of the agent's */
    assert_string_equal(talk.name, "dkagent-0123");
    assert_string_equal(talk.noise, "not yet dkagent ready");
  }
}

static void long_lines(void **state) {
  (void)state;
  struct dk_ssh_talk talk = {.len = 0};
  static char text[5000];
  size_t at = 0;
  memset(text, 'x', sizeof text);
  memcpy(text, "dk1 ask", 7); /* its line goes on for too long */
  memcpy(text + sizeof text - 16, "\ndk1 fail short\n", 16);
  assert_int_equal(feed(&talk, text, sizeof text, 700, &at), DK_SSH_FAILED);
  assert_string_equal(talk.words, "short");
  assert_true(strlen(talk.noise) < sizeof talk.noise);

  /* A key's value of any length fits, cut. */
  for (size_t i = 0; i < 2; i++) {
    static const char *const keys[] = {"dk1 arch ", "dk1 note "};
    talk = (struct dk_ssh_talk){.len = 0};
    memset(text, 'y', sizeof text);
    memcpy(text, keys[i], strlen(keys[i]));
    text[DK_SSH_LINE - 1] = '\n';
    at = 0;
    assert_int_equal(feed(&talk, text, DK_SSH_LINE, DK_SSH_LINE, &at), DK_SSH_NOTHING);
    assert_int_equal(strlen(i == 0 ? talk.facts.arch : talk.facts.note),
                     i == 0 ? sizeof talk.facts.arch - 1 : sizeof talk.facts.note - 1);
  }
}

/* Numbers of bytes: whole ones, or none. */
static void numbers(void **state) {
  static const struct {
    const char *line;
    enum dk_ssh_said said;
    uint64_t used, freed;
  } cases[] = {
      {"dk1 used 0\n", DK_SSH_NOTHING, 0, 0},     {"dk1 used 12345678901234\n", DK_SSH_NOTHING, 12345678901234, 0},
      {"dk1 used \n", DK_SSH_NOTHING, 7, 0},      {"dk1 used\n", DK_SSH_NOTHING, 7, 0},
      {"dk1 used -1\n", DK_SSH_NOTHING, 7, 0},    {"dk1 used 99999999999999999999\n", DK_SSH_NOTHING, 7, 0},
      {"dk1 freed 4096\n", DK_SSH_DONE, 7, 4096}, {"dk1 freed\n", DK_SSH_NOTHING, 7, 0},
      {"dk1 freed all\n", DK_SSH_NOTHING, 7, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct dk_ssh_talk talk = {.facts = {.used = 7}};
    size_t at = 0;
    assert_int_equal(feed(&talk, cases[i].line, strlen(cases[i].line), 3, &at), cases[i].said);
    assert_int_equal(talk.facts.used, cases[i].used);
    assert_int_equal(talk.facts.freed, cases[i].freed);
  }
}

/* With or without line ends, with our own keys or without: it ends. */
static void floods(void **state) {
  static const char *const lines[] = {"", "x", "\n", "dk1 arch x\n", "dk1 release ID=x\n", "dk1 \n"};
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    struct dk_ssh_talk talk = {.len = 0};
    enum dk_ssh_said said = DK_SSH_NOTHING;
    size_t total = 0;
    while (said == DK_SSH_NOTHING && total < 2 * DK_SSH_NOISE) {
      size_t len = strlen(lines[i]), at = 0;
      said = feed(&talk, len ? lines[i] : "\0", len ? len : 1, 4096, &at);
      total += at;
    }
    assert_int_equal(said, DK_SSH_FLOOD);
    assert_int_equal(total, DK_SSH_NOISE + 1);
  }
}

static void any_bytes(void **state) {
  (void)state;
  srand(1);
  for (int round = 0; round < 2000; round++) {
    static const char *const words[] = {"dk1 ", "ask", "go", "want ", "fail ", "release ID=", "\n", "dkagent ready"};
    struct dk_ssh_talk talk = {.is_going = round % 2};
    struct dk_ssh_trouble trouble = {.len = 0};
    for (int i = 0; i < 50; i++) {
      char byte = (char)rand();
      bool is_word = rand() % 3 > 0;
      const char *text = is_word ? words[rand() % 8] : &byte;
      size_t at = 0, len = is_word ? strlen(text) : 1;
      while (at < len) (void)feed(&talk, text, len, 3, &at);
      dk_ssh_trouble_feed(&trouble, text, len);
    }
    for (const char *c = talk.facts.release; *c; c++) assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
  }
}

static int explain(const char *said, int status, const char *noise, struct dk_error *error) {
  struct dk_host_config host = {.provider = "lab", .name = "h1", .user = "anna", .port = 22};
  struct dk_ssh_trouble trouble = {.len = 0};
  for (const char *c = said; *c; c++) dk_ssh_trouble_feed(&trouble, c, 1);
  dk_ssh_trouble_end(&trouble);
  return dk_ssh_trouble_explain(&trouble, &host, status, noise, error);
}

#define EXIT(code) ((code) << 8)

static void troubles(void **state) {
  static const struct {
    const char *said;
    int status;
    const char *noise;
    int code;
    const char *words; /* are in it */
  } cases[] = {
      {"Welcome to h1\r\nHost key verification failed.\r\n", EXIT(255), NULL, -EKEYREJECTED,
       "not known here\nhelp: connect once by hand, and compare the key that is shown: ssh -p 22 -l anna h1"},
      {"@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@\nIT IS POSSIBLE\n"
       "Host key for h1 has changed and you have requested strict checking.\nHost key verification failed.\n",
       EXIT(255), NULL, -EKEYREJECTED, "another one than is known here"},
      {"Warning: Permanently added 'h1' (ED25519) to the list of known hosts.\nanna@h1: Permission denied (publickey).",
       EXIT(255), "", -EACCES, "ssh is not let in: anna@h1: Permission denied (publickey).\nhelp: "},
      {"ssh: Could not resolve hostname h1: Name or service not known\n", EXIT(255), NULL, -ENOENT,
       "ssh: Could not resolve hostname h1: Name or service not known\nhelp: is the name right?"},
      {"ssh: Could not resolve hostname jump: Name or service not known\n"
       "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n",
       EXIT(255), NULL, -ENOENT, "resolve hostname jump"},
      {"ssh: connect to host h1 port 22: Connection refused\n", EXIT(255), NULL, -ECONNREFUSED,
       "no ssh server answers"},
      {"ssh: connect to host h1 port 22: Connection timed out\n", EXIT(255), NULL, -ETIMEDOUT,
       "it does not answer: ssh"},
      {"ssh: connect to host h1 port 22: No route to host\n", EXIT(255), NULL, -ETIMEDOUT,
       "No route to host\nhelp: is it up, and does this machine reach its network"},
      {"ssh: connect to host h1 port 22: Network is unreachable\n", EXIT(255), NULL, -ETIMEDOUT,
       "does this work: ssh -p 22 -l anna h1 true"},
      {"Timeout, server h1 not responding.\r\n", EXIT(255), NULL, -ETIMEDOUT, "Timeout, server h1 not responding."},
      {"/c line 1: Bad configuration option: nonsense\n/c: terminating, 1 bad configuration options\n", EXIT(255), NULL,
       -EINVAL, "/c line 1: Bad configuration option: nonsense\nhelp: "},
      {"mux_client_request_session: read from master failed: Broken pipe\nanna@h1: Permission denied (password).\n",
       EXIT(255), NULL, -EACCES, "not let in"},
      /* A banner, a login or an agent that says what ssh would say */
      {"Permission denied (you)\n", EXIT(1), "This account is currently not available.", -ECONNABORTED,
       "its login shell ended with exit code 1, having said: This account is currently not available."},
      {"dkagent: Connection refused\n", EXIT(3), NULL, -ECONNABORTED, "dkagent: Connection refused"},
      {"", EXIT(255), NULL, -ECONNABORTED, "ssh did not say why"},
      {"----\n\n  \n", EXIT(7), NULL, -ECONNABORTED, "its login shell ended with exit code 7"},
      {"", EXIT(255), "motd", -ECONNABORTED, "the last that was said: motd"},
      {"", 9, NULL, -ECONNABORTED, "ssh was ended by signal 9"},
      {"", -1, NULL, -ECONNABORTED, "the connection ended"},
      {"\x1b[31mred\x07\n", EXIT(255), NULL, -ECONNABORTED, "[31mred"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct dk_error error = {0};
    int r = explain(cases[i].said, cases[i].status, cases[i].noise, &error);
    if (r != cases[i].code || error.code != r || !strstr(error.text, cases[i].words))
      fail_msg("case %zu: %d, %s", i, r, error.text);
    assert_false(strstr(error.text, "help: ") && error.text[strlen(error.text) - 1] == '\n');
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_pieces), cmocka_unit_test(long_lines), cmocka_unit_test(numbers),
      cmocka_unit_test(floods),    cmocka_unit_test(any_bytes),  cmocka_unit_test(troubles),
  };
  return cmocka_run_group_tests_name("ssh_talk", tests, NULL, NULL);
}
