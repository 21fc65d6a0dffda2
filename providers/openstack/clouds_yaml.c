/* See clouds_yaml.h. YAML is libyaml's, which only this file knows. */
#include "providers/openstack/clouds_yaml.h"

#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

#define FILE_MOST (1u << 20)
#define MERGES_MOST 8 /* `<<` of `<<`: an alias may lead to itself */

struct dk_clouds_yaml {
  struct {
    char path[4096];
    yaml_document_t document;
    bool is_there;
    yaml_node_t *cloud; /* in it; NULL: it does not have it */
  } files[2];           /* secure.yaml, whose words count first, and clouds.yaml */
};

enum { SECURE, CLOUDS };

/* --- the document --- */

static const char *text_of(const yaml_node_t *node) {
  if (!node || node->type != YAML_SCALAR_NODE) return NULL;
  const char *text = (const char *)node->data.scalar.value;
  bool is_plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  if (is_plain && (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) return NULL;
  return strlen(text) == node->data.scalar.length ? text : NULL;
}

/* loader.py, _util.normalize_keys: - is as good as _. */
static bool is_name(const yaml_node_t *key, const char *name) {
  const char *text = text_of(key);

  if (!text || strlen(text) != strlen(name)) return false;
  for (; *text; text++, name++)
    if (*text != *name && !(*text == '-' && *name == '_')) return false;
  return true;
}

static yaml_node_t *find_member(yaml_document_t *document, const yaml_node_t *in, const char *name, int merges);

static yaml_node_t *find_merged(yaml_document_t *document, const yaml_node_t *in, const char *name, int merges) {
  yaml_node_t *found = NULL;

  if (!in || in->type != YAML_SEQUENCE_NODE) return find_member(document, in, name, merges);
  for (const yaml_node_item_t *at = in->data.sequence.items.start; at < in->data.sequence.items.top && !found; at++)
    found = find_member(document, yaml_document_get_node(document, *at), name, merges);
  return found;
}

static yaml_node_t *find_member(yaml_document_t *document, const yaml_node_t *in, const char *name, int merges) {
  if (!in || in->type != YAML_MAPPING_NODE) return NULL;
  const yaml_node_pair_t *pairs = in->data.mapping.pairs.start, *end = in->data.mapping.pairs.top;
  for (const yaml_node_pair_t *pair = pairs; pair < end; pair++)
    if (is_name(yaml_document_get_node(document, pair->key), name))
      return yaml_document_get_node(document, pair->value);
  for (const yaml_node_pair_t *pair = pairs; pair < end && merges < MERGES_MOST; pair++) {
    if (!is_name(yaml_document_get_node(document, pair->key), "<<")) continue;
    yaml_node_t *found = find_merged(document, yaml_document_get_node(document, pair->value), name, merges + 1);
    if (found) return found;
  }
  return NULL;
}

static yaml_node_t *find_clouds(yaml_document_t *document) {
  return find_member(document, yaml_document_get_root_node(document), "clouds", 0);
}

static void wipe(yaml_document_t *document) {
  for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++)
    if (node->type == YAML_SCALAR_NODE) explicit_bzero(node->data.scalar.value, node->data.scalar.length);
  yaml_document_delete(document);
}

/* --- files --- */

static int parse(const char *path, const struct dk_buf *text, yaml_document_t *ret, struct dk_error *error) {
  yaml_parser_t parser;

  if (!yaml_parser_initialize(&parser)) return dk_error_system(error, -ENOMEM, "reading %s", path);
  yaml_parser_set_input_string(&parser, (const unsigned char *)dk_buf_text(text), text->len);
  int r = 0;
  if (!yaml_parser_load(&parser, ret))
    r = parser.error == YAML_MEMORY_ERROR
            ? dk_error_system(error, -ENOMEM, "reading %s", path)
            : dk_error_set(error, -EBADMSG, "%s is no YAML: %s in line %zu", path,
                           parser.problem ? parser.problem : "it cannot be read", parser.problem_mark.line + 1);
  yaml_parser_delete(&parser);
  return r;
}

/* As providers.dk itself: it says where machines are made, and with them where tasks go. */
static int check_owner(const char *path, struct dk_error *error) {
  struct stat is;

  if (stat(path, &is) < 0) return dk_error_system(error, -errno, "reading %s", path);
  if ((is.st_uid == 0 || is.st_uid == geteuid()) && !(is.st_mode & (S_IWGRP | S_IWOTH))) return 0;
  return dk_error_set(error, -EACCES, "others may have written %s\nhelp: chown it to yourself, and chmod go-w it",
                      path);
}

static int load(struct dk_clouds_yaml *yaml, int which, struct dk_error *error) {
  const char *path = yaml->files[which].path;
  dk_autobuf text = DK_BUF_INIT;

  int r = check_owner(path, error);
  if (r == 0) r = dk_fs_read(path, FILE_MOST, &text, error);
  if (r == 0) r = parse(path, &text, &yaml->files[which].document, error);
  yaml->files[which].is_there = r == 0;
  if (text.data) explicit_bzero(text.data, text.len);
  return r;
}

static bool is_there(char *path, size_t size, const char *folder, const char *below, const char *name) {
  return folder && *folder && snprintf(path, size, "%s%s/%s", folder, below, name) < (int)size &&
         access(path, F_OK) == 0;
}

