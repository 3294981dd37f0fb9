/* SPDX-License-Identifier: MIT */
/* Goal: views and maps keep their bounds, quotas and order, whatever is offered to them; scores
 * fade and protections hold. Method: a script on one node of a world, to which made-up peers are
 * handed; its own asserts do the work, and none may fail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/worlds.h"

enum { MADE_UP = 24 };

static uint32_t made_up(struct worlds *w, uint32_t number)
{
    weir_peer_id id = {.len = 38, .bytes = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20}};

    memcpy(id.bytes + 6, &number, sizeof number);
    return peers_intern(w->lua, &id);
}

static int push_made_up(lua_State *L, void *context)
{
    struct worlds *w = context;

    lua_createtable(L, MADE_UP, 0);
    for (uint32_t i = 1; i <= MADE_UP; i++) {
        peers_push(L, w->lua, made_up(w, i));
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    return 1;
}

/* Run a body with `self` and a list of peers, p. */
static void run_after(const char *body, uint64_t wait_us, const char *later)
{
    char text[4096];
    struct worlds w;

    snprintf(
        text, sizeof text,
        "local G = game 'views/1' { serve = 4, half_life = 10*sec,\n"
        "  v = view { cap = 4 }, heard = view { cap = 8, per_source = 2 },\n"
        "  big = view { cap = 20, per_source = 20 }, links = view { cap = 8, linked = true },\n"
        "  m = map { cap = 3 }, fields = { note = 0 } }\n"
        "local function text(view)\n"
        "  local s = {}\n"
        "  for q in view:each() do s[#s + 1] = q:short():sub(-3) end\n"
        "  return table.concat(s, ' ')\n"
        "end\n"
        "local function size(view) local n = 0 for _ in view:each() do n = n + 1 end "
        "return n end\n"
        "function G:test(p)\n%s\nend\nfunction G:later(p)\n%s\nend\nreturn G\n",
        body, later);
    worlds_open(&w, 1, 3, text);
    worlds_attach(&w, 1, NULL, 0);
    instance_call(worlds_instance(&w, 1), "test", push_made_up, &w);
    worlds_lines(&w);
    worlds_run(&w, wait_us);
    instance_call(worlds_instance(&w, 1), "later", push_made_up, &w);
    worlds_lines(&w);
    assert_int_equal(w.failures, 0);
    assert_int_equal(w.lua->info.errors, 0);
    worlds_close(&w);
}

static void run(const char *body)
{
    run_after(body, 1000, "");
}

static void test_a_full_view_takes_nobody_without_a_rule(void **state)
{
    (void)state;
    run("for i = 1, 4 do assert(self.v:add(p[i]) == true) end\n"
        "assert(#self.v == 4 and not self.v:room())\n"
        "local ok, why = self.v:add(p[5])\n"
        "assert(ok == false and why == 'the view is full')\n"
        "assert(self.v:add(p[1]) == true and #self.v == 4)");
}

static void test_a_rule_says_who_steps_down(void **state)
{
    (void)state;
    run("for i = 1, 4 do self.v:add(p[i]) end\n"
        "assert(self.v:add(p[5], 'oldest') == p[1])\n"
        "p[3]:blame('corrupt') p[4]:blame('timeout')\n"
        "assert(self.v:add(p[6], 'worst') == p[3])\n"
        "local out = self.v:add(p[7], 'random')\n"
        "assert(out ~= true and not self.v:has(out) and self.v:has(p[7]) and #self.v == 4)");
}

static void test_who_is_protected_never_steps_down(void **state)
{
    (void)state;
    run("for i = 1, 4 do self.v:add(p[i]) end\n"
        "assert(p[1]:protect('a') and p[2]:protect('a') and p[1]:protect('a'))\n"
        "assert(not p[3]:protect('a') and p[3]:protect('b') and p[4]:protect('b'))\n"
        "local ok, why = self.v:add(p[5], 'oldest')\n"
        "assert(ok == false and why:find('protected'))\n"
        "p[3]:release('b')\n"
        "assert(self.v:add(p[5], 'oldest') == p[3])");
}

static void test_a_view_never_has_its_own_node(void **state)
{
    (void)state;
    run("assert(self.v:add(me()) == false and #self.v == 0)\n"
        "assert(self.heard:offer(me(), p[1]) == false and #self.heard == 0)");
}

