/* SPDX-License-Identifier: MIT */
/* Philox-4x32-10: a counter is encrypted with ten cheap rounds, and the result is four random
 * words.
 *
 * How a stream gets its key: key = SipHash-1-3 of the purpose's bytes under the 16-byte key
 * (seed, index), both little-endian; the two upper words of the counter are the same hash under
 * (~seed, ~index). The two lower words of the counter start at 0 and count blocks. A stream is
 * thus named by 128 bits, so that even millions of streams of one world do not meet, and
 * stepping one stream never reaches another before 2^64 blocks. */
#include "base/rng.h"
#include "base/assert.h"
#include "base/hash.h"
#include <string.h>

enum { PHILOX_ROUNDS = 10 };

static uint64_t stream_hash(uint64_t seed, uint64_t index, const char *purpose)
{
    uint8_t key[16];
    unsigned i;

    for (i = 0; i < 8; i++) {
        key[i] = (uint8_t)(seed >> (8 * i) & 0xff);
        key[8 + i] = (uint8_t)(index >> (8 * i) & 0xff);
    }
    return hash_sip13(key, purpose, strlen(purpose));
}

void rng_init(struct rng *rng, uint64_t seed, const char *purpose, uint64_t index)
{
    uint64_t key = stream_hash(seed, index, purpose);
    uint64_t upper = stream_hash(~seed, ~index, purpose);

    memset(rng, 0, sizeof *rng);
    rng->key[0] = (uint32_t)key;
    rng->key[1] = (uint32_t)(key >> 32);
    rng->counter[2] = (uint32_t)upper;
    rng->counter[3] = (uint32_t)(upper >> 32);
    rng->used = 4;
}

/* Salmon et al., section 3.2 and table 2: the multipliers, and the key's Weyl steps (golden
 * ratio, sqrt(3) - 1). */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    unsigned round;

    memcpy(out, counter, 4 * sizeof *out);
    for (round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = UINT64_C(0xd2511f53) * out[0], p1 = UINT64_C(0xcd9e8d57) * out[2];

        out[0] = (uint32_t)(p1 >> 32) ^ out[1] ^ k0;
        out[1] = (uint32_t)p1;
        out[2] = (uint32_t)(p0 >> 32) ^ out[3] ^ k1;
        out[3] = (uint32_t)p0;
        k0 += UINT32_C(0x9e3779b9);
        k1 += UINT32_C(0xbb67ae85);
    }
}

uint32_t rng_u32(struct rng *rng)
{
    unsigned i;

    WEIR_ASSERT(rng->used <= 4);
    if (rng->used == 4) {
        philox(rng->counter, rng->key, rng->block);
        for (i = 0; i < 4 && ++rng->counter[i] == 0; i++) continue;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t low = rng_u32(rng);

    return (uint64_t)rng_u32(rng) << 32 | low;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    __extension__ typedef unsigned __int128 wide;
    wide product;
    uint64_t unfair;

    WEIR_ASSERT(bound >= 1);
    /* Lemire 2019: the upper half of draw * bound is the result; it is unfair only where the
     * lower half is below 2^64 modulo bound, and then it is drawn again. The division is needed
     * only when the lower half is small. */
    product = (wide)rng_u64(rng) * bound;
    if ((uint64_t)product < bound) {
        unfair = (0 - bound) % bound;
        while ((uint64_t)product < unfair) product = (wide)rng_u64(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

bool rng_chance_ppm(struct rng *rng, uint32_t parts)
{
    return rng_below(rng, 1000000) < parts;
}

void rng_fill(struct rng *rng, void *out, size_t len)
{
    uint8_t *bytes = out;
    uint32_t word = 0;
    size_t i;

    /* Every call starts with a fresh word: the rest of the last one is thrown away. */
    for (i = 0; i < len; i++) {
        word = i % 4 == 0 ? rng_u32(rng) : word >> 8;
        bytes[i] = (uint8_t)(word & 0xff);
    }
}
