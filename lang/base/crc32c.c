/* CRC-32C, eight bytes a step by tables ("slicing-by-8", Kounavis and Berry 2005); polynomial 0x1edc6f41 reflected
 * (RFC 3720, appendix B.4 has the check values). The tables are made once, before main. */
#include "lang/base/bytes.h"

#define CRC32C_REFLECTED 0x82f63b78u

static uint32_t table[8][256];

__attribute__((constructor)) static void make_tables(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? CRC32C_REFLECTED : 0);
    table[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; i++) {
    for (int k = 1; k < 8; k++) table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
  }
}

uint32_t dk_crc32c(const void *data, size_t len, uint32_t seed) {
  const uint8_t *at = data;
  uint32_t crc = ~seed;
  for (; len >= 8; len -= 8, at += 8) {
    crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    crc = table[7][crc & 0xff] ^ table[6][(crc >> 8) & 0xff] ^ table[5][(crc >> 16) & 0xff] ^ table[4][crc >> 24] ^
          table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
  }
  for (; len > 0; len--, at++) crc = (crc >> 8) ^ table[0][(crc ^ *at) & 0xff];
  return ~crc;
}
