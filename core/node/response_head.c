/* SPDX-License-Identifier: MIT */
#include "node/response_head.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "node/exchanges.h"
#include <string.h>

static enum response_head_result read_refusal(const uint8_t *bytes, size_t len,
                                              struct response_refusal *refusal)
{
    struct reader r = reader_of(bytes, len);
    reader_skip(&r, 1);
    uint64_t reason = reader_varint(&r), retry_us = reader_varint(&r);
    size_t text_len = reader_left(&r);
    /* Codes of the transport never travel. */
    if (r.failed || reason >= WEIR_REASON_TRANSPORT || text_len > RESPONSE_TEXT_MAX)
        return RESPONSE_HEAD_BAD;
    refusal->reason = (uint32_t)reason;
    refusal->retry_us = retry_us;
    refusal->text_len = text_len;
    if (text_len > 0) memcpy(refusal->text, reader_bytes(&r, text_len), text_len);
    return RESPONSE_HEAD_REFUSED;
}

enum response_head_result response_head_read(const uint8_t *bytes, size_t len, bool at_end,
                                             struct response_refusal *refusal)
{
    if (len == 0) return at_end ? RESPONSE_HEAD_BAD : RESPONSE_HEAD_WAIT;
    if (bytes[0] == RESPONSE_OK) return RESPONSE_HEAD_OK;
    if (bytes[0] != RESPONSE_REFUSED || len > RESPONSE_HEAD_MAX) return RESPONSE_HEAD_BAD;
    return at_end ? read_refusal(bytes, len, refusal) : RESPONSE_HEAD_WAIT;
}

size_t response_head_write(uint8_t *out, uint32_t reason, uint64_t retry_us, const char *text,
                           size_t text_len)
{
    struct writer w = writer_of(out, RESPONSE_HEAD_MAX);
    writer_u8(&w, RESPONSE_REFUSED);
    writer_varint(&w, reason);
    writer_varint(&w, retry_us > VARINT_MAX ? VARINT_MAX : retry_us);
    writer_bytes(&w, text, text_len > RESPONSE_TEXT_MAX ? RESPONSE_TEXT_MAX : text_len);
    WEIR_ASSERT(!w.full);
    return writer_len(&w);
}