static void test_one_source_supplies_no_more_than_its_quota(void **state)
{
    (void)state;
    run("for i = 1, 6 do self.heard:offer(p[i], p[20]) end\n"
        "assert(#self.heard == 2 and self.heard:has(p[5]) and self.heard:has(p[6]))\n"
        "for i = 7, 9 do assert(self.heard:offer(p[i])) end\n"
        "assert(#self.heard == 5)");
}

static void test_hearsay_displaces_only_hearsay(void **state)
{
    (void)state;
    run("for i = 1, 7 do self.heard:offer(p[i]) end\n"
        "assert(self.heard:offer(p[8], p[20]) and not self.heard:room())\n"
        "assert(self.heard:offer(p[9], p[21]) and not self.heard:has(p[8]))\n"
        "for i = 1, 7 do assert(self.heard:has(p[i])) end\n"
        "self.heard:offer(p[9])\n"
        "assert(not self.heard:offer(p[10], p[22]))");
}

static void test_a_sample_has_nobody_twice(void **state)
{
    (void)state;
    run("for i = 1, 20 do self.big:add(p[i]) end\n"
        "local list = self.big:sample(8, self.big:sample(12))\n"
        "assert(#list == 20)\n"
        "for i = 1, 20 do for k = i + 1, 20 do assert(list[i] ~= list[k]) end end\n"
        "assert(#self.big:sample(50) == 20 and #self.big:sample(0) == 0)\n"
        "assert(#self.v:sample(3) == 0 and self.v:pick() == nil and self.v:oldest() == nil)");
}

static void test_a_pick_leaves_out_who_it_is_told_to(void **state)
{
    (void)state;
    run("for i = 1, 3 do self.v:add(p[i]) end\n"
        "for _ = 1, 50 do\n"
        "  assert(self.v:pick { but = { p[1], p[2] } } == p[3])\n"
        "  assert(self.v:pick { but = p[3] } ~= p[3])\n"
        "end\n"
        "assert(self.v:pick { but = { p[1], p[2], p[3] } } == nil)\n"
        "assert(self.v:pick { but = nil } ~= nil)");
}

static void test_picks_are_even(void **state)
{
    (void)state;
    run("local n = { 0, 0, 0, 0 }\n"
        "for i = 1, 4 do self.v:add(p[i]) end\n"
        "for _ = 1, 800 do local q = self.v:pick()\n"
        "  for i = 1, 4 do if p[i] == q then n[i] = n[i] + 1 end end end\n"
        "for i = 1, 4 do assert(n[i] > 140 and n[i] < 260, n[i]) end");
}

static void test_a_loop_may_change_what_it_goes_through(void **state)
{
    (void)state;
    run("for i = 1, 20 do self.big:add(p[i]) end\n"
        "local seen = 0\n"
        "for q in self.big:each() do\n"
        "  seen = seen + 1\n"
        "  self.big:remove(q)\n"
        "  self.big:remove(p[20])\n"
        "  self.big:add(p[21])\n"
        "end\n"
        "assert(seen == 19 and #self.big == 1 and self.big:has(p[21]))\n"
        "self.big:add(p[1])\n"
        "for q in self.big:but(p[21]) do assert(q == p[1]) seen = seen + 1 end\n"
        "assert(seen == 20)");
}

static void test_entries_age_and_keep_their_order(void **state)
{
    (void)state;
    run_after("for i = 1, 3 do self.v:add(p[i]) end", 5 * worlds_second_us,
              "assert(self.v:age(p[1]) >= 5*sec and self.v:age(p[1]) < 6*sec)\n"
              "self.v:add(p[4]) assert(self.v:age(p[4]) == 0 and self.v:age(p[5]) == nil)\n"
              "self.v:remove(p[1]) self.v:add(p[1])\n"
              "local list = {} for q in self.v:each() do list[#list + 1] = q end\n"
              "assert(list[1] == p[2] and list[3] == p[4] and list[4] == p[1])\n"
              "assert(self.v:oldest() == p[2])");
}

static void test_scores_halve_exactly(void **state)
{
    (void)state;
    run_after("p[1]:credit(1000) p[2]:blame('corrupt') p[3]:blame('busy') p[4]:credit()\n"
              "assert(p[1]:score() == 1000 and p[2]:score() == -100 and p[3]:score() == 0)\n"
              "p[5]:credit(math.maxinteger) p[6]:credit(math.mininteger)\n"
              "assert(p[5]:score() == 1 << 24 and p[6]:score() == -(1 << 24))\n"
              "for i = 1, 4 do self.v:add(p[i]) end\n"
              "assert(self.v:best('score') == p[1])",
              20 * worlds_second_us,
              "assert(p[1]:score() == 250, p[1]:score())\n"
              "assert(p[2]:score() == -25 and p[4]:score() == 0)\n"
              "assert(self.v:best('rtt') == p[1])");
}

