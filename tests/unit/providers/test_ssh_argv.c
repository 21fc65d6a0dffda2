/* ssh's command line, what is sent to a host, and the program that it gets. */
#include "lang/base/alloc.h"
#include "providers/ssh/argv.h"
#include "providers/ssh/program.h"
#include "providers/ssh/remote.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

static bool has(const struct dk_ssh_argv *argv, const char *item) {
  for (unsigned i = 0; i < argv->n; i++)
    if (strcmp(argv->items[i], item) == 0) return true;
  return false;
}

static void host_names(void **state) {
  (void)state;
  assert_true(dk_ssh_is_host_name("h1"));
  assert_true(dk_ssh_is_host_name("anna@node-1.lab.example.org"));
  assert_true(dk_ssh_is_host_name("fe80::1"));
  assert_false(dk_ssh_is_host_name(""));
  assert_false(dk_ssh_is_host_name("-oProxyCommand=x"));
  assert_false(dk_ssh_is_host_name("h1;x"));
  assert_false(dk_ssh_is_host_name("h1 h2"));
  assert_false(dk_ssh_is_host_name("h\xc3\xa9"));
  assert_false(dk_ssh_is_host_name("ssh://h1/"));
}

static void ways(void **state) {
  struct dk_host_config host = {.name = "h1", .user = "anna", .ssh_config = "/etc/x y", .port = 2222};
  struct dk_ssh_argv argv;
  (void)state;
  for (int way = DK_SSH_DIRECT; way <= DK_SSH_LOGIN; way++) {
    assert_int_equal(dk_ssh_argv((enum dk_ssh_way)way, &host, "/opt/ssh", "/tmp/s", "the command", &argv), 0);
    assert_string_equal(argv.items[0], "/opt/ssh");
    assert_null(argv.items[argv.n]);
    assert_true(has(&argv, "-F") && has(&argv, "/etc/x y") && has(&argv, "2222") && has(&argv, "anna"));
    assert_true(has(&argv, "ForwardAgent=no") && has(&argv, "RemoteCommand=none") && has(&argv, "-T"));
    assert_int_equal(has(&argv, "BatchMode=yes"), way != DK_SSH_LOGIN);
    assert_int_equal(has(&argv, "ControlPath=none"), way == DK_SSH_DIRECT);
    assert_int_equal(has(&argv, "ControlPath=/tmp/s"), way == DK_SSH_MASTER || way == DK_SSH_LOGIN);
    assert_int_equal(has(&argv, "ControlMaster=auto"), way == DK_SSH_LOGIN);
    for (unsigned i = 0; i < argv.n; i++) assert_null(strstr(argv.items[i], "StrictHostKeyChecking"));
    unsigned last = argv.n - 1;
    if (way != DK_SSH_CHECK) assert_string_equal(argv.items[last--], "the command");
    assert_string_equal(argv.items[last], "h1");
    assert_string_equal(argv.items[last - 1], "--");
    dk_ssh_argv_finish(&argv);
  }
  dk_autobuf by_hand = DK_BUF_INIT;
  dk_ssh_by_hand(&host, &by_hand);
  assert_string_equal(dk_buf_text(&by_hand), "ssh -F '/etc/x y' -p 2222 -l anna h1");
}

/* -o NAME=VALUE, and before the host. */
static void has_option(const struct dk_ssh_argv *argv, const char *option) {
  for (unsigned i = 1; i < argv->n && strcmp(argv->items[i], "--") != 0; i++)
    if (strcmp(argv->items[i], option) == 0 && strcmp(argv->items[i - 1], "-o") == 0) return;
  fail_msg("%s is not among the options", option);
}

static void rented(void **state) {
  struct dk_host_config host = {.name = "lab-1", .address = "10.0.0.7"};
  struct dk_ssh_argv argv;
  (void)state;
  assert_int_equal(dk_ssh_argv(DK_SSH_DIRECT, &host, "ssh", NULL, "x", &argv), 0);
  has_option(&argv, "HostName=10.0.0.7");
  for (unsigned i = 0; i < argv.n; i++) assert_null(strstr(argv.items[i], "Key")); /* it is known as ssh knows it */
  dk_ssh_argv_finish(&argv);
  host.identity = "/a b/100%/i\"d\\";
  host.known_hosts = "/a b/lab-1.known";
  host.port = 65535;
  host.user = "root";
  host.ssh_config = "/c";
  for (int way = DK_SSH_DIRECT; way <= DK_SSH_LOGIN; way++) {
    assert_int_equal(dk_ssh_argv((enum dk_ssh_way)way, &host, "ssh", "/tmp/s", "x", &argv), 0);
    has_option(&argv, "HostName=10.0.0.7");
    has_option(&argv, "HostKeyAlias=lab-1");
    has_option(&argv, "UserKnownHostsFile=\"/a b/lab-1.known\"");
    has_option(&argv, "IdentityFile=\"/a b/100%%/i\\\"d\\\\\"");
    has_option(&argv, "StrictHostKeyChecking=yes");
    has_option(&argv, "GlobalKnownHostsFile=/dev/null");
    has_option(&argv, "IdentitiesOnly=yes");
    dk_ssh_argv_finish(&argv);
  }
  dk_autobuf by_hand = DK_BUF_INIT;
  dk_ssh_by_hand(&host, &by_hand);
  assert_non_null(strstr(dk_buf_text(&by_hand), "ssh -F /c -p 65535 -l root -o HostName=10.0.0.7 -o HostKeyAlias=lab-1 "
                                                "-o 'UserKnownHostsFile=\"/a b/lab-1.known\"' -o "
                                                "'IdentityFile=\"/a b/100%%/i\\\"d\\\\\"' "));
  assert_string_equal(dk_buf_text(&by_hand) + by_hand.len - 6, " lab-1");
  assert_true(dk_ssh_is_path("/x/$y"));
  assert_false(dk_ssh_is_path("/x/${y}"));
  assert_false(dk_ssh_is_path("/x\ny"));
  assert_false(dk_ssh_is_path("x"));
}

