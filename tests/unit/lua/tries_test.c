/* SPDX-License-Identifier: MIT */
/* Goal: tries come one at a time, at the pace of one budget, and a refill ends when its view is
 * full or nobody is left. Method: the clock of a world between them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/worlds.h"

static int push_peers(lua_State *L, void *context)
{
    struct worlds *w = context;

    lua_createtable(L, 40, 0);
    for (uint32_t i = 1; i <= 40; i++) {
        weir_peer_id id = {.len = 38, .bytes = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20, (uint8_t)i}};
        peers_push(L, w->lua, peers_intern(w->lua, &id));
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    return 1;
}

static void call_test(struct worlds *w)
{
    instance_call(worlds_instance(w, 1), "test", push_peers, w);
    tasks_run_ready(w->lua);
}

static void open_with(struct worlds *w, uint32_t count, const char *text)
{
    worlds_open(w, count, 5, text);
    for (uint32_t i = 1; i <= count; i++) worlds_attach(w, i, NULL, 0);
}

static void test_a_burst_is_ten_and_then_one_in_ten_seconds(void **state)
{
    struct worlds w;
    uint64_t times[16], first;
    char *at;
    int count = 0;

    (void)state;
    open_with(&w, 1,
              "local G = game 't/1' { serve = 4, fields = { note = 0 } }\n"
              "function G:test(p)\n"
              "  print(now())\n"
              "  for q in tries { from = p, most = 13 } do print(now()) end\n"
              "end return G");
    call_test(&w);
    worlds_run(&w, 400 * worlds_second_us);
    for (at = w.lines; *at && count < 16; at = strchr(at, '\n') + 1)
        times[count++] = strtoull(at + 2, NULL, 10);
    assert_int_equal(count--, 14);
    first = times[0];
    memmove(times, times + 1, (size_t)count * sizeof times[0]);
    assert_int_equal(times[0], first);
    /* Full jitter: 250 ms, 500 ms ... 30 s at most; nothing on a grid. */
    for (int i = 1; i < 9; i++)
        assert_true(times[i] - times[i - 1] <= (uint64_t)250000 << (i - 1) ||
                    times[i] - times[i - 1] <= 30000000);
    assert_true(times[1] - first <= 250000 && times[2] - times[1] <= 500000);
    assert_int_equal(w.failures, 0);
    worlds_close(&w);
}

static void test_many_loops_share_one_budget(void **state)
{
    struct worlds w;
    uint32_t count = 0;

    (void)state;
    open_with(&w, 1,
              "local G = game 't/1' { serve = 4, fields = { note = 0 } }\n"
              "function G:test(p)\n"
              "  for q in tries { from = p, most = 1 } do print 'try' end\n"
              "end return G");
    for (int i = 0; i < 30; i++) call_test(&w);
    worlds_run(&w, 9 * worlds_second_us);
    for (char *at = w.lines; *at; at = strchr(at, '\n') + 1) count++;
    assert_int_equal(count, 10);
    worlds_run(&w, 51 * worlds_second_us);
    count = 0;
    for (char *at = w.lines; *at; at = strchr(at, '\n') + 1) count++;
    assert_in_range(count, 15, 16);
    worlds_close(&w);
}

static void test_tries_come_by_rank_and_each_once(void **state)
{
    struct worlds w;

    (void)state;
    open_with(
        &w, 1,
        "local G = game 't/1' { serve = 4, v = view { cap = 8 } }\n"
        "function G:test(p)\n"
        "  for i = 1, 5 do self.v:add(p[i]) p[i]:credit(i) end\n"
        "  local s = ''\n"
        "  for q in tries { from = self.v, most = 3, rank = 'score' } do s = s .. q:score() end\n"
        "  assert(s == '543', s)\n"
        "  for q in tries { from = self.v, most = 2, rank = 'oldest' } do\n"
        "    assert(q == p[1] or q == p[2]) end\n"
        "  local n = 0\n"
        "  for q in tries { from = { p[1], p[2], me() }, most = 9 } do\n"
        "    assert(q ~= me()) n = n + 1 end\n"
        "  assert(n == 2)\n"
        "  assert(not pcall(tries, { from = self.v }))\n"
        "  assert(not pcall(tries, { from = 7, most = 2 }))\n"
        "  assert(not pcall(tries, { from = self.v, most = 2, order = 'rtt' }))\n"
        "  print 'done'\n"
        "end return G");
    call_test(&w);
    worlds_run(&w, 60 * worlds_second_us);
    assert_string_equal(w.lines, "1 done\n");
    worlds_close(&w);
}

