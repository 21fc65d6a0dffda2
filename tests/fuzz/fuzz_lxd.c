/* What a server answers to providers/lxd: any bytes, with any status. The first byte says what was asked, the second
 * one the status (digits in the corpus). Whatever comes, facts are bounded and only there when the answer was
 * understood; else there are words. */
#include "providers/lxd/api.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so) {
  if (!is_so) abort();
}

#define CHECK_TEXT(field) check(memchr(field, '\0', sizeof(field)) != NULL)

static enum dk_lxd_reason read_operation(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_operation operation;
  enum dk_lxd_reason reason = dk_lxd_read_operation(answer, &operation, error);
  CHECK_TEXT(operation.id);
  CHECK_TEXT(operation.fingerprint);
  check(operation.exit_code >= -1);
  check(reason == DK_LXD_FINE ? operation.has_ended || operation.id[0] : !operation.has_ended && !operation.id[0]);
  return reason;
}

static enum dk_lxd_reason read_server(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_server server;
  enum dk_lxd_reason reason = dk_lxd_read_server(answer, &server, error);
  CHECK_TEXT(server.kind);
  CHECK_TEXT(server.version);
  CHECK_TEXT(server.name);
  check((reason == DK_LXD_FINE) == (server.version[0] != '\0'));
  return reason;
}

static enum dk_lxd_reason read_instances(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_instances list;
  enum dk_lxd_reason reason = dk_lxd_read_instances(answer, &list, error);
  check(reason == DK_LXD_FINE || (list.n == 0 && !list.items));
  for (uint32_t i = 0; i < list.n; i++) {
    CHECK_TEXT(list.items[i].name);
    CHECK_TEXT(list.items[i].id);
    CHECK_TEXT(list.items[i].store);
    CHECK_TEXT(list.items[i].owner);
    check(list.items[i].name[0] && (list.items[i].is_hidden || list.items[i].store[0]) && list.items[i].created >= 0);
    for (uint32_t k = 0; k < i; k++) check(strcmp(list.items[i].name, list.items[k].name) != 0);
  }
  dk_lxd_instances_finish(&list);
  return reason;
}

static enum dk_lxd_reason read_addresses(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_addresses addresses;
  enum dk_lxd_reason reason = dk_lxd_read_addresses(answer, &addresses, error);
  check(addresses.n <= DK_LXD_ADDRESSES_MOST && (reason == DK_LXD_FINE || addresses.n == 0));
  for (uint32_t i = 0; i < addresses.n; i++) {
    char bytes[16];
    CHECK_TEXT(addresses.items[i].card);
    check(inet_pton(AF_INET, addresses.items[i].text, bytes) == 1 ||
          inet_pton(AF_INET6, addresses.items[i].text, bytes) == 1);
  }
  return reason;
}

static enum dk_lxd_reason read_images(const struct dk_lxd_answer *answer, struct dk_error *error) {
  struct dk_lxd_images list;
  enum dk_lxd_reason reason = dk_lxd_read_images(answer, &list, error);
  check(reason == DK_LXD_FINE || (list.n == 0 && !list.items));
  for (uint32_t i = 0; i < list.n; i++) {
    CHECK_TEXT(list.items[i].fingerprint);
    CHECK_TEXT(list.items[i].store);
    check(list.items[i].fingerprint[0] && list.items[i].recipe[0] && list.items[i].uploaded >= 0);
  }
  dk_lxd_images_finish(&list);
  return reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int statuses[] = {200, 202, 400, 403, 404, 500, 503};
  static enum dk_lxd_reason (*const readers[])(const struct dk_lxd_answer *answer, struct dk_error *error) = {
      read_operation, read_server, read_instances, read_addresses, read_images};
  struct dk_error error = {0};

  if (size < 2) return 0;
  struct dk_lxd_answer answer = {.status = statuses[(uint8_t)(data[1] - '0') % (sizeof statuses / sizeof *statuses)],
                                 .body = (const char *)data + 2,
                                 .len = size - 2,
                                 .label = "lab"};
  enum dk_lxd_reason reason = readers[(uint8_t)(data[0] - '0') % (sizeof readers / sizeof *readers)](&answer, &error);
  check((reason == DK_LXD_FINE) == (error.code == 0));
  check(reason == DK_LXD_FINE || strncmp(error.text, "lab: ", 5) == 0);
  check(reason != DK_LXD_FINE || answer.status < 300);
  return 0;
}
