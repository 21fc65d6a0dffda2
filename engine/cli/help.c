/* dkrun help: all commands on one screen, or one of them. Texts are the command table's (main.c). */
#include "engine/cli/cli.h"

#include <string.h>

static const struct {
  const char *name, *title;
} groups[] = {{"write", "write"}, {"run", "run"}, {"look", "look"}, {"help", "help"}};

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
  dk_buf_add_text(&out, "\nA task is named by its short id (t17), or by name and axes (train lr=0.1).\n"
                        "Options of every command: --help, --color auto|always|never. dkrun --version\n"
                        "Exit codes: 0 all done, 1 a task failed or was not run, 2 wrong usage, 3 the\n"
                        "file has errors, 4 dkrun itself could not go on, 130 interrupted.\n");
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
  const struct dk_command *command = dk_cli_command(strcmp(argv[1], "--help") == 0 ? "help" : argv[1]);
  if (!command) {
    return dk_cli_failf(DK_EXIT_USAGE, "no command `%s`\nhelp: `dkrun help` lists the commands", argv[1]);
  }
  dk_cli_printf(cli, "usage: dkrun %s\n\n%s", command->usage, command->help);
  return DK_EXIT_OK;
}
