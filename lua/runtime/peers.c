/* SPDX-License-Identifier: MIT */
/* The peers that scripts can name.
 *
 * Everything here was chosen by strangers: the ids, how many of them, the addresses. So the table
 * is bounded and found by a keyed hash (SipHash-1-3, Aumasson and Bernstein, 2012), whose key no
 * stranger knows and on which no order depends; what nothing holds goes, the one that was named
 * longest ago first; and a handle in Lua carries the generation of its slot, so that one of a peer
 * that was forgotten stands for nobody, never for the next one there.
 *
 * Entries lie in pages that do not move: ids are handed out as pointers. */
#include "cbor.h"
#include "peers.h"
#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_PEERS = 256, PEERS_MAX = (1 << 24) - 1, GENERATION_MAX = (1 << 24) - 1 };

/* An address that somebody told. */
struct heard {
    struct heard *next;
    uint32_t from, from_generation;
    char text[];
};
struct peer_entry {
    weir_peer_id id; /* len 0: free */
    uint32_t generation, holds;
    uint32_t newer, older; /* of those that nothing holds; in `older`: the next free one */
    struct heard *heard;   /* the newest first */
};
struct peer_table {
    struct peer_entry **pages;
    uint32_t *slots;         /* open addressing: numbers; 0 is free */
    uint32_t slot_mask;      /* their count - 1 */
    uint32_t made, count;    /* numbers given out ever, and in use */
    uint32_t free;           /* the first free one; 0: none */
    uint32_t newest, oldest; /* of those that nothing holds */
    uint64_t key[2];
};

/* ---- the hash */

static uint64_t turn(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turn(v[1], 13) ^ v[0];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] = turn(v[0], 32) + v[3];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] = turn(v[2], 32);
}

