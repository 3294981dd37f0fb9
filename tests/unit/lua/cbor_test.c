/* SPDX-License-Identifier: MIT */
/* Goal: a Lua value has one encoding, the deterministic one of RFC 8949, and nothing else decodes.
 * Method: the RFC's examples both ways and a table of all that is refused, with its sentence; every
 * half-precision float; values that cannot be sent. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/sandbox.h"
#include "unit/lua/cbor_trip.h"

/* Whether two values are the same, down to the kind of number. */
static bool same(lua_State *L, int a, int b)
{
    if (lua_type(L, a) != lua_type(L, b)) return false;
    if (lua_type(L, a) == LUA_TNUMBER) {
        double first = lua_tonumber(L, a), second = lua_tonumber(L, b);
        if (lua_isinteger(L, a) != lua_isinteger(L, b)) return false;
        return lua_isinteger(L, a) ? lua_rawequal(L, a, b) : memcmp(&first, &second, 8) == 0;
    }
    if (!lua_istable(L, a)) return lua_rawequal(L, a, b);
    int balance = 0;
    luaL_checkstack(L, 8, NULL);
    for (lua_pushnil(L); lua_next(L, b) != 0; lua_pop(L, 1)) balance--;
    lua_pushnil(L);
    while (lua_next(L, a) != 0) {
        balance++;
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        if (!same(L, lua_gettop(L) - 1, lua_gettop(L))) return false;
        lua_pop(L, 2);
    }
    return balance == 0;
}

/* Upvalue-free: the trip's source against what its bytes decode to. */
static int compare_in_vm(lua_State *L)
{
    struct trip *t = lua_touserdata(L, 1);
    if (luaL_loadstring(L, t->source) != LUA_OK) return lua_error(L);
    lua_call(L, 0, 1);
    t->decoded = cbor_decode(L, t->data, t->len, t->peers, t->error, sizeof t->error);
    if (t->decoded) t->stack_is_level = same(L, 2, 3);
    return 0;
}

static void assert_decodes_as(const char *source, const uint8_t *data, size_t len)
{
    trip = (struct trip){.source = source, .data = data, .len = len};
    lua_pushcfunction(vm_main(vm), compare_in_vm);
    lua_pushlightuserdata(vm_main(vm), &trip);
    assert_int_equal(vm_call(vm, 1, 0), LUA_OK);
    assert_string_equal(trip.error, "");
    assert_true(trip.stack_is_level);
}

