/* SPDX-License-Identifier: MIT */
/* Goal: no script takes more than it was given, whatever it tries, and the state serves afterwards;
 * and what stops attacks costs honest scripts nothing. Method: every file of tests/hostile/scripts
 * runs in a fresh state with the default limits, with those of the runtime, and in an owner of
 * little memory. Its second line says how it must end with the default limits: instructions,
 * memory, error or ok. Costs are compared in counted instructions, of tables whose keys collide
 * with those of tables whose keys do not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/cbor.h"
#include "runtime/sandbox.h"
#include "runtime/vm.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPTS_MIN = 50, SLACK_INSTRUCTIONS = 2000, BUDGET = 1000000, LIVE_BUDGET = 100000 };

static const char folder[] = WEIR_SOURCE "/tests/hostile/scripts";

static char text[1 << 16];

static size_t read_script(const char *name)
{
    char path[1024];
    size_t len;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    return len;
}

static const char *ending(const struct vm *vm, int status)
{
    if (vm_stopped(vm) == VM_STOP_INSTRUCTIONS) return "instructions";
    if (vm_stopped(vm) == VM_STOP_MEMORY || status == LUA_ERRMEM) return "memory";
    return status == LUA_OK ? "ok" : "error";
}

/* Whether the script's second line names how it ended. */
static void check_ending(const char *name, const char *how, const char *why)
{
    char line[128] = "";
    const char *expect = strchr(text, '\n');

    if (expect) sscanf(expect, "\n%127[^\n]", line);
    if (strncmp(line, "-- expect:", 10) != 0) fail_msg("%s: its second line expects nothing", name);
    if (!strstr(line, how)) fail_msg("%s ended with %s (%s): %s", name, how, why, line);
}

static int run(struct vm *vm, const char *source, size_t len, const char *name)
{
    lua_State *co = lua_newthread(vm_main(vm));
    char chunk[128];
    int status, results;

    snprintf(chunk, sizeof chunk, "@%s", name);
    status = vm_load(vm, co, source, len, chunk);
    if (status != LUA_OK) fail_msg("%s: %s", name, lua_tostring(co, -1));
    status = vm_resume(vm, co, 0, &results);
    lua_pop(vm_main(vm), 1);
    return status;
}

static void check_benign(struct vm *vm, const char *name)
{
    static const char benign[] = "local t = {} for i = 1, 100 do t[i] = tostring(i) end\n"
                                 "assert(#table.concat(t) == 192 and ('x'):rep(3) == 'xxx')\n"
                                 "local n = 0 for k in pairs(string) do n = n + 1 end\n"
                                 "assert(n > 10 and pcall(print) and _G.print == print)";

    lua_gc(vm_main(vm), LUA_GCCOLLECT, 0);
    if (run(vm, benign, strlen(benign), "benign") != LUA_OK)
        fail_msg("after %s: %s", name, vm_error(vm));
}

static void attack(const char *name)
{
    struct vm_options options = {.instructions = BUDGET};
    struct vm *vm = vm_open(&options);
    struct vm_statistics statistics;
    size_t len = read_script(name);
    int status = run(vm, text, len, name);

    check_ending(name, ending(vm, status), vm_error(vm));
    vm_get_statistics(vm, &statistics);
    if (vm_used(vm) > BUDGET + SLACK_INSTRUCTIONS)
        fail_msg("%s used %llu", name, (unsigned long long)vm_used(vm));
    assert_true(statistics.bytes_peak <= statistics.bytes_max / 100 * 105);
    check_benign(vm, name);
    vm_close(vm);
}

/* As the runtime has it. */
static void attack_within_a_resumption(const char *name)
{
    struct vm_options options = {.instructions = LIVE_BUDGET};
    struct vm *vm = vm_open(&options);
    struct vm_statistics statistics;
    size_t len = read_script(name);

    run(vm, text, len, name);
    vm_get_statistics(vm, &statistics);
    if (vm_used(vm) > LIVE_BUDGET + SLACK_INSTRUCTIONS)
        fail_msg("%s used %llu", name, (unsigned long long)vm_used(vm));
    assert_true(statistics.bytes_peak <= statistics.bytes_max / 100 * 105);
    check_benign(vm, name);
    vm_close(vm);
}

