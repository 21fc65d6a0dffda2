/* dkrun plan: what a run would do, why, for how long, and at what cost; nothing is written and nothing is started. */
#include "engine/cli/clouds.h"
#include "engine/cli/plan_where.h"
#include "engine/cli/session.h"
#include "engine/drive/folder.h"
#include "engine/drive/preview.h"
#include "engine/drive/unchanged.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <string.h>

struct options {
  const char *file;
  struct dk_cli_params params;
  bool edges;
};

static int parse(struct dk_cli *cli, int argc, char **argv, struct options *ret) {
  static const struct option options[] = {
      {"param", required_argument, NULL, 'p'}, {"edges", no_argument, NULL, 'e'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt, r;

  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":p:", options, NULL)) != -1) {
    switch (opt) {
    case 'p':
      r = dk_cli_params_add(&ret->params, optarg);
      if (r < 0) return r == -EINVAL ? DK_EXIT_USAGE : DK_EXIT_ENGINE;
      break;
    case 'e': ret->edges = true; break;
    default:
      r = dk_cli_option(cli, opt, argc, argv, options);
      if (r >= 0) return r;
    }
  }
  return dk_cli_one_file("plan", argc, argv, &ret->file);
}

static void add_needs(const struct dk_plan *plan, const struct dk_preview *preview, const struct dk_template *tmpl,
                      struct dk_buf *out) {
  const struct dk_graph_node *node = &plan->graph.nodes[tmpl->node];
  bool any = false;

  for (uint32_t e = 0; e < node->n_edges; e++) {
    const struct dk_preview_template *producer = &preview->templates[node->edges[e].producer];
    bool seen = producer->by_state[DK_PREVIEW_RUN] + producer->by_state[DK_PREVIEW_LATER] +
                    producer->by_state[DK_PREVIEW_BAD] ==
                0;
    for (uint32_t f = 0; f < e && !seen; f++) seen = node->edges[f].producer == node->edges[e].producer;
    if (!seen) dk_buf_printf(out, "%s%s", any ? ", " : "needs ", plan->templates[node->edges[e].producer].name);
    any |= !seen;
  }
}

#define LISTED 3u /* reasons of one task in a line */

static void add_reasons(const struct dk_why_answer *why, struct dk_buf *out) {
  for (uint32_t i = 0; i < why->n_reasons && i < LISTED; i++)
    dk_buf_printf(out, "%s%s", i ? ", " : "", why->reasons[i].subject);
  if (why->n_reasons > LISTED) dk_buf_printf(out, " and %u more", why->n_reasons - LISTED);
  dk_buf_printf(out, "%s changed since run %u", why->n_reasons ? "" : "its key", why->run);
}

static void add_new_value(const struct dk_plan *plan, const struct dk_template *tmpl,
                          const struct dk_preview_template *t, struct dk_buf *out) {
  const struct dk_column *column = &tmpl->points.columns[t->why.new_column];

  dk_buf_printf(out, "%s=", column->name);
  dk_value_source_text(plan->values, t->new_value, out);
  if (t->n_new_values > 1)
    dk_buf_printf(out, " and %u more values are", t->n_new_values - 1);
  else
    dk_buf_add_text(out, " is");
  dk_buf_printf(out, " new (%s:%u)", column->path ? column->path : tmpl->path, column->line);
}

