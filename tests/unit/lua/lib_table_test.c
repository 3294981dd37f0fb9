/* SPDX-License-Identifier: MIT */
/* Goal: the table library of the sandbox does what Lua's does, metamethods included; sort is
 * stable, ends for every comparison function and leaves a table alone when that fails; what is long
 * is paid for. Method: generated calls compared with the real library, costs read from the
 * instruction counter, and calls over tables that claim to be endless. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/compare.h"

static void test_calls_do_what_they_do_in_lua(void **state)
{
    (void)state;
    compare_chunk(
        COMPARE_PRELUDE
        "local function list(t)\n"
        "    local parts = {}\n"
        "    for i = -3, 12 do parts[#parts + 1] = show(rawget(t, i)) end\n"
        "    return table.concat(parts, ',')\n"
        "end\n"
        "local function on(n, f, ...)\n"
        "    local t = {}\n"
        "    for i = 1, n do t[i] = i * 10 end\n"
        "    local r = table.pack(pcall(f, t, ...))\n"
        /* Which argument, too: but Lua's remove says #1 of the second. */
        "    if not r[1] then\n"
        "        r[2] = f ~= table.remove and r[2]:match 'argument #%d+' or r[2]:gsub(' #1.*', ' "
        "#2')\n"
        "        r[2] = r[2]:gsub(\"( #2) to.*\", '%1')\n"
        "    end\n"
        "    for i = 2, r.n do if r[i] == t then r[i] = 'itself' end end\n"
        "    return list(t), table.unpack(r, 1, r.n)\n"
        "end\n"
        "local ends = {0, 1, 2, 3, 5, 6, 7, -1, -3, 1.5, '2', math.maxinteger, math.mininteger}\n"
        "local function small(x) x = tonumber(x) return x > -10 and x < 10 end\n"
        "for n = 0, 5, 5 do for i = 1, #ends do\n"
        "    local a = ends[i]\n"
        "    case(on, n, table.insert, a) case(on, n, table.insert, a, 'new')\n"
        "    case(on, n, table.remove, a) case(on, n, table.concat, '-', a)\n"
        "    for j = 1, #ends do\n"
        "        local b = ends[j]\n"
        "        if small(b) then case(on, n, table.concat, ' ', a, b) end\n"
        "        if small(a) and small(b) then\n"
        "            case(on, n, table.unpack, a, b)\n"
        "        end\n"
        "        for k = 1, #ends do\n"
        "            if small(a) and small(b) then\n"
        "                case(on, n, table.move, a, b, ends[k])\n"
        "            else\n"
        "                case(on, n, table.move, b, b, ends[k])\n"
        "            end\n"
        "        end\n"
        "    end\n"
        "end end\n"
        "case(on, 3, table.remove) case(on, 3, table.insert) case(on, 3, table.insert, 1, 2, 3)\n"
        "case(on, 3, table.unpack) case(table.pack) case(table.unpack, {1, nil, 3}, 1, 3)\n"
        "case(function(...) local p = table.pack(...) return p.n, p[1], p[3] end, 1, nil, 'c', "
        "nil)\n"
        "case(table.concat, {1, 2.5, 'x'}, ', ') case(table.concat, {1, {}, 3})\n"
        "case(table.concat, {}, 'x', 1, 0) case(table.concat, {1, 2}, 3)\n"
        "case(table.insert, 5, 1) case(table.sort, {3, 'x', 1}) case(table.sort, {1, 2}, 3)\n"
        "case(table.sort, {1, nil, 3, 2, n = 4}) case(table.unpack) case(table.move, {}, 1, "
        "2)\n" COMPARE_END,
        1500);
}

