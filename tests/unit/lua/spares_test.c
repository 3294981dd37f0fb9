/* SPDX-License-Identifier: MIT */
/* Goal: the coroutine of a handler that ended serves the next one of its instance, which finds
 * nothing in it; where memory is short, and with an instance that ended, none is kept. Method: a
 * world whose instances may have much memory, for in others nothing is kept; node 2 asks node 1 one
 * thing after the other, whose handlers wait for an answer that does not come. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "runtime/runtime.h"
#include "unit/lua/scripts.h"

static struct scripts s;

static const char text[] =
    "local P = protocol 'spare/1' { serve = 16,\n"
    "  never = request { bytes = 64, answer = 64, within = sec },\n"
    "  hold = request { bytes = 64, answer = 64, within = 100*sec } }\n"
    "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 0 end\n"
    "local function count(...) return select('#', ...) end\n"
    "function P:never() connect '/memory/7777' end\n"
    "function P:hold(from, n, ...)\n"
    "  local a, b, c\n"
    "  if a or b or c or count(...) > 0 then error 'something was left' end\n"
    "  if n == 'deep' then return deep(3000) end\n"
    "  a, b, c = {}, n, 7\n"
    "  ask(from, P.never, n)\n"
    "  if n == 'fail' then error 'meant' end\n"
    "  return b\n"
    "end\n"
    "function P:start(address)\n"
    "  if not address then return end\n"
    "  local peer = connect(address)\n"
    "  for _, n in ipairs { 'one', 'two', 'deep', 'fail', 'four' } do\n"
    "    print(n, (ask(peer, P.hold, n)))\n"
    "  end\n"
    "end\n";

static struct instance *instance(uint32_t node)
{
    return list_first(&place_find(s.lua, node)->instances, struct instance, link);
}

static void open_nodes(uint64_t instance_bytes)
{
    weir_lua_options options = {.size = sizeof options, .instance_bytes = instance_bytes};
    int64_t script;

    scripts_open(&s, 3, 1, &options);
    script = scripts_load(&s, "spare.lua", text);
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    scripts_attach(&s, 2, script, scripts_address(&s, 1));
}

static void expect_all(void)
{
    assert_true(scripts_said(&s, "2 one\tone\n"));
    assert_true(scripts_said(&s, "2 two\ttwo\n"));
    assert_true(scripts_said(&s, "2 deep\t3000\n"));
    assert_true(scripts_said(&s, "2 fail\tnil\n"));
    assert_true(scripts_said(&s, "2 four\tfour\n"));
    assert_int_equal(scripts_info(&s).errors, 1);
}

/* Run until node 2 said so, and then until a handler of node 1 waits. */
static lua_State *waiting_after(const char *said)
{
    struct task *t = NULL;

    for (int i = 0; i < 400 && !strstr(s.text, said); i++) scripts_run(&s, 10);
    for (int i = 0; i < 40 && !t; i++) {
        scripts_run(&s, 10);
        t = list_first(&instance(1)->tasks, struct task, link);
    }
    assert_non_null(t);
    return t->co;
}

static void test_a_coroutine_serves_again_but_not_after_an_error(void **state)
{
    lua_State *first, *failing;

    (void)state;
    open_nodes(1 << 20);
    first = waiting_after("");
    assert_ptr_equal(waiting_after("one"), first);
    failing = waiting_after("deep");
    assert_ptr_not_equal(waiting_after("fail"), failing);
    scripts_run(&s, 10000);
    expect_all();
    scripts_close(&s);
}

static void test_a_deep_handler_leaves_no_large_stack(void **state)
{
    uint64_t before;

    (void)state;
    open_nodes(1 << 20);
    (void)waiting_after("two");
    lua_gc(vm_main(instance(1)->script->vm), LUA_GCCOLLECT);
    before = instance(1)->owner.bytes;
    assert_true(instance(1)->owner.bytes_peak > 100000);
    assert_true(before < 8192);
    scripts_close(&s);
}

static void test_where_memory_is_short_none_is_kept(void **state)
{
    uint64_t bytes;

    (void)state;
    open_nodes(120 << 10);
    scripts_run(&s, 10000);
    assert_int_equal(instance(1)->task_count, 0);
    lua_gc(vm_main(instance(1)->script->vm), LUA_GCCOLLECT);
    bytes = instance(1)->owner.bytes;
    assert_true(bytes < 512);
    scripts_close(&s);
}

static void test_an_instance_that_ended_leaves_none_to_others(void **state)
{
    (void)state;
    open_nodes(1 << 20);
    (void)waiting_after("two");
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    scripts_run(&s, 10000);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[2]), 0);
    s.len = 0;
    s.text[0] = 0;
    scripts_attach(&s, 1, 1, NULL);
    scripts_attach(&s, 2, 1, scripts_address(&s, 1));
    scripts_run(&s, 10000);
    expect_all();
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_coroutine_serves_again_but_not_after_an_error),
        cmocka_unit_test(test_a_deep_handler_leaves_no_large_stack),
        cmocka_unit_test(test_where_memory_is_short_none_is_kept),
        cmocka_unit_test(test_an_instance_that_ended_leaves_none_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
