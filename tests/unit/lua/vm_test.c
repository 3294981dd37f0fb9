/* SPDX-License-Identifier: MIT */
/* Goal: a state takes no more memory and instructions than it was given, says what went wrong, and
 * serves again afterwards. Method: small scripts against caps that they reach, and the counts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/vm.h"
#include "runtime/sandbox.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct vm *open_vm(uint64_t memory_bytes, uint64_t instructions)
{
    struct vm_options options = {.memory_bytes = memory_bytes, .instructions = instructions};
    struct vm *vm;

    options.owners_max = 4;
    vm = vm_open(&options);
    assert_non_null(vm);
    return vm;
}

/* Run a text in a coroutine of its own, which is dropped. */
static int run(struct vm *vm, const char *text)
{
    lua_State *co = lua_newthread(vm_main(vm));
    int results = 0, status;

    assert_int_equal(vm_load(vm, co, text, strlen(text), "@test.lua"), LUA_OK);
    status = vm_resume(vm, co, 0, &results);
    lua_pop(vm_main(vm), 1);
    return status;
}

static void test_an_endless_loop_ends_at_the_budget(void **state)
{
    struct vm *vm = open_vm(0, 50000);
    struct vm_statistics statistics;

    (void)state;
    assert_int_equal(run(vm, "while true do end"), LUA_ERRRUN);
    assert_int_equal(vm_stopped(vm), VM_STOP_INSTRUCTIONS);
    assert_in_range(vm_used(vm), 50000, 50200);
    assert_non_null(strstr(vm_error(vm), "it used up its 50000 instructions"));
    assert_non_null(strstr(vm_error(vm), "test.lua:1:"));
    vm_get_statistics(vm, &statistics);
    assert_int_equal(statistics.stops_instructions, 1);
    assert_int_equal(statistics.errors, 1);
    assert_int_equal(statistics.resumptions, 1);
    assert_in_range(statistics.instructions, 50000, 50200);
    vm_close(vm);
}

static void test_each_resumption_has_a_budget_of_its_own(void **state)
{
    struct vm *vm = open_vm(0, 50000);
    int i;

    (void)state;
    for (i = 0; i < 10; i++) {
        assert_int_equal(run(vm, "for i = 1, 20000 do end"), LUA_OK);
        assert_int_equal(vm_stopped(vm), VM_RUNS);
        assert_in_range(vm_used(vm), 19000, 45000);
    }
    vm_close(vm);
}

static void test_allocations_cost_instructions(void **state)
{
    struct vm *vm = open_vm(0, 0);

    (void)state;
    assert_int_equal(run(vm, "local s = ('x'):rep(160000)"), LUA_OK);
    assert_in_range(vm_used(vm), 10000, 60000);
    vm_close(vm);
}

static void test_the_first_lack_of_memory_may_be_caught_and_the_second_stops(void **state)
{
    struct vm *vm = open_vm(1 << 20, 10000000);

    (void)state;
    assert_int_equal(run(vm, "local f, why = pcall(string.rep, 'x', 900000)\n"
                             "assert(not f and why == 'not enough memory')"),
                     LUA_OK);
    assert_int_equal(run(vm, "pcall(string.rep, 'x', 900000)\n"
                             "pcall(string.rep, 'x', 900000)\n"
                             "print('lives')"),
                     LUA_ERRRUN);
    assert_int_equal(vm_stopped(vm), VM_STOP_MEMORY);
    assert_non_null(strstr(vm_error(vm), "more memory than the 1048576 bytes"));
    assert_int_equal(run(vm, "return 1"), LUA_OK);
    vm_close(vm);
}

static void test_no_state_passes_its_cap(void **state)
{
    struct vm *vm = open_vm(1 << 20, 10000000);
    struct vm_statistics statistics;

    (void)state;
    assert_int_not_equal(run(vm, "local t = {} for i = 1, 1e9 do t[i] = {} end"), LUA_OK);
    vm_get_statistics(vm, &statistics);
    assert_in_range(statistics.bytes_peak, 900000, 1 << 20);
    vm_close(vm);
}