static void test_metamethods_are_respected(void **state)
{
    (void)state;
    compare_chunk(COMPARE_PRELUDE
                  "local log\n"
                  "local function proxy(t)\n"
                  "    log = {}\n"
                  "    return setmetatable({}, {\n"
                  "        __len = function() log[#log + 1] = '#' return #t end,\n"
                  "        __index = function(_, k) log[#log + 1] = 'r' .. k return t[k] end,\n"
                  "        __newindex = function(_, k, v)\n"
                  "            log[#log + 1] = 'w' .. k .. '=' .. tostring(v) t[k] = v end})\n"
                  "end\n"
                  "local function logged(f, ...)\n"
                  "    local ok, r = pcall(f, ...)\n"
                  "    return ok, type(r) == 'table' and 'table' or r, table.concat(log, ' ')\n"
                  "end\n"
                  "case(logged, table.insert, proxy {1, 2, 3}, 2, 'x')\n"
                  "case(logged, table.insert, proxy {1, 2, 3}, 'x')\n"
                  "case(logged, table.remove, proxy {1, 2, 3}, 1)\n"
                  "case(logged, table.remove, proxy {1, 2, 3})\n"
                  "case(logged, table.concat, proxy {1, 2, 3}, '-')\n"
                  "case(logged, table.unpack, proxy {1, 2, 3})\n"
                  "case(logged, table.move, proxy {1, 2, 3}, 1, 3, 2)\n"
                  "case(logged, table.move, proxy {1, 2, 3}, 2, 3, 1)\n"
                  "local p = {5, 3, 1} table.sort(proxy(p)) case(table.concat, p, ' ')\n"
                  "case(table.insert, setmetatable({}, {__len = function() return 'x' end}), "
                  "1)\n" COMPARE_END,
                  9);
}

static void test_sort_orders_as_in_lua(void **state)
{
    (void)state;
    compare_chunk(
        COMPARE_PRELUDE
        "for n = 0, 70 do\n"
        "    local t, u, w = {}, {}, {}\n"
        "    for i = 1, n do\n"
        "        t[i] = random(n) u[i] = t[i] w[i] = ('%c%d'):format(random(26) + 96, i)\n"
        "    end\n"
        "    table.sort(t) table.sort(u, function(a, b) return a > b end) table.sort(w)\n"
        "    case(table.concat, t, ' ') case(table.concat, u, ' ') case(table.concat, w)\n"
        "end\n" COMPARE_END,
        200);
}

static void test_sort_keeps_equals_and_survives_its_function(void **state)
{
    struct vm *vm = compare_open(0);

    (void)state;
    compare_true(vm, "local t = {} for i = 1, 100 do t[i] = {i % 3, i} end "
                     "table.sort(t, function(a, b) return a[1] < b[1] end) "
                     "for i = 2, 100 do local a, b = t[i - 1], t[i] "
                     "if a[1] > b[1] or a[1] == b[1] and a[2] > b[2] then return false end end "
                     "return true");
    compare_error(vm, "table.sort({3, 1, 2}, function() return true end)",
                  "invalid order function");
    compare_error(vm, "table.sort({1, 1, 1}, function(a, b) return a <= b end)",
                  "invalid order function");
    compare_error(vm, "table.sort({1, 2}, function() coroutine.yield() end)", "yield");
    compare_true(vm, "return coroutine.wrap(function() "
                     "return not pcall(table.sort, {1, 2}, coroutine.yield) end)()");
    compare_true(vm,
                 "local t = {3, 2, 1} local n = 0 pcall(table.sort, t, function(a, b) n = n + 1 "
                 "if n > 2 then error 'no' end return a < b end) "
                 "return n == 3 and t[1] == 3 and t[2] == 2 and t[3] == 1");
    compare_true(vm, "local t = {3, 2, 1} table.sort(t, function(a, b) t[1] = nil t[9] = 1 "
                     "return a < b end) return t[1] == 1 and t[2] == 2 and t[3] == 3");
    compare_true(vm, "local seed = 1 local t = {} for i = 1, 200 do t[i] = i end "
                     "pcall(table.sort, t, function(a, b) seed = seed * 7 % 101 "
                     "return seed % 2 == 0 end) "
                     "local sum = 0 for i = 1, 200 do sum = sum + t[i] end return sum == 20100");
    vm_close(vm);
}

