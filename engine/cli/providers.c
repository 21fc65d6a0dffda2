/* dkrun providers: the hosts on which tasks may run, as the files say. */
#include "engine/cli/providers.h"

#include "engine/cli/clouds.h"
#include "engine/cli/hosts.h"
#include "engine/drive/config.h"
#include "engine/report/json.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define FILE_NAME "providers.dk"

struct options {
  bool json, check, files, boot, yes;
  const char *name; /* of `check`; NULL: all */
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'},
                                          {"files", no_argument, NULL, 'f'},
                                          {"boot", no_argument, NULL, 'b'},
                                          {"yes", no_argument, NULL, 'y'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r = -1;
  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":y", options, NULL)) != -1) {
    ret->files |= opt == 'f';
    ret->boot |= opt == 'b';
    ret->yes |= opt == 'y';
    if (opt == 'f' || opt == 'b' || opt == 'y') continue;
    if (opt != 'F') {
      r = dk_cli_option(cli, opt, argc, argv, options);
      continue;
    }
    ret->json = strcmp(optarg, "json") == 0;
    if (!ret->json && strcmp(optarg, "text") != 0)
      r = dk_cli_usage("providers", "--format takes text or json, not `%s`", optarg);
  }
  if (r < 0 && (ret->files || ret->boot || ret->yes) && optind >= argc)
    return dk_cli_usage("providers", "--%s is an option of `dkrun providers check`",
                        ret->files  ? "files"
                        : ret->boot ? "boot"
                                    : "yes");
  if (r >= 0 || optind >= argc) return r;
  if (strcmp(argv[optind], "check") != 0)
    return dk_cli_usage("providers", "no `dkrun providers %s`: there is `dkrun providers check`", argv[optind]);
  ret->check = true;
  if (ret->json) return dk_cli_usage("providers", "`check` has no --format");
  if (++optind < argc) ret->name = argv[optind++];
  if (ret->boot && !ret->name) return dk_cli_usage("providers", "--boot wants to know of which provider");
  if (ret->boot && ret->files) return dk_cli_usage("providers", "--boot and --files exclude each other");
  if (ret->yes && !ret->boot) return dk_cli_usage("providers", "--yes goes with --boot");
  return optind < argc ? dk_cli_usage("providers", "`%s` is one too many", argv[optind]) : -1;
}

int dk_providers_fail(struct dk_cli *cli, const struct dk_hosts *hosts, const struct dk_error *error) {
  bool has_errors = false;
  for (int file = DK_HOSTS_USER; file <= DK_HOSTS_ROOT; file++) {
    const struct dk_diags *diags = dk_hosts_diags(hosts, (enum dk_hosts_file)file);
    if (!diags) continue;
    dk_cli_diagnostics(cli, diags);
    has_errors |= diags->n_errors > 0;
  }
  return has_errors ? DK_EXIT_FILE : dk_cli_fail(DK_EXIT_ENGINE, error);
}

/* --- the table --- */

static void add_item(struct dk_buf *out, size_t start, const char *text) {
  if (out->len > start) dk_buf_add_text(out, ", ");
  dk_buf_add_escaped(out, text, strlen(text));
}

static void add_number(struct dk_buf *out, size_t start, const char *before, uint64_t n, const char *behind) {
  if (out->len > start) dk_buf_add_text(out, ", ");
  dk_buf_printf(out, "%s%llu%s", before, (unsigned long long)n, behind);
}

/* "20:00-08:00, closed now, opens in 3h20m" */
static void add_hours(struct dk_buf *out, size_t start, const struct dk_hours *hours, int64_t now) {
  char in[DK_NUMBER_TEXT];
  if (hours->n == 0) return;
  bool is_open = dk_hours_is_open(hours, now);
  dk_number_duration_text(dk_hours_change_in(hours, now) * UINT64_C(1000000000), in);
  if (out->len > start) dk_buf_add_text(out, ", ");
  dk_buf_add_text(out, hours->text);
  dk_buf_printf(out, is_open ? ", open now, for %s" : ", closed now, opens in %s", in);
}

/* A line of the table: a host, or a cloud. */
struct line {
  const char *provider, *kind, *host;
  uint32_t user_line, root_line;
  const struct dk_host_config *config;
  const struct dk_hours *hours;
  bool mixed;
  const struct dk_cloud_entry *cloud; /* NULL: it is none */
};

static struct line line_of(const struct dk_hosts *hosts, uint32_t i) {
  if (i < hosts->n) {
    const struct dk_hosts_entry *entry = &hosts->items[i];
    return (struct line){.provider = entry->config.provider,
                         .kind = entry->provider->kind,
                         .host = entry->config.name,
                         .user_line = entry->user_line,
                         .root_line = entry->root_line,
                         .config = &entry->config,
                         .hours = &entry->hours,
                         .mixed = entry->mixed};
  }
  const struct dk_cloud_entry *cloud = &hosts->clouds[i - hosts->n];
  return (struct line){.provider = cloud->config.provider,
                       .kind = cloud->provider->kind,
                       .host = "(made)",
                       .user_line = cloud->user_line,
                       .root_line = cloud->root_line,
                       .config = &cloud->host,
                       .hours = &cloud->hours,
                       .mixed = cloud->mixed,
                       .cloud = cloud};
}

