/* From PEM to the pin of a public key: see pin.h. Of the certificate (RFC 5280, 4.1) only as much is read as it
 * takes to get to subjectPublicKeyInfo; that it is sound, and in time, is for TLS to find. */
#include "engine/net/pin.h"

#include "engine/sys/fs.h"
#include "lang/base/base64.h"
#include "lang/base/digest.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define FILE_MOST (256u << 10)
#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"
#define PREFIX "sha256//"
#define TAG_SEQUENCE 0x30
#define TAG_VERSION 0xa0
#define BEFORE_KEY 5 /* serialNumber, signature, issuer, validity, subject */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct der {
  const uint8_t *at, *end;
};

static bool decode_base64(const char *text, const char *end, struct dk_buf *ret) {
  uint32_t bits = 0, n = 0;

  for (; text < end && *text != '='; text++) {
    if (strchr(" \t\r\n", *text)) continue;
    const char *digit = *text ? strchr(alphabet, *text) : NULL;
    if (!digit) return false;
    bits = bits << 6 | (uint32_t)(digit - alphabet);
    n += 6;
    if (n < 8) continue;
    n -= 8;
    dk_buf_add_char(ret, (char)(bits >> n & 0xff));
  }
  return true;
}

/* The next element: *ret is its content, and `in` goes behind it. Its whole is from where `in` was to ret->end. */
static bool next(struct der *in, uint8_t *ret_tag, struct der *ret) {
  if (in->end - in->at < 2) return false;
  *ret_tag = in->at[0];
  size_t len = in->at[1];
  const uint8_t *content = in->at + 2;
  if (len > 0x80) {
    size_t bytes = len - 0x80;
    if (bytes > 3 || (size_t)(in->end - content) < bytes) return false;
    for (len = 0; bytes > 0; bytes--) len = len << 8 | *content++;
  } else if (len == 0x80) {
    return false; /* of no said length: not DER */
  }
  if ((size_t)(in->end - content) < len) return false;
  *ret = (struct der){content, content + len};
  in->at = content + len;
  return true;
}

static bool find_key(struct der certificate, struct der *ret) {
  struct der whole, body, part;
  uint8_t tag;

  if (!next(&certificate, &tag, &whole) || tag != TAG_SEQUENCE || certificate.at != certificate.end) return false;
  if (!next(&whole, &tag, &body) || tag != TAG_SEQUENCE) return false;
  if (body.at < body.end && *body.at == TAG_VERSION && !next(&body, &tag, &part)) return false;
  for (int i = 0; i < BEFORE_KEY; i++) {
    if (!next(&body, &tag, &part)) return false;
  }
  ret->at = body.at;
  if (!next(&body, &tag, &part) || tag != TAG_SEQUENCE) return false;
  ret->end = part.end;
  return true;
}

int dk_pin_of(const char *pem, size_t len, char ret_pin[DK_PIN_TEXT]) {
  dk_autobuf der = DK_BUF_INIT, pin = DK_BUF_INIT;
  struct dk_digest digest;
  struct der key;
  const char *begin = memmem(pem, len, BEGIN, strlen(BEGIN));

  if (!begin) return -EINVAL;
  begin += strlen(BEGIN);
  const char *end = memmem(begin, len - (size_t)(begin - pem), END, strlen(END));
  if (!end || memmem(end, len - (size_t)(end - pem), BEGIN, strlen(BEGIN))) return -EINVAL;
  if (!decode_base64(begin, end, &der)) return -EINVAL;
  if (!dk_buf_ok(&der)) return -ENOMEM;
  const uint8_t *bytes = (const uint8_t *)dk_buf_text(&der);
  if (!find_key((struct der){bytes, bytes + der.len}, &key)) return -EINVAL;
  dk_digest_of(key.at, (size_t)(key.end - key.at), &digest);
  dk_buf_add_text(&pin, PREFIX);
  dk_base64_add(&pin, digest.bytes, sizeof digest.bytes);
  if (!dk_buf_ok(&pin)) return -ENOMEM;
  assert(pin.len < DK_PIN_TEXT);
  memcpy(ret_pin, pin.data, pin.len + 1);
  return 0;
}

int dk_pin_read(const char *path, struct dk_buf *ret_pem, char ret_pin[DK_PIN_TEXT], struct dk_error *error) {
  int r = dk_fs_read(path, FILE_MOST, ret_pem, error);

  if (r < 0) return r;
  r = dk_pin_of(dk_buf_text(ret_pem), ret_pem->len, ret_pin);
  if (r == -ENOMEM) return dk_error_system(error, r, "reading %s", path);
  if (r == 0) return 0;
  return dk_error_set(error, r,
                      "%s does not hold one certificate in PEM\nhelp: it must be the server's own certificate, alone; "
                      "for an authority's, give the file of authorities instead",
                      path);
}
