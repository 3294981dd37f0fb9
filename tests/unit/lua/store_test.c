/* SPDX-License-Identifier: MIT */
/* Goal: a store keeps values by name, within its bound, and over a restart when files are granted.
 * Method: a script on a node of a small world, detached and attached again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

static void run_alone(const char *text, uint64_t ms)
{
    int64_t script;

    scripts_open(&s, 1, 7, NULL);
    script = scripts_load(&s, "test.lua", text);
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    scripts_run(&s, ms);
}

static void test_values_are_kept_by_name_in_order_and_within_bounds(void **state)
{
    (void)state;
    run_alone("local P = protocol 's/1' { kept = store { bytes = 2*KB } }\n"
              "function P:start(what)\n"
              "  local k = self.kept\n"
              "  if what then\n"
              "    print(what, k:get('a'), k:get('b') and k:get('b').n, #k:keys())\n"
              "    if k:get('count') then print('count', k:get('count')) end\n"
              "    return\n"
              "  end\n"
              "  print(k:set('b', { n = 5 }), k:set('a', 'x'), k:get('none'))\n"
              "  print(table.concat(k:keys(), ','))\n"
              "  print(k:set('big', string.rep('x', 3000)))\n"
              "  print(k:set('b', nil), k:get('b'))\n"
              "  k:set('b', { n = 6 })\n"
              "  for i = 1, 100 do k:set('count', i) end\n"
              "  print(pcall(k.set, k, '', 1))\n"
              "end\n",
              1000);
    assert_true(scripts_said(&s, "1 true\ttrue\tnil\n1 a,b\n"));
    assert_true(scripts_said(&s, "1 nil\tthe store has no room for it\tlimit\n"));
    assert_true(scripts_said(&s, "1 true\tnil\n"));
    assert_true(scripts_said(&s, "1 to 64 bytes"));
    scripts_close(&s);
}

static void test_values_outlive_the_instance_when_files_are_granted(void **state)
{
    static const char text[] =
        "local P = protocol 's/1' { kept = store { bytes = 2*KB } }\n"
        "function P:start(what)\n"
        "  local k = self.kept\n"
        "  if what then\n"
        "    print(what, k:get('a'), k:get('b') and k:get('b').n, #k:keys())\n"
        "    if k:get('count') then print('count', k:get('count')) end\n"
        "    return\n"
        "  end\n"
        "  print(k:set('b', { n = 5 }), k:set('a', 'x'), k:get('none'))\n"
        "  print(table.concat(k:keys(), ','))\n"
        "  print(k:set('big', string.rep('x', 3000)))\n"
        "  print(k:set('b', nil), k:get('b'))\n"
        "  k:set('b', { n = 6 })\n"
        "  for i = 1, 100 do k:set('count', i) end\n"
        "  print(pcall(k.set, k, '', 1))\n"
        "end\n";
    weir_lua_options options = {.size = sizeof options, .files = ""};
    int64_t script;

    (void)state;
    scripts_open(&s, 1, 3, &options);
    script = scripts_load(&s, "s.lua", text);
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    scripts_run(&s, 3000);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    scripts_run(&s, 100);
    scripts_attach(&s, 1, script, "again");
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 again\tx\t6\t3\n1 count\t100\n"));
    /* Detached at once: what a stream takes is written all the same. */
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    scripts_attach(&s, 1, script, "third");
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 third\tx\t6\t3\n"));
    scripts_close(&s);
}

static void test_a_damaged_file_leaves_the_other_one(void **state)
{
    static const char text[] = "local P = protocol 's/1' { kept = store { bytes = 2*KB } }\n"
                               "function P:start(what)\n"
                               "  print(what, self.kept:get('n'))\n"
                               "  if what == '0' then\n"
                               "    self.kept:set('n', 1)\n"
                               "    after(3*sec, function(self) self.kept:set('n', 2) end)\n"
                               "  end\n"
                               "end\n";
    weir_lua_options options = {.size = sizeof options, .files = ""};
    int64_t script;

    (void)state;
    scripts_open(&s, 1, 3, &options);
    script = scripts_load(&s, "s.lua", text);
    scripts_attach(&s, 1, script, "0");
    scripts_run(&s, 10000);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    scripts_run(&s, 10);
    assert_int_equal(weir_world_file(s.world, 1, "s_1.kept.store.a", "weirst1\nnonsense", 16), 0);
    scripts_attach(&s, 1, script, "after");
    scripts_run(&s, 1000);
    assert_true(strstr(s.text, "1 after\t1\n") || strstr(s.text, "1 after\t2\n"));
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_kept_by_name_in_order_and_within_bounds),
        cmocka_unit_test(test_values_outlive_the_instance_when_files_are_granted),
        cmocka_unit_test(test_a_damaged_file_leaves_the_other_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
