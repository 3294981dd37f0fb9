/* SPDX-License-Identifier: MIT */
/* Goal: a name that does not exist is found in a compiled function wherever it stands, with its
 * line, and a name that may exist is never reported. Method: sources with the expected message;
 * dumps that are cut short. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/check.h"
#include "runtime/dump.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Globals: print, P and names that begin with g. P has ask and name; name cannot be written. */
static const char *look_up(void *context, const char *table, const char *key, bool is_write)
{
    unsigned *calls = context;

    (*calls)++;
    if (strcmp(table, "_ENV") == 0) {
        if (is_write) return "cannot be written";
        if (strcmp(key, "print") == 0 || strcmp(key, "P") == 0 || key[0] == 'g') return NULL;
        return "no such name";
    }
    if (strcmp(table, "P") != 0) return NULL;
    if (is_write) return "is read-only";
    return strcmp(key, "ask") == 0 || strcmp(key, "name") == 0 ? NULL : "P has no such name";
}

static const char *message_of(const char *source, unsigned *calls)
{
    static char message[200];
    lua_State *L = luaL_newstate();
    bool fine;

    *calls = 0;
    message[0] = '\0';
    if (luaL_loadbuffer(L, source, strlen(source), "@file.lua") != LUA_OK) {
        fail_msg("%s", lua_tostring(L, -1));
    }
    fine = check_function(L, look_up, calls, message, sizeof message);
    assert_int_equal(lua_gettop(L), 1);
    assert_int_equal(fine, message[0] == '\0');
    lua_close(L);
    return message;
}

