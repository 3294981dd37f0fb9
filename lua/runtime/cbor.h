/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_CBOR_H
#define WEIR_LUA_CBOR_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lua values as deterministic CBOR (RFC 8949, section 4.2.1), by libcbor's streaming calls:
 * shortest forms, definite lengths, map keys sorted by their encoded bytes, text for strings that
 * are valid UTF-8 and bytes for others, integers as integers, floats in the shortest form that
 * keeps the value. A decoder takes nothing else, so values that are equal, down to the kind of
 * number, have equal bytes, and whatever decodes encodes to the bytes that it came from.
 *
 * A table is an array when its keys are 1 to n without a gap, else a map, whose keys are strings,
 * integers or booleans; an empty table is an empty array. So a table with a hole is a map without
 * that key; a null stands alone or not at all (inside a table it would set nothing); and there is
 * no empty map, no map with the keys 1 to n, and no byte string that is valid UTF-8: those are
 * second forms of Lua values that have one, and are refused. What another language sends has to
 * keep to that.
 *
 * Tables are read raw: metatables neither travel nor run. A table whose metatable has __metatable =
 * false is refused, since the runtime's read-only tables are such, and empty proxies. A peer
 * travels as tag CBOR_TAG_PEER over [id bytes, address text ...] with at most 3 addresses, those
 * that are known when it is sent, and is one value, never a key. Depth, item count and size are
 * bounded on both ways; each value and each CBOR_COST_BYTES of a string is charged (vm_charge),
 * before it is worked on. */

enum {
    CBOR_DEPTH_MAX = 8,        /**< tables around a value, the outermost included */
    CBOR_ITEMS_MAX = 1024,     /**< values in one message, keys included */
    CBOR_LIST_MAX = 64,        /**< peers in one message */
    CBOR_TAG_PEER = 0x77656972 /**< "weir" */
};

/** How peers get in and out: the runtime's. NULL functions: peers are refused. */
struct cbor_peers {
    void *context;
    /** Whether the value at index (a light or full userdata, or a table) is a peer; then its id (39
     *  bytes or fewer) and addresses, each ended by a zero. */
    bool (*take)(void *context, lua_State *L, int index, uint8_t *id, size_t *id_len,
                 char addresses[3][128], unsigned *count);
    /** Push a peer that was heard. @return false: refused (not a peer id); nothing pushed */
    bool (*give)(void *context, lua_State *L, const uint8_t *id, size_t id_len,
                 const char *const *addresses, const size_t *lengths, unsigned count);
};

/** Encode the value at index.
 *  @param out  room for cap bytes
 *  @return bytes written; -1 with a sentence in error: "a function cannot be sent", "longer than
 *          the 256 bytes that the message declares" ..., and the place if that is inside: ", at
 *          .players[2].move". Raises on memory or instructions only; the stack is as before.
 *  @limit  4 KiB of C stack for sorting, and a slot of Lua's stack for each key of an open map */
int64_t cbor_encode(lua_State *L, int index, const struct cbor_peers *peers, uint8_t *out,
                    size_t cap, char *error, size_t error_cap);
/** Decode exactly len bytes and push the value. A length that data announces costs nothing before
 *  the bytes for it are seen.
 *  @return true; false with a sentence in error, "keys that are not in order, at byte 5", and
 *          nothing pushed. Raises on memory or instructions only. */
bool cbor_decode(lua_State *L, const uint8_t *data, size_t len, const struct cbor_peers *peers,
                 char *error, size_t error_cap);
#endif
