/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_RNG_H
#define WEIR_BASE_RNG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/** Counter-based random streams keyed by (seed, purpose, index): Philox-4x32-10 (Salmon et al., SC
 *  2011).
 *
 *  A stream's n-th value depends on nothing but its key and n, so adding a draw in one place never
 *  shifts another. For simulated worlds, jitter and tests; never for secrets of a live node: a seed
 *  that lives would reveal every past key. */
struct rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    uint32_t used;             /**< words of block already given, 4: none left */
};
/** @param purpose  a short name such as "loss"; different names give independent streams */
void rng_init(struct rng *rng, uint64_t seed, const char *purpose, uint64_t index);
uint32_t rng_u32(struct rng *rng);
uint64_t rng_u64(struct rng *rng);
/** Uniform in [0, bound), without modulo bias; bound >= 1. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/** True with probability parts / 1,000,000. */
bool rng_chance_ppm(struct rng *rng, uint32_t parts);
void rng_fill(struct rng *rng, void *out, size_t len);
#endif
