/* Reverse edges and countdown: see fan.h. */
#include "engine/core/fan.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <string.h>

uint32_t dk_fan_node(const struct dk_graph *graph, uint32_t task, uint32_t *hint) {
  const struct dk_graph_node *nodes = graph->nodes;
  if (task - nodes[*hint].first < nodes[*hint].rows) return *hint;
  uint32_t low = 0, high = graph->n_nodes; /* the last node with first <= task; empty ones before it share its first */
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (nodes[middle].first <= task)
      low = middle;
    else
      high = middle;
  }
  while (task - nodes[low].first >= nodes[low].rows) low--;
  return *hint = low;
}

/* --- building --- */

/* Index by counting sort: for each of n_keys, which items i have key[i]; DK_NO_ROW is left out. */
static int invert(const uint32_t *keys, uint32_t n, uint32_t n_keys, uint32_t **ret_off, uint32_t **ret_items) {
  uint32_t *off = dk_calloc((size_t)n_keys + 1, sizeof *off);
  uint32_t *items = dk_realloc_array(NULL, n ? n : 1, sizeof *items);
  *ret_off = off;
  *ret_items = items;
  if (!off || !items) return -ENOMEM;
  for (uint32_t i = 0; i < n; i++) {
    if (keys[i] != DK_NO_ROW) off[keys[i]]++;
  }
  for (uint32_t k = 0, sum = 0; k <= n_keys; k++) {
    uint32_t count = k < n_keys ? off[k] : 0;
    off[k] = sum += count;
  }
  for (uint32_t i = n; i-- > 0;) { /* from the end, so that each off[k] comes down to its start and items rise */
    if (keys[i] != DK_NO_ROW) items[--off[keys[i]]] = i;
  }
  return 0;
}

static int index_map(struct dk_fan_edge *fan, uint32_t consumer_rows, uint32_t producer_rows) {
  const uint32_t *map = fan->edge->map;
  fan->rises = true;
  for (uint32_t i = 1; i < consumer_rows && fan->rises; i++) fan->rises = map[i] >= map[i - 1];
  return fan->rises ? 0 : invert(map, consumer_rows, producer_rows, &fan->back_off, &fan->back);
}

/* Row -> groups, when a row may be in several. */
static int index_groups(struct dk_fan_edge *fan, uint32_t producer_rows) {
  const struct dk_edge *edge = fan->edge;
  uint32_t n = edge->off[edge->n_groups];
  int r = invert(edge->list, n, producer_rows, &fan->back_off, &fan->back);
  if (r < 0) return r;
  uint32_t *group = dk_realloc_array(NULL, n ? n : 1, sizeof *group); /* of a place in list */
  if (!group) return -ENOMEM;
  for (uint32_t g = 0; g < edge->n_groups; g++) {
    for (uint32_t i = edge->off[g]; i < edge->off[g + 1]; i++) group[i] = g;
  }
  for (uint32_t i = 0; i < n; i++) fan->back[i] = group[fan->back[i]];
  dk_free(group);
  return 0;
}

static int index_gather(struct dk_fan_edge *fan, uint32_t consumer_rows, uint32_t producer_rows) {
  const struct dk_edge *edge = fan->edge;
  fan->left = dk_calloc(edge->n_groups ? edge->n_groups : 1, sizeof *fan->left);
  fan->group_of = dk_realloc_array(NULL, producer_rows ? producer_rows : 1, sizeof *fan->group_of);
  if (!fan->left || !fan->group_of) return -ENOMEM;
  memset(fan->group_of, 0xff, (size_t)producer_rows * sizeof *fan->group_of);
  bool is_shared = false;
  for (uint32_t g = 0; g < edge->n_groups; g++) {
    fan->left[g] = edge->off[g + 1] - edge->off[g];
    for (uint32_t i = edge->off[g]; i < edge->off[g + 1]; i++) {
      is_shared |= fan->group_of[edge->list[i]] != DK_NO_ROW;
      fan->group_of[edge->list[i]] = g;
    }
  }
  if (is_shared) {
    dk_free(fan->group_of);
    fan->group_of = NULL;
    int r = index_groups(fan, producer_rows);
    if (r < 0) return r;
  }
  return edge->map ? invert(edge->map, consumer_rows, edge->n_groups, &fan->users_off, &fan->users) : 0;
}

