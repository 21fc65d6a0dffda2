/* The tables of fields: experiment, defaults, task, retry, resource, image, pick, table. */
#include "lang/check/schema.h"

#include "lang/base/str.h"

#include <string.h>

#define FIELDS(array) array, sizeof(array) / sizeof *(array)

static const struct dk_schema_field experiment_fields[] = {
    {"doc", DK_KIND_TEXT, false, false, "a text", "what is asked, in a line"},
    {"defaults", DK_KIND_BLOCK, false, false, "a block { ... }", "fields for all tasks that leave them out"},
};
const struct dk_schema dk_schema_experiment = {"an experiment", FIELDS(experiment_fields)};

#define RUN_KINDS (DK_KIND_TEXT | DK_KIND_LIST)
#define TIMEOUT                                                                                                        \
  { "timeout", DK_KIND_DURATION, false, false, "a duration such as 90s or 4h", "an attempt that takes longer is ended" }
#define NEEDS                                                                                                          \
  {                                                                                                                    \
    "needs", DK_KIND_RECORD, false, false, "a resource, or a record such as { cpus = 2 memory = 4GiB }",               \
        "the machine it runs on"                                                                                       \
  }
#define SHELL                                                                                                          \
  { "shell", DK_KIND_LIST, false, false, "a list of words such as [\"bash\", \"-eu\"]", "the interpreter of `run`" }
#define RETRY                                                                                                          \
  { "retry", DK_KIND_BLOCK, false, false, "a block such as { lost = 3 }", "how often what is tried again" }
#define ENV                                                                                                            \
  { "env", DK_KIND_BLOCK, false, false, "a block such as { SEED = seed }", "environment variables" }
#define PASS                                                                                                           \
  {                                                                                                                    \
    "pass", DK_KIND_LIST, false, false, "a list of names such as [\"HF_HOME\"]",                                       \
        "variables of the caller that are let through"                                                                 \
  }
#define CACHE                                                                                                          \
  { "cache", DK_KIND_TEXT, false, false, "\"none\"", "\"none\": always run, never reuse" }

static const struct dk_schema_field defaults_fields[] = {NEEDS, SHELL, TIMEOUT, RETRY, ENV, PASS, CACHE};
const struct dk_schema dk_schema_defaults = {"a defaults block", FIELDS(defaults_fields)};

static const struct dk_schema_field task_fields[] = {
    {"doc", DK_KIND_TEXT, false, false, "a text", "one line for listings"},
    {"run", RUN_KINDS, true, false, "a text for the shell, or a list: program and arguments", "the program"},
    SHELL,
    NEEDS,
    {"code", DK_KIND_LIST | DK_KIND_TEXT, false, false, "a list of paths such as [\"train.py\", \"model/\"]",
     "what of the repository it sees"},
    {"inputs", DK_KIND_BLOCK, false, false, "a block such as { data = prepare.data }",
     "files it reads, known by their content"},
    {"outputs", DK_KIND_BLOCK, false, false, "a block such as { model = \"model.bin\" }", "files it makes"},
    {"metrics", DK_KIND_BLOCK, false, false, "a block such as { loss = match(stdout, 'loss=([0-9.]+)') }",
     "numbers read from its log or files"},
    ENV,
    PASS,
    TIMEOUT,
    RETRY,
    {"at_once", DK_KIND_INT, false, false, "a whole number", "at most so many of its points at a time"},
    {"when", DK_KIND_BOOL, false, false, "a condition", "false: the point is skipped"},
    CACHE,
    {"nodes", DK_KIND_INT, false, true, "a whole number", "machines at once"},
    {"after", DK_KIND_NAMES, false, true, "a list of tasks", "tasks that must have ended before"},
    {"keep", DK_KIND_ANY, false, true, "a directory", "survives retries"},
    {"image", DK_KIND_ANY, false, true, "a container image", "the system it runs in"},
    {"source", DK_KIND_ANY, false, true, "a source", "another repository's code"},
    {"provider", DK_KIND_ANY, false, true, "a provider", "where it runs"},
};
const struct dk_schema dk_schema_task = {"a task", FIELDS(task_fields)};

