/* SPDX-License-Identifier: MIT */
/* Goal: a request gets its answer, or a failure with a name, whatever becomes of the other side; no
 * more are served at once than declared. Method: two nodes of a world; the first serves, the second
 * asks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

#define ASKS(entries, body)                                                                        \
    "local P = protocol 'calc/1' { serve = 8, per_peer = 4, fields = { n = 0 },\n" entries "\n}\n" \
    "function P:start(address)\n"                                                                  \
    "  if not address then return end\n"                                                           \
    "  local peer, why, name = connect(address)\n"                                                 \
    "  if not peer then return print(why, name) end\n"                                             \
    "  self:talk(peer)\n"                                                                          \
    "end\n" body

static void run(const char *text, uint64_t ms)
{
    scripts_run_pair(&s, "s.lua", text, ms);
}

static void test_a_request_is_answered_with_a_value(void **state)
{
    (void)state;
    run(ASKS("add = request { bytes = 100, answer = 100, within = 5*sec }",
             "function P:add(from, m) return { sum = m[1] + m[2], who = from } end\n"
             "function P:talk(peer)\n"
             "  local a = ask(peer, P.add, { 2, 3 })\n"
             "  print(a.sum, a.who == me())\n"
             "end\n"),
        1000);
    assert_true(scripts_said(&s, "2 5\ttrue\n"));
    assert_int_equal(scripts_info(&s).requests_out, 1);
    assert_int_equal(scripts_info(&s).requests_in, 1);
    assert_int_equal(scripts_info(&s).tasks, 0);
}

static void test_a_handler_may_wait_before_it_answers(void **state)
{
    (void)state;
    run(ASKS("outer = request { bytes = 9, answer = 99, within = 5*sec },\n"
             "inner = request { bytes = 9, answer = 99, within = 5*sec }",
             "function P:inner(from, n) return n * 2 end\n"
             "function P:outer(from, n) return ask(from, P.inner, n) + 1 end\n"
             "function P:talk(peer) print(ask(peer, P.outer, 20)) end\n"),
        2000);
    assert_true(scripts_said(&s, "2 41\n"));
}

static void test_nil_and_false_are_answers(void **state)
{
    (void)state;
    run(ASKS("get = request { bytes = 9, answer = 9, within = 5*sec }",
             "function P:get(from, n) if n == 1 then return false end end\n"
             "function P:talk(peer)\n"
             "  print(ask(peer, P.get, 1)) print(ask(peer, P.get, 2)) print(ask(peer, P.get))\n"
             "end\n"),
        2000);
    assert_true(scripts_said(&s, "2 false\n2 nil\n2 nil\n"));
}

static void test_failures_have_names(void **state)
{
    (void)state;
    run(ASKS("no = request { bytes = 9, answer = 9, within = 5*sec },\n"
             "later = request { bytes = 9, answer = 9, within = 5*sec },\n"
             "fail = request { bytes = 9, answer = 9, within = 5*sec },\n"
             "endless = request { bytes = 9, answer = 9, within = 5*sec },\n"
             "slow = request { bytes = 9, answer = 9, within = 2*sec },\n"
             "long = request { bytes = 9, answer = 9, within = 5*sec }",
             "function P:no() return refuse 'absent' end\n"
             "function P:later() return refuse('come back', 3*sec) end\n"
             "function P:fail() error('oh no') end\n"
             "function P:endless() while true do end end\n"
             "function P:slow(from) connect('/memory/77') end\n"
             "function P:long() return 'longer than nine bytes' end\n"
             "function P:talk(peer)\n"
             "  print('no', ask(peer, P.no)) print('later', ask(peer, P.later))\n"
             "  print('fail', ask(peer, P.fail)) print('endless', ask(peer, P.endless))\n"
             "  print('long', ask(peer, P.long))\n"
             "  print('mine', ask(peer, P.no, 'longer than nine bytes'))\n"
             "  print('slow', ask(peer, P.slow))\n"
             "end\n"),
        10000);
    assert_true(scripts_said(&s, "2 no\tnil\tabsent\trefused\n"));
    assert_true(scripts_said(&s, "2 later\tnil\tcome back\trefused\t3000000\n"));
    assert_true(scripts_said(&s, "2 fail\tnil\t"));
    assert_true(scripts_said(&s, "the script at the other side failed\tfailed\n"));
    assert_true(scripts_said(&s, "its instructions or its memory\tfailed\n"));
    assert_true(scripts_said(&s, "2 long\tnil\t"));
    assert_true(scripts_said(&s, "1! s.lua: the answer of long: longer than the 9 bytes"));
    assert_true(scripts_said(&s, "2 mine\tnil\tlonger than the 9 bytes"));
    assert_true(scripts_said(&s, "2 slow\tnil\t"));
    assert_true(scripts_said(&s, "\ttimeout\n"));
}

static void test_requests_beyond_the_declared_number_are_busy(void **state)
{
    (void)state;
    run(ASKS("hold = request { bytes = 9, answer = 9, within = 5*sec },\n"
             "back = request { bytes = 9, answer = 9, within = 3*sec }",
             "function P:back(from) return ask(from, P.back) end\n"
             "function P:hold(from)\n"
             "  self.n = self.n + 1 print('holds', self.n)\n"
             "  ask(from, P.back, 1, sec)\n"
             "  return 1\n"
             "end\n"
             "function P:talk(peer)\n"
             "  for i = 1, 6 do\n"
             "    after(ms, function() print('asked', ask(peer, P.hold)) end)\n"
             "  end\n"
             "end\n"),
        10000);
    assert_true(scripts_said(&s, "1 holds\t4\n"));
    assert_null(strstr(s.text, "holds\t5"));
    assert_true(scripts_said(&s, "\tbusy\t1000000\n"));
}

static void test_a_handler_whose_asker_left_ends(void **state)
{
    (void)state;
    run(ASKS("hold = request { bytes = 9, answer = 9, within = 50*sec },\n"
             "back = request { bytes = 9, answer = 9, within = 50*sec }",
             "function P:back(from) connect('/memory/77') end\n"
             "function P:hold(from)\n"
             "  local x <close> = setmetatable({}, { __close = function() print('closed') end })\n"
             "  ask(from, P.back, 1)\n"
             "  print('never')\n"
             "end\n"
             "function P:talk(peer)\n"
             "  after(ms, function() print(ask(peer, P.hold, 1, sec)) end)\n"
             "end\n"),
        5000);
    assert_true(scripts_said(&s, "2 nil\t"));
    assert_true(scripts_said(&s, "1 closed\n"));
    assert_null(strstr(s.text, "never"));
}

static void test_an_answer_in_pieces_is_written_and_read(void **state)
{
    (void)state;
    run(ASKS("get = request { bytes = 9, answer = 16*KB, within = 50*sec, total = 4*MB }",
             "local block = string.rep('0123456789abcdef', 1024)\n"
             "function P:get(from, n, out)\n"
             "  for i = 1, n do\n"
             "    local yes, why, name = out:write(block)\n"
             "    if not yes then print('write', why, name) return end\n"
             "  end\n"
             "end\n"
             "function P:talk(peer)\n"
             "  local n, right, pieces = 0, 0, 0\n"
             "  local r, why, name = call(peer, P.get, 100)\n"
             "  if not r then return print(why, name) end\n"
             "  for bytes in r:chunks() do\n"
             "    local at = n % 16 + 1\n"
             "    local head = bytes:sub(1, 8)\n"
             "    if head == block:sub(at, at + #head - 1) then right = right + 1 end\n"
             "    n, pieces = n + #bytes, pieces + 1\n"
             "  end\n"
             "  print(n, r:ended(), right == pieces, pieces >= 100)\n"
             "  print(select(3, r:read()))\n"
             "end\n"),
        60000);
    assert_true(scripts_said(&s, "2 1638400\ttrue\ttrue\ttrue\n2 end\n"));
    assert_int_equal(scripts_info(&s).tasks, 0);
}

static void test_a_reader_that_gives_up_stops_the_writer(void **state)
{
    (void)state;
    run(ASKS("get = request { bytes = 9, answer = 16*KB, within = 50*sec, total = 100*MB }",
             "function P:get(from, n, out)\n"
             "  local x <close> = setmetatable({}, { __close = function() print('closed') end })\n"
             "  for i = 1, 6000 do\n"
             "    local yes, why, name = out:write(string.rep('x', 16*KB))\n"
             "    if not yes then print('write', why, name) return end\n"
             "  end\n"
             "  print('all')\n"
             "end\n"
             "function P:talk(peer)\n"
             "  local r = call(peer, P.get, 1)\n"
             "  print(#r:read(100))\n"
             "  r:cancel()\n"
             "  print(r:read())\n"
             "end\n"),
        5000);
    assert_true(scripts_said(&s, "2 100\n2 nil\tthe answer is given up\tclosed\n"));
    assert_true(scripts_said(&s, "1 closed\n"));
    assert_null(strstr(s.text, "1 all"));
}

/* The state of two who hold 10 MB would be too small for it. */
static void test_ten_megabytes_pass_in_pieces_through_little_memory(void **state)
{
    weir_lua_options options = {.size = sizeof options, .instructions = 20000};

    (void)state;
    scripts_close(&s);
    scripts_open(&s, 2, 1, &options);
    run(ASKS("get = request { bytes = 9, answer = 8*KB, within = 500*sec, total = 10*MB }",
             "local block = string.rep('0123456789abcdef', 512)\n"
             "function P:get(from, n, out)\n"
             "  for i = 1, 1280 do\n"
             "    if not out:write(block) then return end\n"
             "  end\n"
             "end\n"
             "function P:talk(peer)\n"
             "  local n, wrong, h = 0, 0, hasher()\n"
             "  local r = call(peer, P.get, 1)\n"
             "  for bytes in r:chunks(100*KB) do\n"
             "    local at = n % 16 + 1\n"
             "    if bytes:byte() ~= block:byte(at) then wrong = wrong + 1 end\n"
             "    n = n + #bytes\n"
             "  end\n"
             "  print('got', n, wrong, r:ended())\n"
             "  r = call(peer, P.get, 1)\n"
             "  n = 0\n"
             "  repeat local bytes = r:read(10*MB) n = n + #(bytes or '') until not bytes\n"
             "  print('read', n, r:ended())\n"
             "end\n"),
        500000);
    assert_true(scripts_said(&s, "2 got\t10485760\t0\ttrue\n2 read\t10485760\ttrue\n"));
    assert_int_equal(scripts_info(&s).errors, 0);
    assert_int_equal(scripts_info(&s).tasks, 0);
}

