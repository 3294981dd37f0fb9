/* SPDX-License-Identifier: MIT */
#include "cbor.h"
#include "cbor_forms.h"
#include "vm.h"
#include <cbor/encoding.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A map's keys wait on the Lua stack while they are sorted; this is one of them. */
struct sorted {
    int slot;
    enum cbor_major major;
};

/* How far into each open table: a list's index, or the stack slot of a map's key. */
struct place {
    lua_Integer index;
    int slot;
};

struct writer {
    lua_State *L;
    const struct cbor_peers *peers;
    uint8_t *out;
    size_t used, cap;
    unsigned depth, items, peers_count, sorted_count;
    char *error;
    size_t error_cap;
    struct place places[CBOR_DEPTH_MAX];
    struct sorted sorted[CBOR_ITEMS_MAX / 2]; /* of all open maps: a key has a value behind it */
};

static bool write_value(struct writer *w, int index);

__attribute__((format(printf, 2, 3))) static bool fail(struct writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->error, w->error_cap, format, arguments);
    va_end(arguments);
    return false;
}

static bool fail_size(struct writer *w)
{
    return fail(w, "longer than the %zu bytes that are declared for it", w->cap);
}

static bool fail_items(struct writer *w)
{
    return fail(w, "more than %d values", CBOR_ITEMS_MAX);
}

static bool fail_stack(struct writer *w)
{
    return fail(w, "not enough memory");
}

static bool put(struct writer *w, const void *bytes, size_t len)
{
    if (len > w->cap - w->used) return fail_size(w);
    if (len > 0) memcpy(w->out + w->used, bytes, len);
    w->used += len;
    return true;
}

/* What a libcbor call wrote behind the bytes so far: 0 means that it had no room. */
static bool wrote(struct writer *w, size_t len)
{
    w->used += len;
    return len > 0 || fail_size(w);
}

static bool put_head(struct writer *w, enum cbor_major major, uint64_t argument)
{
    return wrote(w, cbor_forms_head(major, argument, w->out + w->used, w->cap - w->used));
}

static bool put_string(struct writer *w, enum cbor_major major, const void *bytes, size_t len)
{
    return put_head(w, major, len) && put(w, bytes, len);
}

static bool write_number(struct writer *w, int index)
{
    if (!lua_isinteger(w->L, index)) {
        double value = lua_tonumber(w->L, index);
        return wrote(w, cbor_forms_float(value, w->out + w->used, w->cap - w->used));
    }
    lua_Integer value = lua_tointeger(w->L, index);
    return value >= 0 ? put_head(w, CBOR_MAJOR_UNSIGNED, (uint64_t)value)
                      : put_head(w, CBOR_MAJOR_NEGATIVE, ~(uint64_t)value);
}

static bool write_string(struct writer *w, int index)
{
    size_t len;
    const char *bytes = lua_tolstring(w->L, index, &len);
    /* Before it is read: the work is bounded by the message's size, not by the script's string. */
    if (len > w->cap - w->used) return fail_size(w);
    vm_charge(w->L, len / CBOR_COST_BYTES);
    bool is_text = cbor_forms_is_text((const uint8_t *)bytes, len);
    return put_string(w, is_text ? CBOR_MAJOR_TEXT : CBOR_MAJOR_BYTES, bytes, len);
}

/* The addresses as text behind the head of the list, which also holds the id. */
static bool write_addresses(struct writer *w, char addresses[][CBOR_ADDRESS_SIZE], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        size_t len = strnlen(addresses[i], CBOR_ADDRESS_SIZE);
        if (!cbor_forms_is_address((const uint8_t *)addresses[i], len))
            return fail(w, "a peer's address is not 1 to %d bytes of text", CBOR_ADDRESS_SIZE - 1);
        if (!put_string(w, CBOR_MAJOR_TEXT, addresses[i], len)) return false;
    }
    return true;
}