static int find_file(char *path, size_t size, struct dk_error *error) {
  static const char *const names[] = {"clouds.yaml", "clouds.yml"};
  const char *given = getenv("OS_CLIENT_CONFIG_FILE"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

  if (given && *given)
    return snprintf(path, size, "%s", given) < (int)size ? 0 : dk_error_system(error, -ENAMETOOLONG, "%s", given);
  for (size_t i = 0; i < 2; i++)
    if (is_there(path, size, config, "/openstack", names[i])) return 0;
  for (size_t i = 0; i < 2; i++)
    if (is_there(path, size, home, "/.config/openstack", names[i])) return 0;
  for (size_t i = 0; i < 2; i++)
    if (is_there(path, size, "/etc", "/openstack", names[i])) return 0;
  return dk_error_set(error, -ENOENT,
                      "there is no clouds.yaml in ~/.config/openstack or /etc/openstack\nhelp: put the file that your "
                      "cloud's web page offers there, or its path into OS_CLIENT_CONFIG_FILE");
}

/* secure.yaml beside it; none is fine. */
static int load_secure(struct dk_clouds_yaml *yaml, struct dk_error *error) {
  const char *path = yaml->files[CLOUDS].path, *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path + 1) : 0;
  char *secure = yaml->files[SECURE].path;

  if (snprintf(secure, sizeof yaml->files[SECURE].path, "%.*ssecure.yaml", folder, path) >=
          (int)sizeof yaml->files[SECURE].path ||
      access(secure, F_OK) < 0)
    return 0;
  return load(yaml, SECURE, error);
}

/* --- the cloud --- */

static int refuse_cloud(struct dk_clouds_yaml *yaml, const char *cloud, struct dk_error *error) {
  yaml_document_t *document = &yaml->files[CLOUDS].document;
  const yaml_node_t *clouds = find_clouds(document);
  char names[300] = "";

  for (const yaml_node_pair_t *pair = clouds && clouds->type == YAML_MAPPING_NODE ? clouds->data.mapping.pairs.start
                                                                                  : NULL;
       pair && pair < clouds->data.mapping.pairs.top; pair++) {
    const char *name = text_of(yaml_document_get_node(document, pair->key));
    size_t len = strlen(names);
    if (name) snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", name);
  }
  if (!names[0]) return dk_error_set(error, -ENOENT, "%s has no clouds", yaml->files[CLOUDS].path);
  if (!cloud)
    return dk_error_set(error, -EINVAL, "%s has several clouds\nhelp: `cloud` says which: %s", yaml->files[CLOUDS].path,
                        names);
  return dk_error_set(error, -ENOENT, "%s has no cloud `%.100s`\nhelp: it has: %s", yaml->files[CLOUDS].path, cloud,
                      names);
}

static int find_cloud(struct dk_clouds_yaml *yaml, const char *cloud, struct dk_error *error) {
  yaml_document_t *document = &yaml->files[CLOUDS].document;
  yaml_node_t *clouds = find_clouds(document);
  const char *name = cloud;

  bool is_single = clouds && clouds->type == YAML_MAPPING_NODE &&
                   clouds->data.mapping.pairs.top - clouds->data.mapping.pairs.start == 1;
  if (!name && is_single) name = text_of(yaml_document_get_node(document, clouds->data.mapping.pairs.start->key));
  if (name) yaml->files[CLOUDS].cloud = find_member(document, clouds, name, 0);
  if (!yaml->files[CLOUDS].cloud) return refuse_cloud(yaml, cloud, error);
  document = &yaml->files[SECURE].document;
  if (yaml->files[SECURE].is_there) yaml->files[SECURE].cloud = find_member(document, find_clouds(document), name, 0);
  return 0;
}

int dk_clouds_yaml_open(const char *cloud, struct dk_clouds_yaml **ret, struct dk_error *error) {
  struct dk_clouds_yaml *yaml = dk_calloc(1, sizeof *yaml);

  if (!yaml) return dk_error_system(error, -ENOMEM, "reading clouds.yaml");
  int r = find_file(yaml->files[CLOUDS].path, sizeof yaml->files[CLOUDS].path, error);
  if (r == 0) r = load(yaml, CLOUDS, error);
  if (r == 0) r = load_secure(yaml, error);
  if (r == 0) r = find_cloud(yaml, cloud, error);
  if (r < 0) {
    dk_clouds_yaml_close(yaml);
    return r;
  }
  *ret = yaml;
  return 0;
}

void dk_clouds_yaml_close(struct dk_clouds_yaml *yaml) {
  if (!yaml) return;
  for (int i = SECURE; i <= CLOUDS; i++)
    if (yaml->files[i].is_there) wipe(&yaml->files[i].document);
  dk_free(yaml);
}

const char *dk_clouds_yaml_get(const struct dk_clouds_yaml *yaml, const char *name) {
  for (int i = SECURE; i <= CLOUDS; i++) {
    yaml_document_t *document = (yaml_document_t *)&yaml->files[i].document;
    const yaml_node_t *cloud = yaml->files[i].cloud;
    if (!cloud) continue;
    const char *text = text_of(find_member(document, find_member(document, cloud, "auth", 0), name, 0));
    if (!text) text = text_of(find_member(document, cloud, name, 0));
    if (text) return text;
  }
  return NULL;
}

const char *dk_clouds_yaml_path(const struct dk_clouds_yaml *yaml) {
  return yaml->files[CLOUDS].path;
}
