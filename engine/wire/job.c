/* A job as bytes, and the small pieces that all codecs share. */
#include "engine/wire/codec.h"
#include "lang/base/alloc.h"

#include <string.h>

/* Text that may be NULL: 0, or 1 and the text. */
static void put_optional(struct dk_buf *buf, const char *text) {
  dk_write_u8(buf, text != NULL);
  if (text) dk_write_text(buf, text);
}

/* Anything but 0 and 1 fails. */
static bool get_bool(struct dk_reader *reader) {
  uint8_t value = dk_read_u8(reader);
  if (value > 1) reader->failed = true;
  return value == 1;
}

static char *get_optional(struct dk_reader *reader) {
  return get_bool(reader) ? dk_read_text(reader) : NULL;
}

void dk_wire_get_fixed(struct dk_reader *reader, void *ret, size_t len) {
  const void *data = dk_read_fixed(reader, len);
  if (data) memcpy(ret, data, len);
}

void *dk_wire_get_items(struct dk_reader *reader, size_t min_size, size_t item_size, uint32_t *ret_n) {
  *ret_n = 0;
  uint32_t n = dk_read_count(reader, min_size);
  if (n == 0) return NULL;
  void *items = dk_calloc(n, item_size);
  if (!items) {
    reader->failed = reader->no_memory = true;
    return NULL;
  }
  *ret_n = n;
  return items;
}

uint32_t dk_wire_get_count32(struct dk_reader *reader) {
  uint64_t value = dk_read_varint(reader);
  if (value > UINT32_MAX) reader->failed = true;
  return (uint32_t)value;
}

void dk_wire_put_job(struct dk_buf *buf, const struct dk_job *job) {
  dk_write_text(buf, job->label);
  dk_write_varint(buf, job->n_argv);
  for (uint32_t i = 0; i < job->n_argv; i++) dk_write_text(buf, job->argv[i]);
  put_optional(buf, job->script);
  dk_write_varint(buf, job->n_env);
  for (uint32_t i = 0; i < job->n_env; i++) {
    dk_write_text(buf, job->env[i].name);
    dk_write_text(buf, job->env[i].value);
  }
  put_optional(buf, job->code);
  dk_write_varint(buf, job->n_inputs);
  for (uint32_t i = 0; i < job->n_inputs; i++) {
    put_optional(buf, job->inputs[i].from);
    if (!job->inputs[i].from) dk_buf_add(buf, job->inputs[i].digest.bytes, sizeof job->inputs[i].digest.bytes);
    dk_write_text(buf, job->inputs[i].place);
    dk_write_u8(buf, job->inputs[i].is_dir);
  }
  dk_write_varint(buf, job->n_outputs);
  for (uint32_t i = 0; i < job->n_outputs; i++) {
    dk_write_text(buf, job->outputs[i].name);
    dk_write_text(buf, job->outputs[i].path);
    dk_write_u8(buf, job->outputs[i].is_dir);
  }
  dk_write_varint(buf, job->n_keep_files);
  for (uint32_t i = 0; i < job->n_keep_files; i++) dk_write_text(buf, job->keep_files[i]);
  put_optional(buf, job->objects);
  dk_write_varint(buf, job->timeout_ms);
  dk_write_varint(buf, job->grace_ms);
  dk_write_varint(buf, job->log_cap);
  dk_write_varint(buf, job->memory);
  dk_write_u32(buf, job->cpus);
  put_optional(buf, job->repository);
  put_optional(buf, job->folder);
  dk_write_varint(buf, job->n_open);
  for (uint32_t i = 0; i < job->n_open; i++) dk_write_text(buf, job->open[i]);
  dk_write_varint(buf, job->gpus);
  put_optional(buf, job->gpu);
  dk_write_u8(buf, job->is_remote);
}

/* Paths or digests, not some of each. Only a remote one may have digests; with paths it is what the agent makes of it
 * for a keeper. */
static bool is_whole(const struct dk_job *job) {
  bool has_paths = job->objects != NULL;
  if (!has_paths && (!job->is_remote || job->code)) return false;
  for (uint32_t i = 0; i < job->n_inputs; i++) {
    if (has_paths != (job->inputs[i].from != NULL)) return false;
  }
  return true;
}