static bool is_peer(struct writer *w, int index, bool *written)
{
    uint8_t id[CBOR_PEER_ID_MAX];
    char addresses[CBOR_ADDRESSES_MAX][CBOR_ADDRESS_SIZE];
    size_t id_len = 0;
    unsigned count = 0;
    if (w->peers == NULL || w->peers->take == NULL) return false;
    if (!w->peers->take(w->peers->context, w->L, index, id, &id_len, addresses, &count))
        return false;
    *written = false;
    if (id_len == 0 || id_len > sizeof id || count > CBOR_ADDRESSES_MAX) {
        fail(w, "a peer without an id cannot be sent");
    } else if (w->peers_count++ == CBOR_LIST_MAX) {
        fail(w, "more than %d peers", CBOR_LIST_MAX);
    } else {
        *written = put_head(w, CBOR_MAJOR_TAG, CBOR_TAG_PEER) &&
                   put_head(w, CBOR_MAJOR_ARRAY, 1 + count) &&
                   put_string(w, CBOR_MAJOR_BYTES, id, id_len) &&
                   write_addresses(w, addresses, count);
    }
    return true;
}

/* How many entries, at most one more than can be sent, and whether their keys are 1 to n. */
static unsigned count_entries(struct writer *w, int table, bool *is_list)
{
    unsigned count = 0, most = CBOR_ITEMS_MAX - w->items + 1;
    lua_Integer last = 0;
    *is_list = true;
    vm_charge_walk(w->L, table);
    lua_pushnil(w->L);
    while (count < most && lua_next(w->L, table) != 0) {
        lua_pop(w->L, 1);
        count++;
        lua_Integer key = lua_isinteger(w->L, -1) ? lua_tointeger(w->L, -1) : 0;
        if (key < 1) *is_list = false;
        if (key > last) last = key;
    }
    if (count == most) lua_pop(w->L, 1);
    vm_charge(w->L, count);
    *is_list = *is_list && last == (lua_Integer)count;
    return count;
}

static bool write_list(struct writer *w, int table, unsigned count)
{
    struct place *place = &w->places[w->depth - 1];
    if (!put_head(w, CBOR_MAJOR_ARRAY, count)) return false;
    for (unsigned i = 1; i <= count; i++) {
        *place = (struct place){.index = (lua_Integer)i};
        lua_rawgeti(w->L, table, (lua_Integer)i);
        if (!write_value(w, lua_gettop(w->L))) return false;
        lua_pop(w->L, 1);
    }
    return true;
}

/* Put the key on top of the stack among those to be sorted. */
static bool add_key(struct writer *w, size_t *room)
{
    struct sorted *key = &w->sorted[w->sorted_count++];
    int slot = lua_gettop(w->L), type = lua_type(w->L, slot);
    key->slot = slot;
    if (type == LUA_TBOOLEAN) {
        key->major = CBOR_MAJOR_SIMPLE;
    } else if (type == LUA_TNUMBER && lua_isinteger(w->L, slot)) {
        key->major = lua_tointeger(w->L, slot) < 0 ? CBOR_MAJOR_NEGATIVE : CBOR_MAJOR_UNSIGNED;
    } else if (type == LUA_TSTRING) {
        size_t len;
        const uint8_t *bytes = (const uint8_t *)lua_tolstring(w->L, slot, &len);
        if (len > *room) return fail_size(w);
        *room -= len;
        vm_charge(w->L, len / CBOR_COST_BYTES);
        key->major = cbor_forms_is_text(bytes, len) ? CBOR_MAJOR_TEXT : CBOR_MAJOR_BYTES;
    } else {
        const char *what = type == LUA_TNUMBER          ? "float"
                           : type == LUA_TLIGHTUSERDATA ? "peer"
                                                        : lua_typename(w->L, type);
        return fail(w, "a key is a %s: only strings, integers and booleans can be sent as keys",
                    what);
    }
    return true;
}

