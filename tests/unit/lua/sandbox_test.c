/* SPDX-License-Identifier: MIT */
/* Goal: scripts see the names they should, cannot change them, walk tables in an order that is the
 * same in every run, and learn nothing of addresses. Method: scripts with assertions, tables of
 * texts and the errors they must give, and two states with other seeds compared. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/vm.h"
#include "runtime/sandbox.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static int run(struct vm *vm, const char *text)
{
    lua_State *co = lua_newthread(vm_main(vm));
    int results = 0, status;

    status = vm_load(vm, co, text, strlen(text), "@t");
    if (status != LUA_OK) fail_msg("%s: %s", text, lua_tostring(co, -1));
    status = vm_resume(vm, co, 0, &results);
    lua_pop(vm_main(vm), 1);
    return status;
}

static int setup(void **state)
{
    struct vm_options options = {.seed = 1};

    *state = vm_open(&options);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    vm_close(*state);
    return 0;
}

struct says {
    const char *text, *error; /* NULL: it runs */
};

static void check(struct vm *vm, const struct says *cases, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        int status = run(vm, cases[i].text);

        if (!cases[i].error) {
            if (status != LUA_OK) fail_msg("%s: %s", cases[i].text, vm_error(vm));
        } else if (status == LUA_OK || !strstr(vm_error(vm), cases[i].error)) {
            fail_msg("%s: '%s' instead of '%s'", cases[i].text, vm_error(vm), cases[i].error);
        }
    }
}

#define CHECK(vm, cases) check(vm, cases, sizeof(cases) / sizeof(cases)[0])

static void test_a_name_that_is_not_there_raises_with_the_nearest(void **state)
{
    static const struct says cases[] = {
        {"prnit('x')", "t:1: 'prnit': no such name (did you mean 'print'?)"},
        {"return xyzzy", "'xyzzy': no such name\n"},
        {"return _G.xyzzy", "'xyzzy': no such name\n"},
        {"count = 1",
         "'count' is not declared: there are no global variables, write 'local count'"},
        {"pairs = 1", "'pairs' cannot be changed"},
        {"_ENV[{}] = 1", "'table' is not declared"},
        {"return string.fromat", "string has no 'fromat' (did you mean 'format'?)"},
        {"return ('x'):uper()", "string has no 'uper' (did you mean 'upper'?)"},
        {"table.x = 1", "table is read-only"},
        {"math.pi = 3", "math is read-only"},
        {"assert(string[1] == nil and rawget(_G, 'nosuch') == nil)", NULL},
        {"assert(rawget(_G, 'print') == print and rawlen(string) == 0)", NULL},
        {"rawset(string, 'x', 1)", "this table is read-only"},
        {"assert(getmetatable('') == false and getmetatable(_G) == false)", NULL},
        {"setmetatable(_G, {})", "cannot change a protected metatable"},
        {"setmetatable('', {})", "table expected"},
        {"setmetatable({}, {__gc = 1})", "__gc is not allowed: when it would run depends on"},
        {"setmetatable({}, {__mode = 'k'})", "__mode is not allowed"},
        {"setmetatable({}, string)", "a read-only table cannot be a metatable"},
    };

    CHECK(*state, cases);
}

static void test_what_can_do_harm_is_not_there(void **state)
{
    static const char *const names[] = {"os",      "io",         "debug",    "package",
                                        "require", "dofile",     "loadfile", "collectgarbage",
                                        "warn",    "string.dump"};
    char text[64];
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(text, sizeof text, "return %s", names[i]);
        assert_int_equal(run(*state, text), LUA_ERRRUN);
    }
}

static void test_pairs_has_an_order(void **state)
{
    static const char text[] =
        "local function order(t)\n"
        "    local keys = {}\n"
        "    for k, v in pairs(t) do\n"
        "        assert(t[k] == v)\n"
        "        keys[#keys + 1] = tostring(k)\n"
        "    end\n"
        "    local again = {}\n"
        "    for k in next, t do again[#again + 1] = tostring(k) end\n"
        "    keys = table.concat(keys, ' ')\n"
        "    assert(keys == table.concat(again, ' '), keys)\n"
        "    return keys\n"
        "end\n"
        "local function is(t, expected)\n"
        "    assert(order(t) == expected, order(t))\n"
        "end\n"
        "is({}, '')\n"
        "is({7, 8, 9}, '1 2 3')\n"
        "is({b = 1, a = 1, aa = 1, [''] = 1, B = 1}, ' B a aa b')\n"
        "is({1, 2, nil, 4, x = 1, [true] = 1, [false] = 1}, '1 2 false true 4 x')\n"
        "is({[-1] = 1, [0] = 1, [2.5] = 1, [2] = 1, [3] = 1, [-0.5] = 1, [-1.5] = 1},\n"
        "    '-1.5 -1 -0.5 0 2 2.5 3')\n"
        "is({[math.huge] = 1, [-math.huge] = 1, [math.maxinteger] = 1, [math.mininteger] = 1,\n"
        "    [2^53] = 1, [2^53 + 1.0] = 1, [2^63] = 1, [-2^63] = 1, [1e300] = 1},\n"
        "    '-inf -9223372036854775808 9007199254740992 9223372036854775807 9.2233720368548e+18 "
        "'\n"
        "    .. '1e+300 inf')\n"
        "is({['a\\0b'] = 1, ['a'] = 1, ['a\\0'] = 1}, 'a a\\0 a\\0b')\n"
        "local t = {}\n"
        "for i = 1, 300 do t['k' .. i * 7919 % 1000] = i end\n"
        "local last\n"
        "for k in pairs(t) do assert(not last or last < k) last = k end\n";
    static const struct says cases[] = {
        {text, NULL},
        {"for k in pairs({[print] = 1}) do end", "a table with a function as a key has no order"},
        {"pairs(nil)", "table expected"},
        {"pairs()", "value expected"},
        {"next({[print] = 1})", "a table with a function as a key has no order"},
        {"assert(next({}) == nil and next({}, 1) == nil)", NULL},
        {"local n = 0 for k in pairs(string) do n = n + 1 end assert(n > 10)", NULL},
        {"local n = 0 for k, v in pairs(setmetatable({}, {__pairs = function()\n"
         "return function(_, k) if not k then return 1, 2 end end end})) do n = n + v end\n"
         "assert(n == 2)",
         NULL},
    };

    CHECK(*state, cases);
}

