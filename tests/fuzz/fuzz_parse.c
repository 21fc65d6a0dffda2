/* The scanner and the parser, fed with anything. */
#include "tests/fuzz/check_parse.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < (1u << 20)) dk_check_parse(data, size);
  return 0;
}
