/* dkrun images: those that dkrun has made in the clouds, and deleting what no file of providers names any more. */
#include "engine/cli/cli.h"

#include "engine/cli/clouds.h"
#include "engine/cli/columns.h"
#include "engine/cli/hosts.h"
#include "engine/cli/providers.h"
#include "engine/drive/owner.h"
#include "engine/report/json.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

struct image {
  struct dk_cloud_image is; /* texts owned */
  int64_t age_s;            /* by the cloud's clock; -1: not known */
  uint32_t cloud;           /* of images.clouds */
  const char *name;         /* as a file of providers calls it; NULL: none does */
  bool is_mine;             /* this user made it on this machine, says its tag */
};

struct images {
  struct dk_cli *cli;
  const char *provider; /* NULL: all */
  bool is_prune, is_json, all, yes;
  struct dk_hosts hosts;
  const struct dk_cloud_entry **clouds;
  struct dk_clouds_line *lines; /* of each */
  uint32_t n_clouds;
  struct image *items;
  uint32_t n, cap;
  char mine[DK_CLOUD_OWNER]; /* what tags of this user on this machine begin with */
  bool has_failed;           /* something could not be asked or done: it was said */
};

/* --- what is asked --- */

static int parse(int argc, char **argv, struct images *ret) {
  static const struct option options[] = {{"all", no_argument, NULL, 'A'},
                                          {"yes", no_argument, NULL, 'y'},
                                          {"format", required_argument, NULL, 'F'},
                                          DK_CLI_OPTIONS,
                                          {NULL, 0, NULL, 0}};
  int opt, r = -1;

  dk_cli_options_reset();
  while (r < 0 && (opt = getopt_long(argc, argv, ":y", options, NULL)) != -1) {
    if (opt == 'A') {
      ret->all = true;
    } else if (opt == 'y') {
      ret->yes = true;
    } else if (opt == 'F') {
      ret->is_json = strcmp(optarg, "json") == 0;
      if (!ret->is_json && strcmp(optarg, "text") != 0)
        r = dk_cli_usage("images", "--format takes text or json, not `%s`", optarg);
    } else {
      r = dk_cli_option(ret->cli, opt, argc, argv, options);
    }
  }
  if (r >= 0) return r;
  ret->is_prune = optind < argc && strcmp(argv[optind], "prune") == 0;
  optind += ret->is_prune;
  if (optind < argc) ret->provider = argv[optind++];
  if (optind < argc) return dk_cli_usage("images", "one provider at a time: `%s` is one too many", argv[optind]);
  if ((ret->all || ret->yes) && !ret->is_prune)
    return dk_cli_usage("images", "--%s goes with `dkrun images prune`", ret->all ? "all" : "yes");
  return -1;
}

/* --- what there is --- */

struct listing {
  struct images *images;
  uint32_t cloud;
  bool is_complete, is_full;
};

static void free_image(struct image *image) {
  dk_free((char *)(uintptr_t)image->is.id);
  dk_free((char *)(uintptr_t)image->is.name);
  dk_free((char *)(uintptr_t)image->is.recipe);
  dk_free((char *)(uintptr_t)image->is.owner);
}

static const char *name_of(const struct dk_hosts *hosts, const char *recipe) {
  for (uint32_t i = 0; i < hosts->n_clouds; i++)
    if (strcmp(hosts->clouds[i].image.digest, recipe) == 0) return hosts->clouds[i].image.name;
  return NULL;
}

static void add(struct listing *listing, const struct dk_cloud_image *at, int64_t now_unix) {
  struct images *images = listing->images;
  struct image added = {.is = *at, .cloud = listing->cloud, .age_s = -1};

  added.is.id = dk_strdup(at->id);
  added.is.name = dk_strdup(at->name);
  added.is.recipe = dk_strdup(at->recipe);
  added.is.owner = dk_strdup(at->owner ? at->owner : "");
  bool is_whole = added.is.id && added.is.name && added.is.recipe && added.is.owner;
  if (!is_whole || !dk_grow(images->items, images->n, images->cap)) {
    free_image(&added);
    listing->is_full = true;
    return;
  }
  if (at->made_unix && now_unix >= at->made_unix) added.age_s = now_unix - at->made_unix;
  added.name = name_of(&images->hosts, at->recipe);
  added.is_mine = strncmp(added.is.owner, images->mine, strlen(images->mine)) == 0;
  images->items[images->n++] = added;
}

static void take_list(void *ctx, const struct dk_cloud_result *result) {
  struct listing *listing = ctx;

  listing->is_complete = result->is_complete;
  for (uint32_t i = 0; i < result->n_images && !listing->is_full; i++)
    add(listing, &result->images[i], result->now_unix);
}

/* Two providers may be of one place. */
static bool is_known(const struct images *images, const struct dk_clouds_line *line) {
  for (uint32_t i = 0; i < images->n_clouds; i++) {
    const struct dk_clouds_line *other = &images->lines[i];
    if (other->provider == line->provider &&
        strcmp(line->provider->where(other->cloud), line->provider->where(line->cloud)) == 0)
      return true;
  }
  return false;
}