static void test_an_answer_is_copied_from_a_file_by_call(void **state)
{
    weir_lua_options options = {.size = sizeof options, .files = "", .instructions = 20000};

    (void)state;
    scripts_close(&s);
    scripts_open(&s, 2, 1, &options);
    run(ASKS("get = request { bytes = 9, answer = 8*KB, within = 500*sec, total = 10*MB }",
             "function P:get(from, n, out)\n"
             "  local f, why = file('whole', 'read')\n"
             "  if not f then f = file('whole', 'write')\n"
             "    for i = 1, 1280 do f:write(string.rep('0123456789abcdef', 512)) end\n"
             "    f:finish() f:wait()\n"
             "    f = file('whole', 'read')\n"
             "  end\n"
             "  if n == 1 then print('all', out:copy(f)) end\n"
             "  if n == 2 then print('some', out:copy(f, 100001)) end\n"
             "  if n == 3 then print('line', f:read_line(8), out:copy(f, 32)) end\n"
             "  if n == 4 then f = file('empty', 'write') f:finish() f:wait()\n"
             "    f = file('empty', 'read') f:wait() print('none', out:copy(f)) end\n"
             "  if n == 5 then print('twice', out:copy(f), out:copy(file('whole', 'read'))) end\n"
             "end\n"
             "function P:talk(peer)\n"
             "  for i = 1, 5 do\n"
             "    local n, wrong = 0, 0\n"
             "    local r = call(peer, P.get, i)\n"
             "    for bytes in r:chunks() do\n"
             "      if bytes:byte() ~= ('0123456789abcdef'):byte(n % 16 + 1) then wrong = wrong + "
             "1 end\n"
             "      n = n + #bytes\n"
             "    end\n"
             "    print(i, n, wrong)\n"
             "  end\n"
             "end\n"),
        500000);
    assert_true(scripts_said(&s, "1 all\t10485760\n"));
    assert_true(scripts_said(&s, "2 1\t10485760\t0\n"));
    assert_true(scripts_said(&s, "1 some\t100001\n"));
    assert_true(scripts_said(&s, "2 2\t100001\t0\n"));
    assert_true(scripts_said(&s, "1 line\tnil\t"));
    assert_true(scripts_said(&s, "2 3\t32\t0\n"));
    assert_true(scripts_said(&s, "1 none\t0\n"));
    assert_true(scripts_said(&s, "2 4\t0\t0\n"));
    assert_true(scripts_said(&s, "1 twice\t10485760\tnil\tthe answer is longer than the total"));
    assert_int_equal(scripts_info(&s).errors, 0);
    assert_int_equal(scripts_info(&s).tasks, 0);
}