static const struct dk_schema_field retry_fields[] = {
    {"lost", DK_KIND_INT, false, false, "a whole number", "times after its machine was lost; 3"},
    {"oom", DK_KIND_INT, false, false, "a whole number", "times after it ran out of memory; 0"},
    {"exit", DK_KIND_LIST, false, false, "a list of exit codes such as [75]", "exit codes that are worth another try"},
    {"grow", DK_KIND_RECORD | DK_KIND_BLOCK, false, false, "a record such as { memory = 2 }",
     "factors for what it needs, at each retry"},
};
const struct dk_schema dk_schema_retry = {"a retry block", FIELDS(retry_fields)};

static const struct dk_schema_field resource_fields[] = {
    {"cpus", DK_KIND_INT, false, false, "a whole number", "processors"},
    {"memory", DK_KIND_SIZE, false, false, "a size such as 4GiB", "main memory"},
    {"disk", DK_KIND_SIZE, false, false, "a size such as 100GiB", "free disk"},
    {"gpus", DK_KIND_INT, false, false, "a whole number", "graphics processors"},
    {"gpu", DK_KIND_TEXT, false, false, "a model's name such as \"V100\"", "their model"},
    {"spot", DK_KIND_BOOL, false, false, "true or false", "machines that may be taken away are fine"},
    {"sandbox", DK_KIND_BOOL, false, false, "true or false",
     "false: it may read all of the repository, and use sudo, mount and containers"},
};
const struct dk_schema dk_schema_resource = {"a resource", FIELDS(resource_fields)};

static const struct dk_schema_field image_fields[] = {
    {"from", DK_KIND_TEXT, true, false, "the name of an image of the cloud", "the image that it begins with"},
    {"setup", DK_KIND_TEXT, true, false, "a script for sh", "what root runs there, once, before it is kept"},
};
const struct dk_schema dk_schema_image = {"an image", FIELDS(image_fields)};

static const struct dk_schema_field pick_fields[] = {
    {"doc", DK_KIND_TEXT, false, false, "a text", "one line for listings"},
    {"from", DK_KIND_NAMES, true, false, "a task's name", "whose points are compared"},
    {"maximize", DK_KIND_NAMES, false, false, "a metric's name", "the largest wins"},
    {"minimize", DK_KIND_NAMES, false, false, "a metric's name", "the smallest wins"},
    {"per", DK_KIND_NAMES, false, false, "a list of columns such as [dataset]", "one choice for each of their values"},
    {"mean_over", DK_KIND_NAMES, false, false, "a list of columns such as [seed]", "the mean over these is compared"},
    {"failed", DK_KIND_TEXT, false, false, "\"skip\"", "\"skip\": failed points are left out"},
    {"best", DK_KIND_INT, false, false, "a whole number", "the best k, as an axis `rank`"},
};
const struct dk_schema dk_schema_pick = {"a pick", FIELDS(pick_fields)};

static const struct dk_schema_field table_fields[] = {
    {"from", DK_KIND_NAMES, true, false, "a task's name or a list of them", "whose points are the rows"},
    {"columns", DK_KIND_LIST | DK_KIND_REF, false, false, "a list such as [lr, best.c, accuracy]",
     "columns, metrics, `task`, or a pick's"},
    {"title", DK_KIND_TEXT, false, false, "a text", "above the table"},
    {"sort", DK_KIND_ANY | DK_KIND_REF, false, false, "a column or metric", "order of the rows"},
    {"descending", DK_KIND_BOOL, false, false, "true or false", "the largest first"},
};
const struct dk_schema dk_schema_table = {"a table", FIELDS(table_fields)};

const struct dk_schema_field *dk_schema_find(const struct dk_schema *schema, const char *name) {
  for (uint32_t i = 0; i < schema->n_fields; i++)
    if (strcmp(schema->fields[i].name, name) == 0) return &schema->fields[i];
  return NULL;
}

const char *dk_schema_nearest(const struct dk_schema *schema, const char *name) {
  const char *names[DK_SCHEMA_MAX];
  uint32_t n = 0;
  for (; n < schema->n_fields && n < DK_SCHEMA_MAX; n++) names[n] = schema->fields[n].name;
  return dk_nearest(name, names, n);
}
