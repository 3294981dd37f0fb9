/* SPDX-License-Identifier: MIT */
/* Goal: a message arrives whole, once, as the value that was told, at the method of its name; what
 * does not fit the declaration is dropped and counted, and nobody fails. Method: two nodes of a
 * world, and a third that sends what no script would. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

/* Node 2 connects to node 1, and then `talk` runs there with the peer. */
#define TALK(entries, body)                                                                        \
    "local P = protocol 'chat/1' {\n" entries "\n}\n"                                              \
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

static void test_a_value_arrives_as_it_was_told(void **state)
{
    (void)state;
    run(TALK("say = message { bytes = 200, full = 'block' }",
             "function P:say(from, m)\n"
             "  print(m.text, #m.list, m.list[2], m.yes, from == m.who, from:is_up())\n"
             "end\n"
             "function P:talk(peer)\n"
             "  print(tell(peer, P.say, { text = 'hi', list = { 1, 2.5 }, yes = true, who = me() "
             "}))\n"
             "end\n"),
        1000);
    assert_true(scripts_said(&s, "2 true\n"));
    assert_true(scripts_said(&s, "1 hi\t2\t2.5\ttrue\ttrue\ttrue\n"));
    assert_int_equal(scripts_info(&s).messages_out, 1);
    assert_int_equal(scripts_info(&s).messages_in, 1);
}

static void test_nil_is_a_message_without_a_value(void **state)
{
    (void)state;
    run(TALK("ping = message { bytes = 8, full = 'drop-new' }",
             "function P:ping(from, ...) print('ping', ...) end\n"
             "function P:talk(peer) tell(peer, P.ping) end\n"),
        1000);
    assert_true(scripts_said(&s, "1 ping\tnil\n"));
}

static void test_a_peer_that_is_not_connected_is_dialled(void **state)
{
    weir_peer_id first;

    (void)state;
    assert_int_equal(weir_node_peer(s.nodes[1], &first), 0);
    assert_int_equal(weir_peer_add_address(s.nodes[2], &first, scripts_address(&s, 1)), 0);
    run(TALK("ping = message { bytes = 8, full = 'drop-new' }",
             "function P:ping(from, n) print('ping', n) end\n"
             "function P:talk(peer)\n"
             "  drop(peer)\n"
             "  after(sec, function() print(tell(peer, P.ping, 2)) end)\n"
             "end\n"),
        5000);
    assert_true(scripts_said(&s, "1 ping\t2\n"));
}

static void test_what_is_too_long_or_cannot_be_sent_is_not_sent(void **state)
{
    (void)state;
    run(TALK("say = message { bytes = 10, full = 'block' }",
             "function P:say(from, m) print('never') end\n"
             "function P:talk(peer)\n"
             "  print(tell(peer, P.say, 'longer than ten bytes'))\n"
             "  print(pcall(tell, peer, P.say, print))\n"
             "  print(pcall(tell, 5, P.say))\n"
             "  print(pcall(tell, nil, P.say))\n"
             "  print(pcall(function() return P.say.x end))\n"
             "  print(pcall(tell, peer, 'say'))\n"
             "end\n"),
        1000);
    assert_true(scripts_said(&s, "2 false\tlonger than the 10 bytes"));
    assert_true(scripts_said(&s, "\tlimit\n"));
    assert_true(scripts_said(&s, "2 false\tsay: a function cannot be sent"));
    assert_true(scripts_said(&s, "peer expected, got number"));
    assert_true(scripts_said(&s, "peer expected, got nil: when connect fails"));
    assert_true(scripts_said(&s, "P.say is a declaration, it has no 'x'"));
    assert_true(scripts_said(&s, "P.name of a message expected, got string"));
    assert_int_equal(scripts_info(&s).messages_out, 0);
}