/* Words are read as the machine has them: the value never leaves it. */
static uint32_t hash_of(const struct peer_table *t, const weir_peer_id *id)
{
    uint64_t v[4] = {t->key[0] ^ 0x736f6d6570736575u, t->key[1] ^ 0x646f72616e646f6du,
                     t->key[0] ^ 0x6c7967656e657261u, t->key[1] ^ 0x7465646279746573u};
    size_t at = 0;

    for (bool is_last = false; !is_last; at += 8) {
        uint64_t word = 0;
        size_t left = id->len - at;
        is_last = left < 8;
        memcpy(&word, id->bytes + at, is_last ? left : 8);
        if (is_last) word |= (uint64_t)id->len << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

/* ---- the table */

struct peer_table *peers_open(void)
{
    struct peer_table *t = calloc(1, sizeof *t);
    uint64_t random[WEIR_KEY_BYTES / 8];

    if (!t) return NULL;
    t->slot_mask = 2 * PAGE_PEERS - 1;
    t->slots = calloc(2 * PAGE_PEERS, sizeof *t->slots);
    if (!t->slots || weir_key_generate(random, NULL) != 0) {
        free(t->slots);
        free(t);
        return NULL;
    }
    /* The first half of a secret key is 32 bytes of the system's randomness. */
    t->key[0] = random[0];
    t->key[1] = random[1];
    return t;
}

static struct peer_entry *entry_of(const struct peer_table *t, uint32_t peer)
{
    if (peer == PEER_NONE || peer > t->made) return NULL;
    return &t->pages[(peer - 1) / PAGE_PEERS][(peer - 1) % PAGE_PEERS];
}

static void heard_free(struct peer_entry *e)
{
    while (e->heard) {
        struct heard *h = e->heard;
        e->heard = h->next;
        free(h);
    }
}

void peers_close(struct peer_table *t)
{
    if (!t) return;
    for (uint32_t peer = 1; peer <= t->made; peer++) heard_free(entry_of(t, peer));
    for (uint32_t i = 0; i * PAGE_PEERS < t->made; i++) free(t->pages[i]);
    free(t->pages);
    free(t->slots);
    free(t);
}

uint64_t peers_count(const struct peer_table *t)
{
    return t ? t->count : 0;
}

/* The slot of an id, or the free one where it belongs. */
static uint32_t slot_of(const struct peer_table *t, const weir_peer_id *id)
{
    uint32_t slot = hash_of(t, id) & t->slot_mask;

    for (; t->slots[slot] != 0; slot = (slot + 1) & t->slot_mask) {
        const struct peer_entry *e = entry_of(t, t->slots[slot]);
        if (e->id.len == id->len && memcmp(e->id.bytes, id->bytes, id->len) == 0) break;
    }
    return slot;
}

/* Empty a slot, and move up what stood behind it because it was taken. */
static void slot_clear(struct peer_table *t, uint32_t slot)
{
    uint32_t next = slot;

    t->slots[slot] = 0;
    while (t->slots[next = (next + 1) & t->slot_mask] != 0) {
        uint32_t home = hash_of(t, &entry_of(t, t->slots[next])->id) & t->slot_mask;
        if (((next - home) & t->slot_mask) < ((next - slot) & t->slot_mask)) continue;
        t->slots[slot] = t->slots[next];
        t->slots[next] = 0;
        slot = next;
    }
}

static bool slots_double(weir_lua *lua, struct peer_table *t)
{
    uint32_t count = (t->slot_mask + 1) * 2;
    uint32_t *slots = calloc(count, sizeof *slots);

    if (!slots) return false;
    lua->info.native_bytes += (uint64_t)(count / 2) * sizeof *slots;
    free(t->slots);
    t->slots = slots;
    t->slot_mask = count - 1;
    for (uint32_t peer = 1; peer <= t->made; peer++) {
        const struct peer_entry *e = entry_of(t, peer);
        if (e->id.len > 0) slots[slot_of(t, &e->id)] = peer;
    }
    return true;
}

static void idle_remove(struct peer_table *t, uint32_t peer)
{
    struct peer_entry *e = entry_of(t, peer);

    if (e->newer)
        entry_of(t, e->newer)->older = e->older;
    else
        t->newest = e->older;
    if (e->older)
        entry_of(t, e->older)->newer = e->newer;
    else
        t->oldest = e->newer;
    e->newer = e->older = 0;
}

static void idle_push(struct peer_table *t, uint32_t peer)
{
    struct peer_entry *e = entry_of(t, peer);

    e->newer = 0;
    e->older = t->newest;
    if (t->newest)
        entry_of(t, t->newest)->newer = peer;
    else
        t->oldest = peer;
    t->newest = peer;
}

static void forget(struct peer_table *t, uint32_t peer)
{
    struct peer_entry *e = entry_of(t, peer);

    slot_clear(t, slot_of(t, &e->id));
    idle_remove(t, peer);
    heard_free(e);
    e->id.len = 0;
    t->count--;
    /* A slot whose generations are used up is retired. */
    if (e->generation == GENERATION_MAX) return;
    e->generation++;
    e->older = t->free;
    t->free = peer;
}

static bool page_add(weir_lua *lua, struct peer_table *t)
{
    uint32_t count = t->made / PAGE_PEERS;
    struct peer_entry **pages = realloc(t->pages, (count + 1) * sizeof(struct peer_entry *));

    if (!pages) return false;
    t->pages = pages;
    pages[count] = calloc(PAGE_PEERS, sizeof *pages[count]);
    if (!pages[count]) return false;
    lua->info.native_bytes += PAGE_PEERS * sizeof *pages[count];
    return true;
}

/* A number for one more. */
static uint32_t number_new(weir_lua *lua, struct peer_table *t)
{
    uint64_t most = (uint64_t)PEERS_LIVE_MAX + lua->place_count;
    uint32_t peer;

    if (t->count >= most && t->oldest == 0) return PEER_NONE;
    if (t->count >= most) forget(t, t->oldest);
    if (t->free == 0) {
        if (t->made == PEERS_MAX) return PEER_NONE;
        if (t->made % PAGE_PEERS == 0 && !page_add(lua, t)) return PEER_NONE;
        t->made++;
        entry_of(t, t->made)->generation = 1;
        return t->made;
    }
    peer = t->free;
    t->free = entry_of(t, peer)->older;
    return peer;
}

static void touch(struct peer_table *t, uint32_t peer)
{
    if (entry_of(t, peer)->holds > 0 || t->newest == peer) return;
    idle_remove(t, peer);
    idle_push(t, peer);
}

uint32_t peers_intern(weir_lua *lua, const weir_peer_id *id)
{
    struct peer_table *t = lua->peers;
    uint32_t slot, peer;

    if (id->len == 0 || id->len > sizeof id->bytes) return PEER_NONE;
    slot = slot_of(t, id);
    if (t->slots[slot] != 0) {
        touch(t, t->slots[slot]);
        return t->slots[slot];
    }
    if (2 * (t->count + 1) > t->slot_mask && !slots_double(lua, t)) return PEER_NONE;
    peer = number_new(lua, t);
    if (peer == PEER_NONE) return PEER_NONE;
    entry_of(t, peer)->id = *id;
    t->slots[slot_of(t, id)] = peer;
    t->count++;
    idle_push(t, peer);
    return peer;
}

const weir_peer_id *peers_id(const weir_lua *lua, uint32_t peer)
{
    const struct peer_entry *e = entry_of(lua->peers, peer);

    return e && e->id.len > 0 ? &e->id : NULL;
}

void peers_hold(weir_lua *lua, uint32_t peer)
{
    struct peer_entry *e = entry_of(lua->peers, peer);

    if (!e || e->id.len == 0) return;
    if (e->holds++ == 0) idle_remove(lua->peers, peer);
}

void peers_release(weir_lua *lua, uint32_t peer)
{
    struct peer_entry *e = entry_of(lua->peers, peer);

    if (!e || e->id.len == 0) return;
    assert(e->holds > 0);
    if (--e->holds == 0) idle_push(lua->peers, peer);
}

/* ---- what was heard of them */

/* As the book takes it: normalized, one, and without the id, which is known. */
static bool address_clean(const char *address, size_t len, char *out, uint32_t cap)
{
    char text[128];
    char *id;

    if (len == 0 || len >= sizeof text || memchr(address, 0, len) || memchr(address, ',', len))
        return false;
    memcpy(text, address, len);
    text[len] = 0;
    if (weir_address_normalize(text, out, cap, NULL) < 0) return false;
    id = strstr(out, "/p2p/");
    if (id) *id = 0;
    return out[0] != 0;
}

void peers_heard(weir_lua *lua, uint32_t peer, const char *address, size_t len, uint32_t from)
{
    struct peer_entry *e = entry_of(lua->peers, peer), *source = entry_of(lua->peers, from);
    char text[WEIR_ADDRESS_TEXT_MAX];
    struct heard **at, *h;
    unsigned count = 0;

    if (!e || e->id.len == 0 || !source || source->id.len == 0) return;
    if (!address_clean(address, len, text, sizeof text)) return;
    for (at = &e->heard; *at; at = &(*at)->next)
        if (++count == PEER_ADDRESSES_MAX || strcmp((*at)->text, text) == 0) break;
    h = *at;
    if (h) *at = h->next;
    free(h);
    h = malloc(sizeof *h + strlen(text) + 1);
    if (!h) return;
    h->from = from;
    h->from_generation = source->generation;
    memcpy(h->text, text, strlen(text) + 1);
    h->next = e->heard;
    e->heard = h;
}

void peers_hear(struct place *place, uint32_t peer)
{
    const struct peer_table *t = place->lua->peers;
    const struct peer_entry *e = entry_of(t, peer);

    if (!e || e->id.len == 0) return;
    for (const struct heard *h = e->heard; h; h = h->next) {
        const struct peer_entry *source = entry_of(t, h->from);
        if (source && source->id.len > 0 && source->generation == h->from_generation)
            weir_peer_hear(place->node, &e->id, h->text, &source->id);
    }
}

/* ---- in Lua */

void peers_push(lua_State *L, weir_lua *lua, uint32_t peer)
{
    const struct peer_entry *e = entry_of(lua->peers, peer);

    if (!e || e->id.len == 0)
        lua_pushnil(L);
    else
        lua_pushlightuserdata(L, (void *)((uintptr_t)e->generation << 24 | peer));
}

uint32_t peers_get(lua_State *L, int index)
{
    struct peer_table *t = runtime_of(L)->peers;
    uintptr_t value;
    struct peer_entry *e;
    uint32_t peer;

    if (lua_type(L, index) != LUA_TLIGHTUSERDATA) return PEER_NONE;
    value = (uintptr_t)lua_touserdata(L, index);
    peer = value & PEERS_MAX;
    e = entry_of(t, peer);
    if (!e || e->id.len == 0 || e->generation != value >> 24) return PEER_NONE;
    touch(t, peer);
    return peer;
}

uint32_t peers_check(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TNIL)
        luaL_argerror(L, index,
                      "peer expected, got nil: when connect fails, its second value says why");
    if (lua_type(L, index) == LUA_TSTRING)
        luaL_argerror(L, index, "peer expected, got string: connect(address) gives the peer");
    if (lua_type(L, index) != LUA_TLIGHTUSERDATA) luaL_typeerror(L, index, "peer");
    return peers_get(L, index);
}

/* ---- in messages */

static bool wire_take(void *context, lua_State *L, int index, uint8_t *id, size_t *id_len,
                      char addresses[3][128], unsigned *count)
{
    const struct peer_wire *wire = context;
    struct place *place = wire->place;
    uint32_t peer = peers_get(L, index);
    const weir_peer_id *known = peers_id(place->lua, peer);
    char text[WEIR_ADDRESS_TEXT_MAX];

    *count = 0;
    if (!known || known->len > 39) return false;
    memcpy(id, known->bytes, known->len);
    *id_len = known->len;
    for (uint32_t i = 0; *count < PEER_ADDRESSES_MAX && i < 2 * PEER_ADDRESSES_MAX; i++) {
        int32_t len = peer == place->me
                          ? weir_node_address(place->node, i, text, sizeof text)
                          : weir_peer_address(place->node, known, i, text, sizeof text);
        if (len < 0) break;
        char *end = strstr(text, "/p2p/");
        if (end) *end = 0;
        if (strlen(text) > 0 && strlen(text) < sizeof addresses[0])
            memcpy(addresses[(*count)++], text, strlen(text) + 1);
    }
    /* One of whom the book knows nothing yet: as it was heard. */
    if (*count == 0 && peer != place->me)
        for (const struct heard *h = entry_of(place->lua->peers, peer)->heard; h; h = h->next)
            if (*count < PEER_ADDRESSES_MAX && strlen(h->text) < sizeof addresses[0])
                memcpy(addresses[(*count)++], h->text, strlen(h->text) + 1);
    return true;
}

static bool wire_give(void *context, lua_State *L, const uint8_t *id, size_t id_len,
                      const char *const *addresses, const size_t *lengths, unsigned count)
{
    const struct peer_wire *wire = context;
    weir_lua *lua = wire->place->lua;
    weir_peer_id known = {0};
    char text[WEIR_PEER_TEXT_MAX];
    uint32_t peer;

    if (id_len == 0 || id_len > sizeof known.bytes) return false;
    known.len = (uint8_t)id_len;
    memcpy(known.bytes, id, id_len);
    if (weir_peer_format(&known, text, sizeof text) < 0) return false;
    peer = peers_intern(lua, &known);
    if (peer == PEER_NONE) return false;
    if (peer != wire->place->me)
        for (unsigned i = 0; i < count && i < PEER_ADDRESSES_MAX; i++)
            peers_heard(lua, peer, addresses[i], lengths[i], wire->from);
    peers_push(L, lua, peer);
    return true;
}

void peers_wire(struct peer_wire *wire, struct cbor_peers *out)
{
    *out = (struct cbor_peers){.context = wire, .take = wire_take, .give = wire_give};
}
