/* SPDX-License-Identifier: MIT */
/* How the two knobs become all limits.
 *
 * A peer may hold a quarter of the node's memory, at least 64 KiB (if the node has them) and at
 * most 16 MiB: enough for the bandwidth-delay product of a fast link, never the whole node. It is
 * asked for each connection (core/transport/streams.c); windows are parts of it, so that the credit
 * of a connection never exceeds what the connection may hold. The number of peers assumes 64 KiB of
 * working memory for each. */
#include "limits/limits.h"
#include "base/assert.h"
#include "base/budget.h"
#include <string.h>

static const struct limit_info infos[LIMIT_COUNT] = {
    {"", "", "", 0, 0},
#define LIMIT(id, name, scope, value, unit, why) {name, unit, why, LIMIT_SCOPE_##scope, value},
#include "limits/limits.def"
#undef LIMIT
};

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
    return v < low ? low : v > high ? high : v;
}

void limits_derive(struct limits *limits, uint64_t memory_bytes, uint64_t peers_max)
{
    uint64_t *v = limits->value;
    for (unsigned i = 0; i < LIMIT_COUNT; i++) v[i] = infos[i].value;
    v[LIMIT_NODE_MEMORY] = memory_bytes != 0 ? memory_bytes : UINT64_C(256) << 20;
    v[LIMIT_PEER_MEMORY] = clamp(v[LIMIT_NODE_MEMORY] / 4, UINT64_C(64) << 10, UINT64_C(16) << 20);
    if (v[LIMIT_PEER_MEMORY] > v[LIMIT_NODE_MEMORY]) v[LIMIT_PEER_MEMORY] = v[LIMIT_NODE_MEMORY];
    v[LIMIT_PEERS] = peers_max != 0 ? peers_max : clamp(v[LIMIT_NODE_MEMORY] / 65536, 8, 1 << 20);
    v[LIMIT_CONNECTION_WINDOW] = v[LIMIT_PEER_MEMORY] / 2;
    v[LIMIT_STREAM_WINDOW] = v[LIMIT_PEER_MEMORY] / 4;
    v[LIMIT_STREAM_SEND] = v[LIMIT_PEER_MEMORY] / 4;
    if (v[LIMIT_CONNECTION_WINDOW_FIRST] > v[LIMIT_CONNECTION_WINDOW])
        v[LIMIT_CONNECTION_WINDOW_FIRST] = v[LIMIT_CONNECTION_WINDOW];
    if (v[LIMIT_STREAM_WINDOW_FIRST] > v[LIMIT_STREAM_WINDOW])
        v[LIMIT_STREAM_WINDOW_FIRST] = v[LIMIT_STREAM_WINDOW];
}

const struct limit_info *limit_info(unsigned i)
{
    WEIR_ASSERT(i > 0 && i < LIMIT_COUNT);
    return &infos[i];
}

unsigned limit_find(const char *name)
{
    for (unsigned i = 1; i < LIMIT_COUNT; i++) {
        if (strcmp(infos[i].name, name) == 0) return i;
    }
    return LIMIT_NONE;
}
