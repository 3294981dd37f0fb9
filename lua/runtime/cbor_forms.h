/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_CBOR_FORMS_H
#define WEIR_LUA_CBOR_FORMS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one form that each value has in our CBOR (RFC 8949, section 4.2.1), for the side that writes
 * it and for the side that checks what it read by writing it again. */

enum cbor_major {              /**< RFC 8949, section 3.1 */
    CBOR_MAJOR_UNSIGNED = 0,
    CBOR_MAJOR_NEGATIVE = 1,
    CBOR_MAJOR_BYTES = 2,
    CBOR_MAJOR_TEXT = 3,
    CBOR_MAJOR_ARRAY = 4,
    CBOR_MAJOR_MAP = 5,
    CBOR_MAJOR_TAG = 6,
    CBOR_MAJOR_SIMPLE = 7
};

enum {
    CBOR_HEAD_MAX = 9,         /**< bytes of the longest head, and of the longest float */
    CBOR_PEER_ID_MAX = 39,     /**< bytes of a peer id inside a message */
    CBOR_ADDRESSES_MAX = 3,    /**< addresses of one peer */
    CBOR_ADDRESS_SIZE = 128,   /**< one address, with the zero behind it */
    CBOR_COST_VALUE = 8,       /**< instructions that a value costs, either way */
    CBOR_COST_BYTES = 16       /**< and this many bytes of a string cost one more */
};

/** Write the shortest head of a major type other than simple.
 *  @return bytes written; 0: they are more than cap */
size_t cbor_forms_head(enum cbor_major major, uint64_t argument, uint8_t *out, size_t cap);
/** Write the shortest of half, single and double that keeps the value; every NaN is f97e00.
 *  @return bytes written; 0: they are more than cap */
size_t cbor_forms_float(double value, uint8_t *out, size_t cap);
/** Whether the bytes are UTF-8 (RFC 3629, section 4): nothing overlong, no surrogate, nothing over
 *  U+10FFFF. */
bool cbor_forms_is_text(const uint8_t *bytes, size_t len);
/** Whether a peer's address can travel: 1 to CBOR_ADDRESS_SIZE - 1 bytes of text without a zero. */
bool cbor_forms_is_address(const uint8_t *bytes, size_t len);
#endif
