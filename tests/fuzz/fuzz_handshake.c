/* SPDX-License-Identifier: MIT */
/* Goal: whatever bytes reach the handshake, on whatever level and cut wherever, it waits, fails
 * for good, or names the one peer that spoke; never more.
 *
 * The first byte chooses the role and whether a genuine other side takes part. Then each step
 * has a byte (bit 0: level; bits 1 and 2: raw bytes, or the next genuine ones of that level,
 * untouched or changed), a length and bytes. */
#include "base/assert.h"
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "quic/handshake.h"
#include "weir.h"

#include <string.h>

struct run {
    struct mem_counter counter;
    struct entropy entropy;
    struct key_pair key[2];
    struct handshake_own own[2];
    struct handshake *subject, *other;
    uint64_t random;
    size_t taken[2]; /* genuine bytes given, per level */
    bool client, changed, failed, has_peer;
};

static void fill(void *context, void *out, size_t len)
{
    struct run *r = context;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(r->random >> 33);
    }
}

static struct handshake *make(struct run *r, bool client)
{
    struct handshake *h;
    int i = client ? 0 : 1;
    struct handshake_config config = {.mem = &r->counter.mem,
                                      .entropy = &r->entropy,
                                      .own = &r->own[i],
                                      .client = client};
    WEIR_ASSERT(noise_handshake.open(&config, &h) == 0);
    return h;
}

static void on_result(struct run *r, int result)
{
    static const uint8_t params[] = {1, 2, 3};
    struct handshake_secrets secrets;
    if (r->failed) WEIR_ASSERT(result == WEIR_E_HANDSHAKE);
    if (result < 0) r->failed = true;
    if (result == HANDSHAKE_KEYS) {
        noise_handshake.secrets(r->subject, &secrets);
        if (!r->client) WEIR_ASSERT(noise_handshake.answer(r->subject, params, sizeof params) == 0);
    }
    if (result != HANDSHAKE_PEER) return;
    const struct handshake_peer *peer = noise_handshake.peer(r->subject);
    WEIR_ASSERT(!r->has_peer && !r->failed && r->other != NULL);
    r->has_peer = true;
    /* Nobody but the genuine side can have made this. */
    WEIR_ASSERT(peer_id_equal(&peer->id, &r->key[r->client ? 1 : 0].id));
    WEIR_ASSERT(peer->params_len == sizeof params &&
                memcmp(peer->params, params, sizeof params) == 0);
    WEIR_ASSERT(noise_handshake.complete(r->subject, params, sizeof params, 1) == 0);
    noise_handshake.secrets(r->subject, &secrets);
}

/* Let the genuine side take what the subject says, so that it has something to say itself. */
static void answer_genuinely(struct run *r)
{
    static const uint8_t params[] = {1, 2, 3};
    const uint8_t *data;
    size_t len = noise_handshake.bytes(r->subject, HANDSHAKE_INITIAL, &data);
    if (r->other == NULL || len == 0 || r->taken[0] > 0) return;
    if (r->client) {
        WEIR_ASSERT(noise_handshake.on_bytes(r->other, HANDSHAKE_INITIAL, data, len) ==
                    HANDSHAKE_KEYS);
        WEIR_ASSERT(noise_handshake.answer(r->other, params, sizeof params) == 0);
    }
}

static void message_3(struct run *r)
{
    static const uint8_t params[] = {1, 2, 3};
    const uint8_t *data;
    size_t len = noise_handshake.bytes(r->subject, HANDSHAKE_INITIAL, &data);
    if (r->client || r->other == NULL || len == 0) return;
    if (noise_handshake.bytes(r->other, HANDSHAKE_HANDSHAKE, &data) > 0) return;
    len = noise_handshake.bytes(r->subject, HANDSHAKE_INITIAL, &data);
    if (noise_handshake.on_bytes(r->other, HANDSHAKE_INITIAL, data, len) != HANDSHAKE_KEYS) return;
    len = noise_handshake.bytes(r->subject, HANDSHAKE_HANDSHAKE, &data);
    if (noise_handshake.on_bytes(r->other, HANDSHAKE_HANDSHAKE, data, len) != HANDSHAKE_PEER)
        return;
    WEIR_ASSERT(noise_handshake.complete(r->other, params, sizeof params, 1) == 0);
}

static void step(struct run *r, uint8_t op, const uint8_t *bytes, size_t len)
{
    uint8_t copy[HANDSHAKE_PIECE_MAX + 2];
    const uint8_t *data = bytes;
    enum handshake_level level = (op & 1) != 0 ? HANDSHAKE_HANDSHAKE : HANDSHAKE_INITIAL;
    if ((op & 8) != 0 && (op & 16) != 0) level = HANDSHAKE_APPLICATION;
    if ((op & 2) != 0 && r->other != NULL && level != HANDSHAKE_APPLICATION) {
        size_t all, at = r->taken[level];
        if (level == HANDSHAKE_HANDSHAKE) message_3(r);
        all = noise_handshake.bytes(r->other, level, &data);
        size_t want =
            (op & 8) != 0 ? len : all; /* a piece as long as the bytes, or all that is left */
        if (want > all - at) want = all - at;
        if (want > 0) memcpy(copy, data + at, want);
        for (size_t i = 0; (op & 4) != 0 && i + 1 < len && want > 0; i += 2) {
            copy[bytes[i] % want] ^= bytes[i + 1];
            if (bytes[i + 1] != 0) r->changed = true;
        }
        r->taken[level] += want;
        data = copy;
        len = want;
    } else if (len > 0) {
        r->changed = true;
    }
    on_result(r, noise_handshake.on_bytes(r->subject, level, data, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    struct reader in = reader_of(data, size);
    if (size < 1 || size > 8192) return 0;
    uint8_t first = reader_u8(&in);
    memset(&r, 0, sizeof r);
    WEIR_ASSERT(secret_init() == 0);
    mem_counter_init(&r.counter, mem_system());
    r.entropy = (struct entropy){fill, &r};
    for (int i = 0; i < 2; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)}, static_secret[32];
        key_pair_from_seed(&r.key[i], seed);
        fill(&r, static_secret, sizeof static_secret);
        handshake_own_init(&r.own[i], &r.key[i], static_secret);
    }
    r.client = (first & 1) != 0;
    r.subject = make(&r, r.client);
    if ((first & 2) != 0) r.other = make(&r, !r.client);
    if ((first & 4) != 0 && r.client) { /* as a connection does: its candidates are copies */
        struct handshake *copy;
        WEIR_ASSERT(noise_handshake.fork(r.subject, &copy) == 0);
        noise_handshake.close(r.subject);
        r.subject = copy;
    }
    answer_genuinely(&r);
    while (reader_left(&in) >= 2 && !r.has_peer) {
        uint8_t op = reader_u8(&in), small = reader_u8(&in);
        size_t len = small < 250 ? small : small * 8u;
        if (len > reader_left(&in)) len = reader_left(&in);
        step(&r, op, reader_bytes(&in, len), len);
    }
    noise_handshake.close(r.subject);
    noise_handshake.close(r.other);
    WEIR_ASSERT(r.counter.live_bytes == 0);
    return 0;
}