static void test_names_that_do_not_exist_are_found(void **state)
{
    static const struct {
        const char *source, *message;
    } rows[] = {
        {"print(g1, g2)", ""},
        {"local x = 1\nprint(aks)", "file.lua:2: 'aks': no such name"},
        {"prnt 'x'", "file.lua:1: 'prnt': no such name"},
        {"\n\nx = 1", "file.lua:3: 'x': cannot be written"},
        {"function f() end", "file.lua:1: 'f': cannot be written"},
        {"local function f()\n return function()\n  return aks end end",
         "file.lua:3: 'aks': no such name"},
        /* The first in the source, although outer functions are read later. */
        {"local f = function()\n return first end\nsecond()", "file.lua:2: 'first': no such name"},
        {"first(function()\n return second end)", "file.lua:1: 'first': no such name"},
        {"local a = function() return first end second()", "file.lua:1: 'first': no such name"},
        {"local a = function() return g end local b = function() return first end second()",
         "file.lua:1: 'first': no such name"},
        /* Objects in local variables and upvalues. */
        {"local P = g\nP.ask()\nP:name()", ""},
        {"local P = g\nP.aks()", "file.lua:2: 'aks': P has no such name"},
        {"local P = g\nP:aks()", "file.lua:2: 'aks': P has no such name"},
        {"local P = g\nP.ask = 1", "file.lua:2: 'ask': is read-only"},
        {"local P = g\nreturn function()\n return P.ask, P.aks end",
         "file.lua:3: 'aks': P has no such name"},
        {"local P = g\nreturn function()\n return P:aks() end",
         "file.lua:3: 'aks': P has no such name"},
        {"local P = g\nreturn function()\n P.name = 1 end", "file.lua:3: 'name': is read-only"},
        {"local P = g\nreturn function() return function()\n return P:ask(), P:aks() end end",
         "file.lua:3: 'aks': P has no such name"},
        {"local a, b = 1, 2\ndo local c = 3 end\nlocal P = g\nfor i = 1, 2 do\n P.aks() end",
         "file.lua:5: 'aks': P has no such name"},
        {"return function(P) return P.aks end", "file.lua:1: 'aks': P has no such name"},
        {"return function()\n return g[1], g.x, aks[1] end", "file.lua:2: 'aks': no such name"},
        {"P['a\\nks']()\nreturn zz", "file.lua:2: 'zz': no such name"},
        {"local P = g return P['a\\nks']", "file.lua:1: 'a?ks': P has no such name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned calls;

        assert_string_equal(message_of(rows[i].source, &calls), rows[i].message);
        assert_true(calls > 0);
    }
}

static void test_names_that_may_exist_are_not_reported(void **state)
{
    static const char *const rows[] = {
        "local x = g x.aks() x.y = 1 return x:z()",
        "local aks = 1 return aks",
        "do local P = g end local Q = g return Q.aks", /* P's register is Q's now */
        "local P = g do local x = P return x.aks end",
        "local P = g return P.ask.aks, P.name:aks()", /* of what ask gives */
        "local P = g return function(x) return (x or P).aks, (x and P or g):aks() end",
        "local P = g return P[g], P[1], P[g.x]",
        "local _ENV = g aks() x = 1",
        "local _ENV = {} return function() aks() return function() return x end end",
        "return function(_ENV) return aks end",
        "local function P() end local P2 = g return P2.aks",
        "local t = {aks = 1, P = {aks = 2}} return t.P.aks",
        "for P2, x in g do local y = x.aks end goto done ::done::",
        "local x <const> = 'aks' local y <close> = nil return x",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned calls;
        const char *message = message_of(rows[i], &calls);

        if (message[0] != '\0') fail_msg("%s: %s", rows[i], message);
    }
}

/* More than 256 constants: keys, and with them names, come through registers. And more lines than a
 * step of a byte can tell. */
static void test_large_functions_are_read_too(void **state)
{
    static const struct {
        const char *end, *message;
    } rows[] = {
        {"\nprint(aks)", "file.lua:703: 'aks': no such name"},
        {"\naks = g", "file.lua:703: 'aks': cannot be written"},
        {"\naks = {1, 2, g}", "file.lua:703: 'aks': cannot be written"},
        {"\nreturn P:aks(1)", "file.lua:703: 'aks': P has no such name"},
        {"\nreturn P.ask, P.aks", "file.lua:703: 'aks': P has no such name"},
        {"\nprint(g, (g2))", ""},
        {"\nreturn (g and P or g2).aks, function() return aks end",
         "file.lua:703: 'aks': no such name"},
    };
    char source[40000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = (size_t)sprintf(source, "local P = g return function() local x = {}\n");
        unsigned calls;

        for (int j = 0; j < 300; j++) {
            len +=
                (size_t)sprintf(source + len, "x[1] = 'constant %d' %s", j, j == 150 ? "\n" : "");
        }
        for (int j = 0; j < 699; j++) source[len++] = '\n';
        len += (size_t)sprintf(source + len, "%s end", rows[i].end);
        assert_string_equal(message_of(source, &calls), rows[i].message);
    }
}

static void test_deep_functions_are_read_too(void **state)
{
    char source[20000];
    size_t len = 0;
    unsigned calls;

    (void)state;
    for (int i = 0; i < 60; i++) len += (size_t)sprintf(source + len, "return function()\n");
    len += (size_t)sprintf(source + len, "return aks");
    for (int i = 0; i < 60; i++) len += (size_t)sprintf(source + len, " end");
    assert_string_equal(message_of(source, &calls), "file.lua:61: 'aks': no such name");
}

static int nothing(lua_State *L)
{
    (void)L;
    return 0;
}

static void test_what_is_not_understood_is_let_pass(void **state)
{
    lua_State *L = luaL_newstate();
    char message[50] = "";
    unsigned calls = 0;
    struct dump dump;
    static const char chunk[] = "return aks";

    (void)state;
    lua_pushcfunction(L, nothing);
    assert_true(check_function(L, look_up, &calls, message, sizeof message));
    assert_false(dump_open(&dump, L));
    dump_free(&dump);
    assert_int_equal(luaL_loadbuffer(L, chunk, sizeof chunk - 1, "=x"), LUA_OK);
    assert_false(check_function(L, look_up, &calls, message, sizeof message));
    assert_int_equal(calls, 1);
    assert_string_equal(message, "x:1: 'aks': no such name");
    assert_true(dump_open(&dump, L));
    dump_free(&dump);
    lua_close(L);
}

static void test_numbers_and_texts_stay_inside(void **state)
{
    static const uint8_t bytes[] = {0x01, 0x82, 0x84, 'a', 'b', 'c', 0x80, 0x85, 'x'};
    static const uint8_t huge[] = {0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0xff};
    struct cursor c = {bytes, bytes + sizeof bytes, false};
    struct cursor wide = {huge, huge + sizeof huge, false};
    struct text text;

    (void)state;
    assert_int_equal(dump_read_size(&c), 130);
    text = dump_read_text(&c);
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.at, "abc", 3);
    text = dump_read_text(&c);
    assert_null(text.at);
    assert_false(c.bad);
    text = dump_read_text(&c); /* says 4 bytes, has 1 */
    assert_null(text.at);
    assert_true(c.bad);
    assert_int_equal(dump_read_size(&c), 0);
    dump_read_size(&wide);
    assert_true(wide.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_do_not_exist_are_found),
        cmocka_unit_test(test_names_that_may_exist_are_not_reported),
        cmocka_unit_test(test_large_functions_are_read_too),
        cmocka_unit_test(test_deep_functions_are_read_too),
        cmocka_unit_test(test_what_is_not_understood_is_let_pass),
        cmocka_unit_test(test_numbers_and_texts_stay_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
