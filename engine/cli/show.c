/* dkrun show: what a task of a file would be started with: script with its values, environment, inputs, outputs. Starts
 * nothing. */
#include "engine/cli/look.h"
#include "engine/cli/show_order.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

#define LISTED 50

static int parse(struct dk_cli *cli, int argc, char **argv, struct dk_cli_params *params) {
  static const struct option options[] = {{"param", required_argument, NULL, 'p'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":p:", options, NULL)) != -1) {
    int r;
    if (opt == 'p') {
      r = dk_cli_params_add(params, optarg);
      r = r == 0 ? -1 : r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE;
    } else {
      r = dk_cli_option(cli, opt, argc, argv, options);
    }
    if (r >= 0) {
      return r;
    }
  }
  return -1;
}

/* The last run, if it was of this plan: it knows what picks chose. */
struct last_run {
  struct dk_look look;
  bool is_open;
  const struct dk_plan *plan; /* of the file, now */
};

static bool is_same_shape(const struct dk_plan *a, const struct dk_plan *b) {
  if (a->n_templates != b->n_templates || a->graph.n_tasks != b->graph.n_tasks) {
    return false;
  }
  for (uint32_t i = 0; i < a->n_templates; i++) {
    const struct dk_template *x = &a->templates[i], *y = &b->templates[i];
    if (strcmp(x->name, y->name) != 0 || x->kind != y->kind || x->points.rows != y->points.rows ||
        x->n_metrics != y->n_metrics) {
      return false;
    }
  }
  return true;
}

static void last_run_open(struct dk_cli *cli, const struct dk_plan *plan, struct last_run *last) {
  memset(last, 0, sizeof *last);
  last->plan = plan;
  last->is_open = dk_look_open(cli, 0, &last->look, NULL) == 0;
  if (last->is_open && !is_same_shape(plan, last->look.rows.plan)) {
    dk_look_close(&last->look);
    last->is_open = false;
  }
}

static void last_run_close(struct last_run *last) {
  if (last->is_open) {
    dk_look_close(&last->look);
  }
}

/* Same number, same name: otherwise a grid was edited and numbers mean other points. */
static bool is_same_task(const struct last_run *last, uint32_t task) {
  dk_autobuf now = DK_BUF_INIT, then = DK_BUF_INIT;
  dk_plan_task_name(last->plan, task, &now);
  dk_plan_task_name(last->look.rows.plan, task, &then);
  return dk_buf_ok(&now) && dk_buf_ok(&then) && strcmp(dk_buf_text(&now), dk_buf_text(&then)) == 0;
}

static bool late_chosen(void *ctx, uint32_t pick_task, uint32_t *ret_row) {
  struct last_run *last = ctx;
  struct dk_choice choice;
  uint32_t row;
  if (!last->is_open || dk_row_choice(&last->look.rows, pick_task, &choice, NULL) < 0) {
    return false;
  }
  const struct dk_template *pick = dk_plan_template(last->plan, pick_task, &row);
  const struct dk_template *from = &last->plan->templates[pick->from];
  if (choice.row >= from->points.rows || !is_same_task(last, last->plan->graph.nodes[from->node].first + choice.row)) {
    return false;
  }
  *ret_row = choice.row;
  return true;
}

static bool late_metric(void *ctx, uint32_t task, uint32_t metric, double *ret, const char **ret_text) {
  struct last_run *last = ctx;
  const struct dk_metric_values *values = last->is_open ? dk_row_metrics(&last->look.rows, task) : NULL;
  if (!values || metric >= values->n || values->items[metric].state == DK_METRIC_MISSING) {
    return false;
  }
  *ret = values->items[metric].number;
  *ret_text = values->items[metric].state == DK_METRIC_TEXT ? values->items[metric].text : NULL;
  return true;
}

static int show_task(struct dk_cli *cli, const struct dk_plan *plan, uint32_t task) {
  struct dk_error error = {0};
  struct dk_order order;
  struct last_run last;
  dk_autobuf out = DK_BUF_INIT;
  last_run_open(cli, plan, &last);
  const struct dk_late late = {&last, late_chosen, late_metric};
  uint32_t row;
  bool is_task = dk_plan_template(plan, task, &row)->kind == DK_NODE_TASK;
  int r = is_task ? dk_plan_order(plan, task, &late, &order, &error) : 0;
  if (!is_task) {
    dk_show_pick(plan, task, &out);
  } else if (r == 0) {
    dk_show_order(plan, task, &order, &out);
    dk_order_finish(&order);
  } else if (r == -EAGAIN) {
    dk_show_late(plan, task, &out);
  }
  /* A value that could not be read is not one that is not known yet. */
  int failed = last.is_open ? dk_row_failure(&last.look.rows, &error) : 0;
  r = failed < 0 ? failed : r;
  last_run_close(&last);
  if (r < 0 && r != -EAGAIN) {
    return dk_cli_fail(r == -EINVAL ? DK_EXIT_FILE : DK_EXIT_ENGINE, &error);
  }
  dk_cli_print(cli, &out);
  return DK_EXIT_OK;
}

static void list_tasks(struct dk_cli *cli, const struct dk_plan *plan, const uint32_t *tasks, uint32_t n) {
  dk_autobuf out = DK_BUF_INIT;
  for (uint32_t i = 0; i < n && i < LISTED; i++) {
    dk_buf_printf(&out, "t%u ", tasks[i] + 1);
    dk_row_name(plan, tasks[i], &out);
    dk_buf_add_char(&out, '\n');
  }
  if (n > LISTED) {
    dk_buf_printf(&out, "and %u more\n", n - LISTED);
  }
  dk_buf_printf(&out, "%u tasks: `dkrun show t%u` shows one\n", n, tasks[0] + 1);
  dk_cli_print(cli, &out);
}

static int show_words(struct dk_cli *cli, const struct dk_plan *plan, char **words, uint32_t n_words) {
  struct dk_error error = {0};
  dk_autofree uint32_t *tasks = NULL;
  uint32_t n = 0;
  if (!n_words) {
    dk_autobuf out = DK_BUF_INIT;
    dk_show_templates(plan, &out);
    dk_cli_print(cli, &out);
    return DK_EXIT_OK;
  }
  int r = dk_plan_select(plan, (const char *const *)words, n_words, &tasks, &n, &error);
  if (r < 0) {
    return dk_cli_fail(r == -ENOMEM ? DK_EXIT_ENGINE : DK_EXIT_USAGE, &error);
  }
  if (n != 1) {
    list_tasks(cli, plan, tasks, n);
    return DK_EXIT_OK;
  }
  return show_task(cli, plan, tasks[0]);
}

static bool is_file_name(const char *word) {
  size_t len = strlen(word);
  return strchr(word, '/') || (len > 3 && strcmp(word + len - 3, ".dk") == 0);
}

int dk_cmd_show(struct dk_cli *cli, int argc, char **argv) {
  struct dk_cli_params params = {0};
  struct dk_load *load;
  int code = parse(cli, argc, argv, &params);
  if (code < 0) {
    int first = optind;
    const char *file = first < argc && is_file_name(argv[first]) ? argv[first++] : NULL;
    code = dk_cli_load(cli, file, &params, &load);
    if (code == DK_EXIT_OK) {
      code = show_words(cli, dk_load_plan(load), argv + first, (uint32_t)(argc - first));
      dk_load_destroy(load);
    }
  }
  dk_cli_params_finish(&params);
  return code;
}
