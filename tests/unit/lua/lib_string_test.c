/* SPDX-License-Identifier: MIT */
/* Goal: the string library of the sandbox gives what Lua's gives, and whatever is long is paid for.
 * Method: thousands of generated patterns, formats and calls run in the real library and in ours,
 * and the results and error texts are compared; costs are differences of the instruction counter;
 * hostile calls must be stopped although they are inside pcall. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/compare.h"

static void test_patterns_match_as_in_lua(void **state)
{
    (void)state;
    compare_chunk(
        COMPARE_PRELUDE
        "local parts = {'a', 'b', '.', '%a', '%d', '%S', '%W', '[ab]', '[^a]', '[a-c%d]', '(',\n"
        "    ')', '()', '(a*)', '(.-)', '%1', '%2', '%b()', '%bxx', '%f[%w]', '%f[^ ]', '^', '$',\n"
        "    '*', '+', '-', '?', '[', ']', '%', '[]a]', '[a-]', '[%w_]', '[^]]', '%.', '[%a-z]',\n"
        "    '%z', '\\0', '.*', '.-', 'a+', ' ?', '[\\1-\\200]', '%p', '%c', '%x', '%u', '%l', "
        "'%g'}\n"
        "local bytes = {'a', 'a', 'b', 'c', '1', ' ', '(', ')', 'x', '\\0', '\\n', '_', 'Z', "
        "'\\200'}\n"
        "local function text(from, most)\n"
        "    local t = {}\n"
        "    for i = 1, random(most) - 1 do t[i] = from[random(#from)] end\n"
        "    return table.concat(t)\n"
        "end\n"
        "local function all(s, p, init)\n"
        "    local t, n = {}, 0\n"
        "    for a, b, c in string.gmatch(s, p, init) do\n"
        "        t[#t + 1] = show(a) .. show(b) .. show(c)\n"
        "        n = n + 1\n"
        "        if n > 30 then break end\n"
        "    end\n"
        "    return table.concat(t, ';')\n"
        "end\n"
        "local map = setmetatable({a = 'A', b = false, ['1'] = 7}, {__index = function(_, k)\n"
        "    if k == 'c' then return {} end end})\n"
        "local function swap(a, b) if a == 'b' then return nil end return b or a end\n"
        "for i = 1, 4000 do\n"
        "    local s, p, init = text(bytes, 14), text(parts, 6), random(24) - 12\n"
        "    case(string.find, s, p, init)\n"
        "    case(string.match, s, p)\n"
        "    case(all, s, p, init)\n"
        "    case(string.gsub, s, p, '<%0%%>')\n"
        "    case(string.gsub, s, p, '%1', random(4) - 1)\n"
        "    case(string.gsub, s, p, '%2')\n"
        "    case(string.gsub, s, p, map)\n"
        "    case(string.gsub, s, p, swap)\n"
        "    case(string.find, s, p, init, true)\n"
        "end\n"
        "for c = 0, 255 do for k in ('acdglpsuwxzACDGLPSUWXZ'):gmatch '.' do\n"
        "    case(string.find, string.char(c), '%' .. k)\n"
        "end end\n" COMPARE_END,
        40000);
}

static void test_corners_of_patterns_are_those_of_lua(void **state)
{
    (void)state;
    compare_chunk(COMPARE_PRELUDE
                  "case(string.find, 'a', ('a?'):rep(250))\n"
                  "case(string.find, ('a'):rep(300), ('a?'):rep(300))\n"
                  "case(string.find, ('a'):rep(300), ('a'):rep(199) .. '.-b')\n"
                  "case(string.find, 'a', ('a-'):rep(198) .. 'b')\n"
                  "case(string.find, 'a', ('a-'):rep(199) .. 'b')\n"
                  "case(string.find, 'a', ('a-'):rep(200) .. 'b')\n"
                  "case(string.find, 'a', ('a-'):rep(201) .. 'b')\n"
                  "case(string.find, 'x', ('()'):rep(32))\n"
                  "case(string.find, 'x', ('()'):rep(33))\n"
                  "case(string.find, 'x', ('('):rep(33))\n"
                  "case(string.gsub, 'abc', '', '-')\n"
                  "case(string.gsub, 'abc', '%w*', '-')\n"
                  "case(string.gsub, 'abc', '^b*', '-')\n"
                  "case(string.gsub, 'abc', '.', {})\n"
                  "case(string.gsub, 'abc', '.', true)\n"
                  "case(string.gsub, 'abc', '.', 5)\n"
                  "case(string.gsub, 'abc', '.', '%')\n"
                  "case(string.gsub, 'abc', '.', '%x')\n"
                  "case(string.gsub, 'abc', '()', '%1')\n"
                  "case(string.gsub, 'abc', '.', function() return {} end)\n"
                  "case(string.gsub, 'abc', '.', function() error('mine', 0) end)\n"
                  "case(string.gsub, 12, 1, 3)\n"
                  "case(string.find, 'abc', 'b', 1e300)\n"
                  "case(string.find, 'abc', 'b', '2')\n"
                  "case(string.find, 'abc', '', 4)\n"
                  "case(string.find, 'abc', '', 5)\n"
                  "case(string.find, 'a.c', '.c', 1, 1)\n"
                  "case(string.find, ('ab'):rep(40) .. 'abb', 'abb', 3, true)\n"
                  "case(string.find, nil, 'x')\n"
                  "case(string.gmatch, 'x')\n"
                  "case(function() return ('abc'):gmatch('.', -1)() end)\n"
                  "case(function() return ('abc'):gmatch('.', 9)() end)\n" COMPARE_END,
                  25);
}

static void test_formats_are_those_of_lua(void **state)
{
    (void)state;
    compare_chunk(
        COMPARE_PRELUDE
        "local values = {0, 1, -1, 65, 3.5, -0.0, 1e100, -1e-100, 1/0, -1/0, math.pi, 2^53, "
        "1e308,\n"
        "    math.maxinteger, math.mininteger, '17', '0x1p4', 'text', '', 'a\\0b', "
        "'q\"\\\\\\n\\r\\0001',\n"
        "    ('long'):rep(40), true, false, '\\200\\127\\1'}\n"
        "local function one(from) local i = random(#from) return from:sub(i, i) end\n"
        /* Of two mistakes Lua's %a finds the other one first. */
        "local function try(...) local ok, r = pcall(string.format, ...) return ok, ok and r end\n"
        "for i = 1, 12000 do\n"
        "    local f = '%'\n"
        "    for j = 1, random(3) - 1 do f = f .. one('-+ #00') end\n"
        "    if random(2) == 1 then f = f .. random(random(2) == 1 and 120 or 30) end\n"
        "    if random(3) == 1 then f = f .. '.' end\n"
        "    if random(3) == 1 then f = f .. random(101) - 1 end\n"
        "    local c = one('diucxXoeEfgGaAsqsdgy%')\n"
        "    f = '<' .. f .. c .. '>'\n"
        "    if c:find '[aA]' then case(try, f, values[random(#values)])\n"
        "    elseif random(40) > 1 then case(string.format, f, values[random(#values)])\n"
        "    else case(string.format, f) end\n"
        "end\n"
        "for i = 1, #values do\n"
        "    for c in ('diucxXoeEfgGaAsq'):gmatch '.' do\n"
        "        case(string.format, '%' .. c, values[i])\n"
        "    end\n"
        "end\n"
        "case(string.format, '%q %s', nil, nil)\n"
        "case(string.format, '%q', {})\n"
        "case(string.format, '%s|%5s|%.2s', setmetatable({}, {__tostring = function()\n"
        "    return 'mine' end}), true, 'xyz')\n"
        "case(string.format, '%s', setmetatable({}, {__tostring = function() return {} end}))\n"
        "case(string.format, '%')\n"
        "case(string.format, '%d %d', 1)\n"
        "case(string.format, ('x'):rep(3000) .. '%99.99f%-99d|', 1e308, 1)\n"
        "case(string.format, '%' .. ('0'):rep(40) .. 'd', 1)\n"
        "case(string.format, 'a\\0b%sc\\0', 'x')\n" COMPARE_END,
        12000);
}

