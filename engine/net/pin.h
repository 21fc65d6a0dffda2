/* A server's own certificate, by which it is known instead of by an authority. */
#ifndef DK_NET_PIN_H
#define DK_NET_PIN_H

#include "lang/base/buf.h"
#include "lang/base/error.h"

#define DK_PIN_TEXT 53 /* "sha256//", 44 characters of base64, NUL */

/* Reads a PEM file with exactly one certificate: its text, and the pin of its public key as curl writes it. 0, -EINVAL
 * (not one certificate), -ENOMEM, or the errno of the file. */
int dk_pin_read(const char *path, struct dk_buf *ret_pem, char ret_pin[DK_PIN_TEXT], struct dk_error *error);
/* The same of bytes. 0, -EINVAL, -ENOMEM. */
int dk_pin_of(const char *pem, size_t len, char ret_pin[DK_PIN_TEXT]);

#endif