static void test_a_table_may_change_while_it_is_walked(void **state)
{
    static const struct says cases[] = {
        {"local t, n = {1, 2, 3, a = 1, b = 2}, 0\n"
         "for k in pairs(t) do t[k] = nil n = n + 1 end assert(n == 5 and next(t) == nil)",
         NULL},
        {"local t, seen = {a = 1, b = 2, c = 3}, ''\n"
         "for k in pairs(t) do t.b = nil t.c = 9 t['z' .. k] = 1 seen = seen .. k .. t[k] end\n"
         "assert(seen == 'a1c9', seen)",
         NULL},
    };

    CHECK(*state, cases);
}

static void test_text_of_a_value_tells_no_address(void **state)
{
    static const struct says cases[] = {
        {"assert(tostring({}) == 'table' and tostring(print) == 'function')", NULL},
        {"assert(tostring(function() end) == 'function')", NULL},
        {"assert(tostring(coroutine.create(print)) == 'thread')", NULL},
        {"assert(tostring(setmetatable({}, {__name = 'Box'})) == 'Box')", NULL},
        {"assert(tostring(setmetatable({}, {__tostring = function() return 'me' end})) == 'me')",
         NULL},
        {"tostring(setmetatable({}, {__tostring = function() return {} end}))",
         "must return a string"},
        {"assert(tostring(1) == '1' and tostring(1.0) == '1.0' and tostring(nil) == 'nil')", NULL},
        {"assert(tostring(thing) == '#Thing' and getmetatable(thing) == false)", NULL},
        {"assert(thing:five() == 5)", NULL},
        {"thing:fvie()", "Thing has no 'fvie' (did you mean 'five'?)"},
        {"thing.x = 1", "attempt to index a Thing value"},
    };

    (void)state;
    CHECK(*state, cases);
}

static void test_functions_of_the_base_do_as_in_lua(void **state)
{
    static const struct says cases[] = {
        {"assert(select('#', 1, nil) == 2 and select(2, 1, 2) == 2 and select(-1, 1, 2) == 2)",
         NULL},
        {"select(0)", "index out of range"},
        {"assert(tonumber('0x10') == 16 and tonumber('z', 36) == 35 and tonumber(' 1 ') == 1)",
         NULL},
        {"assert(tonumber('8', 8) == nil and tonumber('-ff', 16) == -255 and tonumber('') == nil)",
         NULL},
        {"assert(tonumber('1\\0') == nil and tonumber('7\\0', 10) == nil)", NULL},
        {"local f, e = pcall(error, {1}) assert(not f and e[1] == 1)", NULL},
        {"local f, e = pcall(error) assert(not f and e == nil)", NULL},
        {"local f, a, b = pcall(function(...) return ... end, 1, 2) assert(f and a == 1 and b == "
         "2)",
         NULL},
        {"local f, a, b = xpcall(error, function(e) return e, 2 end, 1)\n"
         "assert(not f and a == 1 and b == 2)",
         NULL},
        {"local f, a = xpcall(error, function() error('again', 0) end)\n"
         "assert(not f and a == 'again')",
         NULL},
        {"local f, a, b = xpcall(function(...) return ... end, print, 1, 2)\n"
         "assert(f and a == 1 and b == 2)",
         NULL},
        {"assert(false, 'why')", "why"},
        {"assert(nil)", "assertion failed!"},
        {"assert(select('#', assert(1, 2, 3)) == 3)", NULL},
        {"assert(load('return 1 + 1')() == 2 and load('x')  == nil)", NULL},
        {"local e = {} load('x = 1', 'n', 't', e)() assert(e.x == 1)", NULL},
        {"load('y = 1')()", "'y' is not declared"},
        {"local n = 0 for i, v in ipairs({1, 2, nil, 4}) do n = n + v end assert(n == 3)", NULL},
        {"for i, v in ipairs(string) do error('has ' .. i) end", NULL},
        {"assert(rawequal('a', 'a') and not rawequal({}, {}) and rawlen({1, 2}) == 2)", NULL},
        {"assert(_VERSION == 'Lua 5.4' and _G._G == _G and type(nil) == 'nil')", NULL},
    };

    CHECK(*state, cases);
}