static void add_why(const struct dk_plan *plan, const struct dk_preview *preview, uint32_t index, struct dk_buf *out) {
  const struct dk_template *tmpl = &plan->templates[index];
  const struct dk_preview_template *t = &preview->templates[index];

  if (t->bad.len > 0) {
    dk_buf_printf(out, "cannot run: %.*s", (int)strcspn(dk_buf_text(&t->bad), "\n"), dk_buf_text(&t->bad));
    return;
  }
  switch (t->why.why) {
  case DK_WHY_CHANGED: add_reasons(&t->why, out); break;
  case DK_WHY_GONE: dk_buf_printf(out, "the result of run %u: %s", t->why.run, dk_buf_text(&t->why.text)); break;
  case DK_WHY_UNCACHED:
    dk_buf_printf(out, "is never used again (cache = \"none\"), last made in run %u", t->why.run);
    break;
  case DK_WHY_FAILED: dk_buf_printf(out, "failed in run %u", t->why.run); break;
  case DK_WHY_STOPPED: dk_buf_printf(out, "run %u was stopped before its end", t->why.run); break;
  case DK_WHY_NEW_VALUE: add_new_value(plan, tmpl, t, out); break;
  case DK_WHY_NEVER: dk_buf_add_text(out, t->by_state[DK_PREVIEW_CACHED] > 0 ? "new points" : "never run"); break;
  case DK_WHY_SAME:
  case DK_WHY_NONE:
    if (t->by_state[DK_PREVIEW_LATER] > 0) add_needs(plan, preview, tmpl, out);
    return;
  }
  if (t->why_count < t->why_seen) dk_buf_printf(out, " (%u of %u)", t->why_count, t->why_seen);
}

static void print_tasks(struct dk_cli *cli, const struct dk_plan *plan, const struct dk_preview *preview) {
  int width = 12;

  for (uint32_t i = 0; i < plan->n_templates; i++) {
    int len = (int)strlen(plan->templates[i].name) + (plan->templates[i].kind == DK_NODE_PICK ? 7 : 0);
    width = len > width ? len : width;
  }
  dk_cli_printf(cli, "%-*s %8s %8s %8s %8s  %s\n", width, "task", "points", "cached", "run", "later", "why");
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_template *tmpl = &plan->templates[i];
    const struct dk_preview_template *t = &preview->templates[i];
    dk_autobuf why = DK_BUF_INIT, shown = DK_BUF_INIT, name = DK_BUF_INIT;

    dk_buf_printf(&name, "%s%s", tmpl->name, tmpl->kind == DK_NODE_PICK ? " (pick)" : "");
    if (tmpl->kind == DK_NODE_PICK) {
      if (t->bad.len > 0)
        add_why(plan, preview, i, &why);
      else
        dk_buf_printf(&why, "%s %s of %u%s", tmpl->is_max ? "max" : "min",
                      plan->templates[tmpl->from].metrics[tmpl->metric].name, plan->templates[tmpl->from].points.rows,
                      t->by_state[DK_PREVIEW_LATER] ? ", when they are known" : "");
      dk_buf_add_escaped(&shown, dk_cli_text(cli, &why), why.len);
      dk_cli_printf(cli, "%-*s %8s %8s %8s %8s  %s\n", width, dk_cli_text(cli, &name), "-", "-", "-", "-",
                    dk_cli_text(cli, &shown));
      continue;
    }
    add_why(plan, preview, i, &why);
    dk_buf_add_escaped(&shown, dk_cli_text(cli, &why), why.len);
    dk_cli_printf(cli, "%-*s %8u %8u %8u %8u%s%s\n", width, dk_cli_text(cli, &name), tmpl->points.rows,
                  t->by_state[DK_PREVIEW_CACHED] + t->by_state[DK_PREVIEW_SKIP],
                  t->by_state[DK_PREVIEW_RUN] + t->by_state[DK_PREVIEW_BAD], t->by_state[DK_PREVIEW_LATER],
                  shown.len ? "  " : "", dk_cli_text(cli, &shown));
  }
}

static void print_steps(struct dk_cli *cli, const struct dk_plan *plan) {
  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_template *tmpl = &plan->templates[i];
    if (tmpl->n_steps == 0 || tmpl->kind == DK_NODE_PICK) continue;
    dk_cli_printf(cli, "grid  %s:", tmpl->name);
    for (uint32_t s = 0; s < tmpl->n_steps; s++) {
      const struct dk_grid_step *step = &tmpl->steps[s];
      dk_cli_printf(cli, "%s %s", s ? "," : "", step->text);
      if (s == 0) continue;
      dk_cli_printf(cli, "%s %+lld", strchr(step->text, ' ') ? ":" : "", (long long)step->change);
      if (step->path) dk_cli_printf(cli, " (%s:%u)", step->path, step->line);
    }
    dk_cli_printf(cli, " = %u\n", tmpl->points.rows);
  }
}

