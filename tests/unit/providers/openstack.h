/* What the tests of providers/openstack share: answers that were recorded, or are written where they are wanted. */
#ifndef DK_TESTS_UNIT_PROVIDERS_OPENSTACK_H
#define DK_TESTS_UNIT_PROVIDERS_OPENSTACK_H

#include "engine/net/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* NAME.STATUS of a recording (tests/data/openstack), or "STATUS BODY". */
static inline struct dk_http_answer answer_of(const char *said, char *body, size_t size) {
  struct dk_http_answer answer = {
      .label = "lab: create m1", .body = body, .request_id = "", .elsewhere = "", .host = "cloud"};
  char path[400];

  if (strchr(said, ' ')) {
    answer.status = atoi(said);
    snprintf(body, size, "%s", strchr(said, ' ') + 1);
  } else {
    snprintf(path, sizeof path, "%s/openstack/%s.json", DK_TEST_DATA, said);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s", path);
    body[fread(body, 1, size - 1, file)] = '\0';
    fclose(file);
    answer.status = atoi(strchr(said, '.') + 1);
  }
  answer.body_len = strlen(body);
  return answer;
}

#endif
