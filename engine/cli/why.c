/* dkrun why: what a run would do with a task and why, or why it ran in a run that was. */
#include "engine/cli/look.h"
#include "engine/cli/providers.h"
#include "engine/cli/session.h"
#include "engine/drive/folder.h"
#include "engine/drive/known.h"
#include "engine/drive/preview.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define MAX_TASKS 20u /* that are told of at once */
#define LISTED 3u     /* producers that are named */

struct options {
  struct dk_cli_params params;
  uint32_t run; /* 0: what a run would do now */
};

struct why {
  struct dk_cli *cli;
  const struct dk_plan *plan;
  struct dk_store *store;
  struct dk_why_book *book;
  struct dk_lookup_state *lookup; /* of now; NULL with --run */
  struct dk_preview *preview;
  uint32_t run;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {{"param", required_argument, NULL, 'p'},
                                          {"run", required_argument, NULL, 'r'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":p:", options, NULL)) != -1) {
    switch (opt) {
    case 'p':
      r = dk_cli_params_add(&ret->params, optarg);
      if (r < 0) return r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE;
      break;
    case 'r':
      if (!dk_look_run_number(optarg, &ret->run))
        return dk_cli_usage("why", "--run takes the number of a run, not `%s`", optarg);
      break;
    default:
      r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) return r;
    }
  }
  return optind < argc ? -1 : dk_cli_usage("why", "which task? `dkrun plan` lists them");
}

/* --- words --- */

static void add_escaped(struct dk_buf *out, const char *text) {
  dk_buf_add_escaped(out, text, strlen(text));
}

static void add_reasons(const struct dk_why_answer *answer, struct dk_buf *out) {
  for (uint32_t i = 0; i < answer->n_reasons; i++) {
    dk_buf_add_text(out, "    ");
    add_escaped(out, answer->reasons[i].text);
    dk_buf_add_char(out, '\n');
  }
}

static void add_text(const struct dk_why_answer *answer, struct dk_buf *out) {
  dk_shown_text(dk_buf_text(&answer->text), answer->text.len, out);
  dk_buf_add_char(out, '\n');
}

static void add_cause(const struct dk_why_answer *answer, struct dk_buf *out) {
  dk_buf_add_text(out, " (");
  dk_cause_text(answer->cause, answer->code, NULL, out);
  dk_buf_add_char(out, ')');
}

/* Of a task that a run would start. */
static void add_would_run(const struct dk_why_answer *answer, struct dk_buf *out) {
  dk_buf_add_text(out, answer->why == DK_WHY_CHANGED ? "  would run, because " : "  would run: ");
  switch (answer->why) {
  case DK_WHY_CHANGED: dk_buf_printf(out, "since run %u:\n", answer->run); break;
  case DK_WHY_GONE:
    dk_buf_printf(out, "its result of run %u cannot be used: ", answer->run);
    add_text(answer, out);
    break;
  case DK_WHY_UNCACHED:
    dk_buf_printf(out, "its results are never used again (cache = \"none\"); it ran last in run %u\n", answer->run);
    break;
  case DK_WHY_NEW_VALUE: add_text(answer, out); break;
  case DK_WHY_FAILED:
    dk_buf_printf(out, "it failed in run %u", answer->run);
    add_cause(answer, out);
    dk_buf_add_char(out, '\n');
    break;
  case DK_WHY_STOPPED: dk_buf_printf(out, "run %u was stopped before its end\n", answer->run); break;
  case DK_WHY_SAME:
  case DK_WHY_NONE:
  case DK_WHY_NEVER: dk_buf_add_text(out, "it never ran\n"); break;
  }
  if (answer->why != DK_WHY_CHANGED && answer->n_reasons > 0)
    dk_buf_printf(out, "  and since its result of run %u:\n", answer->since);
  add_reasons(answer, out);
}

static const char *word_of(enum dk_task_state state) {
  switch (state) {
  case DK_TASK_DONE: return "ran";
  case DK_TASK_FAILED: return "failed";
  case DK_TASK_CANCELLED: return "was stopped";
  case DK_TASK_RUNNING: return "was running";
  default: return NULL;
  }
}

