/* dkrun help: all commands on one screen, one of them, or the language's built-in functions. Texts are the command
 * table's (main.c) and those of lang/check/builtins.def. */
#include "engine/cli/cli.h"
#include "lang/check/builtin.h"

#include <string.h>

static const struct {
  const char *name, *title;
} groups[] = {{"write", "write"}, {"run", "run"}, {"look", "look"}, {"where", "where"}, {"keep", "keep"}};

static void screen(struct dk_cli *cli) {
  size_t n;
  const struct dk_command *commands = dk_cli_commands(&n);
  dk_autobuf out = DK_BUF_INIT;
  dk_buf_add_text(&out, "dkrun runs experiments described in .dk files, each task once.\n\n");
  for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
    const char *title = groups[g].title;
    for (size_t i = 0; i < n; i++) {
      if (commands[i].group && strcmp(commands[i].group, groups[g].name) == 0) {
        dk_buf_printf(&out, "  %-6s dkrun %-9s %s\n", title, commands[i].name, commands[i].line);
        title = "";
      }
    }
  }
  dk_buf_add_text(&out, "\nTASK is t17, or train lr=0.1. More: dkrun help COMMAND, dkrun help functions\n"
                        "Exit codes: 0 done, 1 failed, 2 usage, 3 the file, 4 dkrun, 130 interrupted\n");
  dk_cli_print(cli, &out);
}

/* Words of `text` in lines of at most 80 columns, each below `indent` spaces. */
static void add_wrapped(struct dk_buf *out, const char *text, uint32_t indent) {
  size_t column = 0;
  while (*text) {
    size_t len = strcspn(text, " ");
    bool first = column == 0;
    if (!first && column + 1 + len > 80) {
      dk_buf_add_char(out, '\n');
      first = true;
    }
    if (first) {
      dk_buf_add_repeat(out, ' ', indent);
      column = indent;
    } else {
      dk_buf_add_char(out, ' ');
      column++;
    }
    dk_buf_add(out, text, len);
    column += len;
    text += len + strspn(text + len, " ");
  }
  dk_buf_add_char(out, '\n');
}

static void functions(struct dk_cli *cli) {
  static const struct {
    enum dk_builtin_class class;
    const char *title;
  } classes[] = {{DK_BUILTIN_PURE, "functions, in any expression"},
                 {DK_BUILTIN_GRID, "in a grid"},
                 {DK_BUILTIN_REFERENCE, "in the inputs of a task"},
                 {DK_BUILTIN_INERT, "in a task's inputs, metrics, env and run"}};
  uint32_t n;
  const struct dk_builtin_info *all = dk_builtins(&n);
  dk_autobuf out = DK_BUF_INIT;
  dk_buf_add_text(&out, "Functions of the language; `?` marks what may be left out.\n");
  for (size_t c = 0; c < sizeof classes / sizeof *classes; c++) {
    dk_buf_printf(&out, "\n%s\n", classes[c].title);
    for (uint32_t i = 0; i < n; i++) {
      /* An input of this kind is refused in this version (E0220). */
      if (all[i].class == classes[c].class && i != DK_BUILTIN_url) {
        dk_buf_printf(&out, "  %s\n", all[i].signature);
        add_wrapped(&out, all[i].doc, 6);
      }
    }
  }
  dk_cli_print(cli, &out);
}

int dk_cmd_help(struct dk_cli *cli, int argc, char **argv) {
  if (argc > 2) {
    return dk_cli_usage("help", "one command at a time");
  }
  if (argc < 2) {
    screen(cli);
    return DK_EXIT_OK;
  }
  if (strcmp(argv[1], "functions") == 0) {
    functions(cli);
    return DK_EXIT_OK;
  }
  const struct dk_command *command = dk_cli_command(strcmp(argv[1], "--help") == 0 ? "help" : argv[1]);
  if (!command) {
    return dk_cli_failf(DK_EXIT_USAGE, "no command `%s`\nhelp: `dkrun help` lists the commands", argv[1]);
  }
  dk_cli_printf(cli, "usage: dkrun %s\n\n%s", command->usage, command->help);
  return DK_EXIT_OK;
}
