/* What services answer to providers/openstack: any bytes, with any status. The first byte says what was asked, the
 * second one the status (digits in the corpus). Whatever comes, facts are bounded and only there when the answer was
 * understood; else there are words. */
#include "providers/openstack/api.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so) {
  if (!is_so) abort();
}

#define CHECK_TEXT(field) check(memchr(field, '\0', sizeof(field)) != NULL)

static enum dk_cloud_failure read_token(const struct dk_http_answer *answer, struct dk_error *error) {
  const struct dk_openstack_who who = {.interface = "public"};
  struct dk_openstack_token token;
  enum dk_cloud_failure failure = dk_openstack_read_token(answer, &who, &token, error);
  CHECK_TEXT(token.user);
  CHECK_TEXT(token.project);
  CHECK_TEXT(token.region);
  for (int i = DK_OPENSTACK_COMPUTE; i < DK_OPENSTACK_N_SERVICES; i++) {
    CHECK_TEXT(token.url[i]);
    check((failure == DK_CLOUD_FINE) == (token.url[i][0] != '\0'));
  }
  return failure;
}

static enum dk_cloud_failure read_created(const struct dk_http_answer *answer, struct dk_error *error) {
  char id[DK_OPENSTACK_ID];
  enum dk_cloud_failure failure = dk_openstack_read_created(answer, id, error);
  CHECK_TEXT(id);
  check((failure == DK_CLOUD_FINE) == (id[0] != '\0') && !strpbrk(id, "/.?#% \r\n"));
  return failure;
}

static enum dk_cloud_failure read_servers(const struct dk_http_answer *answer, struct dk_error *error) {
  struct dk_openstack_servers list;
  enum dk_cloud_failure failure = dk_openstack_read_servers(answer, &list, error);
  check(failure == DK_CLOUD_FINE || (list.n == 0 && !list.items));
  CHECK_TEXT(list.next);
  check(!strpbrk(list.next, "/.?#% \r\n"));
  for (uint32_t i = 0; i < list.n; i++) {
    const struct dk_openstack_server *at = &list.items[i];
    char bytes[16];
    CHECK_TEXT(at->id);
    CHECK_TEXT(at->name);
    CHECK_TEXT(at->store);
    CHECK_TEXT(at->words);
    CHECK_TEXT(at->address);
    check(at->id[0] && at->store[0] && at->created >= 0);
    check(!at->address[0] || inet_pton(AF_INET, at->address, bytes) == 1 ||
          inet_pton(AF_INET6, at->address, bytes) == 1);
  }
  dk_openstack_servers_finish(&list);
  return failure;
}

static enum dk_cloud_failure read_flavors(const struct dk_http_answer *answer, struct dk_error *error) {
  struct dk_openstack_flavors list;
  enum dk_cloud_failure failure = dk_openstack_read_flavors(answer, &list, error);
  check(failure == DK_CLOUD_FINE || (list.n == 0 && !list.items));
  for (uint32_t i = 0; i < list.n; i++) {
    CHECK_TEXT(list.items[i].id);
    CHECK_TEXT(list.items[i].name);
    check(list.items[i].id[0] && list.items[i].name[0]);
  }
  dk_openstack_flavors_finish(&list);
  return failure;
}

static enum dk_cloud_failure check_found(enum dk_cloud_failure failure, const struct dk_openstack_found *found) {
  CHECK_TEXT(found->id);
  CHECK_TEXT(found->name);
  CHECK_TEXT(found->names);
  check(failure == DK_CLOUD_FINE || found->n == 0);
  check((found->n > 0) == (found->id[0] != '\0'));
  return failure;
}

static enum dk_cloud_failure read_images(const struct dk_http_answer *answer, struct dk_error *error) {
  struct dk_openstack_found found;
  return check_found(dk_openstack_read_images(answer, &found, error), &found);
}

static enum dk_cloud_failure read_networks(const struct dk_http_answer *answer, struct dk_error *error) {
  struct dk_openstack_found found;
  return check_found(dk_openstack_read_networks(answer, NULL, &found, error), &found);
}

static enum dk_cloud_failure read_limits(const struct dk_http_answer *answer, struct dk_error *error) {
  struct dk_openstack_limits limits;
  return dk_openstack_read_limits(answer, &limits, error);
}

static enum dk_cloud_failure read_deleted(const struct dk_http_answer *answer, struct dk_error *error) {
  bool is_absent = false;
  enum dk_cloud_failure failure = dk_openstack_read_deleted(answer, "b6b0410f", &is_absent, error);
  check(!is_absent || (failure == DK_CLOUD_FINE && answer->status == 404));
  check(failure != DK_CLOUD_FINE || is_absent || answer->status == 204);
  return failure;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int statuses[] = {200, 202, 400, 401, 403, 404, 413, 429, 500, 503, 204};
  static enum dk_cloud_failure (*const readers[])(const struct dk_http_answer *answer, struct dk_error *error) = {
      read_token, read_created, read_servers, read_flavors, read_images, read_networks, read_limits, read_deleted};
  struct dk_error error = {0};

  if (size < 2) return 0;
  /* http's bodies end with NUL. */
  char *body = calloc(1, size);
  if (!body) return 0;
  memcpy(body, data + 2, size - 2);
  struct dk_http_answer answer = {.status = statuses[(uint8_t)(data[1] - '0') % (sizeof statuses / sizeof *statuses)],
                                  .body = body,
                                  .body_len = size - 2,
                                  .label = "lab",
                                  .host = "cloud",
                                  .request_id = "",
                                  .elsewhere = ""};
  unsigned which = (uint8_t)(data[0] - '0') % (sizeof readers / sizeof *readers);
  enum dk_cloud_failure failure = readers[which](&answer, &error);
  check((failure == DK_CLOUD_FINE) == (error.code == 0));
  check(failure == DK_CLOUD_FINE || strncmp(error.text, "lab", 3) == 0);
  free(body);
  return 0;
}