static void attack_in_little_memory(const char *name)
{
    struct vm_options options = {.instructions = BUDGET, .memory_bytes = 1 << 20};
    struct vm_owner owner = {.bytes_max = 200000};
    struct vm *vm = vm_open(&options);
    struct vm_statistics statistics;
    size_t len = read_script(name);

    assert_true(vm_owner_begin(vm, &owner));
    vm_owner_enter(vm, &owner);
    run(vm, text, len, name);
    vm_get_statistics(vm, &statistics);
    assert_true(vm_used(vm) <= BUDGET + SLACK_INSTRUCTIONS);
    if (owner.bytes_peak > owner.bytes_max / 100 * 105)
        fail_msg("%s took %llu", name, (unsigned long long)owner.bytes_peak);
    assert_true(statistics.bytes_peak <= statistics.bytes_max / 100 * 105);
    vm_owner_enter(vm, NULL);
    vm_owner_end(vm, &owner);
    check_benign(vm, name);
    vm_close(vm);
}

static void for_each_script(void (*check)(const char *name))
{
    struct dirent **entries;
    int i, count = scandir(folder, &entries, NULL, alphasort), scripts = 0;

    assert_true(count > 0);
    for (i = 0; i < count; i++) {
        const char *name = entries[i]->d_name, *dot = strrchr(name, '.');

        if (dot && strcmp(dot, ".lua") == 0) {
            check(name);
            scripts++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(scripts >= SCRIPTS_MIN);
}

static void test_every_attack_ends_within_the_default_limits(void **state)
{
    (void)state;
    for_each_script(attack);
}

static void test_every_attack_ends_within_little_memory(void **state)
{
    (void)state;
    for_each_script(attack_in_little_memory);
}

static void test_every_attack_ends_within_a_resumption(void **state)
{
    (void)state;
    for_each_script(attack_within_a_resumption);
}

/* What a script uses beyond another. */
static int64_t more(const char *source, const char *than)
{
    struct vm_options options = {.instructions = 100000000};
    uint64_t used[2];

    for (int i = 0; i < 2; i++) {
        const char *one = i ? than : source;
        struct vm *vm = vm_open(&options);

        if (run(vm, one, strlen(one), "script") != LUA_OK) fail_msg("%s: %s", one, vm_error(vm));
        used[i] = vm_used(vm);
        vm_close(vm);
    }
    return (int64_t)used[0] - (int64_t)used[1];
}

static void test_a_lookup_in_a_large_map_costs_what_any_instruction_costs(void **state)
{
    static const char *const keys[] = {"-i",      "i * 1000 + 7",         "'key' .. i",
                                       "i + 0.5", "math.random(1 << 40)", "all[i]"};
    char source[512], than[512];

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *format = "local t, all = {}, {} for i = 1, 10000 do all[i] = {} end\n"
                             "for i = 1, 10000 do t[%s] = i end\n"
                             "for n = 1, %d do local x for i = 1, 10000 do x = t[%s] end end";
        snprintf(source, sizeof source, format, keys[i], 11, keys[i]);
        snprintf(than, sizeof than, format, keys[i], 1, keys[i]);
        if (more(source, than) > 10 * 100000)
            fail_msg("%s: %lld", keys[i], (long long)more(source, than));
    }
}

/* 1000 keys in a table of 2048 places: all in one chain, or none. */
#define KEYS(step)                                                                                 \
    "local t = {} for i = 1, 1025 do t[-i * 4] = i end for i = 1, 1025 do t[-i * 4] = nil end\n"   \
    "for i = 1, 1000 do t[i * " #step "] = i end\n"

static void test_collisions_cost_what_they_take(void **state)
{
    static const struct {
        const char *source, *than;
        int64_t least;
    } cases[] = {
        /* Each walks about a thousand nodes, twice an instruction. */
        {KEYS(2047) "for i = 1, 1000 do local x = t[2047] end",
         KEYS(2049) "for i = 1, 1000 do local x = t[2049] end", 300000},
        {KEYS(2047) "for i = 1, 1000 do rawget(t, 2047) end",
         KEYS(2049) "for i = 1, 1000 do rawget(t, 2049) end", 300000},
        {KEYS(2047) "for i = 1, 1000 do table.unpack(t, 2047, 2047) end",
         KEYS(2049) "for i = 1, 1000 do table.unpack(t, 2049, 2049) end", 300000},
        /* A walk meets half a chain for each key. */
        {KEYS(2047) "for k in pairs(t) do end", KEYS(2049) "for k in pairs(t) do end", 300000},
        {KEYS(2047) "next(t)", KEYS(2049) "next(t)", 200000},
        /* Growing meets them once. */
        {"local t = {} for i = 1, 8193 do t[i * 16383] = i end",
         "local t = {} for i = 1, 8193 do t[i * 16385] = i end", 8000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (more(cases[i].source, cases[i].than) < cases[i].least)
            fail_msg("%s: %lld", cases[i].source, (long long)more(cases[i].source, cases[i].than));
}

static void test_weak_tables_are_for_the_runtime_only(void **state)
{
    static const char source[] = "local meta = {} local t = setmetatable({}, meta)\n"
                                 "meta.__mode = 'kv' t[1] = {} t[{}] = 1 return t, meta";
    struct vm_options options = {0};
    struct vm *vm = vm_open(&options);
    lua_State *L = vm_main(vm);

    (void)state;
    /* Made before the first script: weak. */
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_newtable(L);
    lua_rawseti(L, -2, 1);
    /* Of a script: its table is returned to us. */
    assert_int_equal(vm_load(vm, L, source, strlen(source), "@weak"), LUA_OK);
    assert_int_equal(vm_call(vm, 0, 2), LUA_OK);
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    assert_int_equal(lua_rawgeti(L, -2, 1), LUA_TTABLE);
    assert_int_equal(lua_rawgeti(L, -4, 1), LUA_TNIL);
    vm_close(vm);
}

static int encode(lua_State *L)
{
    static uint8_t out[1 << 16];
    char error[200];

    lua_pushinteger(L, cbor_encode(L, 1, NULL, out, sizeof out, error, sizeof error));
    return 1;
}

static void test_encoding_a_large_empty_table_costs_its_places(void **state)
{
    static const char source[] = "local t = {} for i = 1, 10000 do t['k' .. i] = true end\n"
                                 "for i = 1, 10000 do t['k' .. i] = nil end\n"
                                 "local list = {} for i = 1, 1000 do list[i] = t end\n"
                                 "assert(encode(list) > 0)";
    struct vm_options options = {.instructions = 100000000};
    struct vm *vm = vm_open(&options);

    (void)state;
    lua_pushcfunction(vm_main(vm), encode);
    sandbox_set(vm_main(vm), "encode");
    if (run(vm, source, strlen(source), "encode") != LUA_OK) fail_msg("%s", vm_error(vm));
    assert_true(vm_used(vm) > (uint64_t)1000 * 16384 / 8);
    vm_close(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_attack_ends_within_a_resumption),
        cmocka_unit_test(test_a_lookup_in_a_large_map_costs_what_any_instruction_costs),
        cmocka_unit_test(test_collisions_cost_what_they_take),
        cmocka_unit_test(test_weak_tables_are_for_the_runtime_only),
        cmocka_unit_test(test_encoding_a_large_empty_table_costs_its_places),
        cmocka_unit_test(test_every_attack_ends_within_the_default_limits),
        cmocka_unit_test(test_every_attack_ends_within_little_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
