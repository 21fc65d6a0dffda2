/* dkrun instances, dkrun down: the machines that are rented, as the engine has written them down, and giving them back.
 */
#include "engine/cli/client.h"
#include "engine/cli/columns.h"
#include "engine/rent/rent.h"
#include "engine/report/json.h"
#include "engine/store/rented.h"
#include "engine/sys/loop.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"
#include "lang/eval/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define NAME_SIZE (DK_RENT_NAME + 12)

struct instances {
  struct dk_rented *items;
  uint32_t n;
  uint8_t store[16];
  bool is_working; /* an engine looks after them */
};

static int look(struct dk_cli *cli, struct instances *ret, struct dk_error *error) {
  struct dk_rent_record *records = NULL;
  struct dk_store *store = NULL;
  uint32_t n = 0, pid;

  *ret = (struct instances){.is_working = dk_cli_engine_alive(cli, &pid)};
  int r = dk_cli_open_store(cli, &store, NULL, error);
  if (r == -ENOENT) return 0; /* nothing was run here yet */
  if (r == 0) r = dk_store_load_rented(store, &records, &n, error);
  if (r == 0) ret->items = dk_calloc(n + 1u, sizeof *ret->items);
  if (r == 0 && !ret->items) r = dk_error_system(error, -ENOMEM, "reading what machines there are");
  for (uint32_t i = 0; r == 0 && i < n; i++)
    if (records[i].kind == DK_RENT_REC_RENTED) ret->items[ret->n++] = records[i].rented;
  if (store) dk_store_id(store, ret->store);
  if (store) dk_store_close(store);
  dk_free(records);
  return r;
}

static void name_of(const struct dk_rented *rented, char ret[NAME_SIZE]) {
  snprintf(ret, NAME_SIZE, "%s-%u", rented->pool, rented->number);
}

static const char *state_of(const struct dk_rented *rented) {
  switch (rented->state) {
  case DK_RENT_ASKED: return "asked for";
  case DK_RENT_DOUBT: return "in doubt";
  case DK_RENT_MADE: return rented->is_leaving ? "leaving" : "boots";
  case DK_RENT_UP: return rented->is_leaving ? "leaving" : rented->is_builder ? "builds" : "up";
  case DK_RENT_ENDING: return "ending";
  }
  return "unknown";
}

/* --- as a table --- */

enum column { INSTANCE, STATE, SHAPE, CPUS, MEMORY, GPUS, SINCE, COST, CLOUD, N_COLUMNS };
static const struct dk_column_head heads[N_COLUMNS] = {
    [INSTANCE] = {.title = "instance"},
    [STATE] = {.title = "state"},
    [SHAPE] = {.title = "shape"},
    [CPUS] = {.title = "cpus", .is_number = true},
    [MEMORY] = {.title = "memory", .is_number = true},
    [GPUS] = {.title = "gpus", .is_number = true, .is_optional = true},
    [SINCE] = {.title = "since"},
    [COST] = {.title = "cost", .is_number = true, .is_optional = true},
    [CLOUD] = {.title = "in the cloud"},
};

static void add_cell(const struct dk_rented *rented, enum column column, const uint8_t store[16], struct dk_buf *out) {
  char text[DK_NUMBER_TEXT], name[NAME_SIZE], own[DK_RENT_NAME];
  uint64_t now = dk_unix_ns();

  switch (column) {
  case INSTANCE:
    name_of(rented, name);
    dk_buf_add_escaped(out, name, strlen(name));
    break;
  case STATE: dk_buf_add_text(out, state_of(rented)); break;
  case SHAPE: dk_buf_add_escaped(out, rented->shape.name, strlen(rented->shape.name)); break;
  case CPUS: dk_buf_printf(out, "%u", rented->shape.cpus); break;
  case MEMORY:
    dk_number_size_text(rented->shape.memory, text);
    dk_buf_add_text(out, text);
    break;
  case GPUS:
    if (rented->shape.gpus > 0)
      dk_buf_printf(out, "%u", rented->shape.gpus);
    else
      dk_buf_add_char(out, '-');
    break;
  case SINCE:
    dk_number_duration_text(now > rented->asked_unix_ns ? (now - rented->asked_unix_ns) / SECOND * SECOND : 0, text);
    dk_buf_add_text(out, text);
    break;
  case COST:
    if (dk_rented_cost(rented, now) > 0)
      dk_quantity_money_text(rented->shape.currency, dk_rented_cost(rented, now), out);
    else
      dk_buf_add_char(out, '-');
    break;
  case CLOUD: /* under its name there until it has an id */
    dk_rent_name(store, rented->incarnation, rented->number, own);
    dk_buf_add_escaped(out, *rented->id ? rented->id : own, strlen(*rented->id ? rented->id : own));
    break;
  case N_COLUMNS: break;
  }
}