/* Guessed from results of the same template: mean wall time of what is cached, over the processors. */
static void print_time(struct dk_cli *cli, const struct dk_plan *plan, const struct dk_preview *preview,
                       uint32_t cpus) {
  uint64_t ns = 0;
  uint32_t unknown = 0, to_run = 0;
  char text[DK_NUMBER_TEXT];

  for (uint32_t i = 0; i < preview->n_templates; i++) {
    const struct dk_preview_template *t = &preview->templates[i];
    if (plan->templates[i].kind == DK_NODE_PICK) continue;
    uint32_t n = t->by_state[DK_PREVIEW_RUN] + t->by_state[DK_PREVIEW_LATER];
    to_run += n;
    if (t->n_known_wall > 0)
      ns += t->known_wall_ns / t->n_known_wall * n;
    else
      unknown += n;
  }
  if (to_run == 0)
    dk_cli_printf(cli, "time  0, nothing is to be done\n");
  else if (unknown == to_run)
    dk_cli_printf(cli, "time  unknown: none of these tasks has run before\n");
  else {
    dk_number_duration_text(ns / cpus, text);
    dk_cli_printf(cli, "time  about %s on %u cpus, from what such tasks took before", text, cpus);
    if (unknown > 0) dk_cli_printf(cli, "; %u more never ran", unknown);
    dk_cli_printf(cli, "\n");
  }
}

static void print_cost(struct dk_cli *cli, const struct dk_hosts *hosts, bool is_any) {
  dk_autobuf text = DK_BUF_INIT;

  if (hosts->n_clouds && is_any)
    dk_clouds_add_cost(hosts, &text);
  else
    dk_buf_add_text(&text, "0, nothing is rented");
  dk_cli_printf(cli, "cost  %s\n", dk_cli_text(cli, &text));
}

static void print_plan(struct dk_cli *cli, const struct dk_session *session, const struct dk_preview *preview,
                       const struct dk_plan_where *where) {
  const struct dk_plan *plan = session->plan;
  uint32_t tasks = 0, picks = 0, cached = 0, run = 0, later = 0;
  dk_autobuf hosts = DK_BUF_INIT;

  for (uint32_t i = 0; i < plan->n_templates; i++) {
    const struct dk_preview_template *t = &preview->templates[i];
    if (plan->templates[i].kind == DK_NODE_PICK) {
      picks++;
      continue;
    }
    tasks += plan->templates[i].points.rows;
    cached += t->by_state[DK_PREVIEW_CACHED] + t->by_state[DK_PREVIEW_SKIP];
    run += t->by_state[DK_PREVIEW_RUN] + t->by_state[DK_PREVIEW_BAD];
    later += t->by_state[DK_PREVIEW_LATER];
  }
  dk_plan_where_text(where, &hosts);
  dk_cli_printf(cli, "%s: %u task%s", plan->name, tasks, tasks == 1 ? "" : "s");
  if (picks > 0) dk_cli_printf(cli, ", %u pick%s", picks, picks == 1 ? "" : "s");
  dk_cli_printf(cli, ", on %s: %u cached, %u to run, %u later\n", dk_cli_text(cli, &hosts), cached, run, later);
  dk_cli_printf(cli, "code  %.7s", session->snapshot.commit);
  if (session->snapshot.n_changed > 0)
    dk_cli_printf(cli, " + %u changed file%s", session->snapshot.n_changed,
                  session->snapshot.n_changed == 1 ? "" : "s");
  dk_cli_printf(cli, "\n\n");
  print_tasks(cli, plan, preview);
  dk_cli_printf(cli, "\n");
  print_steps(cli, plan);
  print_time(cli, plan, preview, where->cpus);
  print_cost(cli, &where->hosts, run + later > 0);
  if (cached + run + later > 0)
    dk_cli_printf(cli, "note  results do not follow changes of installed packages: no environment is declared\n");
  if (run + later == 0)
    dk_cli_printf(cli, "\nnothing to do: all %u tasks have results. dkrun results shows them\n", tasks);
}

