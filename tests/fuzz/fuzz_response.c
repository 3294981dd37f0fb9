/* SPDX-License-Identifier: MIT */
/* Goal: whatever a peer sends for the head of a response is read within its bounds, a prefix never
 * says what the whole takes back, and what was read as a refusal is written and read as the same.
 * The bytes are given whole and cut short, with and without their end. */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "node/exchanges.h"
#include "node/response_head.h"
#include <string.h>

static void check_refusal(const struct response_refusal *r, size_t len)
{
    struct response_refusal again;
    uint8_t out[RESPONSE_HEAD_MAX];
    WEIR_ASSERT(r->reason < WEIR_REASON_TRANSPORT && r->text_len <= RESPONSE_TEXT_MAX);
    WEIR_ASSERT(len <= RESPONSE_HEAD_MAX && r->text_len < len);
    size_t size = response_head_write(out, r->reason, r->retry_us, r->text, r->text_len);
    WEIR_ASSERT(size <= len); /* ours is the shortest form */
    WEIR_ASSERT(response_head_read(out, size, true, &again) == RESPONSE_HEAD_REFUSED);
    WEIR_ASSERT(again.reason == r->reason && again.retry_us == r->retry_us);
    WEIR_ASSERT(again.text_len == r->text_len);
    WEIR_ASSERT(r->text_len == 0 || memcmp(again.text, r->text, r->text_len) == 0);
}

static void check(const uint8_t *data, size_t len, bool at_end)
{
    struct response_refusal refusal;
    enum response_head_result result = response_head_read(data, len, at_end, &refusal);
    WEIR_ASSERT(result != RESPONSE_HEAD_WAIT || (!at_end && len <= RESPONSE_HEAD_MAX));
    WEIR_ASSERT((result == RESPONSE_HEAD_OK) == (len > 0 && data[0] == RESPONSE_OK));
    if (result == RESPONSE_HEAD_REFUSED) {
        WEIR_ASSERT(at_end && data[0] == RESPONSE_REFUSED);
        check_refusal(&refusal, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t most = size < 2 * RESPONSE_HEAD_MAX ? size : 2 * RESPONSE_HEAD_MAX;
    for (size_t len = 0; len <= most; len++) {
        check(data, len, false);
        check(data, len, true);
    }
    check(data, size, true);
    return 0;
}