/* RFC 8949, appendix A: all rows that are values of ours, then our own corners. */
static const struct {
    const char *source, *hex;
} examples[] = {
    {"return 0", "00"},
    {"return 1", "01"},
    {"return 10", "0a"},
    {"return 23", "17"},
    {"return 24", "1818"},
    {"return 25", "1819"},
    {"return 100", "1864"},
    {"return 1000", "1903e8"},
    {"return 1000000", "1a000f4240"},
    {"return 1000000000000", "1b000000e8d4a51000"},
    {"return -1", "20"},
    {"return -10", "29"},
    {"return -100", "3863"},
    {"return -1000", "3903e7"},
    {"return 0.0", "f90000"},
    {"return -0.0", "f98000"},
    {"return 1.0", "f93c00"},
    {"return 1.1", "fb3ff199999999999a"},
    {"return 1.5", "f93e00"},
    {"return 65504.0", "f97bff"},
    {"return 100000.0", "fa47c35000"},
    {"return 3.4028234663852886e+38", "fa7f7fffff"},
    {"return 1.0e+300", "fb7e37e43c8800759c"},
    {"return 5.960464477539063e-8", "f90001"},
    {"return 0.00006103515625", "f90400"},
    {"return -4.0", "f9c400"},
    {"return -4.1", "fbc010666666666666"},
    {"return 1/0", "f97c00"},
    {"return -1/0", "f9fc00"},
    {"return false", "f4"},
    {"return true", "f5"},
    {"return nil", "f6"},
    {"return ''", "60"},
    {"return 'a'", "6161"},
    {"return 'IETF'", "6449455446"},
    {"return '\"\\\\'", "62225c"},
    {"return '\\u{fc}'", "62c3bc"},
    {"return '\\u{6c34}'", "63e6b0b4"},
    {"return '\\u{10151}'", "64f0908591"},
    {"return {}", "80"},
    {"return {1, 2, 3}", "83010203"},
    {"return {1, {2, 3}, {4, 5}}", "8301820203820405"},
    {"local t = {} for i = 1, 25 do t[26 - i] = 26 - i end return t",
     "98190102030405060708090a0b0c0d0e0f101112131415161718181819"},
    {"return {[3] = 4, [1] = 2}", "a201020304"},
    {"return {b = {2, 3}, a = 1}", "a26161016162820203"},
    {"return {'a', {b = 'c'}}", "826161a161626163"},
    {"return {e='E', d='D', c='C', b='B', a='A'}", "a56161614161626142616361436164614461656145"},
    /* A hole makes a map; so does a key that is none of 1 to n. */
    {"return {1, nil, 3}", "a201010303"},
    {"return {[0] = 1, [1] = 2}", "a200010102"},
    {"return {1, x = 2}", "a20101617802"},
    /* The order of section 4.2.1, and its 10, 100, -1, "z", "aa", false. */
    {"return {[false]=6, [true]=7, aa=5, z=4, [-1]=3, [100]=2, [10]=1, ['\\xff']=8}",
     "a80a01186402200341ff08617a0462616105f406f507"},
    /* The ends of the integers, and text that ends inside a character. */
    {"return 0x7fffffffffffffff", "1b7fffffffffffffff"},
    {"return -0x7fffffffffffffff - 1", "3b7fffffffffffffff"},
    {"return 9223372036854775808.0", "fa5f000000"},
    {"return '\\xff'", "41ff"},
    {"return 'a\\xc3'", "4261c3"},
    {"return 'a\\0b'", "63610062"},
    /* Floats around what a half and a single can hold. */
    {"return 65520.0", "fa477ff000"},
    {"return 2049.0", "fa45001000"},
    {"return 2.0 ^ -25", "fa33000000"},
    {"return 3 * 2.0 ^ -24", "f90003"},
    {"return 1023 * 2.0 ^ -24", "f903ff"},
    {"return -1023 * 2.0 ^ -24", "f983ff"},
    {"return 2.0 ^ -24 + 2.0 ^ -25", "fa33c00000"},
    {"return 2.0 ^ -149", "fa00000001"},
    {"return 2.0 ^ -150", "fb3690000000000000"},
    {"return 3.4028235677973366e+38", "fb47effffff0000000"},
};

static void test_the_examples_of_the_rfc_encode_and_decode(void **state)
{
    (void)state;
    uint8_t expected[128];
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        size_t len = unhex(examples[i].hex, expected);
        encode(examples[i].source, OUT_MAX);
        assert_string_equal(trip.error, "");
        assert_int_equal(trip.written, len);
        assert_memory_equal(trip.out, expected, len);
        assert_decodes_to_itself(expected, len);
        assert_decodes_as(examples[i].source, expected, len);
    }
}

static void test_every_nan_is_one(void **state)
{
    (void)state;
    static const char *const sources[] = {"return 0/0", "return -(0/0)", "return 1/0 - 1/0"};
    for (size_t i = 0; i < 3; i++) {
        encode(sources[i], OUT_MAX);
        assert_int_equal(trip.written, 3);
        assert_memory_equal(trip.out, "\xf9\x7e\x00", 3);
    }
    assert_decodes_to_itself((const uint8_t *)"\xf9\x7e\x00", 3);
}

