/* dkrun get: copies outputs out of the state folder. What was recorded is what arrives, whole, or nothing does. */
#include "engine/cli/get_priv.h"
#include "engine/source/snapshot.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"
#include "lang/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int parse(struct dk_cli *cli, int argc, char **argv, struct dk_get_options *ret) {
  static const struct option options[] = {{"run", required_argument, NULL, 'R'},
                                          {"where", required_argument, NULL, 'w'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"force", no_argument, NULL, 'f'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":o:f", options, NULL)) != -1) {
    int r = -1;
    switch (opt) {
    case 'R':
      r = dk_look_run_number(optarg, &ret->run)
              ? -1
              : dk_cli_usage("get", "--run takes a number such as 3, not `%s`", optarg);
      break;
    case 'w': ret->selection.where = optarg; break;
    case 'o':
      ret->to = *optarg ? optarg : ".";
      ret->has_to = true;
      break;
    case 'f': ret->force = true; break;
    default: r = dk_cli_option(cli, opt, argc, argv, options); break;
    }
    if (r >= 0) return r;
  }
  ret->selection.words = (const char *const *)argv + optind;
  ret->selection.n_words = (uint32_t)(argc - optind);
  return optind < argc ? -1 : dk_cli_usage("get", "the outputs of which task? (t17, final.model, train.model lr=0.1)");
}

/* --- which outputs --- */

static bool is_template(const struct dk_plan *plan, const char *word) {
  for (uint32_t i = 0; i < plan->n_templates; i++)
    if (strcmp(plan->templates[i].name, word) == 0) return true;
  return false;
}

/* `words` is a copy whose first one loses its ".model". */
static int select_tasks(struct dk_get *get, const char **words) {
  struct dk_selection selection = get->options->selection;
  const char *dot = strchr(words[0], '=') ? NULL : strrchr(words[0], '.');
  dk_autofree char *task = NULL;

  if (dot && !is_template(get->look.rows.plan, words[0])) {
    task = dk_strndup(words[0], (size_t)(dot - words[0]));
    if (!task) return dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
    get->output = dot + 1;
    words[0] = task;
  }
  selection.words = words;
  return dk_look_select(&get->look, &selection, &get->tasks, &get->n_tasks);
}

/* A pick stands for the task that it chose. */
static int resolve_picks(struct dk_get *get, struct dk_error *error) {
  const struct dk_plan *plan = get->look.rows.plan;
  struct dk_choice choice;
  uint32_t row;

  for (uint32_t i = 0; i < get->n_tasks; i++) {
    const struct dk_template *t = dk_plan_template(plan, get->tasks[i], &row);
    if (t->kind != DK_NODE_PICK) continue;
    const struct dk_graph_node *from = &plan->graph.nodes[plan->templates[t->from].node];
    int r = dk_row_choice(&get->look.rows, get->tasks[i], &choice, error);
    if (r < 0 && r != -ENOENT) return r;
    if (r < 0 || choice.row >= from->rows)
      return dk_error_set(error, -ENOENT, "`%s` has chosen nothing in run %u", t->name, get->look.rows.run.number);
    get->tasks[i] = from->first + choice.row;
  }
  return 0;
}

bool dk_get_is_wanted(const struct dk_get *get, const struct dk_template *t, uint32_t output) {
  return !get->output || strcmp(t->outputs[output].name, get->output) == 0;
}

static uint32_t n_wanted(const struct dk_get *get, uint32_t task) {
  uint32_t row, n = 0;
  const struct dk_template *t = dk_plan_template(get->look.rows.plan, task, &row);
  for (uint32_t i = 0; i < t->n_outputs; i++) n += dk_get_is_wanted(get, t, i);
  return n;
}

static int check_output(const struct dk_get *get) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(get->look.rows.plan, get->tasks[0], &row);
  dk_autobuf list = DK_BUF_INIT;

  if (n_wanted(get, get->tasks[0]) > 0) return DK_EXIT_OK;
  for (uint32_t i = 0; i < t->n_outputs; i++) dk_buf_printf(&list, "%s%s", i ? ", " : "", t->outputs[i].name);
  if (t->n_outputs == 0)
    return dk_cli_failf(DK_EXIT_USAGE,
                        "`%s` has no outputs\nhelp: what is to be kept of it is declared: outputs { x = \"file\" }; "
                        "what it printed: dkrun logs %s",
                        t->name, t->name);
  return dk_cli_failf(DK_EXIT_USAGE, "`%s` has no output `%s`\nhelp: it has %s", t->name, get->output,
                      dk_buf_text(&list));
}