static void test_ask_and_call_are_not_confused(void **state)
{
    (void)state;
    run(ASKS("whole = request { bytes = 9, answer = 9, within = 5*sec },\n"
             "pieces = request { bytes = 9, answer = 9, within = 5*sec, total = 100 }",
             "function P:whole() end\nfunction P:pieces(from, n, out) out:write('1234567890') end\n"
             "function P:talk(peer)\n"
             "  print(pcall(ask, peer, P.pieces)) print(pcall(call, peer, P.whole))\n"
             "  print(pcall(coroutine.wrap(function() ask(peer, P.whole) end)))\n"
             "  local r = call(peer, P.pieces)\n"
             "  if r then print(r:read()) end\n"
             "end\n"),
        2000);
    assert_true(scripts_said(&s, "pieces is answered in pieces: use call"));
    assert_true(scripts_said(&s, "whole is answered whole: use ask"));
    assert_true(scripts_said(&s, "not inside a coroutine of your own"));
    assert_true(scripts_said(&s, "write: 10 bytes in one piece, and pieces declares at most 9"));
}

/* ---- what no script asks */

static const struct {
    const char *bytes;
    size_t len;
    int32_t error; /* 0: it is answered */
    uint32_t reason;
} raw[] = {
#define RAW(text) text, sizeof text - 1
    {RAW("\x82\x63"
         "add\x82\x01\x02"),
     0, 0},
    {RAW(""), 1, WEIR_REASON_FORMAT},
    {RAW("\x82\x63"
         "add"),
     1, WEIR_REASON_FORMAT},
    {RAW("\x82\x63"
         "add\xff"),
     1, WEIR_REASON_FORMAT},
    {RAW("\x82\x63"
         "add\x82\x01\x18\x02"),
     1, WEIR_REASON_FORMAT},
    {RAW("\x82\x63"
         "ad\x01\x02"),
     1, 2},
    {RAW("\x82\x63"
         "sub\x82\x01\x02"),
     1, 2},
    {RAW("\x82\x63"
         "say\x82\x01\x02"),
     1, 2}, /* a message */
    {RAW("\x82\x63"
         "add\x01"),
     1, WEIR_REASON_SCRIPT},
    {RAW("\x82\x63"
         "add\x78\x20"
         "12345678901234567890123456789012"),
     1, WEIR_REASON_TOO_LARGE},
};

