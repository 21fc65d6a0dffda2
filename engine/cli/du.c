/* dkrun du: what takes how much room in the state folder. */
#include "engine/cli/cli.h"
#include "engine/drive/usage.h"
#include "lang/base/number.h"

#include <jansson.h>
#include <string.h>

static void print_part(struct dk_cli *cli, const struct dk_usage_part *part, uint32_t indent) {
  char size[DK_NUMBER_TEXT];
  dk_autobuf line = DK_BUF_INIT;
  dk_number_size_text(part->bytes, size);
  dk_buf_printf(&line, "%*s%10s  ", (int)indent, "", size);
  dk_buf_add_escaped(&line, part->name, strlen(part->name));
  if (part->n) {
    dk_buf_printf(&line, "  %llu%s%s%s", (unsigned long long)part->n, part->unit ? " " : "",
                  part->unit ? part->unit : "", part->unit ? dk_cli_s(part->n) : "");
  }
  dk_buf_add_char(&line, '\n');
  dk_cli_print(cli, &line);
}

static void print_host(struct dk_cli *cli, const struct dk_usage_part *host) {
  char size[DK_NUMBER_TEXT];
  dk_autobuf line = DK_BUF_INIT;
  dk_number_size_text(host->bytes, size);
  dk_buf_printf(&line, "%10s  at ", size);
  dk_buf_add_escaped(&line, host->name, strlen(host->name));
  dk_buf_printf(&line, "  %llu output%s", (unsigned long long)host->n, dk_cli_s(host->n));
  if (host->n_unweighed) {
    dk_buf_printf(&line, ", %llu of them directories (not weighed)", (unsigned long long)host->n_unweighed);
  }
  dk_buf_add_char(&line, '\n');
  dk_cli_print(cli, &line);
}

static void print_text(struct dk_cli *cli, const struct dk_usage *usage) {
  const struct dk_usage_part rest = {.name = (char *)(uintptr_t) "reached by nothing (`dkrun gc`)",
                                     .bytes = usage->unreachable,
                                     .n = usage->n_unreachable,
                                     .unit = "file"};
  const struct dk_usage_part total = {.name = (char *)(uintptr_t) "in all", .bytes = usage->total};
  for (uint32_t i = 0; i < usage->n_parts; i++) {
    print_part(cli, &usage->parts[i], 0);
    if (strcmp(usage->parts[i].name, "objects") != 0) {
      continue;
    }
    for (uint32_t k = 0; k < usage->n_tasks; k++) {
      if (usage->tasks[k].bytes || usage->tasks[k].n) {
        print_part(cli, &usage->tasks[k], 4);
      }
    }
    if (rest.n) {
      print_part(cli, &rest, 4);
    }
  }
  print_part(cli, &total, 0);
  for (uint32_t i = 0; i < usage->n_hosts; i++) {
    print_host(cli, &usage->hosts[i]);
  }
}

static json_t *to_json(const struct dk_usage_part *parts, uint32_t n) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < n; i++) {
    json_array_append_new(list, json_pack("{s:s%, s:I, s:I}", "name", parts[i].name, strlen(parts[i].name), "bytes",
                                          (json_int_t)parts[i].bytes, "count", (json_int_t)parts[i].n));
  }
  return list;
}

static int print_json(struct dk_cli *cli, const struct dk_usage *usage) {
  json_t *all = json_pack("{s:I, s:I, s:o, s:o, s:o}", "bytes", (json_int_t)usage->total, "unreachable_bytes",
                          (json_int_t)usage->unreachable, "parts", to_json(usage->parts, usage->n_parts), "objects",
                          to_json(usage->tasks, usage->n_tasks), "hosts", to_json(usage->hosts, usage->n_hosts));
  char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
  if (text) {
    dk_cli_printf(cli, "%s\n", text);
  }
  free(text); /* jansson's */
  json_decref(all);
  return text ? DK_EXIT_OK : dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
}

int dk_cmd_du(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  struct dk_folder folder;
  struct dk_usage usage;
  struct dk_error error = {0};
  bool as_json = false;
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    int r = -1;
    if (opt != 'F') {
      r = dk_cli_option(cli, opt, argc, argv, options);
    } else if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0) {
      r = dk_cli_usage("du", "--format takes text or json, not `%s`", optarg);
    } else {
      as_json = strcmp(optarg, "json") == 0;
    }
    if (r >= 0) {
      return r;
    }
  }
  if (optind < argc) {
    return dk_cli_usage("du", "it takes no `%s`", argv[optind]);
  }
  int r = dk_cli_find_root(cli, &error);
  if (r == 0) {
    r = dk_folder_peek(cli->root, &folder, &error);
  }
  if (r < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  if (!folder.store) {
    dk_folder_close(&folder);
    return dk_cli_failf(DK_EXIT_ENGINE, "nothing was run in this repository yet\nhelp: dkrun run FILE");
  }
  r = dk_usage_collect(&folder, &usage, &error);
  dk_folder_close(&folder);
  if (r < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  int code = DK_EXIT_OK;
  if (as_json) {
    code = print_json(cli, &usage);
  } else {
    print_text(cli, &usage);
  }
  dk_usage_finish(&usage);
  return code;
}