/* "up to 4 of small (2 cpus, 4 GiB), from debian-12, idle for 5m at most, as root" */
static void add_cloud(struct dk_buf *out, const struct dk_cloud_entry *cloud) {
  char idle[DK_NUMBER_TEXT];
  dk_number_duration_text(cloud->idle_ns, idle);
  dk_buf_printf(out, "up to %u%s", cloud->max_instances, cloud->n_shapes ? " of " : "");
  dk_clouds_add_shapes(cloud, out);
  dk_buf_add_text(out, ", from ");
  const struct dk_recipe *image = &cloud->image;
  if (image->setup) {
    dk_buf_add_text(out, "image ");
    dk_buf_add_escaped(out, image->name, strlen(image->name));
    dk_buf_add_text(out, " of ");
  }
  dk_buf_add_escaped(out, image->from, strlen(image->from));
  dk_buf_printf(out, ", idle for %s at most", idle);
}

static void add_how(struct dk_buf *out, const struct line *line, int64_t now) {
  const struct dk_host_config *config = line->config;
  size_t start = out->len;
  if (line->cloud) add_cloud(out, line->cloud);
  if (config->user) {
    add_item(out, start, "as ");
    dk_buf_add_escaped(out, config->user, strlen(config->user));
  }
  if (config->port) add_number(out, start, "port ", config->port, "");
  if (config->leave) add_number(out, start, "leave ", config->leave, config->leave == 1 ? " cpu" : " cpus");
  if (config->most_gpus != UINT32_MAX)
    add_number(out, start, "at most ", config->most_gpus, config->most_gpus == 1 ? " gpu" : " gpus");
  if (config->nice) add_number(out, start, "nice ", (uint64_t)config->nice, "");
  add_hours(out, start, line->hours, now);
  if (line->mixed) add_item(out, start, "mixed");
  if (config->root) {
    add_item(out, start, "in ");
    dk_buf_add_escaped(out, config->root, strlen(config->root));
  }
  if (config->ssh_config) {
    add_item(out, start, "ssh -F ");
    dk_buf_add_escaped(out, config->ssh_config, strlen(config->ssh_config));
  }
}

static void add_from(struct dk_buf *out, const struct line *line) {
  if (line->user_line) dk_buf_printf(out, "yours:%u", line->user_line);
  if (line->root_line) dk_buf_printf(out, "%srepository:%u", line->user_line ? ", " : "", line->root_line);
  if (!line->user_line && !line->root_line) dk_buf_add_text(out, "built in");
}

#define COLUMNS 4 /* provider, kind, host, from; what is behind them has no width */

static void cells_of(const struct line *line, const struct dk_buf *from, const char *ret[COLUMNS]) {
  ret[0] = line->provider;
  ret[1] = line->kind;
  ret[2] = line->host;
  ret[3] = dk_buf_text(from);
}

static bool is_shown(const struct line *line, bool own) {
  return !own || (line->root_line && !line->user_line);
}

static void add_row(struct dk_buf *out, const char *const cells[COLUMNS], const size_t widths[COLUMNS]) {
  for (int i = 0; i < COLUMNS; i++) dk_buf_printf(out, "%-*s  ", (int)widths[i], cells[i]);
}

static void trim_line(struct dk_buf *out) {
  size_t len = out->len;
  while (len > 0 && out->data[len - 1] == ' ') len--;
  dk_buf_truncate(out, len);
  dk_buf_add_char(out, '\n');
}

void dk_providers_table(const struct dk_hosts *hosts, bool own, struct dk_buf *out) {
  static const char *const heads[COLUMNS] = {"provider", "kind", "host", "from"};
  size_t widths[COLUMNS];
  int64_t now = time(NULL);
  const char *cells[COLUMNS];
  dk_autobuf from = DK_BUF_INIT;
  for (int i = 0; i < COLUMNS; i++) widths[i] = strlen(heads[i]);
  for (uint32_t i = 0; i < hosts->n + hosts->n_clouds; i++) {
    const struct line line = line_of(hosts, i);
    if (!is_shown(&line, own)) continue;
    dk_buf_clear(&from);
    add_from(&from, &line);
    cells_of(&line, &from, cells);
    for (int j = 0; j < COLUMNS; j++)
      if (strlen(cells[j]) > widths[j]) widths[j] = strlen(cells[j]);
  }
  add_row(out, heads, widths);
  dk_buf_add_text(out, "how\n");
  for (uint32_t i = 0; i < hosts->n + hosts->n_clouds; i++) {
    const struct line line = line_of(hosts, i);
    if (!is_shown(&line, own)) continue;
    dk_buf_clear(&from);
    add_from(&from, &line);
    cells_of(&line, &from, cells);
    add_row(out, cells, widths);
    add_how(out, &line, now);
    trim_line(out);
  }
  dk_buf_inherit(out, &from);
}

/* --- where it is said --- */

