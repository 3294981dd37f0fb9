/* SPDX-License-Identifier: MIT */
/* Goal: a declaration has every limit, within its range, under a name that can be; self has what
 * was declared and nothing else. Method: a table of declarations and of what is said, and scripts
 * that look at themselves. */
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
    {"message { full = 'block' }",
     "s.lua:1: message: 'bytes' is missing: it is there so that no peer "
     "can send more"},
    {"message { bytes = 10 }", "message: 'full' is missing: it is there to say what happens when"},
    {"message { byts = 10, full = 'block' }",
     "message: there is no 'byts' (did you mean 'bytes'?)"},
    {"message { bytes = 10, full = 'blok' }",
     "message: 'full' is one of drop-new, drop-old, block (did you mean 'block'?)"},
    {"message { bytes = 0, full = 'block' }",
     "message: 'bytes' is a number of bytes of 1 to 16336"},
    {"message { bytes = 1*MB, full = 'block' }", "message: 'bytes' is a number of bytes of 1 to"},
    {"message { bytes = 1.5, full = 'block' }", "message: 'bytes' is a number of bytes of 1 to"},
    {"message { bytes = '1', full = 'block' }", "16336 and not a string, so that no peer"},
    {"message 'x'", "s.lua:1: message takes a table: message { ... }"},
    {"message { 10 }", "message: every value has a name here"},
    {"request { bytes = 1, answer = 1 }",
     "request: 'within' is missing: it is there so that nobody"},
    {"request { bytes = 1, answer = 1, within = 5 }",
     "request: 'within' is a time of 1*ms to 1*hour and not 5 microseconds, so that nobody"},
    {"protocol 'a b' {}", "s.lua:1: 'a b': a name is printable ASCII without spaces"},
    {"protocol 'weir/1' {}", "'weir/1': a name is 1 to 90 characters"},
    {"protocol '' {}", "'': a name is 1 to 90 characters"},
    {"protocol 'a/1' { serv = 3 }", "a/1: 'serv' is a number: message {...}, request {...}, view "
                                    "{...} or the like stands there (did "
                                    "you mean 'serve'?)"},
    {"protocol 'a/1' { ping = request { bytes = 1, answer = 1, within = sec } }",
     "a/1: 'serve' is missing: it is there so that no crowd of peers takes more"},
    {"protocol 'a/1' { serve = 8, per_peer = 9 }", "a/1: 'per_peer' is a number of 1 to 8"},
    {"protocol 'a/1' { start = message { bytes = 1, full = 'block' } }",
     "a/1: 'start' cannot be the name of a message"},
    {"protocol 'a/1' { ['a-b'] = message { bytes = 1, full = 'block' } }",
     "a/1: 'a-b' cannot be the name of a message"},
    {"local m = message { bytes = 1, full = 'block' }\nprotocol 'a/1' { x = m, y = m }",
     "has another name already"},
    {"protocol 'a/1' { fields = { f = print } }",
     "a/1: the field 'f' begins as a number, a string, a boolean or {}"},
    {"protocol 'a/1' { fields = { f = { 1 } } }", "a/1: the field 'f' begins as"},
    {"protocol 'a/1' { m = message { bytes = 1, full = 'block' }, fields = { m = 1 } }",
     "a/1: 'm' cannot be the name of a field"},
    {"protocol 'a/1' { fields = 3 }", "a/1: fields is a table"},
    {"local P = protocol 'a/1' {}\nP:every(1, function() end)", "a time of at least 1 ms"},
    {"local P = protocol 'a/1' {}\nP:every(sec, function() end, { steady = true })",
     "steady needs its reason"},
    {"local P = protocol 'a/1' {}\nP:every(sec, function() end, { stedy = 'x' })",
     "only { steady = \"why\" } stands here"},
    {"local P = game 'a/1' { v = view { cap = 3 } }\nfunction P:v() end",
     "s.lua:2: v is a view: it has no function"},
    {"local P = protocol 'a/1' {}\nfunction P:f() end\nfunction P:f() end",
     "s.lua:3: a/1 has a function 'f' already"},
    {"local P = protocol 'a/1' {}\nprint(P.start)", "s.lua:2: a/1 has no 'start'"},
    {"pcall(protocol, 'a/1', { x = 1 })", "what it declares was refused"},
};