static void test_one_event_causes_so_many_messages(void **state)
{
    (void)state;
    run(TALK("ping = message { bytes = 8, full = 'block' }",
             "function P:ping(from) end\n"
             "function P:talk(peer)\n"
             "  local sent, why, name = 0\n"
             "  for i = 1, 100 do\n"
             "    local yes, w, n = tell(peer, P.ping)\n"
             "    if yes then sent = sent + 1 else why, name = w, n end\n"
             "  end\n"
             "  print(sent, name)\n"
             "end\n"),
        1000);
    assert_true(scripts_said(&s, "2 64\tlimit\n"));
}

static void test_a_handler_that_fails_is_logged_and_harms_nobody(void **state)
{
    (void)state;
    run(TALK("bad = message { bytes = 8, full = 'block' },\n"
             "endless = message { bytes = 8, full = 'block' },\n"
             "good = message { bytes = 8, full = 'block' }",
             "function P:bad(from) error('oh no') end\n"
             "function P:endless(from) while true do end end\n"
             "function P:good(from) print('good') end\n"
             "function P:talk(peer)\n"
             "  tell(peer, P.bad) tell(peer, P.endless) tell(peer, P.good)\n"
             "end\n"),
        1000);
    assert_true(scripts_said(&s, "1! s.lua:12: oh no\n"));
    assert_true(scripts_said(
        &s,
        "1! stopped: it used up its 100000 instructions: it has so many until it waits or ends\n"));
    assert_true(scripts_said(&s, "1 good\n"));
    assert_int_equal(scripts_info(&s).errors, 2);
    assert_int_equal(scripts_info(&s).stopped, 1);
}

static void test_block_waits_for_room_and_loses_nothing(void **state)
{
    weir_lua_options options = {
        .size = sizeof options, .messages_per_event = 10000, .instructions = 10000000};

    (void)state;
    assert_int_equal(weir_lua_free(s.lua), 0);
    assert_int_equal(weir_lua_create(&options, &s.lua, NULL), 0);
    run(TALK("say = message { bytes = 8*KB, full = 'block' }, fields = { got = 0 }",
             "local long = string.rep('x', 8000)\n"
             "function P:say(from, m)\n"
             "  self.got = self.got + 1\n"
             "  if self.got == 300 then print('all') end\n"
             "  if self.got > 250 then print('got', self.got) end\n"
             "end\n"
             "function P:talk(peer)\n"
             "  local sent = 0\n"
             "  for i = 1, 300 do\n"
             "    local yes, why, name = tell(peer, P.say, long)\n"
             "    if not yes then return print(sent, why, name) end\n"
             "    sent = sent + 1\n"
             "  end\n"
             "  print('sent', sent)\n"
             "end\n"),
        60000);
    assert_true(scripts_said(&s, "2 sent\t300\n"));
    assert_true(scripts_said(&s, "1 all\n"));
    assert_int_equal(scripts_info(&s).dropped, 0);
}

static void test_drop_new_tells_that_the_queue_is_full(void **state)
{
    weir_lua_options options = {
        .size = sizeof options, .messages_per_event = 10000, .instructions = 10000000};

    (void)state;
    assert_int_equal(weir_lua_free(s.lua), 0);
    assert_int_equal(weir_lua_create(&options, &s.lua, NULL), 0);
    run(TALK("say = message { bytes = 8*KB, full = 'drop-new' }",
             "local long = string.rep('x', 8000)\n"
             "function P:say(from, m) end\n"
             "function P:talk(peer)\n"
             "  local sent, full = 0, 0\n"
             "  for i = 1, 300 do\n"
             "    local yes, why, name = tell(peer, P.say, long)\n"
             "    if yes then sent = sent + 1 elseif name == 'full' then full = full + 1 end\n"
             "  end\n"
             "  print(sent + full, sent > 10, full > 10)\n"
             "end\n"),
        60000);
    assert_true(scripts_said(&s, "2 300\ttrue\ttrue\n"));
}