static void test_each_half_decodes_to_itself_or_is_a_needless_nan(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned half = 0; half < 0x10000; half++) {
        uint8_t data[3] = {0xf9, (uint8_t)(half >> 8), (uint8_t)half};
        bool is_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
        if (!is_nan || half == 0x7e00) {
            assert_decodes_to_itself(data, 3);
            continue;
        }
        decode(data, 3);
        assert_string_equal(trip.error, "not the shortest form, at byte 0");
        refused++;
    }
    assert_int_equal(refused, 2 * 1023 - 1);
}

static const struct {
    const char *hex, *sentence;
} refusals[] = {
    {"", "cut short, at byte 0"},
    {"18", "cut short, at byte 0"},
    {"6261", "cut short, at byte 0"},
    {"8201", "cut short, at byte 0"},
    {"826161", "cut short, at byte 3"},
    {"bb80000000000000010000", "cut short, at byte 0"},
    {"820102ff", "bytes after the value, at byte 3"},
    {"0000", "bytes after the value, at byte 1"},
    /* Not the shortest form. */
    {"1817", "not the shortest form, at byte 0"},
    {"1900ff", "not the shortest form, at byte 0"},
    {"1a0000ffff", "not the shortest form, at byte 0"},
    {"1b00000000ffffffff", "not the shortest form, at byte 0"},
    {"3800", "not the shortest form, at byte 0"},
    {"3b00000000000000ff", "not the shortest form, at byte 0"},
    {"780161", "not the shortest form, at byte 0"},
    {"5801ff", "not the shortest form, at byte 0"},
    {"8101", NULL},
    {"980101", "not the shortest form, at byte 0"},
    {"b801616101", "not the shortest form, at byte 0"},
    {"db0000000077656972814101", "not the shortest form, at byte 0"},
    {"fa3f800000", "not the shortest form, at byte 0"},
    {"fb3ff0000000000000", "not the shortest form, at byte 0"},
    {"fb40f86a0000000000", "not the shortest form, at byte 0"},
    {"fa7f800000", "not the shortest form, at byte 0"},
    {"fa7fc00000", "not the shortest form, at byte 0"},
    {"fb7ff8000000000000", "not the shortest form, at byte 0"},
    {"fb7ff0000000000001", "not the shortest form, at byte 0"},
    /* Indefinite lengths. */
    {"5f42010243030405ff", "an indefinite length, at byte 0"},
    {"7f657374726561646d696e67ff", "an indefinite length, at byte 0"},
    {"9fff", "an indefinite length, at byte 0"},
    {"bf61610161629f0203ffff", "an indefinite length, at byte 0"},
    {"8101ff", "bytes after the value, at byte 2"},
    {"81ff", "an indefinite length, at byte 1"},
    /* Keys. */
    {"a2616201616101", "keys that are not in order, at byte 4"},
    {"a2616101616102", "a key twice, at byte 4"},
    {"a262616101617a02", "keys that are not in order, at byte 5"},
    {"a220010001", "keys that are not in order, at byte 3"},
    {"a1f93c0001", "a key that is not a string, an integer or a boolean, at byte 1"},
    {"a1f601", "a key that is not a string, an integer or a boolean, at byte 1"},
    {"a18001", "a key that is not a string, an integer or a boolean, at byte 1"},
    {"a1da7765697281410101", "a key that is not a string, an integer or a boolean, at byte 1"},
    /* Two forms of one Lua value. */
    {"a0", "an empty map (an empty table is an empty array), at byte 0"},
    {"81a2010a020b", "a map with the keys 1 to n (it is sent as an array), at byte 1"},
    {"4401020304", "bytes that are UTF-8 (they are sent as text), at byte 0"},
    {"40", "bytes that are UTF-8 (they are sent as text), at byte 0"},
    {"a1416101", "bytes that are UTF-8 (they are sent as text), at byte 1"},
    {"81f6", "a null inside a table, at byte 1"},
    {"a16161f6", "a null inside a table, at byte 3"},
    /* Text that is none (RFC 3629). */
    {"61ff", "text that is not UTF-8, at byte 0"},
    {"62c080", "text that is not UTF-8, at byte 0"},
    {"62c1bf", "text that is not UTF-8, at byte 0"},
    {"63e08080", "text that is not UTF-8, at byte 0"},
    {"63e09fbf", "text that is not UTF-8, at byte 0"},
    {"63eda080", "text that is not UTF-8, at byte 0"},
    {"63edbfbf", "text that is not UTF-8, at byte 0"},
    {"64f08fbfbf", "text that is not UTF-8, at byte 0"},
    {"64f4908080", "text that is not UTF-8, at byte 0"},
    {"64f5808080", "text that is not UTF-8, at byte 0"},
    {"6180", "text that is not UTF-8, at byte 0"},
    {"62c3c3", "text that is not UTF-8, at byte 0"},
    {"62e6b0", "text that is not UTF-8, at byte 0"},
    /* Values that are none of ours. */
    {"1b8000000000000000", "an integer of more than 64 bits, at byte 0"},
    {"1bffffffffffffffff", "an integer of more than 64 bits, at byte 0"},
    {"3b8000000000000000", "an integer of more than 64 bits, at byte 0"},
    {"c249010000000000000000", "an unknown tag, at byte 0"},
    {"c11a514b67b0", "an unknown tag, at byte 0"},
    {"d9d9f700", "an unknown tag, at byte 0"},
    {"f7", "undefined cannot be sent, at byte 0"},
    {"f0", "a simple value other than false, true and null, at byte 0"},
    {"f8ff", "a simple value other than false, true and null, at byte 0"},
    {"fc", "a simple value other than false, true and null, at byte 0"},
    {"1c", "a reserved length, at byte 0"},
    {"7e", "a reserved length, at byte 0"},
    /* Peers. */
    {"da77656972814101", NULL},
    {"da77656972824101612f", NULL},
    {"da7765697200", "a peer that is not an id and at most 3 addresses, at byte 5"},
    {"da7765697280", "a peer that is not an id and at most 3 addresses, at byte 5"},
    {"da77656972854101612f612f612f612f",
     "a peer that is not an id and at most 3 addresses, at byte 5"},
    {"da776569728140", "a peer without an id, at byte 6"},
    {"da77656972816161", "a peer without an id, at byte 6"},
    {"da7765697282410160", "a peer's address that is not 1 to 127 bytes of text, at byte 8"},
    {"da776569728241016100", "a peer's address that is not 1 to 127 bytes of text, at byte 8"},
    {"da77656972824101612f612f", "bytes after the value, at byte 10"},
    {"da77656972814100", "a peer that cannot be one, at byte 0"},
    {"da77656972", "cut short, at byte 5"},
};

