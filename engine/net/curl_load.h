/* libcurl, loaded when HTTP is first wanted. Were it linked with, its libraries (OpenSSL, GnuTLS, LDAP, Kerberos ...)
 * would cost each start of dkrun as much processor time as most of its commands take.
 *
 * The functions are those of <curl/curl.h>, with dk_curl. instead of curl_. */
#ifndef DK_NET_CURL_LOAD_H
#define DK_NET_CURL_LOAD_H

#include "lang/base/error.h"

#include <curl/curl.h>

#define DK_CURL_FUNCTIONS(X)                                                                                           \
  X(easy_cleanup)                                                                                                      \
  X(easy_getinfo)                                                                                                      \
  X(easy_init)                                                                                                         \
  X(easy_setopt)                                                                                                       \
  X(easy_strerror)                                                                                                     \
  X(free)                                                                                                              \
  X(global_init_mem)                                                                                                   \
  X(multi_add_handle)                                                                                                  \
  X(multi_cleanup)                                                                                                     \
  X(multi_info_read)                                                                                                   \
  X(multi_init)                                                                                                        \
  X(multi_remove_handle)                                                                                               \
  X(multi_setopt)                                                                                                      \
  X(multi_socket_action)                                                                                               \
  X(slist_append)                                                                                                      \
  X(slist_free_all)                                                                                                    \
  X(url)                                                                                                               \
  X(url_cleanup)                                                                                                       \
  X(url_get)                                                                                                           \
  X(url_set)                                                                                                           \
  X(url_strerror)

struct dk_curl {
#define DK_CURL_MEMBER(name) __typeof__(curl_##name) *name;
  DK_CURL_FUNCTIONS(DK_CURL_MEMBER)
#undef DK_CURL_MEMBER
};

/* NULLs until dk_curl_load has returned 0. */
extern struct dk_curl dk_curl;

/* Loads libcurl.so.4 and has it allocate through lang/base/alloc.h, once; that takes milliseconds. It stays for the
 * life of the process: a thread that still looks up a name is in its code, and frees by our functions. 0, -ENOMEM,
 * -ENOTSUP with help: it is not here or lacks a function. */
int dk_curl_load(struct dk_error *error);

/* The functions that take anything. curl's own macros check a value by its option, but call by name; these do not
 * compile when the value is of another kind than the option's. A callback is written as a literal of curl's type for
 * it, which checks it. */
#define DK_CURL_IS(value, type) __builtin_types_compatible_p(__typeof__(value), type)
#define DK_CURL_SET(set, handle, option, value)                                                                        \
  ({                                                                                                                   \
    _Static_assert((option) < CURLOPTTYPE_OBJECTPOINT ? DK_CURL_IS(value, long)                                        \
                   : (option) >= CURLOPTTYPE_OFF_T && (option) < CURLOPTTYPE_BLOB                                      \
                       ? DK_CURL_IS(value, curl_off_t)                                                                 \
                       : !DK_CURL_IS(value, long) && !DK_CURL_IS(value, int),                                          \
                   "not what the option takes");                                                                       \
    dk_curl.set(handle, option, value);                                                                                \
  })
#define dk_curl_easy_setopt(easy, option, value) DK_CURL_SET(easy_setopt, easy, option, value)
#define dk_curl_multi_setopt(multi, option, value) DK_CURL_SET(multi_setopt, multi, option, value)
#define dk_curl_easy_getinfo(easy, info, ret)                                                                          \
  ({                                                                                                                   \
    _Static_assert(((info)&CURLINFO_TYPEMASK) == CURLINFO_LONG    ? DK_CURL_IS(*(ret), long)                           \
                   : ((info)&CURLINFO_TYPEMASK) == CURLINFO_OFF_T ? DK_CURL_IS(*(ret), curl_off_t)                     \
                                                                  : DK_CURL_IS(*(ret), char *),                        \
                   "not what the information is");                                                                     \
    dk_curl.easy_getinfo(easy, info, ret);                                                                             \
  })

#endif