static void add_file(struct dk_buf *out, const char *whose, const char *path, const char *what) {
  dk_buf_printf(out, "%-10s  ", whose);
  if (path)
    dk_buf_add_escaped(out, path, strlen(path));
  else
    dk_buf_add_text(out, "no " FILE_NAME);
  dk_buf_add_text(out, what);
  dk_buf_add_char(out, '\n');
}

/* How to begin. */
static void add_first(struct dk_buf *out) {
  dk_autobuf path = DK_BUF_INIT;
  if (dk_config_path(FILE_NAME, &path, NULL) < 0) return;
  dk_buf_add_text(out, "\nWhich other machines there are (`ssh h1` has to work) is said in ");
  dk_buf_add_escaped(out, dk_buf_text(&path), path.len);
  dk_buf_add_text(out, ", like this:\n\n"
                       "provider lab {\n"
                       "  kind = \"ssh\"  hosts = [\"h1\"]\n"
                       "}\n");
}

static void print_text(struct dk_cli *cli, const struct dk_hosts *hosts) {
  dk_autobuf out = DK_BUF_INIT;
  add_file(&out, "yours", hosts->user_file, hosts->user_file && hosts->n_user == 0 ? " (no provider in it)" : "");
  add_file(&out, "repository", hosts->root_file,
           !hosts->root_file    ? ""
           : hosts->n_root == 0 ? " (no provider in it)"
           : hosts->is_declared ? " (trusted)"
           : hosts->n_user == 0 ? " (limits this machine)"
                                : " (chooses and limits yours)");
  dk_buf_add_char(&out, '\n');
  dk_providers_table(hosts, false, &out);
  if (!hosts->user_file && !hosts->root_file) add_first(&out);
  dk_cli_print(cli, &out);
}

static void add_json(struct dk_buf *out, const struct dk_hosts_entry *entry, int64_t now) {
  const struct dk_host_config *config = &entry->config;
  uint64_t change = dk_hours_change_in(&entry->hours, now);
  dk_buf_add_text(out, "{\"provider\":");
  dk_json_add_string(out, config->provider, strlen(config->provider));
  dk_json_add_text_field(out, "kind", entry->provider->kind);
  dk_json_add_text_field(out, "host", config->name);
  dk_json_add_number_field(out, "user_line", entry->user_line > 0, entry->user_line);
  dk_json_add_number_field(out, "repository_line", entry->root_line > 0, entry->root_line);
  dk_json_add_number_field(out, "leave", true, config->leave);
  dk_json_add_number_field(out, "gpus", config->most_gpus != UINT32_MAX, config->most_gpus);
  dk_json_add_number_field(out, "nice", true, (uint64_t)config->nice);
  dk_json_add_text_field(out, "hours", entry->hours.text);
  dk_buf_printf(out, ",\"open\":%s", dk_hours_is_open(&entry->hours, now) ? "true" : "false");
  dk_json_add_number_field(out, "changes_in_seconds", change != UINT64_MAX, change);
  dk_buf_printf(out, ",\"mixed\":%s", entry->mixed ? "true" : "false");
  dk_json_add_text_field(out, "root", config->root);
  dk_json_add_text_field(out, "user", config->user);
  dk_json_add_number_field(out, "port", config->port > 0, config->port);
  dk_json_add_text_field(out, "config", config->ssh_config);
  dk_buf_add_char(out, '}');
}

static void print_json(struct dk_cli *cli, const struct dk_hosts *hosts) {
  dk_autobuf out = DK_BUF_INIT;
  int64_t now = time(NULL);
  dk_buf_add_text(&out, "{\"version\":1");
  dk_json_add_text_field(&out, "user_file", hosts->user_file);
  dk_json_add_text_field(&out, "repository_file", hosts->root_file);
  dk_buf_printf(&out, ",\"trusted\":%s,\"hosts\":[", hosts->is_trusted ? "true" : "false");
  for (uint32_t i = 0; i < hosts->n; i++) {
    if (i > 0) dk_buf_add_char(&out, ',');
    add_json(&out, &hosts->items[i], now);
  }
  dk_buf_add_char(&out, ']');
  dk_clouds_add_json(hosts, &out);
  dk_buf_add_text(&out, "}\n");
  dk_cli_print(cli, &out);
}

int dk_cmd_providers(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {.json = false};
  struct dk_hosts hosts;
  struct dk_error error = {0};
  int code = parse(cli, argc, argv, &options);
  if (code >= 0) return code;
  if (options.check) {
    code = dk_hosts_check(cli, options.name, options.files);
    return code == DK_EXIT_OK && options.boot ? dk_providers_boot(cli, options.name, options.yes) : code;
  }
  dk_cli_find_root(cli, NULL); /* elsewhere there is the user's file alone */
  code = DK_EXIT_OK;
  if (dk_hosts_load(cli->root, &hosts, &error) < 0)
    code = dk_providers_fail(cli, &hosts, &error);
  else if (options.json)
    print_json(cli, &hosts);
  else
    print_text(cli, &hosts);
  dk_hosts_finish(&hosts);
  return code;
}
