/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LIMITS_LIMITS_H
#define WEIR_LIMITS_LIMITS_H
#include <stdint.h>
/** Few knobs: a memory budget and a peer count; everything else is derived from them, printable,
 *  and may be overridden. */
enum limit {
    LIMIT_NONE,
#define LIMIT(id, name, scope, value, unit, why) LIMIT_##id,
#include "limits/limits.def"
#undef LIMIT
    LIMIT_COUNT
};
struct limits {
    uint64_t value[LIMIT_COUNT];
};
struct limit_info {
    const char *name, *unit, *why;
    uint16_t scope;            /**< enum limit_scope */
    uint64_t value;            /**< default, 0: derived */
};
/** Fill every limit from the two knobs (0: their defaults) and the table. */
void limits_derive(struct limits *limits, uint64_t memory_bytes, uint64_t peers_max);
/** i in 1 to LIMIT_COUNT-1 (asserted). */
const struct limit_info *limit_info(unsigned i);
/** @return the limit's id, or LIMIT_NONE */
unsigned limit_find(const char *name);
#endif