/* A line for each place where there are some. */
static void add_places(const struct instances *all, struct dk_buf *out) {
  for (uint32_t i = 0; i < all->n; i++) {
    const struct dk_rented *rented = &all->items[i];
    bool is_first = *rented->where;
    for (uint32_t k = 0; k < i; k++)
      is_first &= strcmp(all->items[k].pool, rented->pool) != 0 || strcmp(all->items[k].where, rented->where) != 0;
    if (!is_first) continue;
    dk_buf_add_escaped(out, rented->pool, strlen(rented->pool));
    dk_buf_add_text(out, " is at ");
    dk_buf_add_escaped(out, rented->where, strlen(rented->where));
    dk_buf_add_char(out, '\n');
  }
}

static void add_table(const struct instances *all, const char **cells, struct dk_buf *texts, struct dk_buf *out) {
  dk_autobuf below = DK_BUF_INIT;

  for (uint32_t i = 0; i < all->n * N_COLUMNS; i++) {
    add_cell(&all->items[i / N_COLUMNS], (enum column)(i % N_COLUMNS), all->store, &texts[i]);
    cells[i] = dk_buf_text(&texts[i]);
    dk_buf_inherit(out, &texts[i]);
  }
  dk_columns_add(out, heads, N_COLUMNS, cells, all->n);
  for (uint32_t i = 0; i < all->n * N_COLUMNS; i++) dk_buf_finish(&texts[i]);
  add_places(all, &below);
  if (!all->is_working)
    dk_buf_add_text(&below,
                    "No engine works here. The next `dkrun` in this repository looks after them, and `dkrun down` "
                    "gives them back.\nWithout work each of them ends by itself.\n");
  dk_buf_inherit(out, &below);
  if (below.len) dk_buf_printf(out, "\n%s", dk_buf_text(&below));
}

static int add_text(const struct instances *all, struct dk_buf *out) {
  dk_autofree struct dk_buf *texts = dk_calloc(all->n * N_COLUMNS + 1u, sizeof *texts);
  dk_autofree const char **cells = dk_calloc(all->n * N_COLUMNS + 1u, sizeof *cells);

  if (!texts || !cells) return -ENOMEM;
  if (all->n == 0)
    dk_buf_add_text(out, "No machine is rented.\n");
  else
    add_table(all, cells, texts, out);
  return 0;
}

/* --- as JSON --- */

static void add_price(struct dk_buf *out, uint64_t price) {
  if (price == DK_RENT_NO_PRICE)
    dk_buf_add_text(out, ",\"price_per_hour\":null");
  else
    dk_buf_printf(out, ",\"price_per_hour\":%" PRIu64 ".%06" PRIu64, price / 1000000, price % 1000000);
}

static void add_json_row(const struct dk_rented *rented, const uint8_t store[16], struct dk_buf *out) {
  char name[NAME_SIZE], own[DK_RENT_NAME];

  name_of(rented, name);
  dk_rent_name(store, rented->incarnation, rented->number, own);
  dk_buf_add_text(out, "{\"instance\":");
  dk_json_add_string(out, name, strlen(name));
  dk_json_add_text_field(out, "provider", rented->pool);
  dk_json_add_text_field(out, "where", rented->where);
  dk_json_add_text_field(out, "state", state_of(rented));
  dk_json_add_text_field(out, "shape", rented->shape.name);
  dk_buf_printf(out, ",\"cpus\":%u,\"memory\":%" PRIu64 ",\"gpus\":%u", rented->shape.cpus, rented->shape.memory,
                rented->shape.gpus);
  add_price(out, rented->shape.price);
  dk_json_add_text_field(out, "currency", *rented->shape.currency ? rented->shape.currency : NULL);
  dk_buf_printf(out, ",\"cost_millionths\":%" PRIu64, dk_rented_cost(rented, dk_unix_ns()));
  dk_buf_printf(out, ",\"asked_unix\":%" PRIu64, rented->asked_unix_ns / SECOND);
  dk_json_add_text_field(out, "name", own);
  dk_json_add_text_field(out, "id", rented->id);
  dk_buf_add_char(out, '}');
}

static void add_json(const struct instances *all, struct dk_buf *out) {
  dk_buf_printf(out, "{\"version\":1,\"engine\":%s,\"instances\":[", all->is_working ? "true" : "false");
  for (uint32_t i = 0; i < all->n; i++) {
    dk_buf_add_text(out, i ? ",\n" : "\n");
    add_json_row(&all->items[i], all->store, out);
  }
  dk_buf_add_text(out, all->n ? "\n]}\n" : "]}\n");
}

