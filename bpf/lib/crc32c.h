/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SCTP's checksum (CRC32c, RFC 9260 appendix A) after a change of ports. A CRC is linear: what a change of 16 bits adds
 * to it depends on the change and on how many bytes follow, not on the payload. So no byte of it is read. */
#ifndef CAUSEWAY_LIB_CRC32C_H
#define CAUSEWAY_LIB_CRC32C_H

#include "lib/prelude.h"

enum { SCTP_CHECKSUM = 8, SCTP_HEADER = 12 };

/* Product of two polynomials modulo that of CRC32c, bits reflected: x^0 is the highest bit. */
global __u32 crc32c_multiply(__u32 a, __u32 b) {
  __u32 product = 0;
  for (int i = 31; i >= 0; i--) {
    product ^= b & -(a >> i & 1);
    b = b >> 1 ^ (0x82f63b78 & -(b & 1));
  }
  return product;
}

/* x^(8 * 2^i): the register moved over 2^i bytes of zeros. */
static const volatile __u32 crc32c_powers[16] = {
    0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
    0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* By what the checksum of a packet of `length` bytes changes when its first four are changed by `difference` (both as
 * little-endian words, as the checksum is stored). */
static __always_inline __u32 crc32c_difference(__u32 difference, __u32 length) {
  for (int i = 0; i < 16; i++)
    if (length >> i & 1) difference = crc32c_multiply(crc32c_powers[i], difference);
  return difference;
}

#endif
