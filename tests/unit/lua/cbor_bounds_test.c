/* SPDX-License-Identifier: MIT */
/* Goal: no value and no message costs more than it may, and all that is sent comes back.
 * Method: size, depth and counts reached and exceeded by one; lengths that lie, cuts and flipped
 * bits; a state with few instructions or little memory; generated values with fixed seeds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/cbor_trip.h"

static void test_size_is_bounded_to_the_byte(void **state)
{
    (void)state;
    static const char source[] = "return {name = 'weir', list = {1, 2.5, 'x', 1e300, true, {}},"
                                 "[5] = '\\xff', [-70000] = 1, deep = {{{a = 1}}}}";
    char sentence[80];
    encode(source, OUT_MAX);
    int64_t len = trip.written;
    assert_in_range(len, 50, 100);
    for (int64_t cap = 0; cap < len; cap++) {
        encode(source, (size_t)cap);
        snprintf(sentence, sizeof sentence, "longer than the %d bytes that are declared for it",
                 (int)cap);
        assert_int_equal(trip.written, -1);
        assert_memory_equal(trip.error, sentence, strlen(sentence));
    }
    encode(source, (size_t)len);
    assert_int_equal(trip.written, len);
}

static void test_depth_is_bounded_both_ways(void **state)
{
    (void)state;
    const uint8_t nine[] = {0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x80};
    encode("return {{{{{{{{}}}}}}}}", OUT_MAX);
    assert_int_equal(trip.written, 8);
    encode("return {{{{{{{{{}}}}}}}}}", OUT_MAX);
    assert_int_equal(trip.written, -1);
    assert_decodes_to_itself(nine + 1, 8);
    decode(nine, 9);
    assert_string_equal(trip.error, "tables inside tables are too deep, at byte 8");
}

/* An array head of two bytes behind the first, then zeros: count + 1 values. */
static void decode_zeros(unsigned count)
{
    static uint8_t data[CBOR_ITEMS_MAX + 8];
    memset(data, 0, sizeof data);
    data[0] = 0x99;
    data[1] = (uint8_t)(count >> 8);
    data[2] = (uint8_t)count;
    decode(data, 3 + count);
}

static void test_values_are_counted_both_ways(void **state)
{
    (void)state;
    encode("local t = {} for i = 1, 1023 do t[i] = 0 end return t", OUT_MAX);
    assert_int_equal(trip.written, 1026);
    encode("local t = {} for i = 1, 1024 do t[i] = 0 end return t", OUT_MAX);
    assert_refused("more than 1024 values");
    encode("local t = {} for i = 1, 511 do t[-i] = 0 end return t", OUT_MAX);
    assert_string_equal(trip.error, "");
    encode("local t = {} for i = 1, 512 do t[-i] = 0 end return t", OUT_MAX);
    assert_refused("more than 1024 values");
    encode("local t = {} for i = 1, 511 do t[i] = {0} end return t", OUT_MAX);
    assert_string_equal(trip.error, "");
    encode("local t = {} for i = 1, 511 do t[i] = {0} end t[512] = {0} return t", OUT_MAX);
    assert_refused("more than 1024 values, at [512]");
    encode("local t = {{}} for i = 1, 1000 do t[1][i] = 0 end for i = 2, 24 do t[i] = 0 end "
           "return t",
           OUT_MAX);
    assert_refused("more than 1024 values, at [24]");
    decode_zeros(1023);
    assert_string_equal(trip.error, "");
    decode_zeros(1024);
    assert_string_equal(trip.error, "too many values, at byte 0");
}

static void push_peers(lua_State *L, void *context)
{
    int count = *(const int *)context;
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        struct cbor_peer *peer = lua_newuserdatauv(L, sizeof *peer, 0);
        memset(peer, 0, sizeof *peer);
        peer->id_len = 1 + (size_t)i % 39;
        memset(peer->id, i, peer->id_len);
        peer->count = (unsigned)i % 4;
        for (unsigned k = 0; k < peer->count; k++)
            memset(peer->addresses[k], '/', 1 + (size_t)(i * 7) % 127);
        lua_rawseti(L, -2, i);
    }
}

static void test_peers_travel_and_are_counted_both_ways(void **state)
{
    (void)state;
    static uint8_t message[OUT_MAX];
    int count = 64;
    encode_pushed(push_peers, &count);
    assert_string_equal(trip.error, "");
    size_t len = (size_t)trip.written;
    memcpy(message, trip.out, len);
    assert_decodes_to_itself(message, len);
    count = 65;
    encode_pushed(push_peers, &count);
    assert_refused("more than 64 peers, at [65]");
    /* One more by hand: the head is 98 40 and becomes 98 41. */
    assert_int_equal(message[1], 64);
    message[1] = 65;
    memcpy(message + len, "\xda\x77\x65\x69\x72\x81\x41\x01", 8);
    decode(message, len + 8);
    assert_memory_equal(trip.error, "too many peers, at byte ", 24);
}