static void test_messages_beyond_the_handlers_wait_unread(void **state)
{
    (void)state;
    run(TALK("serve = 4, per_peer = 2, fields = { n = 0 },\n"
             "work = message { bytes = 8, full = 'block' }",
             "function P:work(from, n)\n"
             "  self.n = self.n + 1\n"
             "  print('begun', n, self.n)\n"
             "  connect('/memory/77')\n"
             "  self.n = self.n - 1\n"
             "end\n"
             "function P:talk(peer) for i = 1, 6 do tell(peer, P.work, i) end end\n"),
        1000);
    assert_true(scripts_said(&s, "1 begun\t2\t2\n"));
    assert_null(strstr(s.text, "begun\t3"));
    scripts_run(&s, 400000);
    assert_null(strstr(s.text, "\t3\n"));
}

/* ---- what no script sends */

static const struct {
    const char *bytes;
    size_t len;
    bool arrives;
} raw[] = {
#define RAW(text) text, sizeof text - 1
    {RAW("\x82\x64ping\x05"), true},
    {RAW("\x81\x64ping"), true},
    {RAW(""), false},
    {RAW("\x82"), false},
    {RAW("\x81\x64pin"), false},
    {RAW("\x81\x64pang"), false},
    {RAW("\x82\x64ping"), false},
    {RAW("\x81\x64ping\x05"), false},
    {RAW("\x82\x64ping\x18\x05"), false}, /* 5 in two bytes */
    {RAW("\x82\x78\x04ping\x05"), false}, /* the length in two bytes */
    {RAW("\x82\x64ping\x69"
         "too long!"),
     false},
    {RAW("\x82\x60\x05"), false},
    {RAW("\x83\x64ping\x05\x05"), false},
    {RAW("\x82\x01\x05"), false},
    {RAW("\x82\x01\x1b\x00\x00\x00\x00\x00\x00\x00\x01"), false}, /* a link; this is no game */
    {RAW("\x82\x78\xffping"), false},
};

static void test_malformed_messages_are_dropped_and_counted(void **state)
{
    static const char text[] = "local P = protocol 'chat/1' {\n"
                               "  ping = message { bytes = 9, full = 'drop-new' } }\n"
                               "function P:ping(from, n) print('ping', n) end\n";
    size_t arrived = 0, count = sizeof raw / sizeof raw[0];
    weir_event events[64];
    uint64_t connection = 0;
    weir_lua_info info;

    (void)state;
    scripts_attach(&s, 1, scripts_load(&s, "s.lua", text), NULL);
    assert_true(weir_node_dial(s.nodes[3], scripts_address(&s, 1), NULL) > 0);
    while (weir_world_run(s.world, 2000000) > 0) {
        int64_t n = weir_world_poll(s.world, 0, events, 64);
        for (int64_t i = 0; i < n; i++)
            if (events[i].node == 3 && events[i].kind == WEIR_EVENT_CONNECTED)
                connection = events[i].object;
        weir_lua_events(s.lua, events, (uint32_t)n);
    }
    assert_int_not_equal(connection, 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(weir_message_send(s.nodes[3], connection, "chat/1", raw[i].bytes,
                                           (uint32_t)raw[i].len, NULL),
                         1);
        arrived += raw[i].arrives;
        scripts_run(&s, 100);
    }
    info = scripts_info(&s);
    assert_int_equal(info.errors, 0);
    assert_int_equal(info.messages_in, count);
    assert_int_equal(info.dropped, count - arrived);
    assert_true(scripts_said(&s, "1 ping\t5\n1 ping\tnil\n"));
}

static int open_three(void **state)
{
    (void)state;
    scripts_open(&s, 3, 1, NULL);
    return 0;
}

static int close_three(void **state)
{
    (void)state;
    scripts_close(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_three, close_three)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_value_arrives_as_it_was_told),
        TEST(test_nil_is_a_message_without_a_value),
        TEST(test_a_peer_that_is_not_connected_is_dialled),
        TEST(test_what_is_too_long_or_cannot_be_sent_is_not_sent),
        TEST(test_one_event_causes_so_many_messages),
        TEST(test_a_handler_that_fails_is_logged_and_harms_nobody),
        TEST(test_block_waits_for_room_and_loses_nothing),
        TEST(test_drop_new_tells_that_the_queue_is_full),
        TEST(test_messages_beyond_the_handlers_wait_unread),
        TEST(test_malformed_messages_are_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
