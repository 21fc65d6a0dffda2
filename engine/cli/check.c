/* dkrun check and explain: what is wrong with a file, and what the codes mean. The file and what it imports are read,
 * and which files git knows here. */
#include "engine/cli/cli.h"
#include "engine/source/code.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

struct options {
  const char *file; /* NULL: the default one */
  struct dk_cli_params params;
  bool json;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"param", required_argument, NULL, 'p'},
                                          {"format", required_argument, NULL, 'F'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":p:", options, NULL)) != -1) {
    int r = -1;
    switch (opt) {
    case 'p':
      r = dk_cli_params_add(&ret->params, optarg);
      r = r == 0 ? -1 : r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE;
      break;
    case 'F':
      ret->json = strcmp(optarg, "json") == 0;
      if (!ret->json && strcmp(optarg, "text") != 0) {
        r = dk_cli_usage("check", "--format takes text or json, not `%s`", optarg);
      }
      break;
    default: r = dk_cli_option(cli, opt, argc, argv, options); break;
    }
    if (r >= 0) {
      return r;
    }
  }
  return dk_cli_one_file("check", argc, argv, &ret->file);
}

static void add_count(struct dk_buf *out, uint64_t n, const char *one, const char *many) {
  dk_buf_printf(out, ", %llu %s", (unsigned long long)n, n == 1 ? one : many);
}

static void print_counts(struct dk_cli *cli, const struct dk_plan *plan) {
  dk_autobuf line = DK_BUF_INIT;
  uint64_t templates = 0, tasks = 0, picks = 0;
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    if (plan->templates[i].kind == DK_NODE_TASK) {
      templates++;
      tasks += plan->templates[i].points.rows;
    } else {
      picks++;
    }
  }
  dk_buf_add_escaped(&line, plan->path, strlen(plan->path));
  dk_buf_printf(&line, ": ok, %llu %s", (unsigned long long)templates, templates == 1 ? "template" : "templates");
  add_count(&line, tasks, "task", "tasks");
  if (picks) {
    add_count(&line, picks, "pick", "picks");
  }
  dk_buf_add_char(&line, '\n');
  dk_cli_print(cli, &line);
}

static int check_json(struct dk_cli *cli, const char *file, const struct dk_cli_params *params) {
  struct dk_load *load;
  dk_autobuf out = DK_BUF_INIT;
  int code = dk_cli_load_quiet(cli, file, params, &load);
  if (code != DK_EXIT_OK) {
    return code;
  }
  dk_diags_render_json(dk_load_diags(load), &out);
  if (out.len && out.data[out.len - 1] != '\n') {
    dk_buf_add_char(&out, '\n');
  }
  dk_cli_print(cli, &out);
  code = dk_load_plan(load) ? DK_EXIT_OK : DK_EXIT_FILE;
  dk_load_destroy(load);
  return code;
}

static void note_code_of(const struct dk_template *t, struct dk_code_repo *code) {
  struct dk_digest digest;
  struct dk_error error = {0};
  dk_autobuf line = DK_BUF_INIT;

  if (t->n_code == 0 || dk_code_digest(code, t->dir, t->code, t->n_code, &digest, NULL, &error) != -ENOENT) return;
  size_t len = strcspn(error.text, "\n");
  dk_buf_printf(&line, "%s:%u: code of task `%s`: %.*s; a run refuses that\n", t->path, t->line, t->name, (int)len,
                error.text);
  if (error.text[len]) dk_buf_printf(&line, "  %s\n", error.text + len + 1);
  dk_cli_note(dk_buf_text(&line));
}

/* What a run would refuse, and the file alone does not show: code that matches nothing in the repository. A note, since
 * a file may be there by then; outside of a repository, or where that cannot be read, nothing is said. */
static void note_code(struct dk_cli *cli, const char *file, const struct dk_plan *plan) {
  dk_autofree char *found = NULL;
  struct dk_repo *repo = NULL;
  struct dk_snapshot snapshot = {0};
  const struct dk_snapshot_options options = {.dry_run = true};
  bool has_code = false;

  for (uint32_t i = 0; i < plan->n_templates; i++) has_code |= plan->templates[i].n_code > 0;
  if (!has_code || !cli->state || (!file && dk_cli_only_file(&found) < 0)) return;
  if (dk_repo_open(file ? file : found, &repo, NULL) < 0) return;
  if (dk_snapshot_take(repo, cli->state, &options, &snapshot, NULL) == 0) {
    for (uint32_t i = 0; i < plan->n_templates; i++) note_code_of(&plan->templates[i], snapshot.code);
    dk_snapshot_finish(&snapshot);
  }
  dk_repo_close(repo);
}

int dk_cmd_check(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  int code = parse(cli, argc, argv, &options);
  if (code < 0 && options.json) {
    code = check_json(cli, options.file, &options.params);
  } else if (code < 0) {
    struct dk_load *load;
    code = dk_cli_load(cli, options.file, &options.params, &load);
    if (code == DK_EXIT_OK) {
      print_counts(cli, dk_load_plan(load));
      note_code(cli, options.file, dk_load_plan(load));
      dk_load_destroy(load);
    }
  }
  dk_cli_params_finish(&options.params);
  return code;
}

/* Paragraphs at 80 columns; lines that begin with a space are examples and stay as they are. */
static void add_wrapped(struct dk_buf *out, const char *text) {
  while (*text) {
    size_t len = strcspn(text, "\n");
    while (*text != ' ' && len > 80) {
      size_t cut = 80;
      while (cut > 0 && text[cut] != ' ') {
        cut--;
      }
      if (!cut) {
        break; /* one long word */
      }
      dk_buf_add(out, text, cut);
      dk_buf_add_char(out, '\n');
      text += cut + 1;
      len -= cut + 1;
    }
    dk_buf_add(out, text, len);
    dk_buf_add_char(out, '\n');
    text += len + (text[len] == '\n');
  }
}

static int explain_code(struct dk_cli *cli, const char *name) {
  enum dk_code code;
  if (!dk_code_find(name, &code)) {
    const char *names[DK_N_CODES];
    for (int i = 0; i < DK_N_CODES; i++) {
      names[i] = dk_code_name((enum dk_code)i);
    }
    const char *near = dk_nearest(name, names, DK_N_CODES);
    return dk_cli_failf(DK_EXIT_USAGE, "no code `%s`%s%s%s\nhelp: `dkrun explain` lists the codes", name,
                        near ? ": did you mean `" : "", near ? near : "", near ? "`?" : "");
  }
  dk_autobuf out = DK_BUF_INIT;
  dk_buf_printf(&out, "%s: %s\n\n", dk_code_name(code), dk_code_title(code));
  add_wrapped(&out, dk_code_explanation(code));
  dk_cli_print(cli, &out);
  return DK_EXIT_OK;
}

int dk_cmd_explain(struct dk_cli *cli, int argc, char **argv) {
  static const struct option options[] = {DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    int r = dk_cli_option(cli, opt, argc, argv, options);
    if (r >= 0) {
      return r;
    }
  }
  if (optind >= argc) {
    for (int i = 0; i < DK_N_CODES; i++) {
      dk_cli_printf(cli, "%s  %s\n", dk_code_name((enum dk_code)i), dk_code_title((enum dk_code)i));
    }
    return DK_EXIT_OK;
  }
  int code = DK_EXIT_OK;
  for (int i = optind; i < argc && code == DK_EXIT_OK; i++) {
    dk_cli_printf(cli, "%s", i > optind ? "\n" : "");
    code = explain_code(cli, argv[i]);
  }
  return code;
}