static void test_other_functions_are_those_of_lua(void **state)
{
    (void)state;
    compare_chunk(
        COMPARE_PRELUDE
        "local ends = {math.mininteger, math.maxinteger, 0, 1, -1, 2, 3, -3, -4, 4, 9, 2.5, '2', "
        "'x'}\n"
        "for _, s in ipairs {'', 'a', 'abc', 'aB\\0\\200', 12} do\n"
        "    for i = 1, #ends do for j = 1, #ends do\n"
        "        case(string.sub, s, ends[i], ends[j])\n"
        "        case(string.byte, s, ends[i], ends[j])\n"
        "    end end\n"
        "    case(string.sub, s, 2) case(string.byte, s) case(string.byte, s, -1)\n"
        "    for _, f in ipairs {'lower', 'upper', 'reverse', 'len'} do case(string[f], s) end\n"
        "    for n = -1, 6 do case(string.rep, s, n) case(string.rep, s, n, ', ') end\n"
        "    case(string.rep, s, math.maxinteger, '..')\n"
        "end\n"
        "for c = -1, 256 do case(string.char, c, c) end\n"
        "case(string.char) case(string.char, 'x')\n"
        "case(string.pack, '<i4 z s1 c5 !8 d', 7, 'zero', 'one', 'five', 1.5)\n"
        "case(string.unpack, '<i4 z s1', string.pack('<i4 z s1', 7, 'zero', 'one'))\n"
        "case(string.unpack, '<i4', 'abc') case(string.packsize, '!8 i1 i8 c7')\n"
        "case(string.pack, 'i17', 1) case(string.packsize, 's') case(string.pack, 'c2', 'long')\n"
        "local a = {1, 2.5, '3', ' 0x10 ', '1e2', 'x', '', '-7'}\n"
        "for i = 1, #a do for j = 1, #a do if type(a[i]) == 'string' or type(a[j]) == 'string' "
        "then\n"
        "    local x, y = a[i], a[j]\n"
        "    local function try(f) local ok, r = pcall(f) return ok, ok and r end\n"
        "    case(try, function() return x + y end) case(try, function() return x - y end)\n"
        "    case(try, function() return x * y end) case(try, function() return x % y end)\n"
        "    case(try, function() return x / y end) case(try, function() return x // y end)\n"
        "    case(try, function() return x ^ y end) case(try, function() return -x end)\n"
        "end end end\n"
        "local other = setmetatable({}, {__add = function(l, r) return type(l) .. type(r) end})\n"
        "case(function() return 'x' + other end) case(function() return other + '1' end)\n"
        "case(function() return '1' + other end)\n" COMPARE_END,
        1000);
}

