/* SPDX-License-Identifier: MIT */
/* Two hashes for two purposes.
 *
 * hash_sip13 places keys that a remote chooses: it is keyed with a secret of the node, so that
 * nobody outside can search for keys that collide. One round per word and three at the end is the
 * variant that hash tables use; it is no MAC and never protects bytes on the wire.
 *
 * hash_mix folds a trace into one word. It is unkeyed and no defence against anybody; it must
 * only be sensitive to order and equal on every machine, therefore all words are put together
 * from bytes by hand, little-endian. */
#include "base/hash.h"

enum { SIP_ROUNDS_WORD = 1, SIP_ROUNDS_END = 3 };

static uint64_t rotate_left(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

/* len 0 to 8 bytes, little-endian. */
static uint64_t load_le(const uint8_t *bytes, size_t len)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < len; i++) v |= (uint64_t)bytes[i] << (8 * i);
    return v;
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
    while (rounds > 0) {
        v[0] += v[1];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[3];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[2] = rotate_left(v[2], 32);
        rounds--;
    }
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, SIP_ROUNDS_WORD);
    v[0] ^= word;
}

uint64_t hash_sip13(const uint8_t key[16], const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t k0 = load_le(key, 8), k1 = load_le(key + 8, 8);
    /* The paper's constants: "somepseudorandomlygeneratedbytes". */
    uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                     k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    uint64_t last = (uint64_t)(len & 0xff) << 56;
    size_t done;

    for (done = 0; len - done >= 8; done += 8) sip_word(v, load_le(bytes + done, 8));
    if (len > done) last |= load_le(bytes + done, len - done);
    sip_word(v, last);
    v[2] ^= 0xff;
    sip_rounds(v, SIP_ROUNDS_END);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_mix(uint64_t state, uint64_t value)
{
    /* Rotation and addition before the value comes in: order matters, and neither argument's 0
     * is a fixed point. */
    uint64_t h = (rotate_left(state, 23) + UINT64_C(0x9e3779b97f4a7c15)) ^ value;

    /* Stafford's 13th variant of the MurmurHash3 finaliser: a permutation, so that no two values
     * of one state meet. */
    h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

uint64_t hash_mix_bytes(uint64_t state, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    size_t done;

    /* The length goes first: "ab", "c" and "a", "bc" are different traces. */
    state = hash_mix(state, (uint64_t)len);
    for (done = 0; len - done >= 8; done += 8) state = hash_mix(state, load_le(bytes + done, 8));
    if (len > done) state = hash_mix(state, load_le(bytes + done, len - done));
    return state;
}