/* What follows the major type in the head. */
static uint64_t argument_of(lua_State *L, const struct sorted *key)
{
    switch (key->major) {
    case CBOR_MAJOR_UNSIGNED: return (uint64_t)lua_tointeger(L, key->slot);
    case CBOR_MAJOR_NEGATIVE: return ~(uint64_t)lua_tointeger(L, key->slot);
    case CBOR_MAJOR_SIMPLE: return lua_toboolean(L, key->slot) ? 21 : 20;
    default: return lua_rawlen(L, key->slot);
    }
}

/* The order of the encoded bytes without encoding: heads of shortest form sort by major type, then
 * by argument, and strings of one length by what they hold. */
static bool is_before(lua_State *L, const struct sorted *a, const struct sorted *b)
{
    if (a->major != b->major) return a->major < b->major;
    uint64_t first = argument_of(L, a), second = argument_of(L, b);
    if (first != second) return first < second;
    if (a->major != CBOR_MAJOR_TEXT && a->major != CBOR_MAJOR_BYTES) return false;
    return memcmp(lua_tostring(L, a->slot), lua_tostring(L, b->slot), (size_t)first) < 0;
}

static void sift(lua_State *L, struct sorted *keys, unsigned at, unsigned count)
{
    struct sorted moved = keys[at];
    for (unsigned child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_before(L, &keys[child], &keys[child + 1])) child++;
        if (!is_before(L, &moved, &keys[child])) break;
        keys[at] = keys[child];
        at = child;
    }
    keys[at] = moved;
}

/* Heapsort: no scratch, no recursion, and O(n log n) whatever keys somebody chose. */
static void sort_keys(lua_State *L, struct sorted *keys, unsigned count)
{
    for (unsigned at = count / 2; at > 0; at--) sift(L, keys, at - 1, count);
    for (unsigned left = count; left > 1; left--) {
        struct sorted last = keys[left - 1];
        keys[left - 1] = keys[0];
        keys[0] = last;
        sift(L, keys, 0, left - 1);
    }
}

/* A value's price for each key and each halving: measured, it takes as long. */
static void charge_sort(lua_State *L, unsigned count)
{
    uint64_t halvings = 0;
    for (unsigned left = count; left > 1; left /= 2) halvings++;
    vm_charge(L, count * halvings * CBOR_COST_VALUE);
}

static bool collect_keys(struct writer *w, int table)
{
    size_t room = w->cap - w->used;
    vm_charge_walk(w->L, table);
    lua_pushnil(w->L);
    while (lua_next(w->L, table) != 0) {
        lua_pop(w->L, 1);
        if (!add_key(w, &room)) return false;
        /* The key stays for the sort; its copy is what lua_next takes. */
        if (!lua_checkstack(w->L, 4)) return fail_stack(w);
        lua_pushvalue(w->L, -1);
    }
    return true;
}

static bool write_map(struct writer *w, int table, unsigned count)
{
    struct place *place = &w->places[w->depth - 1];
    unsigned first = w->sorted_count;
    int top = lua_gettop(w->L);
    if (2 * count > CBOR_ITEMS_MAX - w->items) return fail_items(w);
    *place = (struct place){0};
    if (!collect_keys(w, table)) return false;
    charge_sort(w->L, count);
    sort_keys(w->L, &w->sorted[first], count);
    if (!put_head(w, CBOR_MAJOR_MAP, count)) return false;
    for (unsigned i = first; i < first + count; i++) {
        int slot = w->sorted[i].slot;
        place->slot = slot;
        if (!write_value(w, slot)) return false;
        lua_pushvalue(w->L, slot);
        lua_rawget(w->L, table);
        if (!write_value(w, lua_gettop(w->L))) return false;
        lua_pop(w->L, 1);
    }
    lua_settop(w->L, top);
    w->sorted_count = first;
    return true;
}

/* Read-only tables are empty proxies: sent raw they would arrive as nothing. */
static bool is_hidden(lua_State *L, int table)
{
    if (luaL_getmetafield(L, table, "__metatable") == LUA_TNIL) return false;
    bool hidden = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    return hidden;
}

