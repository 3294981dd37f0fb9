/* SPDX-License-Identifier: MIT */
/* Goal: math and utf8 of the sandbox give what Lua's give; random numbers come from the state's
 * source alone and are even; long strings are paid for. Method: calls compared with the real
 * libraries, and sources of random numbers that the test writes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/compare.h"

static void test_math_is_that_of_lua(void **state)
{
    (void)state;
    compare_chunk(COMPARE_PRELUDE
                  "local values = {0, 1, -1, 2.5, -2.5, 7, 1e300, 1/0, -1/0, math.maxinteger,\n"
                  "    math.mininteger, '3', '0x10', 'x', {}, true}\n"
                  "local names = {'abs', 'acos', 'asin', 'atan', 'ceil', 'cos', 'deg', 'exp', "
                  "'floor', 'fmod',\n"
                  "    'log', 'max', 'min', 'modf', 'rad', 'sin', 'sqrt', 'tan', 'tointeger', "
                  "'type', 'ult'}\n"
                  "local function call(name, ...)\n"
                  "    local r = table.pack(pcall(math[name], ...))\n"
                  "    for i = 1, r.n do if r[i] ~= r[i] then r[i] = 'nan' end end\n"
                  "    if not r[1] then r[2] = 'failed' end\n"
                  "    return table.unpack(r, 1, r.n)\n"
                  "end\n"
                  "for _, name in ipairs(names) do\n"
                  "    case(call, name)\n"
                  "    for i = 1, #values do\n"
                  "        case(call, name, values[i])\n"
                  "        for j = 1, #values do case(call, name, values[i], values[j]) end\n"
                  "    end\n"
                  "end\n"
                  "case(function() return math.pi, math.huge, math.maxinteger, math.mininteger "
                  "end)\n" COMPARE_END,
                  5000);
}

static void test_utf8_is_that_of_lua(void **state)
{
    (void)state;
    compare_chunk(
        COMPARE_PRELUDE
        "local parts = {'a', '\\u{e9}', '\\u{20ac}', '\\u{1f600}', '\\x80', '\\xbf', '\\xc3', "
        "'\\0',\n"
        "    '\\xed\\xa0\\x80', '\\xf4\\x90\\x80\\x80', '\\xc0\\x80', '\\u{7fffffff}', '\\xff', "
        "'\\xe2\\x82',\n"
        "    '\\xe0\\x80\\x80', '\\u{10ffff}', 'z', 'b'}\n"
        "local function codes(s, lax)\n"
        "    local t = {}\n"
        "    for p, c in utf8.codes(s, lax) do t[#t + 1] = p .. ':' .. c end\n"
        "    return table.concat(t, ' ')\n"
        "end\n"
        "for i = 1, 3000 do\n"
        "    local t = {}\n"
        "    for j = 1, random(6) - 1 do t[j] = parts[random(random(2) == 1 and 4 or #parts)] end\n"
        "    local s, a, b, lax = table.concat(t), random(12) - 6, random(14) - 6, random(2) == 1\n"
        "    case(utf8.len, s) case(utf8.len, s, a, b, lax)\n"
        "    case(utf8.codepoint, s, a, b, lax) case(utf8.codepoint, s)\n"
        "    case(utf8.offset, s, a) case(utf8.offset, s, a, b)\n"
        "    if utf8.len(s, 1, -1, lax) then case(codes, s, lax) end\n"
        "end\n"
        "for i = 0, 31 do case(utf8.char, (1 << i) - 1, 1 << i) end\n"
        "case(utf8.char) case(utf8.char, -1) case(utf8.char, 'x')\n"
        "case(function() return utf8.charpattern end)\n" COMPARE_END,
        15000);
}

/* As the manual says, and later versions than 5.4.4 do. */
static void test_codes_raises_for_any_invalid_sequence(void **state)
{
    struct vm *vm = compare_open(0);

    (void)state;
    compare_error(vm, "for _ in utf8.codes('\\x80a') do end", "invalid UTF-8 code");
    compare_error(vm, "for _ in utf8.codes('a\\x80') do end", "invalid UTF-8 code");
    compare_error(vm, "for _ in utf8.codes('\\u{e9}\\xbfb') do end", "invalid UTF-8 code");
    compare_error(vm, "for _ in utf8.codes('\\xed\\xa0\\x80') do end", "invalid UTF-8 code");
    compare_true(vm, "for _, c in utf8.codes('\\xed\\xa0\\x80', true) do return c == 0xd800 end");
    vm_close(vm);
}

