/* Cycles of tasks and picks: a task waits for those it refers to, a pick for the task it chooses from.
 *
 * A reference with a selector may lead back to an earlier value of an axis (language.md, rule 6 of references): plan,
 * which knows the points, judges those. A cycle of plain references is an error here, shown as a path; one reference of
 * it becomes an ERROR, so that plan meets none. */
#include "lang/check/internal.h"

struct edge {
  uint32_t to;
  struct dk_expr *expr;
  struct dk_span span;
};
struct node {
  const struct dk_decl *decl;
  struct edge *edges;
  uint32_t n_edges, cap_edges, next; /* next: edge to be followed */
  enum { NEW, OPEN, DONE } state;
};
struct graph {
  struct dk_checker *checker;
  struct node *nodes;
  uint32_t n_nodes, at; /* at: whose expressions are read */
};

static bool decl_equal(const void *ctx, uint32_t item, const void *key) {
  const struct graph *graph = ctx;
  return graph->nodes[item].decl == key;
}

struct reader {
  struct graph *graph;
  struct dk_map *index;
};

static void add_edge(struct reader *reader, const struct dk_decl *to, struct dk_expr *expr, struct dk_span span) {
  struct graph *graph = reader->graph;
  uint32_t item = dk_map_find(reader->index, dk_hash_u64((uintptr_t)to, 0), decl_equal, graph, to);
  if (item == DK_MAP_NONE) return;
  struct node *node = &graph->nodes[graph->at];
  dk_arena_push(graph->checker->arena, node->edges, node->n_edges, node->cap_edges) = (struct edge){item, expr, span};
}

static void read_expr(void *ctx, struct dk_expr *expr) {
  if (expr->kind == DK_EXPR_REF && expr->ref.selectors.count == 0) add_edge(ctx, expr->ref.target, expr, expr->span);
  dk_walk_children(expr, read_expr, ctx);
}

static void read_named(struct reader *reader, const struct dk_named_exprs *exprs) {
  for (uint32_t i = 0; i < exprs->count; i++)
    if (exprs->items[i].value) read_expr(reader, exprs->items[i].value);
}

static void read_task(struct reader *reader, const struct dk_checked_task *task) {
  struct dk_expr *const exprs[] = {task->needs,   task->code,    task->run,  task->shell,
                                   task->timeout, task->at_once, task->when, task->pass};
  for (size_t i = 0; i < sizeof exprs / sizeof *exprs; i++)
    if (exprs[i]) read_expr(reader, exprs[i]);
  read_named(reader, &task->inputs);
  read_named(reader, &task->outputs);
  read_named(reader, &task->metrics);
  read_named(reader, &task->env);
}

/* stack[from ..] is the cycle; the last one's present edge leads to stack[from]. */
static void report(struct graph *graph, const uint32_t *stack, uint32_t from, uint32_t n) {
  struct dk_checker *checker = graph->checker;
  const char *path = "";
  for (uint32_t i = from; i < n; i++)
    if (i - from < 12)
      path = dk_arena_printf(checker->arena, "%s%s -> ", path, graph->nodes[stack[i]].decl->name->text);
    else if (i - from == 12)
      path = dk_arena_printf(checker->arena, "%s... -> ", path);
  const char *first = graph->nodes[stack[from]].decl->name->text;
  struct node *last = &graph->nodes[stack[n - 1]];
  struct edge *back = &last->edges[last->next - 1];
  struct dk_diag *diag =
      dk_diag_add(checker->diags, DK_E0205, back->span,
                  n - from == 1 ? "`%s` needs itself: %s%s" : "`%s` can never start, it waits for itself: %s%s", first,
                  path, first);
  dk_diag_label(checker->diags, diag, "`%s` needs `%s` here", last->decl->name->text, first);
  for (uint32_t i = from; i + 1 < n && i - from < 12; i++) {
    const struct node *node = &graph->nodes[stack[i]];
    dk_diag_label_at(checker->diags, diag, node->edges[node->next - 1].span, "`%s` needs `%s` here",
                     node->decl->name->text, graph->nodes[stack[i + 1]].decl->name->text);
  }
  dk_diag_help(checker->diags, diag,
               "a point may need an earlier point of an axis through a selector: `%s[axis = value].output`", first);
  if (back->expr) dk_resolve_error(back->expr);
}

/* Depth first without recursion: a chain of tasks may be long. */
static void search(struct graph *graph, uint32_t start, uint32_t *stack, uint32_t *depth_of) {
  uint32_t n = 0;
  stack[n++] = start;
  graph->nodes[start].state = OPEN;
  depth_of[start] = 0;
  while (n) {
    struct node *node = &graph->nodes[stack[n - 1]];
    if (node->next == node->n_edges) {
      node->state = DONE;
      n--;
      continue;
    }
    const struct edge *edge = &node->edges[node->next++];
    struct node *to = &graph->nodes[edge->to];
    if (to->state == OPEN) report(graph, stack, depth_of[edge->to], n);
    if (to->state != NEW) continue;
    to->state = OPEN;
    depth_of[edge->to] = n;
    stack[n++] = edge->to;
  }
}

void dk_check_cycles(struct dk_checker *checker) {
  struct dk_checked *checked = checker->checked;
  uint32_t n_all = 0;
  for (uint32_t i = 0; i < checked->n_modules; i++) n_all += checked->modules[i]->n_decls;
  struct graph graph = {checker, dk_arena_array(checker->arena, struct node, n_all + 1), 0, 0};
  struct dk_map index;
  dk_map_init(&index, checker->arena);
  for (uint32_t i = 0; i < checked->n_modules; i++) {
    for (uint32_t j = 0; j < checked->modules[i]->n_decls; j++) {
      const struct dk_decl *decl = checked->modules[i]->decls[j];
      if ((decl->kind != DK_DECL_TASK && decl->kind != DK_DECL_PICK) || !decl->checked) continue;
      (void)dk_map_add(&index, dk_hash_u64((uintptr_t)decl, 0),
                       graph.n_nodes); /* an arena's map jumps instead of failing */
      graph.nodes[graph.n_nodes++].decl = decl;
    }
  }
  struct reader reader = {&graph, &index};
  for (graph.at = 0; graph.at < graph.n_nodes; graph.at++) {
    const struct dk_decl *decl = graph.nodes[graph.at].decl;
    if (decl->kind == DK_DECL_TASK) {
      read_task(&reader, decl->checked);
      continue;
    }
    const struct dk_checked_pick *pick = decl->checked;
    if (pick->from) add_edge(&reader, pick->from->decl, NULL, decl->name_span);
  }
  uint32_t *stack = dk_arena_array(checker->arena, uint32_t, graph.n_nodes + 1),
           *depth_of = dk_arena_array(checker->arena, uint32_t, graph.n_nodes + 1);
  for (uint32_t i = 0; i < graph.n_nodes; i++)
    if (graph.nodes[i].state == NEW) search(&graph, i, stack, depth_of);
}