static void test_a_length_that_lies_costs_nothing(void **state)
{
    (void)state;
    static const char *const claims[] = {
        "9affffffff",
        "9bffffffffffffffff",
        "baffffffff",
        "bb7fffffffffffffff",
        "bb8000000000000000",
        "bbffffffffffffffff",
        "5affffffff",
        "5bffffffffffffffff",
        "7affffffff",
        "7bffffffffffffffff",
        "9903e8",
        "81819affffffff",
        "bb8000000000000001",
        "a16161baffffffff0000",
        "9b0000000100000001",
    };
    uint8_t data[32];
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        struct vm_statistics before, after;
        size_t len = unhex(claims[i], data);
        decode(data, len); /* The first time may make the sentences' strings. */
        lua_gc(vm_main(vm), LUA_GCCOLLECT);
        vm_get_statistics(vm, &before);
        decode(data, len);
        vm_get_statistics(vm, &after);
        assert_false(trip.decoded);
        assert_memory_equal(trip.error, "cut short", 9);
        assert_in_range(after.bytes, 0, before.bytes + 2048);
    }
}

static void test_cut_and_flipped_messages_are_refused_or_mean_something_else(void **state)
{
    (void)state;
    static uint8_t message[256];
    encode("return {name = 'weir\\u{fc}', list = {1, 2.5, -3, 1e300, true, {}},"
           "[5] = '\\xff', [-70000] = 1, [true] = {a = {b = {c = 'x'}}}, at = 0.1}",
           OUT_MAX);
    size_t len = (size_t)trip.written;
    assert_in_range(len, 60, sizeof message);
    memcpy(message, trip.out, len);
    for (size_t i = 0; i < len; i++) {
        decode(message, i);
        assert_false(trip.decoded);
        for (unsigned bit = 0; bit < 8; bit++) {
            message[i] ^= (uint8_t)(1u << bit);
            decode(message, len);
            if (trip.decoded) {
                assert_int_equal(trip.written, len);
                assert_memory_equal(trip.out, message, len);
            }
            message[i] ^= (uint8_t)(1u << bit);
        }
    }
}

/* A generator of its own, so that the values are the same everywhere. */
struct made {
    uint64_t random;
    unsigned left;
    bool backwards; /* the same maps, filled from the last key to the first */
};

static uint64_t draw(struct made *made, uint64_t below)
{
    made->random ^= made->random << 13;
    made->random ^= made->random >> 7;
    made->random ^= made->random << 17;
    return (made->random >> 11) % below;
}

static void push_text(lua_State *L, struct made *made, size_t most)
{
    char text[300];
    size_t len = (size_t)draw(made, most + 1);
    bool is_plain = draw(made, 4) != 0;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(is_plain ? 'a' + (int)draw(made, 3) : (int)draw(made, 256));
    lua_pushlstring(L, text, len);
}

static void push_scalar(lua_State *L, struct made *made)
{
    uint64_t bits = draw(made, UINT64_MAX) << 11 ^ draw(made, UINT64_MAX);
    double number;
    float single;
    switch (draw(made, 6)) {
    case 0: lua_pushinteger(L, (lua_Integer)(bits >> draw(made, 64))); break;
    case 1: lua_pushinteger(L, -1 - (lua_Integer)(bits >> (1 + draw(made, 63)))); break;
    case 2:
        memcpy(&number, &bits, sizeof number);
        lua_pushnumber(L, number);
        break;
    case 3:
        memcpy(&single, &bits, sizeof single);
        lua_pushnumber(L, (double)single);
        break;
    case 4: lua_pushboolean(L, (int)(bits & 1)); break;
    default: push_text(L, made, 280); break;
    }
}

static void push_key(lua_State *L, struct made *made)
{
    switch (draw(made, 3)) {
    case 0: lua_pushinteger(L, (lua_Integer)draw(made, 2000) - 1000); break;
    case 1: lua_pushboolean(L, (int)draw(made, 2)); break;
    default: push_text(L, made, 3); break;
    }
}

