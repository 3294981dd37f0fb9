/* SPDX-License-Identifier: MIT */
/* Goal: an idle instance of a ten-field game costs at most 1.5 KiB of Lua memory and a handler that
 * waits at most 2 KiB; one that hoards hits its own cap, and the others in the same state go on.
 * Method: many nodes of a world; the accounts of the runtime are read directly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "runtime/runtime.h"
#include "unit/lua/scripts.h"

enum { NODES = 100, WAITING = 100, IDLE_BYTES_MAX = 1536, HANDLER_BYTES_MAX = 2048 };

static struct scripts s;

static struct instance *instance(uint32_t node)
{
    struct place *place = place_find(s.lua, node);

    return list_first(&place->instances, struct instance, link);
}

static void test_an_idle_instance_of_a_ten_field_game_is_small(void **state)
{
    static const char text[] =
        "local G = game 'ten/1' {\n"
        "  active = view { cap = 5, linked = true }, passive = view { cap = 30 },\n"
        "  join = message { bytes = 64, full = 'drop-new' },\n"
        "  link = request { bytes = 64, answer = 64, within = 5*sec }, serve = 16,\n"
        "  fields = { a = 1, b = 2, c = 3, d = 'four', e = 'five', f = true, g = false,\n"
        "    h = 0.5, list = {}, known = {} } }\n"
        "function G:join() end\nfunction G:link() return true end\n"
        "G:every(10*sec, function(self) self.a = self.a + 1 end)\n";
    int64_t script = scripts_load(&s, "ten.lua", text);
    uint64_t most = 0, garbage = 0, native;

    (void)state;
    assert_true(script > 0);
    for (uint32_t i = 1; i <= NODES; i++) scripts_attach(&s, i, script, NULL);
    scripts_run(&s, 60000);
    for (uint32_t i = 1; i <= NODES; i++)
        if (instance(i)->owner.bytes > garbage) garbage = instance(i)->owner.bytes;
    lua_gc(vm_main(instance(1)->script->vm), LUA_GCCOLLECT);
    for (uint32_t i = 1; i <= NODES; i++) {
        uint64_t bytes = instance(i)->owner.bytes;
        if (bytes > most) most = bytes;
        assert_true(bytes > 0);
    }
    native = scripts_info(&s).native_bytes / NODES;
    printf("an idle instance: at most %u bytes of Lua (%u before a collection), %u native\n",
           (unsigned)most, (unsigned)garbage, (unsigned)native);
    assert_true(most <= IDLE_BYTES_MAX);
    assert_true(garbage <= 2 * IDLE_BYTES_MAX);
    assert_int_equal(scripts_info(&s).errors, 0);
}

static void test_a_handler_that_waits_is_small(void **state)
{
    static const char text[] =
        "local P = protocol 'wait/1' { serve = 1000, per_peer = 1000,\n"
        "  hold = request { bytes = 64, answer = 64, within = 100*sec },\n"
        "  back = request { bytes = 64, answer = 64, within = 100*sec } }\n"
        "function P:back(from) connect('/memory/7777') end\n"
        "function P:hold(from, n) local answer = ask(from, P.back, n) return n end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local peer = connect(address)\n"
        "  for i = 1, 100 do after(10*ms, function() ask(peer, P.hold, i) end) end\n"
        "end\n";
    weir_lua_options options = {.size = sizeof options, .instance_bytes = 1 << 20};
    int64_t script;
    struct instance *in;
    uint64_t before, each;
    lua_State *L;

    (void)state;
    assert_int_equal(weir_lua_free(s.lua), 0);
    assert_int_equal(weir_lua_create(&options, &s.lua, NULL), 0);
    script = scripts_load(&s, "wait.lua", text);
    scripts_attach(&s, 1, script, NULL);
    in = instance(1);
    L = vm_main(in->script->vm);
    before = in->owner.bytes;
    scripts_attach(&s, 2, script, scripts_address(&s, 1));
    scripts_run(&s, 5000);
    assert_int_equal(in->task_count, WAITING);
    each = (in->owner.bytes - before) / WAITING;
    lua_gc(L, LUA_GCCOLLECT);
    printf("a handler that waits: %u bytes of Lua, %u after a collection, %u native\n",
           (unsigned)each, (unsigned)((in->owner.bytes - before) / WAITING),
           (unsigned)sizeof(struct task));
    each = (in->owner.bytes - before) / WAITING;
    assert_true(each > 500);
    assert_true(each <= HANDLER_BYTES_MAX);
}

static void test_one_that_hoards_hits_its_own_cap(void **state)
{
    static const char text[] =
        "local P = protocol 'hoard/1' { fields = { list = {}, n = 0 } }\n"
        "function P:start(what)\n"
        "  if what == 'hoard' then\n"
        "    self:every(2*sec, function()\n"
        "      for i = 1, 50 do self.list[#self.list + 1] = string.rep('x', 100) .. #self.list "
        "end\n"
        "    end)\n"
        "  end\n"
        "end\n"
        "P:every(sec, function(self)\n"
        "  self.n = self.n + 1 local t = { self.n } if t[1] == 20 then print('twenty') end end)\n";
    int64_t script = scripts_load(&s, "hoard.lua", text);
    char twenty[32];

    (void)state;
    scripts_attach(&s, 1, script, "hoard");
    for (uint32_t i = 2; i <= 10; i++) scripts_attach(&s, i, script, NULL);
    scripts_run(&s, 60000);
    assert_true(scripts_said(&s, "1! not enough memory"));
    assert_true(instance(1)->owner.bytes_peak <= 65536 + 65536 / 20);
    for (uint32_t i = 2; i <= 10; i++) {
        snprintf(twenty, sizeof twenty, "\n%u twenty\n", (unsigned)i);
        assert_true(scripts_said(&s, twenty));
        assert_true(instance(i)->owner.bytes <= 8192);
    }
}

static int open_many(void **state)
{
    (void)state;
    scripts_open(&s, NODES, 1, NULL);
    return 0;
}

static int close_many(void **state)
{
    (void)state;
    scripts_close(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_many, close_many)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_idle_instance_of_a_ten_field_game_is_small),
        TEST(test_a_handler_that_waits_is_small),
        TEST(test_one_that_hoards_hits_its_own_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