struct source {
    uint64_t values[8];
    unsigned count, at;
};

static uint64_t next_value(void *context)
{
    struct source *source = context;

    return source->values[source->at++ % source->count];
}

static void test_random_numbers_are_those_of_the_source(void **state)
{
    struct source source = {{0, UINT64_MAX, 1ull << 63, 0x123456789abcdef0, 5, 6, 7, 8}, 8, 0};
    struct vm *vm = compare_open(0);

    (void)state;
    vm_set_random(vm, next_value, &source);
    compare_true(vm, "return math.random(0) == 0 and math.random(0) == -1 "
                     "and math.random(0) == math.mininteger "
                     "and math.random(0) == 0x123456789abcdef0");
    assert_int_equal(source.at, 4);
    source.at = 0;
    compare_true(vm, "return math.random() == 0.0 and math.random() == 1 - 2.0^-53 "
                     "and math.random() == 0.5");
    assert_int_equal(source.at, 3);
    /* Of 1 to 7 under a mask of 7: 7 is dropped, and draws one more. */
    source.at = 4;
    compare_true(vm, "return math.random(7) == 6 and math.random(11, 17) == 17 "
                     "and math.random(7) == 1");
    assert_int_equal(source.at, 8);
    source.at = 1;
    compare_true(vm, "return math.random(math.mininteger, math.maxinteger) == math.maxinteger");
    compare_true(vm, "return math.random(3, 3) == 3");
    /* A source that is stuck above the range ends all the same. */
    source.values[0] = 7, source.count = 1;
    compare_true(vm, "local x = math.random(7) return x >= 1 and x <= 7");
    vm_close(vm);
}

static void test_random_numbers_are_even_and_checked(void **state)
{
    struct vm *vm = compare_open(0);

    (void)state;
    compare_true(vm, "local n = {0, 0, 0, 0, 0} for i = 1, 5000 do local x = math.random(5) "
                     "n[x] = n[x] + 1 end "
                     "for i = 1, 5 do if n[i] < 850 or n[i] > 1150 then return false end end "
                     "return true");
    compare_true(vm, "for i = 1, 1000 do local x = math.random(-2, 2) "
                     "if math.type(x) ~= 'integer' or x < -2 or x > 2 then return false end "
                     "x = math.random() if x < 0 or x >= 1 then return false end end return true");
    compare_error(vm, "math.random(2, 1)", "interval is empty");
    compare_error(vm, "math.random(-1)", "interval is empty");
    compare_error(vm, "math.random(1, 2, 3)", "wrong number of arguments");
    compare_error(vm, "math.random(1.5)", "no integer representation");
    compare_error(vm, "math.randomseed(1)", "randomseed");
    vm_close(vm);
}

static void test_long_utf8_is_paid_for(void **state)
{
    static const struct {
        const char *call;
        uint64_t least;
    } rows[] = {
        {"utf8.len(s)", 65536},
        {"utf8.codepoint(s, 1, 60000)", 60000},
        {"utf8.offset(s, 65536)", 65000},
        {"utf8.offset(s, -65536)", 65000},
        {"utf8.offset('a' .. ('\\x80'):rep(65536), 2)", 65000},
        {"utf8.codes('a')(('\\x80'):rep(65536), 0)", 65000},
        {"pcall(utf8.char, (' '):rep(65536))", 65536},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_math_is_that_of_lua),
        cmocka_unit_test(test_utf8_is_that_of_lua),
        cmocka_unit_test(test_codes_raises_for_any_invalid_sequence),
        cmocka_unit_test(test_random_numbers_are_those_of_the_source),
        cmocka_unit_test(test_random_numbers_are_even_and_checked),
        cmocka_unit_test(test_long_utf8_is_paid_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