/* --- where to --- */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool has_same_names(const struct dk_get *get, uint32_t task, const struct dk_template *t) {
  const struct dk_plan *plan = get->look.rows.plan;

  for (uint32_t i = 0; i < t->n_outputs; i++) {
    for (uint32_t k = 0; k < i && dk_get_is_wanted(get, t, i); k++) {
      const char *a = base_name(dk_plan_output_path(plan, task, i)), *b = base_name(dk_plan_output_path(plan, task, k));
      if (dk_get_is_wanted(get, t, k) && strcmp(a, b) == 0) return true;
    }
  }
  return false;
}

/* As the task called it; when two of its outputs are called the same, all with the output's name in front: that has no
 * `-`, so these differ. */
static void add_file_name(const struct dk_get *get, uint32_t task, uint32_t output, struct dk_buf *out) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(get->look.rows.plan, task, &row);

  if (has_same_names(get, task, t)) dk_buf_printf(out, "%s-", t->outputs[output].name);
  dk_buf_add_text(out, base_name(dk_plan_output_path(get->look.rows.plan, task, output)));
}

/* "t17-train-lr=0.1-seed=2": tells the task to a person, and is a plain name to every shell. */
static void add_folder_name(const struct dk_get *get, uint32_t task, struct dk_buf *out) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+,-";
  dk_autobuf name = DK_BUF_INIT;

  dk_buf_printf(&name, "t%u ", task + 1);
  dk_plan_task_name(get->look.rows.plan, task, &name);
  for (size_t i = 0; i < name.len && i < NAME_MAX / 2; i++)
    dk_buf_add_char(out, strchr(plain, name.data[i]) && name.data[i] ? name.data[i] : '-');
  dk_buf_inherit(out, &name);
}

/* With a `/` at its end where files go into it. */
static void add_folder(const struct dk_get *get, uint32_t task, bool to_folder, struct dk_buf *out) {
  const char *to = get->options->to;

  if (strcmp(to, ".") != 0) dk_buf_add_text(out, to);
  if (out->len && to_folder && to[strlen(to) - 1] != '/') dk_buf_add_char(out, '/');
  if (get->n_tasks == 1) return;
  add_folder_name(get, task, out);
  dk_buf_add_char(out, '/');
}

static void add_place(const struct dk_get *get, uint32_t task, uint32_t output, bool to_folder, struct dk_buf *out) {
  add_folder(get, task, to_folder, out);
  if (to_folder) add_file_name(get, task, output, out);
}

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int too_many(const struct dk_get *get) {
  dk_autobuf such = DK_BUF_INIT;

  for (uint32_t i = 0; i < get->n_tasks && i < 3; i++) {
    dk_buf_add_text(&such, i ? ", " : "");
    dk_row_label(&get->look.rows, get->tasks[i], &such);
  }
  return dk_cli_failf(DK_EXIT_USAGE,
                      "%u tasks match: %s%s\nhelp: name one by its number or with values of columns, or give a folder: "
                      "with `-o FOLDER` each gets a folder in it",
                      get->n_tasks, dk_buf_text(&such), get->n_tasks > 3 ? ", ..." : "");
}

/* mkdir -p, with a list of what was not there before; of what was made before an error too. */
static int make_folder(struct dk_get *get, const char *path, struct dk_error *error) {
  dk_autofree char *copy = dk_strdup(path);

  if (!copy) return dk_error_system(error, -ENOMEM, "copying outputs");
  for (size_t len = strlen(path), i = 1; i <= len; i++) {
    if (path[i] != '/' && i < len) continue;
    copy[i] = '\0';
    if (mkdir(copy, 0755) == 0) dk_buf_add(&get->made, copy, i + 1);
    copy[i] = path[i];
  }
  if (!dk_buf_ok(&get->made)) return dk_error_system(error, -ENOMEM, "copying outputs");
  return dk_fs_mkdirs(path, 0755, error); /* what could not be made is said */
}

