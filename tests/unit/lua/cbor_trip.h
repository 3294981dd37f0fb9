/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_CBOR_TRIP_H
#define WEIR_TESTS_CBOR_TRIP_H
#include "runtime/cbor.h"
#include "runtime/vm.h"
#include "unit/lua/cbor_peers.h"
#include <stdio.h>
#include <stdlib.h>

/* The codec as its tests call it: inside vm_call, as it runs for scripts, with each input and
 * output in a block of exactly its size. Include after cmocka.h. */

enum { OUT_MAX = 70000 };

/* One call of the codec inside the state. */
struct trip {
    const char *source; /* a chunk whose result is encoded, or NULL: */
    void (*push)(lua_State *L, void *context);
    void *context;
    const uint8_t *data; /* with neither of them: decoded, then encoded */
    size_t len, cap;
    const struct cbor_peers *peers;
    bool decoded, stack_is_level;
    int64_t written;
    uint8_t out[OUT_MAX];
    char error[200];
};

static struct vm *vm;
static struct trip trip; /* of the test that runs: too large for the stack */

static inline int run_in_vm(lua_State *L)
{
    struct trip *t = lua_touserdata(L, 1);
    t->written = -1;
    t->error[0] = 0;
    if (t->source != NULL) {
        if (luaL_loadstring(L, t->source) != LUA_OK) return lua_error(L);
        lua_call(L, 0, 1);
    } else if (t->push != NULL) {
        t->push(L, t->context);
    } else {
        t->decoded = cbor_decode(L, t->data, t->len, t->peers, t->error, sizeof t->error);
        t->stack_is_level = lua_gettop(L) == (t->decoded ? 2 : 1);
        if (!t->decoded) return 0;
    }
    uint8_t *exact = malloc(t->cap > 0 ? t->cap : 1);
    if (exact == NULL) abort();
    t->written = cbor_encode(L, -1, t->peers, exact, t->cap, t->error, sizeof t->error);
    if (t->written > 0) memcpy(t->out, exact, (size_t)t->written);
    free(exact);
    t->stack_is_level = lua_gettop(L) == 2;
    return 1;
}

/* @return what vm_call said; the value is dropped */
static inline int run(struct trip *t)
{
    lua_State *L = vm_main(vm);
    lua_pushcfunction(L, run_in_vm);
    lua_pushlightuserdata(L, t);
    int said = vm_call(vm, 1, 0);
    if (said == LUA_OK) assert_true(t->stack_is_level);
    return said;
}

static inline void encode(const char *source, size_t cap)
{
    trip = (struct trip){.source = source, .cap = cap, .peers = &cbor_peers};
    assert_int_equal(run(&trip), LUA_OK);
}

static inline void encode_pushed(void (*push)(lua_State *L, void *context), void *context)
{
    trip = (struct trip){.push = push, .context = context, .cap = OUT_MAX, .peers = &cbor_peers};
    assert_int_equal(run(&trip), LUA_OK);
}

/* Decode, and encode what came. The bytes are copied to where a byte too far is seen. */
static inline void decode(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    if (len > 0) memcpy(exact, data, len);
    trip = (struct trip){.data = exact, .len = len, .cap = OUT_MAX, .peers = &cbor_peers};
    int said = run(&trip);
    free(exact);
    assert_int_equal(said, LUA_OK);
}

static inline void assert_decodes_to_itself(const uint8_t *data, size_t len)
{
    decode(data, len);
    assert_string_equal(trip.error, "");
    assert_true(trip.decoded);
    assert_int_equal(trip.written, len);
    assert_memory_equal(trip.out, data, len);
}

static inline size_t unhex(const char *text, uint8_t *out)
{
    size_t len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return len;
}

static inline void assert_refused(const char *sentence)
{
    assert_int_equal(trip.written, -1);
    assert_string_equal(trip.error, sentence);
}

static inline int set_up(void **state)
{
    (void)state;
    const struct vm_options options = {.instructions = 10000000};
    vm = vm_open(&options);
    return vm == NULL;
}

static inline int tear_down(void **state)
{
    (void)state;
    vm_close(vm);
    return 0;
}
#endif