/* What each task would do, by a look at all of them. */
static int look_ahead(struct dk_cli *cli, struct dk_session *session, struct dk_folder *folder,
                      struct dk_plan_where *where, struct dk_preview *ret, struct dk_error *error) {
  struct dk_lookup_state lookup;
  struct dk_why_options why = {.store = folder->store,
                               .objects = &folder->objects,
                               .state = cli->state,
                               .experiment = session->plan->name,
                               .may_host = dk_known_hosts_have,
                               .may_host_ctx = &where->known};
  struct dk_why_book *book = NULL;
  struct dk_lookup_options with = {
      .plan = session->plan,
      .store = folder->store,
      .objects = folder->store ? &folder->objects : NULL,
      .code = session->snapshot.code,
      .root = cli->root,
      .dry = true,
      .has_hosts = dk_hosts_has_remote(&where->hosts),
      .may_host = dk_known_hosts_have,
      .may_host_ctx = &where->known,
  };
  int r = dk_lookup_init(&lookup, &with, error);

  if (r < 0) return r;
  r = dk_why_create(&why, &book, error);
  if (r == 0) r = dk_preview_make(&lookup, book, NULL, ret, error);
  dk_why_destroy(book);
  dk_lookup_finish(&lookup);
  return r;
}

static bool has_nothing_to_do(struct dk_cli *cli, const struct dk_session *session, const struct dk_folder *folder) {
  const struct dk_asked asked = {cli->root, session->file, session->params};
  struct dk_unchanged unchanged;

  return folder->store &&
         dk_unchanged_find(&asked, folder->path, folder->store, &folder->objects, session->snapshot.code, &unchanged);
}

static int preview_session(struct dk_cli *cli, struct dk_session *session, struct dk_folder *folder,
                           struct dk_plan_where *where) {
  struct dk_error error = {0};
  struct dk_preview preview;
  int r = dk_plan_where_check(where, session->plan, &error);

  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  if (has_nothing_to_do(cli, session, folder)) {
    r = dk_preview_all_cached(session->plan, &preview);
    if (r < 0) dk_error_system(&error, r, "looking ahead");
  } else {
    r = look_ahead(cli, session, folder, where, &preview, &error);
  }
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  print_plan(cli, session, &preview, where);
  dk_preview_finish(&preview);
  return DK_EXIT_OK;
}

static int plan_session(struct dk_cli *cli, const struct options *options, struct dk_session *session) {
  struct dk_error error = {0};
  struct dk_folder folder = {0};
  struct dk_plan_where where;

  if (options->edges) {
    dk_autobuf out = DK_BUF_INIT;
    dk_plan_edges_text(session->plan, &out);
    dk_cli_print(cli, &out);
    return DK_EXIT_OK;
  }
  int r = dk_session_pin(cli, session, &error);
  if (r == 0) r = dk_folder_peek(cli->root, &folder, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  int code = dk_plan_where_find(cli, folder.store, &where);
  if (code == DK_EXIT_OK) code = preview_session(cli, session, &folder, &where);
  dk_plan_where_finish(&where);
  dk_folder_close(&folder);
  return code;
}

int dk_cmd_plan(struct dk_cli *cli, int argc, char **argv) {
  struct options options = {0};
  struct dk_session session;
  int r = parse(cli, argc, argv, &options);

  if (r < 0) {
    r = dk_session_open(cli, options.file, &options.params, &session);
    if (r == DK_EXIT_OK) {
      r = plan_session(cli, &options, &session);
      dk_session_close(&session);
    }
  }
  dk_cli_params_finish(&options.params);
  return r;
}