/* --- the commands --- */

static int parse_look(struct dk_cli *cli, int argc, char **argv, bool *ret_json) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    if (opt != 'F') {
      r = dk_cli_option(cli, opt, argc, argv, options);
      continue;
    }
    *ret_json = strcmp(optarg, "json") == 0;
    if (!*ret_json && strcmp(optarg, "text") != 0)
      r = dk_cli_usage("instances", "--format takes text or json, not `%s`", optarg);
  }
  if (r < 0 && optind < argc) r = dk_cli_usage("instances", "no argument `%s` is wanted", argv[optind]);
  return r;
}

int dk_cmd_instances(struct dk_cli *cli, int argc, char **argv) {
  struct dk_error error = {0};
  struct instances all;
  dk_autobuf out = DK_BUF_INIT;
  bool is_json = false;
  int code = parse_look(cli, argc, argv, &is_json);

  if (code >= 0) return code;
  int r = dk_cli_find_root(cli, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  r = look(cli, &all, &error);
  if (r == 0 && is_json)
    add_json(&all, &out);
  else if (r == 0 && add_text(&all, &out) < 0)
    r = dk_error_system(&error, -ENOMEM, "listing the machines");
  dk_free(all.items);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  dk_cli_print(cli, &out);
  return DK_EXIT_OK;
}

static int parse_down(struct dk_cli *cli, int argc, char **argv, bool *ret_hard) {
  static const struct option options[] = {{"hard", no_argument, NULL, 'h'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    if (opt == 'h')
      *ret_hard = true;
    else
      r = dk_cli_option(cli, opt, argc, argv, options);
  }
  return r;
}

static int release(struct dk_cli *cli, const char *name, bool is_hard, struct dk_error *error) {
  struct dk_talk talk = {.kind = DK_TALK_RELEASE, .value = is_hard, .text = (char *)(uintptr_t)name}, answer;
  struct dk_client client = DK_CLIENT_INIT;
  int r = dk_client_start_call(cli, &talk, &client, &answer, error);

  if (r < 0) return r;
  dk_talk_finish(&answer);
  dk_client_close(&client);
  return 0;
}

static bool is_named(const struct dk_rented *rented, char *const *names, int n_names) {
  char own[NAME_SIZE];

  name_of(rented, own);
  for (int i = 0; i < n_names; i++)
    if (strcmp(names[i], rented->pool) == 0 || strcmp(names[i], own) == 0) return true;
  return n_names == 0;
}

/* How many machines there are of these names (none: of all), and whether an engine works here. */
static int count(struct dk_cli *cli, char *const *names, int n_names, uint32_t *ret, bool *ret_is_working,
                 struct dk_error *error) {
  struct instances all;
  int r = look(cli, &all, error);

  *ret = 0;
  *ret_is_working = all.is_working;
  for (uint32_t i = 0; r == 0 && i < all.n; i++) *ret += is_named(&all.items[i], names, n_names);
  dk_free(all.items);
  return r;
}

/* An engine is told also when there is none: it may be about to have one made. */
static int give_back(struct dk_cli *cli, char *const *names, int n_names, bool is_hard, uint32_t *ret_n,
                     struct dk_error *error) {
  bool is_working;
  int r = count(cli, names, n_names, ret_n, &is_working, error);

  if (r < 0 || (*ret_n == 0 && n_names == 0 && !is_working)) return r;
  if (n_names == 0) r = release(cli, "", is_hard, error);
  for (int i = 0; r == 0 && i < n_names; i++) r = release(cli, names[i], is_hard, error);
  return r < 0 ? r : count(cli, names, n_names, ret_n, &is_working, error);
}

int dk_cmd_down(struct dk_cli *cli, int argc, char **argv) {
  struct dk_error error = {0};
  bool is_hard = false;
  uint32_t n = 0;
  int code = parse_down(cli, argc, argv, &is_hard);

  if (code >= 0) return code;
  int r = dk_cli_find_root(cli, &error);
  if (r == 0) r = give_back(cli, argv + optind, argc - optind, is_hard, &n, &error);
  if (r < 0) return dk_cli_fail(DK_EXIT_ENGINE, &error);
  dk_cli_printf(cli, n == 0    ? (optind == argc ? "No machine is rented.\n" : "No machine of that name is rented.\n")
                     : is_hard ? "they go now: dkrun instances\n"
                               : "they go when what runs there has ended and is saved: dkrun instances\n");
  return DK_EXIT_OK;
}