static void command(void **state) {
  dk_autobuf line = DK_BUF_INIT, text = DK_BUF_INIT;
  struct dk_dial_options options = {.host = {.root = "/it's", .most_gpus = 0, .nice = 5, .leave = 1}, .slots = 4};
  char expected[100];
  (void)state;
  options.store[0] = 0xab;
  options.store[7] = 0x01;
  options.store[8] = 0xff;
  dk_ssh_remote(&options, &line, &text);
  assert_true(dk_buf_ok(&line) && dk_buf_ok(&text));
  static const char head[] = "want_root='/it'\\''s'\nstore=ab00000000000001\nway=agent\n"
                             "options='--slots 4 --nice 5 --gpus 0 --leave 1 '\n";
  assert_int_equal(strncmp(dk_buf_text(&text), head, strlen(head)), 0);
  snprintf(expected, sizeof expected, "count=%zu ", text.len);
  assert_non_null(strstr(dk_buf_text(&line), expected));
  /* What csh or fish would change between single quotes. */
  const char *quoted = strchr(dk_buf_text(&line), '\'');
  assert_non_null(quoted);
  assert_string_equal(strchr(quoted + 1, '\''), "'");
  assert_null(strpbrk(dk_buf_text(&line), "!\\\n"));
}

static void write_file(const char *path, size_t size) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (size_t i = 0; i < size; i++) fputc((int)(i * 7 % 251), file);
  assert_int_equal(fclose(file), 0);
}

/* Against the tools themselves. */
static void digests(void **state) {
  static const size_t sizes[] = {1, 255, 256, 65536, 300001};
  char dir[] = "/tmp/dk-test-XXXXXX", path[64], shell[200], theirs[100];
  struct dk_ssh_program program;
  struct utsname system;
  struct dk_error error = {0};
  (void)state;
  assert_non_null(mkdtemp(dir));
  uname(&system);
  snprintf(path, sizeof path, "%s/dkagent", dir);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    write_file(path, sizes[i]);
    if (dk_ssh_program_open(path, system.machine, &program, &error) < 0) fail_msg("%s", error.text);
    assert_int_equal(program.size, sizes[i]);
    dk_autobuf order = DK_BUF_INIT;
    dk_ssh_remote_order(&program, &order);
    snprintf(shell, sizeof shell, "cd %s; s=$(sha256sum <dkagent); c=$(cksum <dkagent); echo ${s%%%% *} ${c%%%% *}",
             dir);
    FILE *pipe = popen(shell, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(theirs, sizeof theirs, pipe));
    assert_int_equal(pclose(pipe), 0);
    assert_non_null(strstr(dk_buf_text(&order), theirs)); /* both end with the line */
    assert_int_equal(strncmp(program.name, "dkagent-", 8), 0);
    assert_int_equal(strncmp(program.name + 8, theirs, 16), 0);
    assert_int_equal(strlen(program.name), 24);
    dk_ssh_program_close(&program);
  }
  /* None of any use. */
  write_file(path, 0);
  assert_int_equal(dk_ssh_program_open(path, system.machine, &program, &error), -ENOEXEC);
  unlink(path);
  assert_int_equal(dk_ssh_program_open(path, system.machine, &program, &error), -EOPNOTSUPP);
  assert_non_null(strstr(error.text, path));
  assert_int_equal(dk_ssh_program_open(path, "sparc64", &program, &error), -EOPNOTSUPP);
  assert_non_null(strstr(error.text, "sparc64; there is an agent for none"));
  assert_int_equal(program.fd, -1);
  rmdir(dir);
}

static void no_memory(void **state) {
  struct dk_host_config host = {.name = "h1", .most_gpus = 1, .address = "a", .identity = "/i", .known_hosts = "/k"};
  struct dk_dial_options options = {.host = host};
  (void)state;
  for (uint64_t n = 1; n < 16; n++) {
    dk_autobuf line = DK_BUF_INIT, text = DK_BUF_INIT;
    struct dk_ssh_argv argv;
    dk_alloc_fail_at(n);
    dk_ssh_remote(&options, &line, &text);
    int r = dk_ssh_argv(DK_SSH_MASTER, &host, "ssh", "/tmp/s", dk_buf_text(&line), &argv);
    bool has_failed = dk_alloc_count() >= n;
    dk_alloc_fail_at(0);
    assert_int_equal(has_failed, r < 0 || !dk_buf_ok(&line) || !dk_buf_ok(&text));
    dk_ssh_argv_finish(&argv);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(host_names), cmocka_unit_test(ways),    cmocka_unit_test(rented),
      cmocka_unit_test(command),    cmocka_unit_test(digests), cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests_name("ssh_argv", tests, NULL, NULL);
}