void dk_wire_get_job(struct dk_reader *reader, struct dk_job *ret) {
  ret->label = dk_read_text(reader);
  ret->argv = dk_wire_get_items(reader, 1, sizeof *ret->argv, &ret->n_argv);
  for (uint32_t i = 0; i < ret->n_argv; i++) ret->argv[i] = dk_read_text(reader);
  ret->script = get_optional(reader);
  ret->env = dk_wire_get_items(reader, 2, sizeof *ret->env, &ret->n_env);
  for (uint32_t i = 0; i < ret->n_env; i++) {
    ret->env[i].name = dk_read_text(reader);
    ret->env[i].value = dk_read_text(reader);
  }
  ret->code = get_optional(reader);
  ret->inputs = dk_wire_get_items(reader, 3, sizeof *ret->inputs, &ret->n_inputs);
  for (uint32_t i = 0; i < ret->n_inputs; i++) {
    ret->inputs[i].from = get_optional(reader);
    if (!ret->inputs[i].from)
      dk_wire_get_fixed(reader, ret->inputs[i].digest.bytes, sizeof ret->inputs[i].digest.bytes);
    ret->inputs[i].place = dk_read_text(reader);
    ret->inputs[i].is_dir = get_bool(reader);
  }
  ret->outputs = dk_wire_get_items(reader, 3, sizeof *ret->outputs, &ret->n_outputs);
  for (uint32_t i = 0; i < ret->n_outputs; i++) {
    ret->outputs[i].name = dk_read_text(reader);
    ret->outputs[i].path = dk_read_text(reader);
    ret->outputs[i].is_dir = get_bool(reader);
  }
  ret->keep_files = dk_wire_get_items(reader, 1, sizeof *ret->keep_files, &ret->n_keep_files);
  for (uint32_t i = 0; i < ret->n_keep_files; i++) ret->keep_files[i] = dk_read_text(reader);
  ret->objects = get_optional(reader);
  ret->timeout_ms = dk_read_varint(reader);
  ret->grace_ms = dk_read_varint(reader);
  ret->log_cap = dk_read_varint(reader);
  ret->memory = dk_read_varint(reader);
  ret->cpus = dk_read_u32(reader);
  ret->repository = get_optional(reader);
  ret->folder = get_optional(reader);
  ret->open = dk_wire_get_items(reader, 1, sizeof *ret->open, &ret->n_open);
  for (uint32_t i = 0; i < ret->n_open; i++) ret->open[i] = dk_read_text(reader);
  ret->gpus = dk_wire_get_count32(reader);
  ret->gpu = get_optional(reader);
  ret->is_remote = get_bool(reader);
  reader->failed |= !is_whole(ret);
}

void dk_job_finish(struct dk_job *job) {
  dk_free(job->label);
  for (uint32_t i = 0; i < job->n_argv; i++) dk_free(job->argv[i]);
  dk_free(job->argv);
  dk_free(job->script);
  for (uint32_t i = 0; i < job->n_env; i++) {
    dk_free(job->env[i].name);
    dk_free(job->env[i].value);
  }
  dk_free(job->env);
  dk_free(job->code);
  for (uint32_t i = 0; i < job->n_inputs; i++) {
    dk_free(job->inputs[i].from);
    dk_free(job->inputs[i].place);
  }
  dk_free(job->inputs);
  for (uint32_t i = 0; i < job->n_outputs; i++) {
    dk_free(job->outputs[i].name);
    dk_free(job->outputs[i].path);
  }
  dk_free(job->outputs);
  for (uint32_t i = 0; i < job->n_keep_files; i++) dk_free(job->keep_files[i]);
  dk_free(job->keep_files);
  dk_free(job->objects);
  dk_free(job->repository);
  dk_free(job->folder);
  for (uint32_t i = 0; i < job->n_open; i++) dk_free(job->open[i]);
  dk_free(job->open);
  dk_free(job->gpu);
  memset(job, 0, sizeof *job);
}