static weir_event ask_raw(uint64_t connection, const void *bytes, size_t len)
{
    weir_event events[64], answer = {0};
    weir_request_options options = {.size = sizeof options, .user = 99};
    uint64_t until = weir_world_now(s.world) + 2000000;

    assert_true(
        weir_request_send(s.nodes[2], connection, "calc/1", bytes, (uint32_t)len, &options) > 0);
    while (weir_world_run(s.world, until) > 0) {
        int64_t n =
            weir_lua_events(s.lua, events, (uint32_t)weir_world_poll(s.world, 0, events, 64));
        for (int64_t i = 0; i < n; i++)
            if (events[i].user == 99 && events[i].kind == WEIR_EVENT_RESPONSE) answer = events[i];
    }
    return answer;
}

static void test_malformed_requests_are_refused_with_the_reason(void **state)
{
    static const char text[] = "local P = protocol 'calc/1' { serve = 8,\n"
                               "  say = message { bytes = 20, full = 'block' },\n"
                               "  add = request { bytes = 20, answer = 9, within = 5*sec } }\n"
                               "function P:say() end\n"
                               "function P:add(from, m) return m[1] + m[2] end\n";
    weir_event events[64];
    uint64_t connection = 0;

    (void)state;
    scripts_attach(&s, 1, scripts_load(&s, "s.lua", text), NULL);
    assert_true(weir_node_dial(s.nodes[2], scripts_address(&s, 1), NULL) > 0);
    while (weir_world_run(s.world, 2000000) > 0) {
        int64_t n = weir_world_poll(s.world, 0, events, 64);
        for (int64_t i = 0; i < n; i++)
            if (events[i].node == 2 && events[i].kind == WEIR_EVENT_CONNECTED)
                connection = events[i].object;
        weir_lua_events(s.lua, events, (uint32_t)n);
    }
    for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++) {
        weir_event answer = ask_raw(connection, raw[i].bytes, raw[i].len);
        if ((answer.error == 0) != (raw[i].error == 0) ||
            (answer.error && answer.amount != raw[i].reason))
            fprintf(stderr, "    %zu: %d, %s\n", i, answer.error,
                    weir_reason_name((uint32_t)answer.amount));
        assert_int_equal(answer.kind, WEIR_EVENT_RESPONSE);
        assert_int_equal(answer.error == 0, raw[i].error == 0);
        if (answer.error) assert_int_equal(answer.amount, raw[i].reason);
    }
    assert_int_equal(scripts_info(&s).errors, 1);
    assert_int_equal(scripts_info(&s).tasks, 0);
}