static void test_whatever_is_not_the_one_form_is_refused_with_a_sentence(void **state)
{
    (void)state;
    uint8_t data[128];
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        size_t len = unhex(refusals[i].hex, data);
        if (refusals[i].sentence == NULL) {
            assert_decodes_to_itself(data, len);
            continue;
        }
        decode(data, len);
        assert_string_equal(trip.error, refusals[i].sentence);
        assert_false(trip.decoded);
    }
}

static void test_peers_are_refused_where_nobody_takes_them(void **state)
{
    (void)state;
    static const struct cbor_peers none = {0};
    const uint8_t data[] = {0xda, 0x77, 0x65, 0x69, 0x72, 0x81, 0x41, 0x01};
    for (int i = 0; i < 2; i++) {
        trip = (struct trip){.data = data, .len = sizeof data, .peers = i == 0 ? NULL : &none};
        assert_int_equal(run(&trip), LUA_OK);
        assert_false(trip.decoded);
        assert_string_equal(trip.error, "a peer cannot be sent here, at byte 0");
    }
}

static void push_coroutine(lua_State *L, void *context)
{
    (void)context;
    lua_newthread(L);
}

static void push_object(lua_State *L, void *context)
{
    (void)context;
    lua_newuserdatauv(L, 8, 0);
}