/* The last first; what has come into one stays with it. */
static void unmake_folders(struct dk_get *get) {
  for (size_t at = dk_buf_ok(&get->made) ? get->made.len : 0; at > 0;) {
    for (at--; at > 0 && get->made.data[at - 1]; at--)
      ;
    rmdir(get->made.data + at);
  }
}

/* Does -o name the folder to put things into, rather than the copy? Made if it has to be. An exit code. */
static int prepare_place(struct dk_get *get, bool *ret_is_folder) {
  const char *to = get->options->to;
  struct dk_error error = {0};
  struct stat st;
  bool is_one = get->n_tasks == 1 && n_wanted(get, get->tasks[0]) == 1;
  bool is_there = lstat(to, &st) == 0;
  bool must_be = !is_one || to[strlen(to) - 1] == '/';

  *ret_is_folder = must_be || is_folder(to);
  if (!must_be || is_folder(to)) return DK_EXIT_OK;
  if (is_there)
    return dk_cli_failf(DK_EXIT_USAGE, "%s is no folder\nhelp: several outputs, or a name with `/`, want one", to);
  return make_folder(get, to, &error) < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

/* --- copying --- */

static int copy_output(struct dk_get *get, uint32_t task, uint32_t output, const struct dk_kept *kept, const char *path,
                       struct dk_error *error) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(get->look.rows.plan, task, &row);
  dk_autobuf name = DK_BUF_INIT, line = DK_BUF_INIT;
  int r = dk_objects_export(&get->look.objects, &kept->digest, kept->is_dir, path, get->options->force, error);
  if (r == -ENOENT || r == -EBADMSG) {
    dk_buf_printf(&name, "output `%s` of ", t->outputs[output].name);
    dk_row_label(&get->look.rows, task, &name);
    return dk_get_lost(get, task, kept, dk_buf_text(&name), r, error);
  }
  if (r < 0) return r;
  dk_buf_add_escaped(&line, path, strlen(path));
  dk_buf_add_char(&line, '\n');
  dk_cli_print(get->cli, &line);
  return 0;
}

static int copy_outputs(struct dk_get *get, uint32_t task, const struct dk_result *result, bool to_folder,
                        struct dk_error *error) {
  uint32_t row;
  const struct dk_template *t = dk_plan_template(get->look.rows.plan, task, &row);
  int r = 0;

  if (get->n_tasks > 1) {
    dk_autobuf folder = DK_BUF_INIT;
    add_folder(get, task, to_folder, &folder);
    r = dk_buf_ok(&folder) ? make_folder(get, dk_buf_text(&folder), error)
                           : dk_error_system(error, -ENOMEM, "copying outputs");
  }
  for (uint32_t i = 0; i < t->n_outputs && i < result->n_outputs && r == 0; i++) {
    dk_autobuf path = DK_BUF_INIT;
    if (!dk_get_is_wanted(get, t, i)) continue;
    add_place(get, task, i, to_folder, &path);
    if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "copying outputs");
    r = copy_output(get, task, i, &result->outputs[i], dk_buf_text(&path), error);
  }
  return r;
}

bool dk_get_has_outputs(const struct dk_get *get, uint32_t task) {
  enum dk_task_state state = get->look.rows.tasks[task].state;
  return state == DK_TASK_DONE || state == DK_TASK_CACHED;
}

/* Nothing is copied when something is in the way of anything. */
static int check_places(const struct dk_get *get, bool to_folder, struct dk_error *error) {
  for (uint32_t n = 0; n < get->n_tasks && !get->options->force; n++) {
    uint32_t row, task = get->tasks[n];
    const struct dk_template *t = dk_plan_template(get->look.rows.plan, task, &row);
    for (uint32_t i = 0; i < t->n_outputs && dk_get_has_outputs(get, task); i++) {
      dk_autobuf path = DK_BUF_INIT;
      struct stat st;
      if (!dk_get_is_wanted(get, t, i)) continue;
      add_place(get, task, i, to_folder, &path);
      if (!dk_buf_ok(&path)) return dk_error_system(error, -ENOMEM, "copying outputs");
      if (lstat(dk_buf_text(&path), &st) == 0)
        return dk_error_set(error, -EEXIST, "%s exists already\nhelp: --force replaces it, -o names another place",
                            dk_buf_text(&path));
    }
  }
  return 0;
}

