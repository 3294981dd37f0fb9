/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_VARINT_H
#define WEIR_BASE_VARINT_H
#include "base/bytes.h"
/** Multiformats' unsigned varint (LEB128, at most 9 bytes, minimal form only), used by multiaddr
 *  and protobuf. Not RFC 9000's, which is in bytes.h. A longer or non-minimal form marks the reader
 *  as failed. Source: multiformats/unsigned-varint README. */
uint64_t uvarint_read(struct reader *r);
void uvarint_write(struct writer *w, uint64_t v); /**< v < 2^63, asserted */
unsigned uvarint_size(uint64_t v);
#endif
