/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_RESPONSE_HEAD_H
#define WEIR_NODE_RESPONSE_HEAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a response begins (docs/wire.md): a status byte. After RESPONSE_OK the bytes of the response
 * follow; RESPONSE_REFUSED is followed by a reason and a time, both variable-length integers
 * (RFC 9000, section 16), and text, to the end of the lane. */

enum { RESPONSE_TEXT_MAX = 120 };

struct response_refusal {
    uint32_t reason;
    uint64_t retry_us;
    size_t text_len;
    char text[RESPONSE_TEXT_MAX];
};
enum response_head_result {
    RESPONSE_HEAD_WAIT,    /**< more bytes are needed */
    RESPONSE_HEAD_OK,      /**< one byte is the head, the rest is the response */
    RESPONSE_HEAD_REFUSED, /**< *refusal is filled; nothing follows */
    RESPONSE_HEAD_BAD
};

/** Look at the first bytes of a response.
 *  @param at_end  these are all bytes, and the lane has ended */
enum response_head_result response_head_read(const uint8_t *bytes, size_t len, bool at_end,
                                             struct response_refusal *refusal);
/** Write a refusal; longer text is cut. out has room for RESPONSE_HEAD_MAX. @return its length */
size_t response_head_write(uint8_t *out, uint32_t reason, uint64_t retry_us, const char *text,
                           size_t text_len);
#endif
