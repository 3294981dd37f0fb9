/* SPDX-License-Identifier: MIT */
/* Goal: what is wrong with a script is said when it loads, with file, line and the nearest name; a
 * script that does not load changes nothing. Method: a table of scripts and of what is said. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

static const struct {
    const char *text, *said;
} wrong[] = {
    {"local x = = 1", "s.lua:1: unexpected symbol near '='"},
    {"print(1)\nprnt(2)", "s.lua:2: 'prnt': no such name (did you mean 'print'?)"},
    {"local function f()\n  return aks(1)\nend",
     "s.lua:2: 'aks': no such name (did you mean 'ask'?)"},
    {"counter = 1", "s.lua:1: 'counter': there are no global variables: write 'local counter'"},
    {"print = nil", "s.lua:1: 'print': what every script has cannot be changed"},
    {"os.exit()", "s.lua:1: 'os': no such name: now() is the clock"},
    {"local x = require 'x'", "s.lua:1: 'require': no such name: use(name) loads another"},
    {"error('by hand')", "s.lua:1: by hand"},
    {"local P = protocol 'a/1' {}\ntell(nil, nil)",
     "s.lua:2: tell works in handlers (start, messages, timers), not while the file loads"},
    {"now()", "s.lua:1: now works in handlers"},
    {"while true do end", "stopped: it used up its 100000 instructions"},
    {"local P = protocol 'a/1' {\n  m = message { bytes = 10, full = 'block' },\n}\n",
     "s.lua:2: 'm' is declared as a message, and there is no function P:m"},
    {"local P = protocol 'a/1' { m = message { bytes = 10, full = 'block' } }\n"
     "function P:m() end\nfunction P:start()\n  tell(me(), P.n, 1)\nend",
     "s.lua:4: 'n': P has no such name (did you mean 'm'?)"},
    {"local P = protocol 'a/1' { gte = message { bytes = 10, full = 'block' } }\n"
     "local function helper()\n  return P.get\nend\n"
     "function P:gte() helper() end",
     "s.lua:3: 'get': P has no such name (did you mean 'gte'?)"},
    {"local P = protocol 'a/1' {}\nP.x = 5", "s.lua:2: a/1 takes functions"},
    {"local P = protocol 'a/1' {}\nlocal Q = protocol 'b/1' {}",
     "s.lua:2: a file declares one protocol or game: a/1 is declared already"},
};

static void test_what_is_wrong_is_said_with_its_line_and_the_nearest_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t script =
            weir_lua_load(s.lua, "s.lua", wrong[i].text, strlen(wrong[i].text), &s.error);
        if (script != WEIR_E_ARGUMENT || !strstr(s.error.detail, wrong[i].said))
            fprintf(stderr, "%zu: %d, '%s' instead of '%s'\n", i, (int)script, s.error.detail,
                    wrong[i].said);
        assert_int_equal(script, WEIR_E_ARGUMENT);
        assert_int_equal(s.error.code, WEIR_E_ARGUMENT);
        assert_non_null(strstr(s.error.detail, wrong[i].said));
    }
    assert_int_equal(scripts_info(&s).scripts, 0);
}

static void test_a_script_gets_a_number_and_keeps_it(void **state)
{
    (void)state;
    assert_int_equal(scripts_load(&s, "a.lua", "print 'loaded'"), 1);
    assert_int_equal(scripts_load(&s, "b.lua", ""), 2);
    assert_int_equal(scripts_load(&s, "a.lua", "print 'again'"), 1);
    assert_int_equal(scripts_info(&s).scripts, 2);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "0 loaded\n0 again\n"));
}

static void test_bytecode_does_not_load(void **state)
{
    static const char code[] = "\x1bLuaT";

    (void)state;
    assert_int_equal(weir_lua_load(s.lua, "x.lua", code, sizeof code - 1, &s.error),
                     WEIR_E_ARGUMENT);
}

static void test_more_than_64_scripts_do_not_load(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "%d.lua", i);
        assert_int_equal(scripts_load(&s, name, ""), i + 1);
    }
    assert_int_equal(weir_lua_load(s.lua, "more.lua", "", 0, &s.error), WEIR_E_LIMIT);
}

static void test_a_script_without_a_protocol_only_runs(void **state)
{
    int64_t script;

    (void)state;
    script = scripts_load(&s, "hello.lua", "local n = 0 for i = 1, 10 do n = n + i end print(n)");
    scripts_attach(&s, 1, script, NULL);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "0 55"));
    assert_int_equal(scripts_info(&s).idle, 1);
}

static int open_one(void **state)
{
    (void)state;
    scripts_open(&s, 1, 1, NULL);
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    scripts_close(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_wrong_is_said_with_its_line_and_the_nearest_name),
        TEST(test_a_script_gets_a_number_and_keeps_it),
        TEST(test_bytecode_does_not_load),
        TEST(test_more_than_64_scripts_do_not_load),
        TEST(test_a_script_without_a_protocol_only_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
