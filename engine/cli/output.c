/* Output, messages and options of the commands; contract in cli.h. */
#include "engine/cli/cli.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t len) {
  while (len) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno != EINTR) {
      return -errno;
    }
    if (n > 0) {
      data += n;
      len -= (size_t)n;
    }
  }
  return 0;
}

void dk_cli_write(struct dk_cli *cli, const void *data, size_t len) {
  if (cli->out_broken || cli->out_error) {
    return;
  }
  int r = write_all(STDOUT_FILENO, data, len);
  if (r == -EPIPE) {
    cli->out_broken = true;
  } else if (r < 0) {
    cli->out_error = r;
  }
}

const char *dk_cli_text(struct dk_cli *cli, const struct dk_buf *buf) {
  if (!dk_buf_ok(buf) && !cli->out_error) {
    cli->out_error = -ENOMEM;
  }
  return dk_buf_text(buf);
}

void dk_cli_print(struct dk_cli *cli, const struct dk_buf *buf) {
  dk_cli_write(cli, dk_cli_text(cli, buf), buf->len);
}

void dk_cli_printf(struct dk_cli *cli, const char *format, ...) {
  dk_autobuf text = DK_BUF_INIT;
  va_list ap;
  va_start(ap, format);
  dk_buf_vprintf(&text, format, ap);
  va_end(ap);
  dk_cli_print(cli, &text);
}

bool dk_cli_color(const struct dk_cli *cli, int fd) {
  if (cli->color != DK_COLOR_AUTO) {
    return cli->color == DK_COLOR_ALWAYS;
  }
  const char *no_color = getenv("NO_COLOR"); /* https://no-color.org: present and not empty */
  const char *term = getenv("TERM");
  return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0 && isatty(fd);
}

int dk_cli_fail(enum dk_exit code, const struct dk_error *error) {
  return dk_cli_failf(code, "%s", error->text);
}

int dk_cli_failf(enum dk_exit code, const char *format, ...) {
  dk_autobuf text = DK_BUF_INIT;
  va_list ap;
  dk_buf_add_text(&text, "dkrun: ");
  va_start(ap, format);
  dk_buf_vprintf(&text, format, ap);
  va_end(ap);
  dk_buf_add_char(&text, '\n');
  if (dk_buf_ok(&text)) {
    write_all(STDERR_FILENO, text.data, text.len);
  } else {
    static const char plain[] = "dkrun: out of memory\n";
    write_all(STDERR_FILENO, plain, sizeof plain - 1);
  }
  return code;
}

void dk_cli_note(const char *lines) {
  while (*lines) {
    size_t len = strcspn(lines, "\n");
    if (lines[0] == ' ')
      fprintf(stderr, "%.*s\n", (int)len, lines);
    else
      fprintf(stderr, "dkrun: note: %.*s\n", (int)len, lines);
    lines += len + (lines[len] == '\n');
  }
}

int dk_cli_usage(const char *command, const char *format, ...) {
  const struct dk_command *found = dk_cli_command(command);
  dk_autobuf text = DK_BUF_INIT;
  va_list ap;
  va_start(ap, format);
  dk_buf_vprintf(&text, format, ap);
  va_end(ap);
  if (!found) {
    return dk_cli_failf(DK_EXIT_USAGE, "%s\nhelp: `dkrun help` lists the commands", dk_buf_text(&text));
  }
  return dk_cli_failf(DK_EXIT_USAGE, "%s\nusage: dkrun %s\nhelp: `dkrun help %s` says more", dk_buf_text(&text),
                      found->usage, found->name);
}

int dk_cli_one_file(const char *command, int argc, char **argv, const char **ret) {
  *ret = argc > optind ? argv[optind] : NULL;
  for (int i = optind; i < argc; i++) {
    size_t len = strlen(argv[i]);
    bool is_file = len > 3 && strcmp(argv[i] + len - 3, ".dk") == 0;
    if (strchr(argv[i], '=') && !is_file)
      return dk_cli_usage(command, "`%s` is no experiment file\nhelp: a parameter is set by `-p %s`", argv[i], argv[i]);
  }
  return argc - optind > 1 ? dk_cli_usage(command, "one file at a time: `%s` is one too many", argv[optind + 1]) : -1;
}

void dk_cli_options_reset(void) {
  optind = 0; /* glibc: start anew, with the permutation state forgotten */
  opterr = 0;
}

static int set_color(struct dk_cli *cli, const char *command, const char *when) {
  static const char *const names[] = {"auto", "always", "never"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(when, names[i]) == 0) {
      cli->color = (enum dk_color)i;
      return -1;
    }
  }
  return dk_cli_usage(command, "--color takes auto, always or never, not `%s`", when);
}