static const char filling[] =
    "local G = game 't/1' { serve = 8, links = view { cap = 3, linked = true },\n"
    "  known = view { cap = 40, per_source = 40 }, fields = { calls = 0 } }\n"
    "function G:learn(p) self.known:add(p) end\n"
    "function G:test(p)\n"
    "  for i = 1, #p do self.known:offer(p[i]) end\n"
    "  self:go()\n"
    "end\n"
    "function G:go()\n"
    "  for _ = 1, 5 do self.links:refill(self.known, function(c)\n"
    "    self.calls = self.calls + 1\n"
    "    return self.links:add(c)\n"
    "  end) end\n"
    "end\n"
    "function G:count() print(self.calls .. ' ' .. #self.links .. ' ' .. #self.known) end\n"
    "return G";

static void test_a_refill_stops_when_the_view_is_full(void **state)
{
    struct worlds w;

    (void)state;
    open_with(&w, 7, filling);
    for (uint32_t i = 2; i <= 7; i++) {
        weir_peer_id id;
        assert_int_equal(weir_node_peer(w.nodes[i], &id), 0);
        assert_int_equal(weir_peer_add_address(w.nodes[1], &id, worlds_address(&w, i)), 0);
        worlds_call(&w, 1, "learn", i, "");
    }
    worlds_call(&w, 1, "go", 0, "");
    assert_int_equal(worlds_instance(&w, 1)->task_count, 1);
    worlds_run(&w, 60 * worlds_second_us);
    worlds_call(&w, 1, "count", 0, "");
    assert_string_equal(w.lines, "1 3 3 6\n");
    assert_int_equal(worlds_instance(&w, 1)->task_count, 0);
    worlds_close(&w);
}

static void test_a_refill_forgets_who_cannot_be_reached(void **state)
{
    struct worlds w;

    (void)state;
    open_with(&w, 1, filling);
    call_test(&w);
    worlds_run(&w, 20 * worlds_second_us);
    worlds_call(&w, 1, "count", 0, "");
    /* Nobody knows an address of them. The first ten tries are the budget's burst. */
    assert_in_range(strtoul(strrchr(w.lines, ' '), NULL, 10), 28, 37);
    assert_int_equal(worlds_instance(&w, 1)->task_count, 1);
    worlds_run(&w, 900 * worlds_second_us);
    w.lines[0] = 0;
    worlds_call(&w, 1, "count", 0, "");
    assert_string_equal(w.lines, "1 0 0 0\n");
    assert_int_equal(worlds_instance(&w, 1)->task_count, 0);
    worlds_close(&w);
}

static void test_a_refill_ends_with_its_instance(void **state)
{
    struct worlds w;

    (void)state;
    open_with(&w, 1, filling);
    call_test(&w);
    worlds_run(&w, 2 * worlds_second_us);
    assert_int_equal(weir_lua_detach(w.lua, w.nodes[1]), 0);
    worlds_run(&w, 60 * worlds_second_us);
    assert_int_equal(w.failures, 0);
    worlds_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_is_ten_and_then_one_in_ten_seconds),
        cmocka_unit_test(test_many_loops_share_one_budget),
        cmocka_unit_test(test_tries_come_by_rank_and_each_once),
        cmocka_unit_test(test_a_refill_stops_when_the_view_is_full),
        cmocka_unit_test(test_a_refill_forgets_who_cannot_be_reached),
        cmocka_unit_test(test_a_refill_ends_with_its_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