static int copy_task(struct dk_get *get, uint32_t task, bool to_folder, struct dk_error *error) {
  struct dk_result result;
  int r = dk_get_has_outputs(get, task) ? dk_row_result(&get->look.rows, task, &result, error) : -ENOENT;

  if (r == -ENOENT) {
    if (get->n_without++ == 0) get->without = task;
    return 0;
  }
  if (r < 0) return r;
  r = copy_outputs(get, task, &result, to_folder, error);
  dk_result_finish(&result);
  return r;
}

static int say_without(const struct dk_get *get) {
  dk_autobuf text = DK_BUF_INIT;
  uint32_t run = get->look.rows.run.number;
  enum dk_task_state state = get->look.rows.tasks[get->without].state;

  dk_row_label(&get->look.rows, get->without, &text);
  const char *word =
      state == DK_TASK_DONE || state == DK_TASK_CACHED ? "its result was deleted" : dk_task_state_word(state);
  if (get->n_tasks == 1)
    return dk_cli_failf(DK_EXIT_FAILED, "%s has no outputs in run %u: %s\nhelp: `dkrun status %u` says more",
                        dk_buf_text(&text), run, word, run);
  return dk_cli_failf(DK_EXIT_FAILED,
                      "%u of %u tasks have no outputs in run %u, such as %s: %s\nhelp: `dkrun status %u` says more",
                      get->n_without, get->n_tasks, run, dk_buf_text(&text), word, run);
}

static bool is_in_work_tree(const struct dk_get *get) {
  char to[PATH_MAX], root[PATH_MAX];

  if (!realpath(get->options->to, to) || !realpath(get->cli->root, root)) return false;
  size_t len = strlen(root);
  return strncmp(to, root, len) == 0 && (to[len] == '/' || to[len] == '\0');
}

/* What lies in the work tree, and git does not ignore, is source of the next run: better told now than by that. */
static void say_too_large(const struct dk_get *get) {
  struct dk_error error = {0};
  struct dk_repo *repo;

  if (!is_in_work_tree(get) || dk_repo_open(get->cli->root, &repo, NULL) < 0) return;
  if (dk_snapshot_check_caps(repo, get->cli->state, &error) == -EFBIG)
    fprintf(stderr, "dkrun: note: as it is now, the next run will be refused: %s\n", error.text);
  dk_repo_close(repo);
}

static int get_all(struct dk_get *get) {
  struct dk_error error = {0};
  bool to_folder = false;
  int code = resolve_picks(get, &error) < 0 ? dk_cli_fail(DK_EXIT_FAILED, &error) : check_output(get);

  if (code != DK_EXIT_OK) return code;
  if (get->n_tasks > 1 && !get->options->has_to) return too_many(get);
  code = prepare_place(get, &to_folder);
  if (code == DK_EXIT_OK && check_places(get, to_folder, &error) < 0) code = dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (code == DK_EXIT_OK && dk_get_bring(get, &error) < 0) code = dk_cli_fail(DK_EXIT_ENGINE, &error);
  for (uint32_t i = 0; i < get->n_tasks && code == DK_EXIT_OK; i++)
    if (copy_task(get, get->tasks[i], to_folder, &error) < 0) code = dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (code == DK_EXIT_OK) say_too_large(get);
  if (code == DK_EXIT_OK && get->n_without) code = say_without(get);
  if (code != DK_EXIT_OK) unmake_folders(get);
  return code;
}

int dk_cmd_get(struct dk_cli *cli, int argc, char **argv) {
  struct dk_get_options options = {.to = "."};
  struct dk_error error = {0};
  struct dk_get get = {.cli = cli, .options = &options, .made = DK_BUF_INIT};
  int code = parse(cli, argc, argv, &options);

  if (code >= 0) return code;
  dk_autofree const char **words = dk_memdup(options.selection.words, options.selection.n_words * sizeof *words);
  if (!words) return dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  if (dk_look_open(cli, options.run, &get.look, &error) < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  code = select_tasks(&get, words);
  if (code == DK_EXIT_OK) code = get_all(&get);
  dk_free(get.tasks);
  dk_buf_finish(&get.made);
  dk_look_close(&get.look);
  return code;
}