static void push_made(lua_State *L, void *context)
{
    struct made *made = context;
    unsigned kind = (unsigned)draw(made, 4), count = (unsigned)draw(made, 9);
    luaL_checkstack(L, 30, NULL);
    if (kind < 2 || made->left < count + 1) {
        push_scalar(L, made);
        return;
    }
    made->left -= count + 1;
    lua_newtable(L);
    if (kind == 2) {
        for (unsigned i = 1; i <= count; i++) {
            push_scalar(L, made);
            lua_rawseti(L, -2, (lua_Integer)i);
        }
        return;
    }
    int table = lua_gettop(L);
    for (unsigned i = 0; i < count; i++) {
        push_key(L, made);
        push_made(L, made);
    }
    /* The later of two equal keys wins forwards; so that it does backwards, it is only set once. */
    for (unsigned i = 0; i < count; i++) {
        int at = table + 1 + 2 * (int)(made->backwards ? count - 1 - i : i);
        lua_pushvalue(L, at);
        if (lua_rawget(L, table) == LUA_TNIL || !made->backwards) {
            lua_pushvalue(L, at);
            lua_pushvalue(L, at + 1);
            lua_rawset(L, table);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, table);
}

static void test_generated_values_round_trip_whatever_order_made_them(void **state)
{
    (void)state;
    static uint8_t first[OUT_MAX];
    uint64_t tables = 0;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct made made = {.random = seed * 0x9e3779b97f4a7c15u, .left = 60};
        struct made backwards = {.random = made.random, .left = 60, .backwards = true};
        encode_pushed(push_made, &made);
        if (strstr(trip.error, "deep") != NULL) continue;
        assert_string_equal(trip.error, "");
        size_t len = (size_t)trip.written;
        memcpy(first, trip.out, len);
        tables += len > 300;
        encode_pushed(push_made, &backwards);
        assert_int_equal(trip.written, len);
        assert_memory_equal(trip.out, first, len);
        assert_decodes_to_itself(first, len);
    }
    assert_in_range(tables, 100, 1500);
}

/* The largest map, its keys of one length with a common beginning: the most a sort compares. */
static void test_the_largest_map_is_sorted(void **state)
{
    (void)state;
    static uint8_t message[OUT_MAX];
    encode("local t = {} for i = 511, 1, -1 do "
           "t[('k'):rep(100) .. ('%05d'):format(i * 7919 % 100003)] = i end return t",
           OUT_MAX);
    assert_string_equal(trip.error, "");
    size_t len = (size_t)trip.written;
    memcpy(message, trip.out, len);
    assert_decodes_to_itself(message, len);
}

/* A state of its own in place of the common one, which is put back. */
static struct vm *swap_vm(struct vm *other)
{
    struct vm *before = vm;
    vm = other;
    return before;
}

static void test_values_are_paid_for_with_instructions(void **state)
{
    (void)state;
    static uint8_t message[3 + 1023];
    const struct vm_options options = {.instructions = 4000};
    struct vm *common = swap_vm(vm_open(&options));
    assert_non_null(vm);
    message[0] = 0x98; /* 100 zeros fit, 1023 do not. */
    message[1] = 100;
    trip = (struct trip){.data = message, .len = 2 + 100, .cap = OUT_MAX};
    assert_int_equal(run(&trip), LUA_OK);
    assert_true(trip.decoded);
    memset(message, 0, sizeof message);
    memcpy(message, "\x99\x03\xff", 3);
    trip = (struct trip){.data = message, .len = sizeof message, .cap = OUT_MAX};
    assert_int_not_equal(run(&trip), LUA_OK);
    assert_int_equal(vm_stopped(vm), VM_STOP_INSTRUCTIONS);
    vm_close(swap_vm(common));
}

static void test_without_memory_a_decoder_raises_and_leaves_nothing(void **state)
{
    (void)state;
    static uint8_t message[OUT_MAX * 6];
    const struct vm_options options = {.memory_bytes = 256 << 10};
    struct vm *common = swap_vm(vm_open(&options));
    assert_non_null(vm);
    memset(message, 'a', sizeof message);
    memcpy(message, "\x7a\x00\x06\x00\x00", 5);
    trip = (struct trip){.data = message, .len = 5 + 0x60000, .cap = OUT_MAX};
    assert_int_not_equal(run(&trip), LUA_OK);
    assert_decodes_to_itself((const uint8_t *)"\x61\x61", 2);
    vm_close(swap_vm(common));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_is_bounded_to_the_byte),
        cmocka_unit_test(test_depth_is_bounded_both_ways),
        cmocka_unit_test(test_values_are_counted_both_ways),
        cmocka_unit_test(test_peers_travel_and_are_counted_both_ways),
        cmocka_unit_test(test_a_length_that_lies_costs_nothing),
        cmocka_unit_test(test_cut_and_flipped_messages_are_refused_or_mean_something_else),
        cmocka_unit_test(test_generated_values_round_trip_whatever_order_made_them),
        cmocka_unit_test(test_the_largest_map_is_sorted),
        cmocka_unit_test(test_values_are_paid_for_with_instructions),
        cmocka_unit_test(test_without_memory_a_decoder_raises_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
