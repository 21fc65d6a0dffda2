/* `openssl s_server` on the loopback, which answers every GET with a page of its own, and certificates for it. */
#ifndef DK_TEST_NET_TLS_H
#define DK_TEST_NET_TLS_H

#include <stdint.h>
#include <sys/types.h>

struct tls {
  pid_t pid;
  uint16_t port;
  int out;
};

/* The folder that certs.sh filled, made on the first call; exits with 77 (skipped) where there is no openssl
 * program. */
const char *tls_folder(void);
void tls_remove_folder(void);
const char *tls_file(const char *name); /* its path there; one of a few buffers */
/* With the certificate NAME.pem and NAME.key; `client_ca`: a certificate of it is asked of clients; NULL: none. */
struct tls tls_start(const char *name, const char *client_ca);
void tls_stop(const struct tls *tls);

#endif