static void test_what_differs_from_lua_is_what_is_meant_to(void **state)
{
    struct vm *vm = compare_open(0);

    (void)state;
    compare_true(vm, "return string.format('%5.1F|%s|%s|%s', 2, {}, print, coroutine.create(print))"
                     " == '  2.0|table|function|thread'");
    compare_true(vm, "return string.format('%s', setmetatable({}, {__name = 'thing'})) == 'thing'");
    /* Lua's own counts up to it. */
    compare_true(vm, "return string.rep('', math.maxinteger) == ''");
    compare_true(vm, "return getmetatable('') == false");
    compare_true(vm, "return not pcall(function() string.x = 1 end)");
    compare_true(vm, "return not pcall(function() local s = '' s.x = 1 end)");
    compare_error(vm, "return string.format('%p', {})", "invalid conversion '%p' to 'format'");
    compare_error(vm, "return string.dump(print)", "'dump'");
    compare_error(vm, "return ('x'):uper()", "did you mean 'upper'?");
    compare_error(vm, "return ('x'):rep(1 << 30)", "resulting string too large");
    compare_error(vm, "return {} + 'x'", "arithmetic");
    vm_close(vm);
}

static void test_what_is_long_is_paid_for(void **state)
{
    static const struct {
        const char *call;
        uint64_t least; /* instructions, for 65536 bytes */
    } rows[] = {
        {"s:upper()", 65536 / 4},
        {"s:lower()", 65536 / 4},
        {"s:reverse()", 65536 / 4},
        {"s:find('b')", 65536 / 16},
        {"s:find('aab', 1, true)", 65536},
        {"s:find('[b]')", 65536 * 3},
        {"s:match('(a*)$')", 65536},
        {"s:match('%bxy')", 65536},
        {"s:match('^' .. '(a+)%1' .. '$')", 65536},
        {"s:find('%f[b]')", 65536 * 2},
        {"s:gsub('b', '')", 65536},
        {"s:gsub('a', 'bb')", 65536 * 2},
        {"s:gmatch('b')()", 65536},
        {"s:rep(4)", 4 * 65536 / 16},
        {"s:sub(2)", 65536 / 16},
        {"s:byte(1, 60000)", 60000},
        {"string.format('%q', s)", 65536},
        {"string.format('%s', s)", 65536 / 16},
        {"string.format(s)", 65536 / 16},
        {"string.pack('c65536', '')", 65536 / 4},
        {"string.pack('s', s)", 65536 / 16},
        {"string.unpack(('b'):rep(100), s)", 100},
        {"pcall(math.floor, s)", 65536},
        {"pcall(string.rep, 'x', s)", 65536},
        {"pcall(function() return s + 1 end)", 65536},
    };
    struct vm *vm = compare_open(100000000);
    uint64_t base = compare_cost(vm, "local s = ('a'):rep(65536)");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        uint64_t cost;

        snprintf(text, sizeof text, "local s = ('a'):rep(65536) local x = %s", rows[i].call);
        cost = compare_cost(vm, text) - base;
        /* The hook rounds. */
        if (cost + 2 * VM_HOOK_INSTRUCTIONS < rows[i].least) {
            fail_msg("%s costs %llu, not %llu", rows[i].call, (unsigned long long)cost,
                     (unsigned long long)rows[i].least);
        }
    }
    vm_close(vm);
}