static int index_edge(struct dk_fan_edge *fan, const struct dk_graph *graph) {
  uint32_t consumer_rows = graph->nodes[fan->consumer].rows, producer_rows = graph->nodes[fan->edge->producer].rows;
  switch (fan->edge->kind) {
  case DK_EDGE_ONE:
  case DK_EDGE_SAME: return 0;
  case DK_EDGE_MAP: return index_map(fan, consumer_rows, producer_rows);
  case DK_EDGE_ALL:
    fan->left = dk_calloc(1, sizeof *fan->left);
    if (!fan->left) return -ENOMEM;
    fan->left[0] = producer_rows;
    return 0;
  case DK_EDGE_GATHER: return index_gather(fan, consumer_rows, producer_rows);
  }
  return -EINVAL;
}

int dk_fan_init(struct dk_fan *fan, const struct dk_graph *graph) {
  *fan = (struct dk_fan){.graph = graph};
  size_t n = 0;
  for (uint32_t i = 0; i < graph->n_nodes; i++) n += graph->nodes[i].n_edges;
  fan->edges = dk_calloc(n ? n : 1, sizeof *fan->edges);
  fan->first = dk_calloc((size_t)graph->n_nodes + 1, sizeof *fan->first);
  if (!fan->edges || !fan->first) return -ENOMEM;
  for (uint32_t i = 0; i < graph->n_nodes; i++) {
    for (uint32_t k = 0; k < graph->nodes[i].n_edges; k++) fan->first[graph->nodes[i].edges[k].producer]++;
  }
  for (uint32_t i = 0, sum = 0; i <= graph->n_nodes; i++) {
    uint32_t count = i < graph->n_nodes ? fan->first[i] : 0;
    fan->first[i] = sum += count;
  }
  for (uint32_t i = graph->n_nodes; i-- > 0;) {
    for (uint32_t k = graph->nodes[i].n_edges; k-- > 0;) {
      const struct dk_edge *edge = &graph->nodes[i].edges[k];
      struct dk_fan_edge *to = &fan->edges[--fan->first[edge->producer]];
      to->consumer = i;
      to->edge = edge;
      int r = index_edge(to, graph);
      if (r < 0) return r;
    }
  }
  return 0;
}

void dk_fan_finish(struct dk_fan *fan) {
  uint32_t n = fan->edges && fan->first ? fan->first[fan->graph->n_nodes] : 0;
  for (uint32_t i = 0; i < n; i++) {
    struct dk_fan_edge *edge = &fan->edges[i];
    dk_free(edge->left);
    dk_free(edge->group_of);
    dk_free(edge->back_off);
    dk_free(edge->back);
    dk_free(edge->users_off);
    dk_free(edge->users);
  }
  dk_free(fan->edges);
  dk_free(fan->first);
  *fan = (struct dk_fan){0};
}

static bool waits_on(const struct dk_edge *edge, uint32_t producer_rows, uint32_t row) {
  switch (edge->kind) {
  case DK_EDGE_ONE:
  case DK_EDGE_ALL: return producer_rows > 0;
  case DK_EDGE_SAME: return true;
  case DK_EDGE_MAP: return edge->map[row] != DK_NO_ROW;
  case DK_EDGE_GATHER: {
    uint32_t group = edge->map ? edge->map[row] : row;
    return group != DK_NO_ROW && edge->off[group + 1] > edge->off[group];
  }
  }
  return false;
}

void dk_fan_waits(const struct dk_graph *graph, uint32_t node, uint32_t *waits) {
  const struct dk_graph_node *of = &graph->nodes[node];
  memset(waits, 0, (size_t)of->rows * sizeof *waits);
  for (uint32_t k = 0; k < of->n_edges; k++) {
    const struct dk_edge *edge = &of->edges[k];
    for (uint32_t row = 0; row < of->rows; row++) {
      waits[row] += waits_on(edge, graph->nodes[edge->producer].rows, row);
    }
  }
}

/* --- walking --- */

void dk_fan_start(const struct dk_fan *fan, struct dk_fan_cursor *cursor, uint32_t task, bool good, bool again) {
  uint32_t node = dk_fan_node(fan->graph, task, &cursor->node);
  *cursor = (struct dk_fan_cursor){.task = task,
                                   .node = node,
                                   .row = task - fan->graph->nodes[node].first,
                                   .good = good,
                                   .again = again,
                                   .edge = fan->first[node]};
}