static void ask(struct images *images, const struct dk_cloud_entry *entry) {
  const struct dk_cloud_order order = {.kind = DK_CLOUD_LIST_IMAGES};
  struct listing listing = {.images = images, .cloud = images->n_clouds};
  struct dk_clouds_line line;
  struct dk_error error = {0};

  int r = dk_clouds_open(entry, &line, &error);
  if (r == 0 && is_known(images, &line)) {
    dk_clouds_close(&line);
    return;
  }
  if (r == 0) {
    images->clouds[images->n_clouds] = entry;
    images->lines[images->n_clouds++] = line;
    r = dk_clouds_ask(&line, &order, take_list, &listing, &error);
  }
  if (r == 0 && listing.is_full) r = dk_error_system(&error, -ENOMEM, "listing images");
  if (r == 0 && !listing.is_complete)
    r = dk_error_set(&error, -EIO, "%s: the cloud cannot list all of its images now: there may be more",
                     entry->config.provider);
  if (r == 0) return;
  dk_cli_fail(DK_EXIT_ENGINE, &error);
  images->has_failed = true;
}

static int look(struct images *images) {
  uint32_t n = 0;
  struct dk_error error = {0};

  dk_cli_find_root(images->cli, NULL); /* elsewhere there is the user's file alone */
  if (dk_hosts_load(images->cli->root, &images->hosts, &error) < 0)
    return dk_providers_fail(images->cli, &images->hosts, &error);
  dk_owner_write("/", images->mine);
  images->mine[strcspn(images->mine, "/")] = '\0';
  for (uint32_t i = 0; i < images->hosts.n_clouds; i++) n += dk_clouds_is(&images->hosts.clouds[i], images->provider);
  if (n == 0 && images->provider) return dk_hosts_no_such(&images->hosts, images->provider);
  if (n == 0)
    return dk_cli_failf(DK_EXIT_ENGINE, "no file of providers names a cloud, so nobody can be asked\nhelp: say in "
                                        "providers.dk where machines are made: `dkrun help providers`");
  images->clouds = dk_calloc(n, sizeof *images->clouds);
  images->lines = dk_calloc(n, sizeof *images->lines);
  if (!images->clouds || !images->lines) return dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  for (uint32_t i = 0; i < images->hosts.n_clouds; i++)
    if (dk_clouds_is(&images->hosts.clouds[i], images->provider)) ask(images, &images->hosts.clouds[i]);
  return DK_EXIT_OK;
}

static void finish(struct images *images) {
  for (uint32_t i = 0; i < images->n_clouds; i++) dk_clouds_close(&images->lines[i]);
  for (uint32_t i = 0; i < images->n; i++) free_image(&images->items[i]);
  dk_free(images->clouds);
  dk_free(images->lines);
  dk_free(images->items);
  dk_hosts_finish(&images->hosts);
}

/* --- for people --- */

enum column { IMAGE, PROVIDER, STATE, SIZE, AGE, MADE_BY, N_COLUMNS };
static const struct dk_column_head heads[N_COLUMNS] = {
    [IMAGE] = {.title = "image"}, [PROVIDER] = {.title = "provider"},
    [STATE] = {.title = "state"}, [SIZE] = {.title = "size", .is_number = true},
    [AGE] = {.title = "age"},     [MADE_BY] = {.title = "made by"},
};

static const char *state_of(enum dk_image_state state) {
  static const char *const words[] = {[DK_IMAGE_UNKNOWN] = "unknown",
                                      [DK_IMAGE_SAVING] = "saving",
                                      [DK_IMAGE_READY] = "ready",
                                      [DK_IMAGE_FAILED] = "failed"};

  return words[state];
}

/* What no file names any more has no name: its recipe's first digits. */
static void add_cell(const struct images *images, const struct image *image, enum column column, struct dk_buf *out) {
  char text[DK_NUMBER_TEXT] = "-";

  switch (column) {
  case IMAGE:
    if (image->name)
      dk_buf_add_escaped(out, image->name, strlen(image->name));
    else
      dk_buf_add_escaped(out, image->is.recipe, strnlen(image->is.recipe, 12));
    return;
  case PROVIDER: dk_buf_add_text(out, images->clouds[image->cloud]->config.provider); return;
  case STATE: dk_buf_add_text(out, state_of(image->is.state)); return;
  case SIZE:
    if (image->is.size) dk_number_size_text(image->is.size, text);
    break;
  case AGE:
    if (image->age_s >= 0) dk_number_duration_text((uint64_t)image->age_s * SECOND, text);
    break;
  case MADE_BY: dk_buf_add_escaped(out, image->is.owner, strlen(image->is.owner)); return;
  case N_COLUMNS: break;
  }
  dk_buf_add_text(out, text);
}

static bool is_due(const struct images *images, const struct image *image) {
  return !image->name && (image->is_mine || images->all);
}

static uint32_t count_due(const struct images *images, bool of_others) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < images->n; i++)
    n += of_others ? !images->items[i].name && !images->items[i].is_mine : is_due(images, &images->items[i]);
  return n;
}