static void test_an_owner_reaches_its_cap_and_the_others_do_not_notice(void **state)
{
    struct vm *vm = open_vm(4 << 20, 10000000);
    struct vm_owner a = {.bytes_max = 100000}, b = {.bytes_max = 100000};
    static const char fill[] = "local t = {} for i = 1, 1e9 do t[i] = {} end";

    (void)state;
    assert_true(vm_owner_begin(vm, &a));
    assert_true(vm_owner_begin(vm, &b));
    assert_null(vm_owner_enter(vm, &a));
    assert_int_not_equal(run(vm, fill), LUA_OK);
    assert_in_range(a.bytes_peak, 80000, 105000);
    assert_ptr_equal(vm_owner_enter(vm, &b), &a);
    assert_int_equal(run(vm, "local s = ('x'):rep(30000)"), LUA_OK);
    assert_true(b.bytes_peak >= 30000);
    assert_ptr_equal(vm_owner_enter(vm, NULL), &b);
    assert_int_equal(run(vm, "local s = ('x'):rep(600000)"), LUA_OK);
    vm_close(vm);
}

static void test_an_owner_that_ends_gives_its_blocks_to_the_state(void **state)
{
    struct vm *vm = open_vm(4 << 20, 0);
    struct vm_owner owner = {.bytes_max = 1 << 20}, more[4] = {{0}};
    struct vm_statistics before, after;
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        assert_true(vm_owner_begin(vm, &owner));
        vm_owner_enter(vm, &owner);
        assert_int_equal(run(vm, "local s = ('x'):rep(10000)"), LUA_OK);
        assert_true(owner.bytes > 0);
        vm_owner_end(vm, &owner);
        vm_owner_end(vm, &owner);
    }
    for (i = 0; i < 4; i++) assert_true(vm_owner_begin(vm, &more[i]));
    assert_false(vm_owner_begin(vm, &owner));
    vm_get_statistics(vm, &before);
    lua_gc(vm_main(vm), LUA_GCCOLLECT, 0);
    vm_get_statistics(vm, &after);
    assert_true(after.bytes < before.bytes);
    vm_close(vm);
}

static void test_text_is_loaded_and_bytecode_is_not(void **state)
{
    static char large[VM_SOURCE_BYTES_MAX + 1];
    struct vm *vm = open_vm(0, 0);
    lua_State *L = vm_main(vm);

    (void)state;
    assert_int_equal(vm_load(vm, L, "\x1bLua", 4, "@x"), LUA_ERRSYNTAX);
    assert_int_equal(vm_load(vm, L, "x =", 3, "@x"), LUA_ERRSYNTAX);
    assert_string_equal(lua_tostring(L, -1), "x:1: unexpected symbol near <eof>");
    memset(large, ' ', sizeof large);
    assert_int_equal(vm_load(vm, L, large, sizeof large, "@x"), LUA_ERRSYNTAX);
    assert_int_equal(vm_load(vm, L, large, sizeof large - 1, "@x"), LUA_OK);
    lua_settop(L, 0);
    vm_close(vm);
}

static void test_the_error_names_what_was_raised_and_where(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"error('plain')", "test.lua:1: plain\n"},
        {"error({message = 'inside'})", "inside\n"},
        {"error({})", "an error that is a table\n"},
        {"error(setmetatable({}, {__tostring = function() return 'code ran' end}))",
         "an error that is a table\n"},
        {"error(nil)", "an error that is a nil\n"},
        {"error(42)", "42\n"},
        {"error(1.5)", "1.5\n"},
        {"error('a\\27b\\tc', 0)", "a?b c\n"},
        {"local t = {} t.message = t error(t)", "an error that is a table\n"},
        {"local function deeper() local x = nil + 1 end deeper()", "in local 'deeper'"},
        {"coroutine.wrap(function() error('within') end)()", "within"},
    };
    struct vm *vm = open_vm(0, 0);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(vm, cases[i].text), LUA_ERRRUN);
        if (!strstr(vm_error(vm), cases[i].says)) fail_msg("%s: %s", cases[i].text, vm_error(vm));
        assert_non_null(strstr(vm_error(vm), "\n    test.lua:1: in"));
    }
    assert_int_equal(run(vm, "error(('x'):rep(100000))"), LUA_ERRRUN);
    assert_true(strlen(vm_error(vm)) <= 2000);
    vm_close(vm);
}