static void test_coroutines_of_scripts_do_as_in_lua(void **state)
{
    static const struct says cases[] = {
        {"local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 "
         "end)\n"
         "local f, x = coroutine.resume(co, 1) assert(f and x == 2)\n"
         "assert(coroutine.status(co) == 'suspended')\n"
         "f, x = coroutine.resume(co, 5) assert(f and x == 10 and coroutine.status(co) == 'dead')\n"
         "f, x = coroutine.resume(co) assert(not f and x == 'cannot resume dead coroutine')",
         NULL},
        {"local co co = coroutine.create(function()\n"
         "assert(coroutine.status(co) == 'running' and coroutine.isyieldable())\n"
         "local f, x = coroutine.resume(co)\n"
         "assert(not f and x == 'cannot resume non-suspended coroutine') return 3 end)\n"
         "local f, x = coroutine.resume(co) assert(f and x == 3)",
         NULL},
        {"local closed = 0 local co = coroutine.create(function()\n"
         "local x <close> = setmetatable({}, {__close = function() closed = closed + 1 end})\n"
         "coroutine.yield() end)\n"
         "coroutine.resume(co) assert(coroutine.close(co) and closed == 1)\n"
         "assert(coroutine.status(co) == 'dead')",
         NULL},
        {"local closed = 0 local co = coroutine.create(function()\n"
         "local x <close> = setmetatable({}, {__close = function() closed = closed + 1 end})\n"
         "error('why', 0) end)\n"
         "local f, x = coroutine.resume(co) assert(not f and x == 'why' and closed == 1)\n"
         "assert(coroutine.close(co))",
         NULL},
        {"local co, main = coroutine.running() assert(co == nil and main)", NULL},
        {"assert(not coroutine.isyieldable())", NULL},
        {"coroutine.yield()", "outside a coroutine of your own"},
        {"coroutine.wrap(function() error({message = 'kept'}) end)()", "kept"},
    };

    CHECK(*state, cases);
}

static int five(lua_State *L)
{
    lua_pushinteger(L, 5);
    return 1;
}

static int thing_text(lua_State *L)
{
    lua_pushliteral(L, "#Thing");
    return 1;
}

/* thing: an object; open, strict: read-only tables, of which one raises. */
static int setup_objects(void **state)
{
    static const luaL_Reg methods[] = {{"five", five}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__tostring", thing_text}, {NULL, NULL}};
    lua_State *L;

    if (setup(state) != 0) return -1;
    L = vm_main(*state);
    sandbox_class(L, "Thing", methods, meta);
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, "Thing");
    sandbox_set(L, "thing");
    luaL_loadstring(L, "return {10, 20, x = 1}");
    lua_call(L, 0, 1);
    sandbox_freeze(L, -1, NULL);
    sandbox_set(L, "open");
    sandbox_freeze(L, -1, "config");
    sandbox_set(L, "strict");
    lua_pop(L, 1);
    return lua_gettop(L) == 0 ? 0 : -1;
}

static void test_a_frozen_table_reads_like_a_table(void **state)
{
    static const struct says cases[] = {
        {"assert(#strict == 2 and strict[1] == 10 and strict.x == 1 and strict[3] == nil)", NULL},
        {"local s = '' for k, v in pairs(strict) do s = s .. k .. '=' .. v .. ' ' end\n"
         "assert(s == '1=10 2=20 x=1 ', s)",
         NULL},
        {"local n = 0 for _, v in ipairs(strict) do n = n + v end assert(n == 30)", NULL},
        {"assert(next(strict) == 1 and next(strict, 2) == 'x' and next(strict, 'x') == nil)", NULL},
        {"return strict.y", "config has no 'y'"},
        {"strict.x = 2", "config is read-only"},
        {"open.x = 2", "this table is read-only"},
        {"table.insert(strict, 1)", "read-only"},
        {"rawset(strict, 1, 1)", "this table is read-only"},
        {"setmetatable(strict, nil)", "cannot change a protected metatable"},
    };

    CHECK(*state, cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_name_that_is_not_there_raises_with_the_nearest,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_can_do_harm_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pairs_has_an_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_table_may_change_while_it_is_walked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_text_of_a_value_tells_no_address, setup_objects,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_functions_of_the_base_do_as_in_lua, setup, teardown),
        cmocka_unit_test_setup_teardown(test_coroutines_of_scripts_do_as_in_lua, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_frozen_table_reads_like_a_table, setup_objects,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
