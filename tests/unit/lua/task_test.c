/* SPDX-License-Identifier: MIT */
/* Goal: timers come when they should and are bounded; a handler that waits keeps nothing from going
 * on; the end of an instance ends all that it began. Method: scripts on the nodes of a world, whose
 * clock is the test's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "runtime/instance.h"
#include "unit/lua/scripts.h"

static struct scripts s;

static void attach(const char *text)
{
    int64_t script = scripts_load(&s, "s.lua", text);

    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
}

static void test_every_fires_at_half_to_one_and_a_half_of_its_interval(void **state)
{
    const char *at;
    uint64_t last = 0, due, least = UINT64_MAX, most = 0;
    int count = 0;

    (void)state;
    attach("local P = protocol 'a/1' {}\n"
           "function P:start() print(now()) end\n"
           "P:every(10*sec, function(self) print(now()) end)\n");
    scripts_run(&s, 1000000);
    for (at = s.text; (at = strchr(at, ' ')) != NULL; last = due, count++) {
        due = strtoull(++at, NULL, 10);
        if (last == 0) continue;
        if (count == 1) {
            assert_true(due - last < 10000000);
            continue;
        }
        if (due - last < least) least = due - last;
        if (due - last > most) most = due - last;
    }
    assert_in_range(count, 85, 115);
    assert_true(least >= 5000000 && least < 6000000);
    assert_true(most <= 15000000 && most > 14000000);
}

static void test_steady_has_no_jitter_and_after_has_a_tenth(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' { fields = { begun = 0 } }\n"
           "P:every(sec, function(self) print('steady', now() - self.begun) end,\n"
           "  { steady = 'a test' })\n"
           "function P:start()\n"
           "  self.begun = now()\n"
           "  local same = true\n"
           "  for i = 1, 20 do\n"
           "    after(10*sec, function(me_again)\n"
           "      local took = now() - self.begun\n"
           "      if took < 9*sec or took > 11*sec then print('wrong', took) end\n"
           "      if me_again ~= self then print('not self') end\n"
           "      print('after')\n"
           "    end)\n"
           "  end\n"
           "end\n");
    scripts_run(&s, 12500);
    assert_true(scripts_said(&s, "1 steady\t1000000\n1 steady\t2000000\n1 steady\t3000000\n"));
    assert_true(scripts_said(&s, "1 after\n"));
    assert_null(strstr(s.text, "wrong"));
    assert_null(strstr(s.text, "not self"));
    assert_int_equal(scripts_info(&s).timers, 1);
}

static void test_a_cancelled_timer_does_not_fire(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' { fields = { n = 0 } }\n"
           "function P:start()\n"
           "  local t = after(sec, function() print('never') end)\n"
           "  t:cancel() t:cancel()\n"
           "  local again again = self:every(sec, function()\n"
           "    self.n = self.n + 1\n"
           "    if self.n == 3 then again:cancel() end\n"
           "    print('fired', self.n)\n"
           "  end)\n"
           "end\n");
    scripts_run(&s, 30000);
    assert_true(scripts_said(&s, "1 fired\t3\n"));
    assert_null(strstr(s.text, "never"));
    assert_null(strstr(s.text, "fired\t4"));
    assert_int_equal(scripts_info(&s).timers, 0);
    assert_int_equal(scripts_info(&s).idle, 1);
}

static void test_there_are_so_many_timers_and_no_more(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' { fields = { n = 0 } }\n"
           "function P:start()\n"
           "  for i = 1, 1000000 do after(hour, print) self.n = i end\n"
           "end\n"
           "P:every(sec, function(self) print(self.n) end)\n");
    scripts_run(&s, 2000);
    assert_true(scripts_said(&s, "too many timers: 256 are set already"));
    assert_true(scripts_said(&s, "1 255\n"));
    assert_int_equal(scripts_info(&s).timers, 256);
}

static void test_a_timer_whose_function_waits_is_not_begun_twice(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' {}\n"
           "P:every(sec, function(self) print('begun') connect('/memory/77') print('done') end)\n");
    scripts_run(&s, 20000);
    assert_true(scripts_said(&s, "1! a timer was due again while its function still waits"));
    assert_int_equal(scripts_info(&s).tasks, 1);
}

static void test_other_handlers_run_while_one_waits(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' { fields = { waits = true } }\n"
           "function P:start() connect('/memory/77') self.waits = false print('start ends') end\n"
           "P:every(sec, function(self) if self.waits then print('meanwhile') end end)\n");
    scripts_run(&s, 200000);
    assert_true(scripts_said(&s, "1 meanwhile\n"));
    assert_true(scripts_said(&s, "1 start ends\n"));
}

static void test_a_detached_node_stops_and_its_handlers_end(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' {}\n"
           "function P:start()\n"
           "  local x <close> = setmetatable({}, { __close = function() print('closed') end })\n"
           "  after(sec, function() print('never') end)\n"
           "  connect('/memory/77')\n"
           "  print('never')\n"
           "end\n"
           "function P:stop() print('stop') end\n");
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), WEIR_E_NOT_FOUND);
    scripts_run(&s, 100000);
    assert_string_equal(s.text, "1 stop\n1 closed\n");
    assert_int_equal(scripts_info(&s).instances, 0);
    assert_int_equal(scripts_info(&s).tasks, 0);
    assert_int_equal(scripts_info(&s).timers, 0);
    scripts_attach(&s, 1, 1, NULL);
    assert_int_equal(scripts_info(&s).instances, 1);
}

static void test_a_start_that_fails_leaves_the_script_running(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' { fields = { x = 1 } }\n"
           "function P:start() local nothing print(nothing.field) end\n"
           "P:every(sec, function(self) print('lives') end)\n");
    scripts_run(&s, 3000);
    assert_true(scripts_said(&s, "1! s.lua:2: attempt to index a nil value (local 'nothing')"));
    assert_true(scripts_said(&s, "1 lives\n"));
}

static void test_failures_are_logged_ten_times_a_second_at_most(void **state)
{
    const char *at;
    int count = 0;

    (void)state;
    attach("local P = protocol 'a/1' {}\n"
           "P:every(10*ms, function(self) error('again', 0) end)\n");
    scripts_run(&s, 10000);
    for (at = s.text; (at = strstr(at, "! again")) != NULL; at++) count++;
    assert_in_range(count, 80, 110);
    assert_true(scripts_said(&s, "more failures were not logged\n"));
    assert_true(scripts_info(&s).errors > 900);
}

static void test_quit_ends_the_run_with_its_code(void **state)
{
    (void)state;
    attach("local P = protocol 'a/1' {}\n"
           "function P:start() after(sec, function() quit(3) end) end\n");
    assert_int_equal(scripts_run(&s, 500), 0);
    assert_int_equal(scripts_run(&s, 5000), 1);
    assert_int_equal(scripts_info(&s).is_over, 1);
    assert_int_equal(scripts_info(&s).exit_code, 3);
}

static int push_text(lua_State *co, void *context)
{
    lua_pushstring(co, context);
    return 1;
}

static void test_what_is_caused_while_a_handler_runs_waits_for_its_end(void **state)
{
    char word[] = "kept";
    struct instance *in;
    struct task *running;

    (void)state;
    attach("local P = protocol 'a/1' { fields = { n = 0 } }\n"
           "function P:called(word) self.n = self.n + 1 print('called', word, self.n) end\n"
           "function P:bad(word) error(word .. ' fails', 0) end\n");
    in = list_first(&place_find(s.lua, 1)->instances, struct instance, link);
    running = task_open(in);
    assert_non_null(running);
    s.lua->current = running;
    assert_non_null(instance_call(in, "called", push_text, word));
    assert_non_null(instance_call(in, "bad", push_text, word));
    assert_null(instance_call(in, "absent", push_text, word));
    memset(word, 'x', sizeof word - 1);
    scripts_gather(&s);
    assert_string_equal(s.text, "");
    s.lua->current = NULL;
    tasks_run_ready(s.lua);
    task_cancel(running);
    scripts_gather(&s);
    assert_string_equal(s.text, "1 called\tkept\t1\n1! kept fails\n1!     [C]: in global 'error'\n"
                                "1!     s.lua:3: in the function of line 3\n");
    assert_int_equal(scripts_info(&s).tasks, 0);
}

static int open_one(void **state)
{
    (void)state;
    scripts_open(&s, 1, 1, NULL);
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    scripts_close(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_fires_at_half_to_one_and_a_half_of_its_interval),
        TEST(test_steady_has_no_jitter_and_after_has_a_tenth),
        TEST(test_a_cancelled_timer_does_not_fire),
        TEST(test_there_are_so_many_timers_and_no_more),
        TEST(test_a_timer_whose_function_waits_is_not_begun_twice),
        TEST(test_other_handlers_run_while_one_waits),
        TEST(test_a_detached_node_stops_and_its_handlers_end),
        TEST(test_a_start_that_fails_leaves_the_script_running),
        TEST(test_failures_are_logged_ten_times_a_second_at_most),
        TEST(test_what_is_caused_while_a_handler_runs_waits_for_its_end),
        TEST(test_quit_ends_the_run_with_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
