/* SPDX-License-Identifier: MIT */
/* Goal: a stream in Lua reads and writes as a script expects, with back-pressure, and ends for both
 * sides as lua/api.lua says. Method: scripts on two nodes of a small world; what they print is
 * compared. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

static void run(const char *text, uint64_t ms)
{
    scripts_run_world(&s, NULL, text, ms);
}

static void run_with_files(const char *text, uint64_t ms)
{
    weir_lua_options options = {.size = sizeof options, .files = ""};

    scripts_run_world(&s, &options, text, ms);
}

static void test_lines_go_both_ways_and_the_handlers_return_finishes_the_lane(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 5*sec } }\n"
        "function P:pipe(from, s)\n"
        "  print('from', from == s.peer, s.size)\n"
        "  for text in s:lines() do s:write('<' .. text .. '>\\n') end\n"
        "  print('done')\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  print(s:write('one\\r\\ntw'), s:write('o\\n\\nthree'))\n"
        "  print(s:read_line(), s:read_line(), s:read_line())\n"
        "  s:finish()\n"
        "  print(s:read_exactly(6), s:read(1))\n"
        "  print(s:read_line())\n"
        "  print(s:read(1))\n"
        "  print(s:wait())\n"
        "end\n",
        2000);
    assert_true(scripts_said(&s, "1 from\ttrue\tnil\n"));
    assert_true(scripts_said(&s, "2 true\ttrue\n"));
    assert_true(scripts_said(&s, "2 <one>\t<two>\t<>\n"));
    assert_true(scripts_said(&s, "2 <three\t>\n2 \n"));
    assert_true(scripts_said(&s, "1 done\n"));
    assert_true(scripts_said(&s, "2 nil\tthe other side finished\tend\n2 0\n"));
    assert_null(strstr(s.text, "!"));
    assert_int_equal(scripts_info(&s).streams_in, 1);
    scripts_close(&s);
}

static void test_a_writer_waits_for_its_reader_and_nothing_is_lost(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 60*sec }, fields = { sent = "
        "0 } }\n"
        "function P:pipe(from, s)\n"
        "  local line = s:read_line()\n"
        "  local go = input and s:read_exactly(3)\n"
        "  local n = 3\n"
        "  for chunk in s:chunks(10000) do n = n + #chunk end\n"
        "  print(line, go, n)\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  s:write('head\\n')\n"
        "  local block = string.rep('x', 3000)\n"
        "  for i = 1, 1000 do s:write(block) end\n"
        "  s:finish()\n"
        "  print('wait', s:wait())\n"
        "end\n",
        60000);
    assert_true(scripts_said(&s, "1 head\txxx\t3000000\n"));
    assert_true(scripts_said(&s, "2 wait\t0\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_back_pressure_reaches_the_writer(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 600*sec }, fields = { sent "
        "= 0 } }\n"
        "function P:pipe(from, s)\n"
        "  s:read_exactly(1)\n"
        "  s:write('!')\n"
        "  s:wait()\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  after(20*sec, function(self) print('sent', self.sent < 2*MB, self.sent > 64*KB) end)\n"
        "  local block = string.rep('x', 10000)\n"
        "  for i = 1, 1000 do s:write(block) self.sent = self.sent + #block end\n"
        "end\n",
        30000);
    assert_true(scripts_said(&s, "2 sent\ttrue\ttrue\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_a_handler_that_fails_resets_both_lanes(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 5*sec } }\n"
        "function P:pipe(from, s) s:read(10) error('no') end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  s:write('hello')\n"
        "  local bytes, why, name = s:read(10)\n"
        "  print(bytes, name ~= 'end' and #why > 0)\n"
        "  bytes, why, name = s:write('more')\n"
        "  print(bytes, #why > 0)\n"
        "end\n",
        2000);
    assert_true(scripts_said(&s, "1! "));
    assert_true(scripts_said(&s, "2 nil\ttrue\n2 nil\ttrue\n"));
    scripts_close(&s);
}

static void test_more_than_serve_allows_are_given_up(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, per_peer = 2, pipe = stream { idle = 50*sec } }\n"
        "function P:pipe(from, s) print('begins') s:read(10) end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local peer, all = connect(address), {}\n"
        "  for i = 1, 3 do\n"
        "    all[i] = open(peer, P.pipe)\n"
        "    all[i]:flush()\n"
        "    all[i]:write('')\n"
        "  end\n"
        "  print('third', all[3]:read(1))\n"
        "end\n",
        2000);
    assert_true(scripts_said(&s, "1 begins\n1 begins\n"));
    assert_true(scripts_said(&s, "2 third\tnil\t"));
    assert_null(strstr(s.text, "begins\n1 begins\n1 begins"));
    scripts_close(&s);
}

static void test_silence_ends_a_stream_on_both_sides(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 2*sec } }\n"
        "function P:pipe(from, s)\n"
        "  print('got', s:read(10))\n"
        "  print('then', s:read(10))\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  s:write('x')\n"
        "  print('asker', s:read(10))\n"
        "end\n",
        6000);
    assert_true(scripts_said(&s, "1 got\tx\n"));
    assert_true(scripts_said(&s, "1 then\tnil\t"));
    assert_true(scripts_said(&s, "2 asker\tnil\t"));
    assert_true(scripts_said(&s, "\ttimeout\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_copy_moves_everything_between_two_streams(void **state)
{
    (void)state;
    run_with_files("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 60*sec } }\n"
                   "function P:pipe(from, s)\n"
                   "  local f = file('sink', 'write')\n"
                   "  local n, why = s:copy(f)\n"
                   "  f:finish()\n"
                   "  print('copied', n, f:wait())\n"
                   "  s:write('ok\\n')\n"
                   "end\n"
                   "function P:start(address)\n"
                   "  if not address then return end\n"
                   "  local f = file('source', 'write')\n"
                   "  local h, block = hasher(), string.rep('0123456789', 500)\n"
                   "  for i = 1, 400 do f:write(block) end\n"
                   "  f:finish()\n"
                   "  print('made', f:wait())\n"
                   "  f = file('source', 'read')\n"
                   "  print('size', f.size)\n"
                   "  local s = open(connect(address), P.pipe)\n"
                   "  print('sent', f:copy(s))\n"
                   "  s:finish()\n"
                   "  print(s:read_line())\n"
                   "end\n",
                   60000);
    assert_true(scripts_said(&s, "2 made\t0\n"));
    assert_true(scripts_said(&s, "2 size\t2000000\n"));
    assert_true(scripts_said(&s, "2 sent\t2000000\n"));
    assert_true(scripts_said(&s, "1 copied\t2000000\t0\n"));
    assert_true(scripts_said(&s, "2 ok\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_misuse_raises_and_failure_is_nil(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 5*sec } }\n"
        "function P:pipe(from, s) s:read(1) end\n"
        "local function try(f, ...) local ok, why = pcall(f, ...) print(ok, "
        "(tostring(why):gsub('^.-:%d+: ', ''))) end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  try(s.read, s, 0)\n"
        "  try(s.read_exactly, s, 100000)\n"
        "  try(s.urgency, s, 8)\n"
        "  try(s.send, s, 'x')\n"
        "  try(s.copy, s, s)\n"
        "  try(function() return s.raed end)\n"
        "  s:finish()\n"
        "  try(s.write, s, 'x')\n"
        "  s:reset()\n"
        "  print(s:read(1))\n"
        "end\n",
        2000);
    assert_true(scripts_said(&s, "a number of bytes, 1 or more"));
    assert_true(scripts_said(&s, "1 to 64 KB"));
    assert_true(scripts_said(&s, "0 (first) to 7"));
    assert_true(scripts_said(&s, "declares no datagrams"));
    assert_true(scripts_said(&s, "another stream"));
    assert_true(scripts_said(&s, "no 'raed'"));
    assert_true(scripts_said(&s, "finished already"));
    assert_true(scripts_said(&s, "2 nil\tthe stream was reset here\tclosed\n"));
    scripts_close(&s);
}

static void test_a_line_that_is_too_long_is_a_failure_and_can_still_be_read(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 5*sec } }\n"
        "function P:pipe(from, s)\n"
        "  print(s:read_line(4))\n"
        "  print(s:read_line(4))\n"
        "  print(s:read(100), s:read_line())\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  s:write('four\\n') s:write('five5\\nlast') s:finish()\n"
        "end\n",
        2000);
    assert_true(scripts_said(&s, "1 four\n"));
    assert_true(scripts_said(&s, "1 nil\tthe line is longer than 4 bytes\tlimit\n"));
    assert_true(scripts_said(&s, "1 five5"));
    scripts_close(&s);
}

static void test_a_loop_over_the_end_ends(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 5*sec } }\n"
        "function P:pipe(from, s) while true do s:read(1) end end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  s:write('four') s:finish()\n"
        "  print('then', s:wait())\n"
        "  while true do s:read(1) end\n"
        "end\n",
        3000);
    assert_true(scripts_said(&s, "1! "));
    assert_true(scripts_said(&s, "2 then\tnil\tthe script at the other side used up"));
    assert_int_equal(scripts_info(&s).stopped, 2);
    assert_int_equal(scripts_info(&s).tasks, 0);
    scripts_close(&s);
}

static void test_datagrams_arrive_beside_the_bytes(void **state)
{
    (void)state;
    run("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 5*sec, datagram = 100 } }\n"
        "function P:pipe(from, s)\n"
        "  print('got', s:receive())\n"
        "  print(pcall(s.send, s, string.rep('x', 101)))\n"
        "  print(s:receive())\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local s = open(connect(address), P.pipe)\n"
        "  s:write('x')\n"
        "  print('sent', s:send('hello'))\n"
        "  after(1*sec, function() s:reset() end)\n"
        "  s:wait()\n"
        "end\n",
        3000);
    assert_true(scripts_said(&s, "1 got\thello\n"));
    assert_true(scripts_said(&s, "2 sent\ttrue\n"));
    assert_true(scripts_said(&s, "declares at most 100"));
    scripts_close(&s);
}

static void test_many_streams_that_lua_forgets_are_closed(void **state)
{
    (void)state;
    run_with_files("local P = protocol 'up/1' { serve = 4, pipe = stream { idle = 60*sec } }\n"
                   "function P:pipe(from, s) s:wait() end\n"
                   "function P:start(address)\n"
                   "  local f = file('one', 'write')\n"
                   "  f:write(string.rep('x', 10000)) f:finish() f:wait()\n"
                   "  for i = 1, 1000 do\n"
                   "    local g, why = file('one', 'read')\n"
                   "    if not g then print('failed', i, why) break end\n"
                   "    g:read(10)\n"
                   "  end\n"
                   "  print('all')\n"
                   "end\n",
                   20000);
    assert_true(scripts_said(&s, "1 all\n"));
    assert_true(scripts_said(&s, "2 all\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_go_both_ways_and_the_handlers_return_finishes_the_lane),
        cmocka_unit_test(test_a_writer_waits_for_its_reader_and_nothing_is_lost),
        cmocka_unit_test(test_back_pressure_reaches_the_writer),
        cmocka_unit_test(test_a_handler_that_fails_resets_both_lanes),
        cmocka_unit_test(test_more_than_serve_allows_are_given_up),
        cmocka_unit_test(test_silence_ends_a_stream_on_both_sides),
        cmocka_unit_test(test_copy_moves_everything_between_two_streams),
        cmocka_unit_test(test_misuse_raises_and_failure_is_nil),
        cmocka_unit_test(test_a_line_that_is_too_long_is_a_failure_and_can_still_be_read),
        cmocka_unit_test(test_a_loop_over_the_end_ends),
        cmocka_unit_test(test_datagrams_arrive_beside_the_bytes),
        cmocka_unit_test(test_many_streams_that_lua_forgets_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
