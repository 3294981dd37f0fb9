/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_CBOR_PEERS_H
#define WEIR_TESTS_CBOR_PEERS_H
#include "runtime/cbor.h"
#include <lauxlib.h>
#include <string.h>

/* Peers as the tests of the encoding have them: a userdata that holds what was heard. An id that
 * begins with a zero byte is no peer's. */
struct cbor_peer {
    size_t id_len;
    unsigned count;
    uint8_t id[39];
    char addresses[3][128];
};

static bool cbor_peers_take(void *context, lua_State *L, int index, uint8_t *id, size_t *id_len,
                            char addresses[3][128], unsigned *count)
{
    (void)context;
    if (lua_type(L, index) != LUA_TUSERDATA) return false;
    const struct cbor_peer *peer = lua_touserdata(L, index);
    if (lua_rawlen(L, index) != sizeof *peer) return false;
    memcpy(id, peer->id, sizeof peer->id);
    *id_len = peer->id_len;
    memcpy(addresses, peer->addresses, sizeof peer->addresses);
    *count = peer->count;
    return true;
}

static bool cbor_peers_give(void *context, lua_State *L, const uint8_t *id, size_t id_len,
                            const char *const *addresses, const size_t *lengths, unsigned count)
{
    (void)context;
    if (id[0] == 0) return false;
    struct cbor_peer *peer = lua_newuserdatauv(L, sizeof *peer, 0);
    memset(peer, 0, sizeof *peer);
    memcpy(peer->id, id, id_len);
    peer->id_len = id_len;
    peer->count = count;
    for (unsigned i = 0; i < count; i++) memcpy(peer->addresses[i], addresses[i], lengths[i]);
    return true;
}

static const struct cbor_peers cbor_peers = {
    .context = NULL, .take = cbor_peers_take, .give = cbor_peers_give};
#endif