static void test_close_handlers_run_after_an_error_and_not_after_a_stop(void **state)
{
    struct vm *vm = open_vm(0, 100000);
    char seen[64] = "";

    (void)state;
    vm_set_user(vm, seen);
    assert_ptr_equal(vm_user(vm), seen);
    assert_int_equal(run(vm, "local x <close> = setmetatable({}, {__close = function()\n"
                             "for i = 1, 10000 do end end})\n"
                             "error('first')"),
                     LUA_ERRRUN);
    assert_non_null(strstr(vm_error(vm), "first"));
    assert_in_range(vm_used(vm), 10000, 40000);
    assert_int_equal(run(vm, "local x <close> = setmetatable({}, {__close = function()\n"
                             "while true do end end})\n"
                             "error('second')"),
                     LUA_ERRRUN);
    assert_non_null(strstr(vm_error(vm), "second"));
    assert_in_range(vm_used(vm), 100000, 100300);
    vm_close(vm);
}

static int finish(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

static int wait(lua_State *L)
{
    if (!vm_may_wait(L))
        return luaL_error(L, "wait in the handler itself, not inside a coroutine of your own");
    return lua_yieldk(L, 0, 0, finish);
}

static void test_a_handler_waits_through_pcall_and_not_in_a_coroutine_of_its_own(void **state)
{
    static const char text[] = "local f, a = pcall(wait) assert(f and a == 7)\n"
                               "f, a = xpcall(wait, error) assert(f and a == 7)\n"
                               "for _, v in pairs(setmetatable({}, {__pairs = function() wait() "
                               "return next, {5} end})) do\n"
                               "    assert(v == 5) end\n"
                               "f, a = pcall(coroutine.wrap(function() wait() end))\n"
                               "assert(not f and a:find('not inside a coroutine', 1, true))\n"
                               "f, a = pcall(table.sort, {2, 1}, function(x, y) wait() end)\n"
                               "assert(not f and a:find('wait in the handler', 1, true))";
    struct vm *vm = open_vm(0, 0);
    lua_State *co = lua_newthread(vm_main(vm));
    int results, i;

    (void)state;
    lua_pushcfunction(co, wait);
    sandbox_set(co, "wait");
    assert_int_equal(vm_load(vm, co, text, strlen(text), "@test.lua"), LUA_OK);
    assert_int_equal(vm_resume(vm, co, 0, &results), LUA_YIELD);
    for (i = 0; i < 3; i++) {
        int status;

        assert_int_equal(results, 0);
        lua_pushinteger(co, 7);
        status = vm_resume(vm, co, 1, &results);
        if (status > LUA_YIELD) fail_msg("%s", vm_error(vm));
        assert_int_equal(status, i < 2 ? LUA_YIELD : LUA_OK);
    }
    assert_false(vm_may_wait(co));
    vm_close(vm);
}

static void test_a_call_on_the_main_thread_has_a_budget_and_cannot_wait(void **state)
{
    struct vm *vm = open_vm(0, 50000);
    lua_State *L = vm_main(vm);

    (void)state;
    lua_pushcfunction(L, wait);
    sandbox_set(L, "wait");
    assert_int_equal(vm_load(vm, L, "return ... + 1", 14, "@x"), LUA_OK);
    lua_pushinteger(L, 41);
    assert_int_equal(vm_call(vm, 1, 1), LUA_OK);
    assert_int_equal(lua_tointeger(L, -1), 42);
    lua_pop(L, 1);
    assert_int_equal(vm_load(vm, L, "wait()", 6, "@x"), LUA_OK);
    assert_int_equal(vm_call(vm, 0, 0), LUA_ERRRUN);
    assert_non_null(strstr(vm_error(vm), "not inside a coroutine"));
    assert_non_null(strstr(vm_error(vm), "\n    x:1: in the file itself"));
    assert_int_equal(vm_load(vm, L, "pcall(function() while true do end end)", 39, "@x"), LUA_OK);
    assert_int_equal(vm_call(vm, 0, 0), LUA_ERRRUN);
    assert_int_equal(vm_stopped(vm), VM_STOP_INSTRUCTIONS);
    assert_int_equal(lua_gettop(L), 0);
    vm_close(vm);
}

static void test_instructions_are_sampled(void **state)
{
    struct vm *vm = open_vm(0, 200000);

    (void)state;
    /* 4000 comparisons, each of 64 KiB: as many instructions without sampling. */
    assert_int_equal(run(vm, "local a = ('x'):rep(65536)\n"
                             "for i = 1, 4000 do local b = a < a end"),
                     LUA_ERRRUN);
    assert_int_equal(vm_stopped(vm), VM_STOP_INSTRUCTIONS);
    vm_close(vm);
}

static uint64_t always_five(void *context)
{
    (void)context;
    return 5;
}

static void test_random_numbers_come_from_the_seed_or_from_the_runtime(void **state)
{
    struct vm_options options = {.seed = 9};
    struct vm *a = vm_open(&options), *b = vm_open(&options);
    uint64_t first = vm_random_next(a);

    (void)state;
    assert_true(first == vm_random_next(b));
    assert_true(vm_random_next(a) != first);
    vm_set_random(a, always_five, NULL);
    assert_int_equal(vm_random_next(a), 5);
    vm_set_random(a, NULL, NULL);
    vm_random_next(b);
    assert_true(vm_random_next(a) == vm_random_next(b));
    vm_close(a);
    vm_close(b);
}

static void keep_line(void *context, const char *text, size_t len)
{
    snprintf(context, 4000, "%.*s", (int)len, text);
}

static void test_print_gives_one_bounded_line(void **state)
{
    struct vm *vm = open_vm(0, 0);
    static char line[4000];

    (void)state;
    assert_int_equal(run(vm, "print('nowhere')"), LUA_OK);
    vm_set_print(vm, keep_line, line);
    assert_int_equal(run(vm, "print('a', 1, nil, {}, print)"), LUA_OK);
    assert_string_equal(line, "a\t1\tnil\ttable\tfunction");
    assert_int_equal(run(vm, "print(('x'):rep(1500), ('y'):rep(1500))"), LUA_OK);
    assert_int_equal(strlen(line), 2000);
    vm_close(vm);
}

static void test_no_state_is_made_when_there_is_no_memory_for_it(void **state)
{
    uint64_t bytes;

    (void)state;
    for (bytes = 1; bytes < 40000; bytes += 331) {
        struct vm_options options = {.memory_bytes = bytes};
        struct vm *vm = vm_open(&options);

        if (vm) vm_close(vm);
        if (bytes < 10000) assert_null(vm);
    }
    vm_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_endless_loop_ends_at_the_budget),
        cmocka_unit_test(test_each_resumption_has_a_budget_of_its_own),
        cmocka_unit_test(test_allocations_cost_instructions),
        cmocka_unit_test(test_the_first_lack_of_memory_may_be_caught_and_the_second_stops),
        cmocka_unit_test(test_no_state_passes_its_cap),
        cmocka_unit_test(test_an_owner_reaches_its_cap_and_the_others_do_not_notice),
        cmocka_unit_test(test_an_owner_that_ends_gives_its_blocks_to_the_state),
        cmocka_unit_test(test_text_is_loaded_and_bytecode_is_not),
        cmocka_unit_test(test_the_error_names_what_was_raised_and_where),
        cmocka_unit_test(test_close_handlers_run_after_an_error_and_not_after_a_stop),
        cmocka_unit_test(test_a_handler_waits_through_pcall_and_not_in_a_coroutine_of_its_own),
        cmocka_unit_test(test_a_call_on_the_main_thread_has_a_budget_and_cannot_wait),
        cmocka_unit_test(test_instructions_are_sampled),
        cmocka_unit_test(test_random_numbers_come_from_the_seed_or_from_the_runtime),
        cmocka_unit_test(test_print_gives_one_bounded_line),
        cmocka_unit_test(test_no_state_is_made_when_there_is_no_memory_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
