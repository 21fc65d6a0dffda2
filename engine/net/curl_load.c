/* Finds libcurl and its functions: see curl_load.h. */
#include "engine/net/curl_load.h"

#include "lang/base/alloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"

struct dk_curl dk_curl;

static const struct {
  const char *name;
  size_t at; /* in struct dk_curl */
} functions[] = {
#define FUNCTION(name) {"curl_" #name, offsetof(struct dk_curl, name)},
    DK_CURL_FUNCTIONS(FUNCTION)
#undef FUNCTION
};

static int find(void *library, struct dk_curl *ret, struct dk_error *error) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(library, functions[i].name);
    if (!function)
      return dk_error_set(error, -ENOTSUP,
                          "this machine's libcurl lacks %s\nhelp: dkrun needs libcurl 7.88 or later, made with OpenSSL",
                          functions[i].name);
    memcpy((char *)ret + functions[i].at, &function, sizeof function);
  }
  return 0;
}

static int load(struct dk_error *error) {
  struct dk_curl found;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

  if (!library)
    return dk_error_set(error, -ENOTSUP, "libcurl cannot be loaded (%s)\nhelp: install it: apt-get install libcurl4",
                        dlerror());
  int r = find(library, &found, error);
  if (r < 0)
    dlclose(library);
  else
    dk_curl = found;
  return r;
}

static void *resize(void *old, size_t size) {
  return dk_realloc_array(old, 1, size);
}

int dk_curl_load(struct dk_error *error) {
  static bool is_ready;

  if (is_ready) return 0;
  int r = dk_curl.global_init_mem ? 0 : load(error);
  if (r < 0) return r;
  if (dk_curl.global_init_mem(CURL_GLOBAL_ALL, dk_alloc, dk_free, resize, dk_strdup, dk_calloc) != CURLE_OK)
    return dk_error_system(error, -ENOMEM, "starting HTTP");
  is_ready = true;
  return 0;
}
