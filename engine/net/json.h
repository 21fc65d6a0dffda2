/* A JSON document that came from elsewhere: read within bounds, and looked at by getters whose errors name the place,
 * so that drivers' parsers stay short.
 *
 * A dk_json is a place in the document: a value and the way to it. It lives on the caller's stack, is valid while the
 * place that it was got from and the document are, and owns nothing; only dk_json_parse's is finished. */
#ifndef DK_NET_JSON_H
#define DK_NET_JSON_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DK_JSON_MOST ((size_t)16 << 20) /* bytes */
#define DK_JSON_VALUES_MOST 1000000u
#define DK_JSON_DEPTH_MOST 64u

struct json_t;

struct dk_json {
  const struct json_t *value;
  const struct dk_json *parent; /* NULL: the document */
  const char *name;             /* in an object; NULL: the index-th of an array */
  uint32_t index;
  const char *label; /* of the document */
};

/* `label` ("lab-cloud: list servers") begins all words about it, and must outlive it. 0, -EBADMSG (no JSON, too
 * deep, too many values: the words quote how it begins), -EMSGSIZE, -ENOMEM. On failure nothing is owned. */
int dk_json_parse(const char *text, size_t len, const char *label, struct dk_json *ret, struct dk_error *error);
void dk_json_finish(struct dk_json *document); /* one that is zeroed is fine */

/* A member that must be there; null is as good as none. 0, -EBADMSG. */
int dk_json_get(const struct dk_json *in, const char *name, struct dk_json *ret, struct dk_error *error);
/* One that may be: false when there is none, or null. */
bool dk_json_find(const struct dk_json *in, const char *name, struct dk_json *ret);
/* An array that must be there, and how many it has. */
int dk_json_list(const struct dk_json *in, const char *name, struct dk_json *ret, uint32_t *ret_n,
                 struct dk_error *error);
void dk_json_item(const struct dk_json *list, uint32_t i, struct dk_json *ret); /* i < n */
/* The members of an object, one after the other, those that are null too: `at` is zeroed to begin with. false: that was
 * all, or it is no object. */
bool dk_json_next(const struct dk_json *object, struct dk_json *at);
bool dk_json_is_object(const struct dk_json *at);

/* Members that must be there, of that type. 0, -EBADMSG; *ret is set only on 0. Texts are UTF-8 without NUL and live
 * as long as the document. An integer may come as a text, too (some clouds write them so). Times are RFC 3339, in
 * Unix seconds (fractions are dropped, one without a zone is taken as UTC). */
int dk_json_text(const struct dk_json *in, const char *name, const char **ret, struct dk_error *error);
int dk_json_int(const struct dk_json *in, const char *name, int64_t *ret, struct dk_error *error);
int dk_json_number(const struct dk_json *in, const char *name, double *ret, struct dk_error *error);
int dk_json_bool(const struct dk_json *in, const char *name, bool *ret, struct dk_error *error);
int dk_json_time(const struct dk_json *in, const char *name, int64_t *ret, struct dk_error *error);
/* What is there, when it is a text; else `otherwise`. */
const char *dk_json_text_or(const struct dk_json *in, const char *name, const char *otherwise);
/* A text that must be there, not be empty, and fit with its NUL; one that may be missing, and is cut. */
int dk_json_copy_text(const struct dk_json *in, const char *name, char *ret, size_t size, struct dk_error *error);
void dk_json_copy_some(const struct dk_json *in, const char *name, char *ret, size_t size);
/* The place itself: its text, NULL when it is none. */
const char *dk_json_text_of(const struct dk_json *at);

/* "label: the answer's servers[2].flavor: WHAT". -EBADMSG. For what a driver itself finds wrong. */
int dk_json_refuse(const struct dk_json *in, const char *name, const char *what, struct dk_error *error);

/* RFC 3339, the whole text. */
bool dk_json_read_time(const char *text, int64_t *ret_unix_s);

#endif
