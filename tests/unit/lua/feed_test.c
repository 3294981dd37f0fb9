/* SPDX-License-Identifier: MIT */
/* Goal: followers get what a script publishes, merged when they are slow, until one of both ends
 * it. Method: scripts on two nodes of a small world; what they print is compared. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

/* Node 1 serves; node 2 begins with its address. */
static void run(const char *text, uint64_t ms)
{
    weir_lua_options options = {.size = sizeof options, .instructions = 10000000};

    scripts_run_world(&s, &options, text, ms);
}

static void test_a_slow_follower_gets_the_newest_value_of_each_key(void **state)
{
    (void)state;
    run("local P = protocol 'v/1' { value = feed { kind = 'state', keys = 8, bytes = 500 } }\n"
        "local pad = string.rep('x', 400)\n"
        "function P:start(address)\n"
        "  if not address then\n"
        "    print('first', self.value:set('a', 0))\n"
        "    after(2*sec, function(self)\n"
        "      for i = 1, 800 do self.value:set('a', i) self.value:set('b', { n = i, pad = pad }) "
        "end\n"
        "      self.value:set('a', nil)\n"
        "      print('followers', self.value:followers())\n"
        "    end)\n"
        "    return\n"
        "  end\n"
        "  local n = 0\n"
        "  for key, value, missed in follow(connect(address), P.value) do\n"
        "    n = n + 1\n"
        "    print('item', key, type(value) == 'table' and value.n or value, missed >= 0)\n"
        "    if missed > 100 then print('merged', key) end\n"
        "    if key == 'b' and value.n == 800 then break end\n"
        "  end\n"
        "  print('few', n < 1000)\n"
        "end\n",
        8000);
    assert_true(scripts_said(&s, "1 first\t0\n"));
    assert_true(scripts_said(&s, "1 followers\t1\n"));
    assert_true(scripts_said(&s, "2 item\ta\t0\ttrue\n"));
    assert_true(scripts_said(&s, "2 item\tb\t800\ttrue\n"));
    assert_true(scripts_said(&s, "2 item\ta\tnil\ttrue\n"));
    assert_true(scripts_said(&s, "2 merged\ta\n"));
    assert_true(scripts_said(&s, "2 few\ttrue\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_sums_are_added_up_and_events_are_kept_up_to_a_number(void **state)
{
    (void)state;
    run("local P = protocol 'v/1' {\n"
        "  hits = feed { kind = 'sum', keys = 8, bytes = 8 },\n"
        "  news = feed { kind = 'drop-oldest', keys = 4, bytes = 100 } }\n"
        "function P:start(address)\n"
        "  if not address then\n"
        "    after(2*sec, function(self)\n"
        "      for i = 1, 100 do self.hits:add('a', 2) self.news:push('n' .. i) end\n"
        "      print('missed', self.news:missed() > 0, self.hits:followers())\n"
        "    end)\n"
        "    return\n"
        "  end\n"
        "  local peer = connect(address)\n"
        "  after(1*ms, function(self)\n"
        "    for key, value, missed in follow(peer, P.news) do print('news', key, value, missed >= "
        "0) end\n"
        "  end)\n"
        "  local sum = 0\n"
        "  for key, n in follow(peer, P.hits) do\n"
        "    sum = sum + n\n"
        "    if sum == 200 then break end\n"
        "  end\n"
        "  print('sum', sum)\n"
        "end\n",
        8000);
    assert_true(scripts_said(&s, "2 sum\t200\n"));
    assert_true(scripts_said(&s, "2 news\ttrue\tn100\ttrue\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_a_loop_that_is_left_ends_the_subscription_and_so_does_the_task(void **state)
{
    (void)state;
    run("local P = protocol 'v/1' { value = feed { kind = 'state', keys = 8, bytes = 100 } }\n"
        "function P:start(address)\n"
        "  if not address then\n"
        "    self.value:set('a', 1)\n"
        "    after(1*sec, function(self) print('left', self.value:followers()) end)\n"
        "    after(3*sec, function(self) print('ended', self.value:followers()) end)\n"
        "    return\n"
        "  end\n"
        "  local peer = connect(address)\n"
        "  for key in follow(peer, P.value) do break end\n"
        "  after(1500*ms, function()\n"
        "    local items = follow(peer, P.value)\n"
        "    print(items())\n"
        "    error('the task fails')\n"
        "  end)\n"
        "end\n",
        5000);
    assert_true(scripts_said(&s, "1 left\t0\n"));
    assert_true(scripts_said(&s, "2 a\t1\t"));
    assert_true(scripts_said(&s, "1 ended\t0\n"));
    assert_true(scripts_said(&s, "the task fails"));
    scripts_close(&s);
}

static void test_a_feed_that_nobody_publishes_ends_the_loop(void **state)
{
    (void)state;
    run("local P = protocol 'v/1' { value = feed { kind = 'state', keys = 8, bytes = 10 } }\n"
        "local function try(f, ...) local ok, why = pcall(f, ...) print(ok, "
        "(tostring(why):gsub('^.-:%d+: ', ''))) end\n"
        "function P:start(address)\n"
        "  if address then\n"
        "    for key in follow(connect(address), P.value) do print(key) end\n"
        "    print('over')\n"
        "    return\n"
        "  end\n"
        "  try(self.value.add, self.value, 'a', 1)\n"
        "  try(self.value.set, self.value, '', 1)\n"
        "  print(self.value:set('a', string.rep('x', 100)))\n"
        "  for i = 1, 8 do self.value:set('k' .. i, i) end\n"
        "  print(self.value:set('k9', 9))\n"
        "  after(1*sec, function() quit() end)\n"
        "end\n",
        500);
    assert_true(scripts_said(&s, "it has no add"));
    assert_true(scripts_said(&s, "1 to 64 bytes"));
    assert_true(scripts_said(&s, "\tlimit\n"));
    assert_true(scripts_said(&s, "1 nil\t"));
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slow_follower_gets_the_newest_value_of_each_key),
        cmocka_unit_test(test_sums_are_added_up_and_events_are_kept_up_to_a_number),
        cmocka_unit_test(test_a_loop_that_is_left_ends_the_subscription_and_so_does_the_task),
        cmocka_unit_test(test_a_feed_that_nobody_publishes_ends_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