static void test_unpack_gives_a_thousand_values_and_no_more(void **state)
{
    struct vm *vm = compare_open(0);

    (void)state;
    compare_true(vm, "return select('#', table.unpack({}, 1, 1000)) == 1000");
    compare_true(vm, "return select('#', table.unpack({}, math.maxinteger, math.maxinteger)) == 1");
    compare_error(vm, "table.unpack({}, 1, 1001)", "too many results to unpack (at most 1000)");
    compare_error(vm, "table.unpack({}, math.mininteger, math.maxinteger)", "at most 1000");
    vm_close(vm);
}

static void test_a_frozen_table_is_not_changed(void **state)
{
    struct vm *vm = compare_open(0);

    (void)state;
    compare_error(vm, "table.insert(table, 1)", "read-only");
    compare_error(vm, "table.move({1}, 1, 1, 1, string)", "read-only");
    compare_error(vm, "table.keys({})", "table has no 'keys'");
    vm_close(vm);
}

static void test_what_is_long_is_paid_for(void **state)
{
    static const struct {
        const char *call;
        uint64_t least;
    } rows[] = {
        {"table.insert(t, 1, 0)", 10000},
        {"table.remove(t, 1)", 10000},
        {"table.move(t, 1, 10000, 2)", 10000},
        {"table.concat(t)", 10000},
        {"table.concat(t, ('x'):rep(160))", 10000 * 11},
        {"table.sort(t)", 10000 * 14 * 4},
        {"table.unpack(t, 1, 900)", 900},
    };
    struct vm *vm = compare_open(100000000);
    uint64_t base = compare_cost(vm, "local t = {} for i = 1, 10000 do t[i] = i end");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        uint64_t cost;

        snprintf(text, sizeof text, "local t = {} for i = 1, 10000 do t[i] = i end %s",
                 rows[i].call);
        cost = compare_cost(vm, text) - base;
        /* The hook rounds. */
        if (cost + 2 * VM_HOOK_INSTRUCTIONS < rows[i].least) {
            fail_msg("%s costs %llu, not %llu", rows[i].call, (unsigned long long)cost,
                     (unsigned long long)rows[i].least);
        }
    }
    vm_close(vm);
}

static void test_endless_tables_are_stopped(void **state)
{
    static const char *const rows[] = {
        "pcall(table.insert, endless, 1, 0)",
        "pcall(table.remove, endless, 1)",
        "pcall(table.move, endless, 1, 1 << 62, 2)",
        "pcall(table.move, {}, 1, 1 << 62, 2)",
        "pcall(table.concat, endless)",
        "pcall(table.sort, endless)",
        "local t = {} for i = 1, 9 do t[i] = ('x'):rep(1e5) .. i end while 1 do table.sort(t) end",
        "pcall(table.sort, {2, 1}, function() while true do end end)",
        "while true do pcall(table.unpack, {}, 1, 1000) end",
    };
    struct vm *vm = compare_open(1000000);
    char text[400];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text,
                 "local endless = setmetatable({}, {__len = function() return (1 << 31) - 2 end, "
                 "__index = function() return '' end, __newindex = function() end}) %s",
                 rows[i]);
        compare_stopped(vm, text);
    }
    vm_close(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_do_what_they_do_in_lua),
        cmocka_unit_test(test_metamethods_are_respected),
        cmocka_unit_test(test_sort_orders_as_in_lua),
        cmocka_unit_test(test_sort_keeps_equals_and_survives_its_function),
        cmocka_unit_test(test_unpack_gives_a_thousand_values_and_no_more),
        cmocka_unit_test(test_a_frozen_table_is_not_changed),
        cmocka_unit_test(test_what_is_long_is_paid_for),
        cmocka_unit_test(test_endless_tables_are_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