static void test_a_map_forgets_what_was_set_longest_ago(void **state)
{
    (void)state;
    run("for i = 1, 3 do self.m:set(p[i], i * 10) end\n"
        "self.m:set(p[1], { 'again' })\n"
        "self.m:set(p[4], 40)\n"
        "assert(self.m:get(p[2]) == nil and self.m:get(p[1])[1] == 'again')\n"
        "self.m:set(p[3], nil)\n"
        "local n = 0\n"
        "for q, value in self.m:each() do n = n + 1 self.m:set(q, nil) end\n"
        "assert(n == 2 and self.m:get(p[4]) == nil)");
}

static void test_misuse_raises(void **state)
{
    (void)state;
    run("assert(not pcall(self.v.add, self.v, 'text'))\n"
        "local _, why = pcall(self.v.add, self.v, p[1], 'newest')\n"
        "assert(why:find(\"'newest' is none of 'random', 'oldest', 'worst'\", 1, true))\n"
        "_, why = pcall(pairs, self.v)\n"
        "assert(why:find('walked by its each()', 1, true))\n"
        "_, why = pcall(function() return G.v:add(p[1]) end)\n"
        "assert(why:find(\"P.v has no 'add': self.v is the view\", 1, true))\n"
        "assert(not pcall(self.links.offer, self.links, p[1], p[2]))\n"
        "assert(not pcall(self.v.pick, self.v, { besides = p[1] }))\n"
        "assert(not pcall(self.v.add, self.m, p[1]))\n"
        "assert(not pcall(p[1].protect, p[1], ('x'):rep(40)))\n"
        "assert(not pcall(function() return self.v.ad end))\n"
        "assert(not pcall(function() return p[1].scor end))\n"
        "assert(tostring(p[1]) == p[1]:short() and #p[1]:short() == 8)");
}

static void test_nothing_is_held_when_it_ends(void **state)
{
    struct worlds w;

    (void)state;
    worlds_open(&w, 1, 3,
                "local G = game 'v/1' { serve = 1, v = view { cap = 30 }, m = map { cap = "
                "9 } }\nfunction G:test(p) for i = 1, #p do self.v:offer(p[i], p[1 + i % "
                "3]) self.m:set(p[i], i) p[i]:credit() end end return G");
    uint64_t before = w.lua->info.native_bytes;
    worlds_attach(&w, 1, NULL, 0);
    instance_call(worlds_instance(&w, 1), "test", push_made_up, &w);
    worlds_lines(&w);
    assert_int_equal(w.failures, 0);
    peers_release(w.lua, w.peers[1]);
    assert_int_equal(weir_lua_detach(w.lua, w.nodes[1]), 0);
    /* The table's pages stay; all else is given back, so nothing that is not held stays held. */
    assert_true(w.lua->info.native_bytes - before <= 256 * 96);
    for (uint32_t i = 1000; i < 1000 + PEERS_LIVE_MAX + 8; i++)
        assert_int_not_equal(made_up(&w, i), PEER_NONE);
    assert_int_equal(peers_count(w.lua->peers), PEERS_LIVE_MAX + w.lua->place_count);
    worlds_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_view_takes_nobody_without_a_rule),
        cmocka_unit_test(test_a_rule_says_who_steps_down),
        cmocka_unit_test(test_who_is_protected_never_steps_down),
        cmocka_unit_test(test_a_view_never_has_its_own_node),
        cmocka_unit_test(test_one_source_supplies_no_more_than_its_quota),
        cmocka_unit_test(test_hearsay_displaces_only_hearsay),
        cmocka_unit_test(test_a_sample_has_nobody_twice),
        cmocka_unit_test(test_a_pick_leaves_out_who_it_is_told_to),
        cmocka_unit_test(test_picks_are_even),
        cmocka_unit_test(test_a_loop_may_change_what_it_goes_through),
        cmocka_unit_test(test_entries_age_and_keep_their_order),
        cmocka_unit_test(test_scores_halve_exactly),
        cmocka_unit_test(test_a_map_forgets_what_was_set_longest_ago),
        cmocka_unit_test(test_misuse_raises),
        cmocka_unit_test(test_nothing_is_held_when_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
