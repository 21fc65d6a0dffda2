/* Clouds of the files of providers, as commands say them. */
#ifndef DK_CLI_CLOUDS_H
#define DK_CLI_CLOUDS_H

#include "engine/cli/cli.h"
#include "engine/drive/hosts.h"

/* "up to 4 instances of small or large" */
void dk_clouds_add_what(const struct dk_cloud_entry *cloud, struct dk_buf *out);
/* "small (2 cpus, 4 GiB, 0.1USD/h), large (8 cpus, 1 gpu)"; "" when the file has none. */
void dk_clouds_add_shapes(const struct dk_cloud_entry *cloud, struct dk_buf *out);
/* Asks it, blocking for a minute and a half at most: are the credentials, the image and the rest of the block right? 0
 * with a line about it; negative with words. Nothing is made there. */
int dk_clouds_check(const struct dk_cloud_entry *cloud, struct dk_buf *ret_words, struct dk_error *error);
/* A cloud that is asked one thing at a time. */
struct dk_clouds_line {
  const struct dk_cloud_provider *provider;
  struct dk_cloud *cloud;
  struct dk_loop *loop;
};
/* Asks nobody yet; for no store, so nothing can be made. Negative with words: nothing is open. */
int dk_clouds_open(const struct dk_cloud_entry *entry, struct dk_clouds_line *ret, struct dk_error *error);
void dk_clouds_close(struct dk_clouds_line *line); /* one that is closed: fine */
/* Blocks for five and a half minutes at most. 0, after `take` was called with the result, which is FINE and lent;
 * negative with words. The line must be closed after a -ETIMEDOUT. */
int dk_clouds_ask(const struct dk_clouds_line *line, const struct dk_cloud_order *order,
                  void (*take)(void *ctx, const struct dk_cloud_result *result), void *ctx, struct dk_error *error);
/* What all instances of all clouds together cost at most, as far as it is known: "at most 0.4USD/h for lab". */
void dk_clouds_add_cost(const struct dk_hosts *hosts, struct dk_buf *out);
/* The same of one: "at most 0.4USD/h for lab". */
void dk_clouds_add_cost_of(const struct dk_cloud_entry *cloud, struct dk_buf *out);
/* Processors that tasks may have of all instances together. */
uint64_t dk_clouds_cpus(const struct dk_hosts *hosts);
/* Is it of this name? NULL: of any. */
bool dk_clouds_is(const struct dk_cloud_entry *cloud, const char *name);
/* `,"clouds":[...]` */
void dk_clouds_add_json(const struct dk_hosts *hosts, struct dk_buf *out);

#endif
