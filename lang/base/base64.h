/* Base64 (RFC 4648, 4), with padding, in one line. */
#ifndef DK_BASE_BASE64_H
#define DK_BASE_BASE64_H

#include "lang/base/buf.h"

void dk_base64_add(struct dk_buf *out, const void *data, size_t len);

#endif