static void push_light(lua_State *L, void *context)
{
    lua_pushlightuserdata(L, context);
}

/* { list = { an empty table with this __metatable } } */
static void push_guarded(lua_State *L, void *context)
{
    lua_createtable(L, 0, 1);
    lua_createtable(L, 1, 0);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushboolean(L, *(const bool *)context);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "list");
}

/* What a script calls _G: a proxy, empty when it is looked at raw. */
static void push_environment(lua_State *L, void *context)
{
    (void)context;
    sandbox_push(L);
}

static void push_peer_with_zero_id(lua_State *L, void *context)
{
    (void)context;
    memset(lua_newuserdatauv(L, sizeof(struct cbor_peer), 0), 0, sizeof(struct cbor_peer));
}

static void test_what_cannot_be_sent_is_named_with_its_place(void **state)
{
    (void)state;
    bool shown = false;
    encode("return function() end", OUT_MAX);
    assert_refused("a function cannot be sent");
    encode("return {players = {{}, {move = function() end}}}", OUT_MAX);
    assert_refused("a function cannot be sent, at .players[2].move");
    encode("return {[7] = {[true] = {['a\\n'] = function() end}}}", OUT_MAX);
    assert_refused("a function cannot be sent, at [7][...][...]");
    encode("return {{[1.5] = 1}}", OUT_MAX);
    assert_refused("a key is a float: only strings, integers and booleans can be sent as keys, "
                   "at [1]");
    encode("return {[{}] = 1}", OUT_MAX);
    assert_refused("a key is a table: only strings, integers and booleans can be sent as keys");
    encode("local t = {} t.t = t return t", OUT_MAX);
    assert_refused("tables inside tables more than 8 deep, or one inside itself, "
                   "at .t.t.t.t.t.t.t.t");
    encode_pushed(push_coroutine, NULL);
    assert_refused("a coroutine cannot be sent");
    encode_pushed(push_object, NULL);
    assert_refused("an object of the runtime cannot be sent");
    encode_pushed(push_light, &shown);
    assert_refused("a peer that was forgotten cannot be sent");
    trip = (struct trip){.push = push_light, .context = &shown, .cap = 9};
    assert_int_equal(run(&trip), LUA_OK);
    assert_refused("a peer cannot be sent here");
    encode_pushed(push_guarded, &shown);
    assert_refused("a read-only table cannot be sent, at .list[1]");
    encode_pushed(push_environment, NULL);
    assert_refused("a read-only table cannot be sent");
    shown = true;
    encode_pushed(push_guarded, &shown);
    assert_string_equal(trip.error, "");
    encode_pushed(push_peer_with_zero_id, NULL);
    assert_refused("a peer without an id cannot be sent");
}

static void test_a_sentence_is_cut_to_its_room(void **state)
{
    (void)state;
    char error[8];
    lua_State *L = vm_main(vm);
    lua_pushboolean(L, 1);
    assert_int_equal(cbor_encode(L, -1, NULL, NULL, 0, error, sizeof error), -1);
    assert_string_equal(error, "longer ");
    assert_int_equal(cbor_encode(L, -1, NULL, NULL, 0, NULL, 0), -1);
    assert_false(cbor_decode(L, NULL, 0, NULL, NULL, 0));
    lua_pop(L, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_the_rfc_encode_and_decode),
        cmocka_unit_test(test_every_nan_is_one),
        cmocka_unit_test(test_each_half_decodes_to_itself_or_is_a_needless_nan),
        cmocka_unit_test(test_whatever_is_not_the_one_form_is_refused_with_a_sentence),
        cmocka_unit_test(test_peers_are_refused_where_nobody_takes_them),
        cmocka_unit_test(test_what_cannot_be_sent_is_named_with_its_place),
        cmocka_unit_test(test_a_sentence_is_cut_to_its_room),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