static void test_a_flood_of_requests_and_cancels_leaves_nothing_behind(void **state)
{
    (void)state;
    run(ASKS("hold = request { bytes = 9, answer = 9, within = 60*sec },\n"
             "ping = request { bytes = 9, answer = 9, within = 5*sec }",
             "function P:hold(from) connect('/memory/77') return 1 end\n"
             "function P:ping(from, n) return n end\n"
             "function P:talk(peer)\n"
             "  for round = 1, 50 do\n"
             "    for i = 1, 4 do after(ms, function() ask(peer, P.hold, i, 20*ms) end) end\n"
             "    ask(peer, P.hold, round, 30*ms)\n"
             "  end\n"
             "  after(5*sec, function() print('ping', ask(peer, P.ping, 7)) end)\n"
             "end\n"),
        30000);
    assert_true(scripts_said(&s, "2 ping\t7\n"));
    assert_int_equal(scripts_info(&s).errors, 0);
    scripts_run(&s, 70000);
    assert_int_equal(scripts_info(&s).tasks, 0);
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
        TEST(test_a_request_is_answered_with_a_value),
        TEST(test_a_handler_may_wait_before_it_answers),
        TEST(test_nil_and_false_are_answers),
        TEST(test_failures_have_names),
        TEST(test_requests_beyond_the_declared_number_are_busy),
        TEST(test_a_handler_whose_asker_left_ends),
        TEST(test_an_answer_in_pieces_is_written_and_read),
        TEST(test_a_reader_that_gives_up_stops_the_writer),
        TEST(test_ten_megabytes_pass_in_pieces_through_little_memory),
        TEST(test_an_answer_is_copied_from_a_file_by_call),
        TEST(test_ask_and_call_are_not_confused),
        TEST(test_malformed_requests_are_refused_with_the_reason),
        TEST(test_a_flood_of_requests_and_cancels_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