static void test_hostile_calls_are_stopped(void **state)
{
    static const char *const rows[] = {
        "while true do pcall(string.find, ('a'):rep(40), ('a*'):rep(25) .. 'b') end",
        "pcall(string.find, ('a'):rep(100), ('a-'):rep(30) .. 'b')",
        "pcall(string.match, ('a'):rep(3000), '(.*)(.*)%1%2b')",
        "pcall(string.find, ('('):rep(20000), '%b()%b()')",
        "pcall(string.gsub, ('x'):rep(200000), '.-b', '')",
        "pcall(string.find, ('a'):rep(200000), ('a'):rep(100000) .. 'b', 1, true)",
        "while true do pcall(string.rep, 'x', 1000000) end",
        "while true do pcall(string.rep, 'x', 1000, ('y'):rep(1000)) end",
        "pcall(string.gsub, ('x'):rep(1000), '', function() while true do end end)",
        "while true do pcall(string.format, '%99.99f', 1e308) end",
        "while true do pcall(string.pack, 'c20000000', '') end",
        "local s = (' '):rep(1000000) while true do pcall(math.floor, s) end",
    };
    struct vm *vm = compare_open(1000000);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) compare_stopped(vm, rows[i]);
    vm_close(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_as_in_lua),
        cmocka_unit_test(test_corners_of_patterns_are_those_of_lua),
        cmocka_unit_test(test_formats_are_those_of_lua),
        cmocka_unit_test(test_other_functions_are_those_of_lua),
        cmocka_unit_test(test_what_differs_from_lua_is_what_is_meant_to),
        cmocka_unit_test(test_what_is_long_is_paid_for),
        cmocka_unit_test(test_hostile_calls_are_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