/* Of a task that ran in run `run`. */
static void add_ran(const struct why *why, uint32_t run, const struct dk_why_answer *answer,
                    const struct dk_task_record *record, struct dk_buf *out) {
  const char *word = word_of(record->state);

  if (!word) {
    dk_buf_printf(out, "  %s in run %u\n", dk_task_state_word(record->state), run);
    return;
  }
  dk_buf_printf(out, "  %s in run %u", word, run);
  dk_row_host(why->store, record, " on ", out);
  if (record->state == DK_TASK_FAILED) add_cause(answer, out);
  switch (answer->why) {
  case DK_WHY_CHANGED: dk_buf_printf(out, ", because since run %u:\n", answer->run); break;
  case DK_WHY_NEW_VALUE:
    dk_buf_add_text(out, ": ");
    add_text(answer, out);
    break;
  case DK_WHY_GONE: dk_buf_printf(out, ": the same result, of run %u, could not be used\n", answer->run); break;
  default: dk_buf_add_text(out, ": it never had before\n");
  }
  add_reasons(answer, out);
}

/* --- tasks --- */

/* One that has its result: why that was made, in the run that made it. */
static int add_cached(const struct why *why, uint32_t task, struct dk_buf *out, struct dk_error *error) {
  uint32_t run = why->lookup->facts[task]->run;
  struct dk_why_answer answer;
  struct dk_task_record record;
  int r = dk_why_then(why->book, run, why->plan, task, &answer, &record, NULL);

  dk_buf_printf(out, "  cached since run %u: nothing that its result depends on has changed\n", run);
  if (r == 0 && record.state == DK_TASK_DONE) add_ran(why, run, &answer, &record, out);
  dk_why_answer_finish(&answer);
  return r == -ENOMEM ? dk_error_system(error, r, "finding out why a task ran") : 0;
}

static void add_waits(const struct why *why, uint32_t task, struct dk_buf *out) {
  const struct dk_plan *plan = why->plan;
  uint32_t row, n = 0;
  const struct dk_graph_node *node = &plan->graph.nodes[dk_graph_node_of(&plan->graph, task, &row)];

  dk_buf_add_text(out, "  not known before there is a result of ");
  for (uint32_t e = 0; e < node->n_edges; e++) {
    uint32_t first = 0, base = plan->graph.nodes[node->edges[e].producer].first;
    const uint32_t *list;
    uint32_t rows = dk_edge_rows(&plan->graph, &node->edges[e], row, &first, &list);
    for (uint32_t i = 0; i < rows; i++) {
      uint32_t producer = base + (list ? list[i] : first + i);
      dk_autobuf name = DK_BUF_INIT;
      uint8_t state = why->preview->states[producer];
      if (state == DK_PREVIEW_CACHED || state == DK_PREVIEW_SKIP || n++ >= LISTED) continue;
      dk_row_name(plan, producer, &name);
      dk_buf_printf(out, "%s`%s`", n > 1 ? ", " : "", dk_buf_text(&name));
    }
  }
  if (n > LISTED) dk_buf_printf(out, " and %u more", n - LISTED);
  dk_buf_add_char(out, '\n');
}

static int add_later(const struct why *why, uint32_t task, struct dk_buf *out, struct dk_error *error) {
  struct dk_why_answer answer;
  int r = dk_why_later(why->book, why->lookup, task, &answer, error);

  add_waits(why, task, out);
  if (r == 0 && answer.n_reasons > 0) {
    dk_buf_printf(out, "  but would run, because since run %u:\n", answer.since);
    add_reasons(&answer, out);
  }
  dk_why_answer_finish(&answer);
  return r;
}