/* First row of a rising map that is at least `value`. */
static uint32_t lower_bound(const uint32_t *map, uint32_t n, uint64_t value) {
  uint32_t low = 0, high = n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (map[middle] < value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* A hit is a group that the row belongs to, or, for edges without groups, the row itself. */
static uint32_t n_hits(const struct dk_fan_edge *edge, uint32_t row) {
  switch (edge->edge->kind) {
  case DK_EDGE_ONE: return row == 0;
  case DK_EDGE_GATHER:
    if (edge->group_of) return edge->group_of[row] != DK_NO_ROW;
    return edge->back_off[row + 1] - edge->back_off[row];
  default: return 1;
  }
}

static uint32_t hit_group(const struct dk_fan_edge *edge, uint32_t row, uint32_t hit) {
  if (edge->edge->kind != DK_EDGE_GATHER) return 0;
  return edge->group_of ? edge->group_of[row] : edge->back[edge->back_off[row] + hit];
}

/* The consumer rows of the cursor's hit. */
static void find_users(const struct dk_fan_edge *edge, uint32_t rows, struct dk_fan_cursor *cursor) {
  uint32_t row = cursor->row;
  cursor->at = 0;
  cursor->list = NULL;
  cursor->first = 0;
  cursor->n = rows;
  switch (edge->edge->kind) {
  case DK_EDGE_ONE:
  case DK_EDGE_ALL: return;
  case DK_EDGE_SAME:
    cursor->first = row;
    cursor->n = row < rows;
    return;
  case DK_EDGE_MAP:
    if (edge->rises) {
      cursor->first = lower_bound(edge->edge->map, rows, row);
      cursor->n = lower_bound(edge->edge->map, rows, (uint64_t)row + 1) - cursor->first;
    } else {
      cursor->list = edge->back + edge->back_off[row];
      cursor->n = edge->back_off[row + 1] - edge->back_off[row];
    }
    return;
  case DK_EDGE_GATHER: {
    uint32_t group = hit_group(edge, row, cursor->hit);
    cursor->first = group;
    cursor->n = group < rows;
    if (edge->users_off) {
      cursor->list = edge->users + edge->users_off[group];
      cursor->n = edge->users_off[group + 1] - edge->users_off[group];
    }
    return;
  }
  }
}

/* Counts the hit; true when its consumers are to hear of it. */
static bool open_hit(struct dk_fan_edge *edge, struct dk_fan_cursor *cursor) {
  cursor->broken = !cursor->good && !edge->edge->skip_failed;
  if (cursor->again && !cursor->broken) return false;
  if (!edge->left) return true;
  uint32_t *left = &edge->left[hit_group(edge, cursor->row, cursor->hit)];
  if (*left == DK_FAN_BROKEN) return false;
  if (cursor->broken)
    *left = DK_FAN_BROKEN;
  else
    --*left;
  return cursor->broken || *left == 0;
}

bool dk_fan_next(struct dk_fan *fan, struct dk_fan_cursor *cursor, uint32_t *work, uint32_t *ret_task,
                 bool *ret_broken) {
  while (*work > 0) {
    if (cursor->edge == fan->first[cursor->node + 1]) {
      cursor->task = DK_NO_TASK;
      return false;
    }
    --*work;
    struct dk_fan_edge *edge = &fan->edges[cursor->edge];
    if (!cursor->open) {
      if (cursor->hit == n_hits(edge, cursor->row)) {
        cursor->edge++;
        cursor->hit = 0;
      } else if (open_hit(edge, cursor)) {
        cursor->open = true;
        find_users(edge, fan->graph->nodes[edge->consumer].rows, cursor);
      } else {
        cursor->hit++;
      }
      continue;
    }
    if (cursor->at == cursor->n) {
      cursor->open = false;
      cursor->hit++;
      continue;
    }
    uint32_t row = cursor->list ? cursor->list[cursor->at] : cursor->first + cursor->at;
    cursor->at++;
    *ret_task = fan->graph->nodes[edge->consumer].first + row;
    *ret_broken = cursor->broken;
    return true;
  }
  return false;
}