/* What other tools call by an option, and is another command here. An exit code; -1: nothing of the kind. */
static int meant_elsewhere(const char *command, const char *option) {
  static const struct {
    const char *command, *option, *where;
  } others[] = {{"run", "--dry-run", "`dkrun plan` says what a run would do"},
                {"run", "-n", "`dkrun plan` says what a run would do"},
                {"run", "--force",
                 "a result counts while all that it depends on is the same: `cache = \"none\"` in a "
                 "task has it run always"},
                {"gc", "--dry-run", "without --yes nothing is deleted"},
                {"gc", "-n", "without --yes nothing is deleted"},
                {"providers", "--json", "it is `--format json`"},
                {"get", "--to", "the place is -o PATH"}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcmp(command, others[i].command) == 0 && strcmp(option, others[i].option) == 0)
      return dk_cli_usage(command, "no option `%s`: %s", option, others[i].where);
  return -1;
}

/* Long options as getopt_long leaves them: argv[optind - 1] is the one it is about. */
static int unknown_option(const char *command, const char *word, const struct option *options) {
  const char *names[32];
  size_t n = 0;
  for (const struct option *o = options; o->name && n < sizeof names / sizeof *names; o++) {
    names[n++] = o->name;
  }
  dk_autofree char *name = dk_strndup(word + 2, strcspn(word + 2, "="));
  for (size_t i = 0; name && i < n; i++) {
    if (strcmp(name, names[i]) == 0) {
      return dk_cli_usage(command, "option `--%s` takes no value", name);
    }
  }
  const char *near = name ? dk_nearest(name, names, n) : NULL;
  if (near) {
    return dk_cli_usage(command, "no option `--%s`: did you mean `--%s`?", name, near);
  }
  return dk_cli_usage(command, "no option `--%s`, or not a clear one", name ? name : "");
}

int dk_cli_option(struct dk_cli *cli, int opt, int argc, char **argv, const struct option *options) {
  const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
  switch (opt) {
  case DK_CLI_OPT_COLOR: return set_color(cli, argv[0], optarg);
  case DK_CLI_OPT_HELP: return dk_cmd_help(cli, 2, (char *[]){argv[0], argv[0], NULL});
  case ':': return dk_cli_usage(argv[0], "option `%s` needs a value", word);
  default: {
    bool is_long = strncmp(word, "--", 2) == 0 && word[2];
    char letter[] = {'-', (char)optopt, '\0'};
    int r = meant_elsewhere(argv[0], is_long ? word : letter);
    if (r >= 0) {
      return r;
    }
    if (is_long) {
      return unknown_option(argv[0], word, options);
    }
    return dk_cli_usage(argv[0], "no option `-%c`", optopt > 32 && optopt < 127 ? optopt : '?');
  }
  }
}

int dk_cli_params_add(struct dk_cli_params *params, const char *text) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text) {
    dk_cli_failf(DK_EXIT_USAGE, "-p takes NAME=VALUE, not `%s`", text);
    return -EINVAL;
  }
  struct dk_check_given *grown = dk_realloc_array(params->items, params->n + 1u, sizeof *grown);
  if (grown) {
    params->items = grown;
    char *name = dk_strndup(text, (size_t)(equals - text)), *value = dk_strdup(equals + 1);
    if (name && value) {
      params->items[params->n++] = (struct dk_check_given){.name = name, .text = value};
      return 0;
    }
    dk_free(name);
    dk_free(value);
  }
  dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  return -ENOMEM;
}

void dk_cli_params_finish(struct dk_cli_params *params) {
  for (uint32_t i = 0; i < params->n; i++) {
    dk_free((void *)(uintptr_t)params->items[i].name);
    dk_free((void *)(uintptr_t)params->items[i].text);
  }
  dk_free(params->items);
  *params = (struct dk_cli_params){NULL, 0};
}

bool dk_cli_is_agreed(struct dk_cli *cli, const char *question) {
  char line[64];
  dk_cli_printf(cli, "%s", question);
  ssize_t n;
  do n = read(STDIN_FILENO, line, sizeof line);
  while (n < 0 && errno == EINTR);
  return n > 0 && (line[0] == 'y' || line[0] == 'Y');
}

bool dk_cli_age(const char *text, uint64_t *ret_ns) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
  size_t digits = strspn(text, "0123456789.");
  double value;

  for (size_t i = 0; digits > 0 && i < sizeof units / sizeof *units; i++) {
    if (strcasecmp(text + digits, units[i].name) != 0 || dk_number_parse(text, digits, &value) < 0) continue;
    value *= units[i].seconds * 1e9;
    *ret_ns = value < 9e18 ? (uint64_t)value : 0;
    return value < 9e18;
  }
  return false;
}