static int add_now(const struct why *why, uint32_t task, struct dk_buf *out, struct dk_error *error) {
  struct dk_why_answer answer = {0};
  enum dk_preview_state state = why->preview->states[task];
  const struct dk_template *tmpl = dk_plan_template(why->plan, task, NULL);
  int r = 0;

  if (tmpl->kind == DK_NODE_PICK) {
    dk_buf_printf(out, "  a pick: each run chooses anew, from the metric %s of `%s`\n",
                  why->plan->templates[tmpl->from].metrics[tmpl->metric].name, why->plan->templates[tmpl->from].name);
    return 0;
  }
  switch (state) {
  case DK_PREVIEW_CACHED: return add_cached(why, task, out, error);
  case DK_PREVIEW_LATER: return add_later(why, task, out, error);
  case DK_PREVIEW_SKIP: dk_buf_add_text(out, "  left out: its `when` is false\n"); return 0;
  case DK_PREVIEW_BAD:
    dk_buf_add_text(out, "  cannot run: ");
    add_escaped(out, dk_buf_text(&why->preview->templates[tmpl->node].bad));
    dk_buf_add_char(out, '\n');
    return 0;
  case DK_PREVIEW_RUN: break;
  }
  r = dk_why_now(why->book, why->lookup, task, &answer, error);
  if (r == 0) add_would_run(&answer, out);
  dk_why_answer_finish(&answer);
  return r;
}

static int add_then(const struct why *why, uint32_t task, struct dk_buf *out, struct dk_error *error) {
  struct dk_why_answer answer;
  struct dk_task_record record;
  int r = dk_why_then(why->book, why->run, NULL, task, &answer, &record, error);

  if (r == 0 && record.state == DK_TASK_CACHED && answer.run > 0)
    dk_buf_printf(out, "  cached in run %u since run %u: nothing that its result depends on had changed\n", why->run,
                  answer.run);
  else if (r == 0)
    add_ran(why, why->run, &answer, &record, out);
  dk_why_answer_finish(&answer);
  return r;
}

static int tell(const struct why *why, const uint32_t *tasks, uint32_t n, struct dk_error *error) {
  dk_autobuf out = DK_BUF_INIT;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < n && i < MAX_TASKS; i++) {
    dk_buf_printf(&out, "t%u ", tasks[i] + 1);
    dk_row_name(why->plan, tasks[i], &out);
    dk_buf_add_char(&out, '\n');
    r = why->run ? add_then(why, tasks[i], &out, error) : add_now(why, tasks[i], &out, error);
  }
  if (n > MAX_TASKS) dk_buf_printf(&out, "and %u more: name their values, or one of them\n", n - MAX_TASKS);
  if (r == 0) dk_cli_print(why->cli, &out);
  return r;
}

static int select_tasks(const struct dk_plan *plan, char **words, int n_words, uint32_t **ret, uint32_t *ret_n) {
  struct dk_error error = {0};
  int r = dk_plan_select(plan, (const char *const *)words, (uint32_t)n_words, ret, ret_n, &error);
  return r < 0 ? dk_cli_fail(r == -ENOMEM ? DK_EXIT_ENGINE : DK_EXIT_USAGE, &error) : DK_EXIT_OK;
}

/* --- a run that was --- */

