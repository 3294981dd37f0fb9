/* SPDX-License-Identifier: MIT */
/* The log's drain, and content hashes. */
#include "api/enter.h"
#include "base/log.h"
#include "crypto/blake2b.h"
#include <string.h>

enum { HASH_MARK = 63 }; /**< the word of weir_hash that says whether it is in use */
#define HASH_RUNNING UINT64_C(0x7765697268617368) /* "weirhash" */

_Static_assert(sizeof(struct blake2b_state) <= HASH_MARK * sizeof(uint64_t), "weir_hash has room");
_Static_assert(sizeof(((weir_log_line *)0)->text) == LOG_TEXT_MAX + 1, "a line fits");

WEIR_API int32_t weir_node_log_level(weir_node *node, uint32_t level)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (level > LOG_TRACE) return enter_fail(n, WEIR_E_ARGUMENT, "log levels are 0 to 5");
    return enter_simple(node, NODE_CALL_LOG_LEVEL, 0, level, 0);
}

WEIR_API int32_t weir_node_log(weir_node *node, weir_log_line *lines, uint32_t cap)
{
    struct node *n;
    struct log_line line;
    uint32_t count = 0;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (lines == NULL && cap > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    if (cap > INT32_MAX) cap = INT32_MAX;
    while (count < cap && log_pop(node_log(n), &line)) {
        weir_log_line *out = &lines[count++];
        memset(out, 0, sizeof *out);
        out->time_us = line.time_us;
        out->sequence = line.sequence;
        out->level = line.level;
        memcpy(out->text, line.text, sizeof out->text);
    }
    return (int32_t)count;
}

static void save(weir_hash *hash, const struct blake2b_state *state)
{
    memcpy(hash->opaque, state, sizeof *state);
}

WEIR_API int32_t weir_hash_init(weir_hash *hash)
{
    struct blake2b_state state;
    if (hash == NULL) return WEIR_E_NULL;
    memset(hash, 0, sizeof *hash);
    blake2b_init(&state);
    save(hash, &state);
    hash->opaque[HASH_MARK] = HASH_RUNNING;
    return 0;
}

WEIR_API int32_t weir_hash_update(weir_hash *hash, const void *data, uint64_t len)
{
    struct blake2b_state state;
    if (hash == NULL || (data == NULL && len > 0)) return WEIR_E_NULL;
    if (hash->opaque[HASH_MARK] != HASH_RUNNING) return WEIR_E_STATE;
    if (len > SIZE_MAX) return WEIR_E_ARGUMENT;
    if (len == 0) return 0;
    memcpy(&state, hash->opaque, sizeof state);
    blake2b_update(&state, data, (size_t)len);
    save(hash, &state);
    return 0;
}

WEIR_API int32_t weir_hash_final(weir_hash *hash, void *digest)
{
    struct blake2b_state state;
    if (hash == NULL || digest == NULL) return WEIR_E_NULL;
    if (hash->opaque[HASH_MARK] != HASH_RUNNING) return WEIR_E_STATE;
    memcpy(&state, hash->opaque, sizeof state);
    blake2b_final(&state, digest);
    memset(hash, 0, sizeof *hash);
    return 0;
}