static bool write_table(struct writer *w, int table)
{
    bool is_list;
    if (w->depth == CBOR_DEPTH_MAX)
        return fail(w, "tables inside tables more than %d deep, or one inside itself",
                    CBOR_DEPTH_MAX);
    if (is_hidden(w->L, table)) return fail(w, "a read-only table cannot be sent");
    unsigned count = count_entries(w, table, &is_list);
    if (count > CBOR_ITEMS_MAX - w->items) return fail_items(w);
    w->places[w->depth++] = (struct place){0};
    if (!(is_list ? write_list(w, table, count) : write_map(w, table, count))) return false;
    w->depth--;
    return true;
}

static bool write_other(struct writer *w, int index)
{
    int type = lua_type(w->L, index);
    if (type == LUA_TFUNCTION) return fail(w, "a function cannot be sent");
    if (type == LUA_TTHREAD) return fail(w, "a coroutine cannot be sent");
    if (type == LUA_TLIGHTUSERDATA)
        return fail(w, w->peers == NULL || w->peers->take == NULL
                           ? "a peer cannot be sent here"
                           : "a peer that was forgotten cannot be sent");
    return fail(w, "an object of the runtime cannot be sent");
}

static bool write_value(struct writer *w, int index)
{
    bool written = false;
    if (w->items == CBOR_ITEMS_MAX) return fail_items(w);
    if (!lua_checkstack(w->L, 8)) return fail_stack(w);
    w->items++;
    vm_charge(w->L, CBOR_COST_VALUE);
    uint8_t *end = w->out + w->used;
    switch (lua_type(w->L, index)) {
    case LUA_TNIL: return wrote(w, cbor_encode_null(end, w->cap - w->used));
    case LUA_TBOOLEAN:
        return wrote(w, cbor_encode_bool(lua_toboolean(w->L, index), end, w->cap - w->used));
    case LUA_TNUMBER: return write_number(w, index);
    case LUA_TSTRING: return write_string(w, index);
    case LUA_TTABLE:
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA: break;
    default: return write_other(w, index);
    }
    if (is_peer(w, index, &written)) return written;
    return lua_istable(w->L, index) ? write_table(w, index) : write_other(w, index);
}

/* A key is shown when it is short and plain: the sentence goes into a log. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return len <= 32;
}

/* Say where in the value it was, while the keys are still on the stack: ", at .players[2].move". */
static void name_place(const struct writer *w)
{
    size_t used = strlen(w->error), len;
    char text[64];
    for (unsigned i = 0; i < w->depth; i++) {
        const struct place *place = &w->places[i];
        if (place->slot == 0 && place->index == 0) break;
        snprintf(text, sizeof text, "[...]");
        if (place->slot == 0) {
            snprintf(text, sizeof text, "[%lld]", (long long)place->index);
        } else if (lua_type(w->L, place->slot) == LUA_TSTRING) {
            const char *key = lua_tolstring(w->L, place->slot, &len);
            if (is_plain(key, len)) snprintf(text, sizeof text, ".%s", key);
        } else if (lua_isinteger(w->L, place->slot)) {
            long long key = (long long)lua_tointeger(w->L, place->slot);
            snprintf(text, sizeof text, "[%lld]", key);
        }
        if (used >= w->error_cap) return;
        snprintf(w->error + used, w->error_cap - used, "%s%s", i == 0 ? ", at " : "", text);
        used += strlen(w->error + used);
    }
}

int64_t cbor_encode(lua_State *L, int index, const struct cbor_peers *peers, uint8_t *out,
                    size_t cap, char *error, size_t error_cap)
{
    struct writer w;
    int top = lua_gettop(L);
    /* Not zeroed as a whole: the keys are 4 KiB. */
    w.L = L;
    w.peers = peers;
    w.out = out;
    w.used = 0;
    w.cap = cap;
    w.depth = w.items = w.peers_count = w.sorted_count = 0;
    w.error = error;
    w.error_cap = error_cap;
    if (cap == 0 ? fail_size(&w) : write_value(&w, lua_absindex(L, index))) return (int64_t)w.used;
    if (error_cap > 0) name_place(&w);
    lua_settop(L, top);
    return -1;
}