static void test_a_declaration_that_lacks_something_does_not_load(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t script =
            weir_lua_load(s.lua, "s.lua", wrong[i].text, strlen(wrong[i].text), &s.error);
        if (script >= 0 || !strstr(s.error.detail, wrong[i].said))
            fprintf(stderr, "%zu: %d, '%s' instead of '%s'\n", i, (int)script, s.error.detail,
                    wrong[i].said);
        assert_int_equal(script, WEIR_E_ARGUMENT);
        assert_non_null(strstr(s.error.detail, wrong[i].said));
    }
}

static void test_self_has_the_fields_that_were_declared_and_no_others(void **state)
{
    int64_t script;

    (void)state;
    script = scripts_load(&s, "s.lua",
                          "local P = protocol 'a/1' {\n"
                          "  fields = { count = 7, name = 'x', on = false, list = {} },\n"
                          "}\n"
                          "function P:helper() return 'helped' end\n"
                          "function P:start()\n"
                          "  print(self.count, self.name, self.on, #self.list, self:helper())\n"
                          "  self.count = nil\n"
                          "  print(self.count)\n"
                          "  self.count = 8\n"
                          "  self.list[1] = 'first'\n"
                          "  print(self.count, self.list[1])\n"
                          "  print(pcall(function() return self.cont end))\n"
                          "  print(pcall(function() self.nme = 1 end))\n"
                          "  print(pcall(setmetatable, self, {}))\n"
                          "end\n");
    scripts_attach(&s, 1, script, NULL);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "1 7\tx\tfalse\t0\thelped\n1 nil\n1 8\tfirst\n"));
    assert_true(scripts_said(&s, "self has no 'cont' (did you mean 'count'?)"));
    assert_true(scripts_said(&s, "self has no field 'nme': declare it in fields = { ... } (did you "
                                 "mean 'name'?)"));
    assert_true(scripts_said(&s, "cannot change a protected metatable"));
}

static void test_a_first_value_that_is_a_table_is_each_instances_own(void **state)
{
    int64_t script;

    (void)state;
    script = scripts_load(&s, "s.lua",
                          "local P = protocol 'a/1' { fields = { list = {} } }\n"
                          "function P:start(what)\n"
                          "  self.list[#self.list + 1] = what\n"
                          "  print(#self.list, self.list[1])\n"
                          "end\n");
    scripts_attach(&s, 1, script, "a");
    scripts_attach(&s, 2, script, "b");
    scripts_gather(&s);
    assert_true(scripts_said(&s, "1 1\ta\n2 1\tb\n"));
}

static void test_an_entry_can_be_named_before_and_after_its_function_exists(void **state)
{
    int64_t script;

    (void)state;
    script = scripts_load(&s, "s.lua",
                          "local P = protocol 'a/1' { m = message { bytes = 9, full = 'block' } }\n"
                          "print(P.m, P)\n"
                          "function P:m(from, body) print('called', body) end\n"
                          "function P:start() self:m(me(), 'by itself') end\n"
                          "print(P.m)\n");
    scripts_attach(&s, 1, script, NULL);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "0 message a/1/m\ta/1\n0 message a/1/m\n1 called\tby itself\n"));
}

static void test_declaring_in_a_handler_raises(void **state)
{
    int64_t script;

    (void)state;
    script = scripts_load(&s, "s.lua",
                          "local P = protocol 'a/1' {}\n"
                          "function P:start()\n"
                          "  print(pcall(protocol, 'b/1'))\n"
                          "  print(pcall(message, { bytes = 1, full = 'block' }))\n"
                          "  print(pcall(function() P.later = function() end end))\n"
                          "end\n");
    scripts_attach(&s, 1, script, NULL);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "works while the file loads, not in a handler"));
    assert_true(scripts_said(&s, "a/1.later cannot be changed any more"));
}

static int open_two(void **state)
{
    (void)state;
    scripts_open(&s, 2, 1, NULL);
    return 0;
}

static int close_two(void **state)
{
    (void)state;
    scripts_close(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_two, close_two)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_declaration_that_lacks_something_does_not_load),
        TEST(test_self_has_the_fields_that_were_declared_and_no_others),
        TEST(test_a_first_value_that_is_a_table_is_each_instances_own),
        TEST(test_an_entry_can_be_named_before_and_after_its_function_exists),
        TEST(test_declaring_in_a_handler_raises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