static int add_table(const struct images *images, struct dk_buf *out) {
  size_t n = (size_t)images->n * N_COLUMNS;
  dk_autofree struct dk_buf *texts = dk_calloc(n + 1u, sizeof *texts);
  dk_autofree const char **cells = dk_calloc(n + 1u, sizeof *cells);

  if (!texts || !cells) return -ENOMEM;
  for (size_t i = 0; i < n; i++) {
    add_cell(images, &images->items[i / N_COLUMNS], (enum column)(i % N_COLUMNS), &texts[i]);
    cells[i] = dk_buf_text(&texts[i]);
    dk_buf_inherit(out, &texts[i]);
  }
  dk_columns_add(out, heads, N_COLUMNS, cells, images->n);
  for (size_t i = 0; i < n; i++) dk_buf_finish(&texts[i]);
  return 0;
}

static int show(const struct images *images, struct dk_buf *out) {
  uint32_t n_due = count_due(images, false), n_others = count_due(images, true);

  if (images->n == 0) {
    if (!images->has_failed) dk_buf_add_text(out, "dkrun has made no image there.\n");
    return 0;
  }
  int r = add_table(images, out);
  if (n_due && !images->is_prune)
    dk_buf_printf(out, "\n%u of them no file of providers names any more: dkrun images prune\n", n_due);
  if (n_others && !images->all)
    dk_buf_printf(out, "%s%u that no file here names %s made by others, or elsewhere: `prune --all` takes those too\n",
                  n_due && !images->is_prune ? "" : "\n", n_others, n_others == 1 ? "was" : "were");
  return r;
}

/* --- as JSON --- */

static void add_json(const struct images *images, struct dk_buf *out) {
  dk_buf_add_text(out, "{\"version\":1,\"images\":[");
  for (uint32_t i = 0; i < images->n; i++) {
    const struct image *image = &images->items[i];
    dk_buf_add_text(out, i ? ",\n{\"provider\":" : "\n{\"provider\":");
    const char *provider = images->clouds[image->cloud]->config.provider;
    dk_json_add_string(out, provider, strlen(provider));
    dk_json_add_text_field(out, "image", image->name);
    dk_json_add_text_field(out, "recipe", image->is.recipe);
    dk_json_add_text_field(out, "id", image->is.id);
    dk_json_add_text_field(out, "state", state_of(image->is.state));
    dk_json_add_number_field(out, "size", image->is.size > 0, image->is.size);
    dk_json_add_number_field(out, "made_unix", image->is.made_unix > 0, (uint64_t)image->is.made_unix);
    dk_json_add_text_field(out, "made_by", image->is.owner);
    dk_buf_add_char(out, '}');
  }
  dk_buf_add_text(out, images->n ? "\n]}\n" : "]}\n");
}

/* --- prune --- */

static void on_deleted(void *ctx, const struct dk_cloud_result *result) {
  (void)ctx, (void)result;
}

static int prune(struct images *images) {
  uint32_t n = count_due(images, false), n_deleted = 0;
  char question[80];

  if (n == 0) {
    dk_cli_printf(images->cli, "nothing to delete\n");
    return DK_EXIT_OK;
  }
  if (!images->yes && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
    dk_cli_printf(images->cli, "nothing was deleted; with --yes %u image%s would be\n", n, dk_cli_s(n));
    return DK_EXIT_OK;
  }
  snprintf(question, sizeof question, "Delete %u image%s that no file of providers names? [y/N] ", n, dk_cli_s(n));
  if (!images->yes && !dk_cli_is_agreed(images->cli, question)) {
    dk_cli_printf(images->cli, "nothing was deleted\n");
    return DK_EXIT_FAILED;
  }
  for (uint32_t i = 0; i < images->n; i++) {
    const struct image *image = &images->items[i];
    const struct dk_cloud_order order = {.kind = DK_CLOUD_DELETE_IMAGE, .id = image->is.id};
    struct dk_error error = {0};
    if (!is_due(images, image)) continue;
    if (dk_clouds_ask(&images->lines[image->cloud], &order, on_deleted, NULL, &error) == 0) {
      n_deleted++;
      continue;
    }
    dk_cli_fail(DK_EXIT_ENGINE, &error);
    images->has_failed = true;
  }
  dk_cli_printf(images->cli, "deleted %u of %u image%s\n", n_deleted, n, dk_cli_s(n));
  return DK_EXIT_OK;
}

int dk_cmd_images(struct dk_cli *cli, int argc, char **argv) {
  struct images images = {.cli = cli};
  dk_autobuf out = DK_BUF_INIT;
  int code = parse(argc, argv, &images);

  if (code >= 0) return code;
  code = look(&images);
  if (code == DK_EXIT_OK && images.is_json)
    add_json(&images, &out);
  else if (code == DK_EXIT_OK && show(&images, &out) < 0)
    code = dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
  if (code == DK_EXIT_OK) dk_cli_print(cli, &out);
  if (code == DK_EXIT_OK && images.is_prune) code = prune(&images);
  if (code == DK_EXIT_OK && images.has_failed) code = DK_EXIT_ENGINE;
  finish(&images);
  return code;
}
