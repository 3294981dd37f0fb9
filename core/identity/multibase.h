/* SPDX-License-Identifier: MIT */
#ifndef WEIR_IDENTITY_MULTIBASE_H
#define WEIR_IDENTITY_MULTIBASE_H
#include <stddef.h>
#include <stdint.h>

/** The text forms of bytes that peer ids use: base58btc and base36 (big numbers, leading zero bytes
 *  as leading zero digits) and RFC 4648 base32 without padding, lower case.
 *
 *  Number bases cost the square of their length, so input is bounded: bytes by MULTIBASE_BYTES_MAX,
 *  text by MULTIBASE_TEXT_MAX. Each byte string has one text and each text that decodes encodes
 *  back to itself. */
enum { MULTIBASE_BYTES_MAX = 96, MULTIBASE_TEXT_MAX = 160 };
enum multibase { MULTIBASE_BASE58 = 1, MULTIBASE_BASE36, MULTIBASE_BASE32 };

/** @param cap  room for the text and its terminating 0
 *  @return     length without the 0, or WEIR_E_SPACE when cap is too small or len too large (text
 *              is empty then, if cap > 0) */
int multibase_encode(enum multibase base, const void *bytes, size_t len, char *text, size_t cap);
/** @return bytes written, or WEIR_E_ARGUMENT when the text is not in that base, not in its one
 *          form, or longer than MULTIBASE_TEXT_MAX, or its bytes than cap */
int multibase_decode(enum multibase base, const char *text, size_t len, void *bytes, size_t cap);
#endif