static int why_then(struct dk_cli *cli, uint32_t run, char **words, int n_words) {
  struct dk_error error = {0};
  struct dk_look look;
  struct why why = {.cli = cli, .run = run};
  dk_autofree uint32_t *tasks = NULL;
  uint32_t n = 0;
  int code, r = dk_look_open(cli, run, &look, &error);

  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  why.plan = look.rows.plan;
  code = select_tasks(why.plan, words, n_words, &tasks, &n);
  if (code == DK_EXIT_OK) {
    struct dk_why_options with = {
        .store = look.store, .objects = &look.objects, .state = cli->state, .experiment = look.rows.run.name};
    why.store = look.store;
    r = dk_why_create(&with, &why.book, &error);
    if (r == 0) r = tell(&why, tasks, n, &error);
    dk_why_destroy(why.book);
    if (r < 0) code = dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  dk_look_close(&look);
  return code;
}

/* --- now --- */

/* Looks ahead only as far as the tasks need. */
static int look_ahead(struct why *why, const uint32_t *tasks, uint32_t n, struct dk_error *error) {
  dk_autofree uint8_t *wanted = dk_calloc(why->plan->graph.n_tasks + 1, 1);

  if (!wanted) return dk_error_system(error, -ENOMEM, "looking ahead");
  for (uint32_t i = 0; i < n && i < MAX_TASKS; i++) wanted[tasks[i]] = 1;
  if (dk_preview_needs(why->plan, wanted) < 0) return dk_error_system(error, -ENOMEM, "looking ahead");
  return dk_preview_make(why->lookup, NULL, wanted, why->preview, error);
}

static int why_now(struct dk_cli *cli, struct dk_session *session, const struct dk_hosts *hosts, const uint32_t *tasks,
                   uint32_t n) {
  struct dk_error error = {0};
  struct dk_folder folder = {0};
  struct dk_lookup_state lookup;
  struct dk_preview preview;
  struct dk_known_hosts known = {.n = 0};
  struct why why = {.cli = cli, .plan = session->plan, .lookup = &lookup, .preview = &preview};
  int r = dk_session_pin(cli, session, &error);

  if (r == 0) r = dk_folder_peek(cli->root, &folder, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  r = dk_known_hosts_load(hosts, folder.store, &known, &error);
  struct dk_lookup_options with = {
      .plan = session->plan,
      .store = folder.store,
      .objects = folder.store ? &folder.objects : NULL,
      .code = session->snapshot.code,
      .root = cli->root,
      .dry = true,
      .has_hosts = dk_hosts_has_remote(hosts),
      .may_host = dk_known_hosts_have,
      .may_host_ctx = &known,
  };
  if (r == 0) r = dk_lookup_init(&lookup, &with, &error);
  if (r == 0) {
    struct dk_why_options book = {.store = folder.store,
                                  .objects = &folder.objects,
                                  .state = cli->state,
                                  .experiment = session->plan->name,
                                  .may_host = dk_known_hosts_have,
                                  .may_host_ctx = &known};
    why.store = folder.store;
    r = dk_why_create(&book, &why.book, &error);
    if (r == 0) r = look_ahead(&why, tasks, n, &error);
    if (r == 0) {
      r = tell(&why, tasks, n, &error);
      dk_preview_finish(&preview);
    }
    dk_why_destroy(why.book);
    dk_lookup_finish(&lookup);
  }
  dk_known_hosts_finish(&known);
  dk_folder_close(&folder);
  return r < 0 ? dk_cli_fail(DK_EXIT_ENGINE, &error) : DK_EXIT_OK;
}

static bool is_file_name(const char *word) {
  size_t len = strlen(word);
  return strchr(word, '/') || (len > 3 && strcmp(word + len - 3, ".dk") == 0);
}

static int open_and_tell(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, char **words,
                         int n_words) {
  struct dk_session session;
  dk_autofree uint32_t *tasks = NULL;
  uint32_t n = 0;
  struct dk_hosts hosts = {.n = 0};
  struct dk_error error = {0};
  int code = dk_session_open(cli, file, params, &session);

  if (code != DK_EXIT_OK) return code;
  code = select_tasks(session.plan, words, n_words, &tasks, &n);
  if (code == DK_EXIT_OK && dk_hosts_load(cli->root, &hosts, &error) < 0) code = dk_providers_fail(cli, &hosts, &error);
  if (code == DK_EXIT_OK) code = why_now(cli, &session, &hosts, tasks, n);
  dk_hosts_finish(&hosts);
  dk_session_close(&session);
  return code;
}

int dk_cmd_why(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  int code = parse(cli, argc, argv, &options);

  if (code < 0) {
    int first = optind;
    const char *file = is_file_name(argv[first]) ? argv[first++] : NULL;
    if (first == argc)
      code = dk_cli_usage("why", "which task of %s? `dkrun plan` lists them", file);
    else if (options.run)
      code = why_then(cli, options.run, argv + first, argc - first);
    else
      code = open_and_tell(cli, file, &options.params, argv + first, argc - first);
  }
  dk_cli_params_finish(&options.params);
  return code;
}
