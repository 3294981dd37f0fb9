/* SPDX-License-Identifier: MIT */
/* Goal: whatever a peer does to a script's message, request, answer in pieces, range, stream, feed
 * or links, it reads why it was given up, that is counted, nothing is left behind, and others are
 * served meanwhile as if it were not there. Method: in a world of packets node 1 runs a script with
 * one entry of each kind, node 2 speaks weir.h by hand, and node 3 runs the same script and asks
 * node 1 ten times a second; none of its answers may be late. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/hostile_peer.h"

enum { HANDSHAKES_MS = 1000, QUIET_MS = 12000 };

static const char script_text[] =
    "local G = game 'h/1' { serve = 16, per_peer = 4, fields = { n = 0, said = 0 },\n"
    "  say = message { bytes = 4*KB, full = 'drop-new' },\n"
    "  echo = request { bytes = 100, answer = 100, within = 5*sec, idle = 1*sec },\n"
    "  wide = request { bytes = 4*KB, answer = 4*KB, within = 5*sec, idle = 1*sec },\n"
    "  hold = request { bytes = 9, answer = 9, within = 5*sec, idle = 1*sec },\n"
    "  pieces = request { bytes = 9, answer = 16*KB, within = 5*sec, idle = 1*sec, total = 20*MB "
    "},\n"
    "  part = range { part = 64*KB, within = 3*sec, idle = sec },\n"
    "  pipe = stream { idle = 1*sec, within = 5*sec },\n"
    "  prices = feed { kind = 'drop-oldest', keys = 8, bytes = 1*KB, subscribers = 4 },\n"
    "  links = view { cap = 4, linked = true }, heard = view { cap = 16 } }\n"
    "function G:say(from, value)\n"
    "  self.said = self.said + 1\n"
    "  if type(value) == 'table' then for _, p in ipairs(value) do self.heard:offer(p, from) end "
    "print('heard', #self.heard) end\n"
    "end\n"
    "function G:echo(from, value) return value end\n"
    "function G:wide(from, value) return #value end\n"
    "function G:hold(from) connect('/ip4/10.9.9.9/udp/9') return 1 end\n"
    "function G:pieces(from, n, out)\n"
    "  local block = string.rep('x', 16*KB)\n"
    "  for i = 1, 1000 do if not out:write(block) then return end end\n"
    "end\n"
    "function G:part(from, what, offset, length, out) return string.rep('p', length) end\n"
    "function G:pipe(from, s) for text in s:lines(100) do s:write(text) end end\n"
    "function G:crowded(view, peer) end\n"
    "G:every(100*ms, function(self) self.prices:push(string.rep('9', 900)) end, { steady = 'test' "
    "})\n"
    "function G:start(address)\n"
    "  if not address then return end\n"
    "  local peer = connect(address)\n"
    "  self:every(100*ms, function(self)\n"
    "    local before = now()\n"
    "    self.n = self.n + 1\n"
    "    local answer, why, name = ask(peer, G.echo, self.n)\n"
    "    if answer ~= self.n and type(answer) ~= 'number' then print('bad', why, name) end\n"
    "    print(now() - before < 150*ms and 'served' or 'late ' .. (now() - before) // ms)\n"
    "  end, { steady = 'test' })\n"
    "end\n";

/* ---- the attacks */

static const uint8_t zeros[65536];
static void one_way_oversize(void)
{
    write_raw(open_raw("h/1", true), zeros, 20000, WEIR_FIN);
}

static void request_oversize(void)
{
    write_raw(open_raw("h/1", false), zeros, 20000, WEIR_FIN);
}

static void range_oversize(void)
{
    write_raw(open_raw("h/1/part", false), zeros, 20000, WEIR_FIN);
}

/* Whole, within what the name takes, but longer than the entry. */
static void entry_oversize(void)
{
    uint8_t data[400], value[303] = {0x79, 0x01, 0x2c};

    memset(value + 3, 'a', 300);
    ask_raw("h/1", data, compose(data, "echo", value, sizeof value), 0);
}

static void range_too_long(void)
{
    ask_raw("h/1/part", "\x00\x80\x01\x00\x01", 5, 0);
}

static void one_way_silent(void)
{
    write_raw(open_raw("h/1", true), "\x82", 1, 0);
}

static void request_silent(void)
{
    write_raw(open_raw("h/1", false), "\x82", 1, 0);
}

static void range_silent(void)
{
    write_raw(open_raw("h/1/part", false), "\x00", 1, 0);
}

static void stream_silent(void)
{
    write_raw(open_raw("h/1/pipe", false), "x", 1, 0);
}

static void drip(const char *name, bool is_one_way)
{
    uint64_t stream = open_raw(name, is_one_way);

    for (int i = 0; i < 14; i++) {
        write_raw(stream, "\x41", 1, 0);
        run_for(second / 2);
    }
}

static void one_way_drip(void)
{
    drip("h/1", true);
}

static void request_drip(void)
{
    drip("h/1", false);
}

static void range_drip(void)
{
    drip("h/1/part", false);
}

static void stream_drip(void)
{
    drip("h/1/pipe", false);
}

/* Asks for 16 MB and takes nothing of them. */
static void pieces_not_taken(void)
{
    uint8_t data[64];

    ask_raw("h/1", data, compose(data, "pieces", "\x01", 1), WEIR_CHUNKED);
}

static void stream_not_taken(void)
{
    uint64_t stream = open_raw("h/1/pipe", false);
    static char lines[60000];

    for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % 50 == 49 ? '\n' : 'x';
    for (int i = 0; i < 30; i++) {
        if (stream) weir_stream_write(s.nodes[2], stream, lines, sizeof lines, 0);
        run_for(100 * ms);
    }
}

static void opens(const char *name, bool is_one_way, int count)
{
    for (int i = 0; i < count; i++) {
        write_raw(open_raw(name, is_one_way), "\x82", 1, 0);
        if (i % 20 == 19) run_for(ms);
    }
}

static void one_way_opens(void)
{
    opens("h/1", true, 200);
}

static void request_opens(void)
{
    opens("h/1", false, 200);
}

static void range_opens(void)
{
    opens("h/1/part", false, 200);
}

static void stream_opens(void)
{
    opens("h/1/pipe", false, 200);
}

static void holds(void)
{
    uint8_t data[64];
    uint32_t len = compose(data, "hold", NULL, 0);

    for (int i = 0; i < 200; i++) ask_raw("h/1", data, len, 0);
}

static void cancels(const char *name, bool is_one_way, const void *data, uint32_t len)
{
    for (int i = 0; i < 500; i++) {
        uint64_t stream = open_raw(name, is_one_way);
        write_raw(stream, data, len, i % 2 ? WEIR_FIN : 0);
        if (i % 10 == 9) run_for(2 * ms);
        weir_stream_reset(s.nodes[2], stream, 7);
        if (!is_one_way) weir_stream_stop(s.nodes[2], stream, 7);
    }
}

static void one_way_cancels(void)
{
    uint8_t data[64];

    cancels("h/1", true, data, compose(data, "say", "\x01", 1));
}

static void request_cancels(void)
{
    uint8_t data[64];

    cancels("h/1", false, data, compose(data, "hold", NULL, 0));
}

static void pieces_cancels(void)
{
    uint8_t data[64];

    cancels("h/1", false, data, compose(data, "pieces", "\x01", 1));
}

static void range_cancels(void)
{
    cancels("h/1/part", false, "\x00\x40\x80", 3);
}

static void stream_cancels(void)
{
    cancels("h/1/pipe", false, "line\nmore", 9);
}

static void feed_cancels(void)
{
    for (int i = 0; i < 500; i++) {
        int64_t feed = weir_feed_subscribe(s.nodes[2], connection, "h/1/prices", next_object());
        if (i % 10 == 9) run_for(2 * ms);
        if (feed > 0) weir_feed_close(s.nodes[2], (uint64_t)feed, 0);
    }
}

static void feed_opens(void)
{
    for (int i = 0; i < 20; i++)
        weir_feed_subscribe(s.nodes[2], connection, "h/1/prices", next_object());
}

static void feed_talks(void)
{
    write_raw(open_raw("h/1/prices", false), zeros, 1000, 0);
}

static void message_to_a_range(void)
{
    /* Without an end: of one that is whole nobody reads why it was refused. */
    write_raw(open_raw("h/1/part", true), "\x00\x05", 2, 0);
}

static void malformed_requests(void)
{
    static const struct {
        const char *bytes;
        uint32_t len;
    } values[] = {{"\xff", 1},
                  {"\x18\x01", 2},
                  {"\x9f\x01\xff", 3},
                  {"\xf7", 1},
                  {"\x82\x01", 2},
                  {"\xa2\x02\x01\x01\x01", 5},
                  {"\x01\x01", 2},
                  {"\x62\xc3\x28", 3},
                  {"\xc1\x01", 2},
                  {"\x9b\xff\xff\xff", 4},
                  {"\x81\xf6", 2},
                  {"\xbb\x00\x00\x00\x00\x00\x10\x00\x00", 9},
                  /* nine arrays */
                  {"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01", 10}};
    uint8_t data[64];

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        ask_raw("h/1", data, compose(data, "echo", values[i].bytes, values[i].len), 0);
    ask_raw("h/1", "\x80", 1, 0);
    ask_raw("h/1", "\x82\x00\x01", 3, 0);
    ask_raw("h/1", "", 0, 0);
}

static const struct attack {
    const char *name;
    void (*run)(void);
    uint32_t reason;
    uint32_t least;     /* so many objects end with it */
    const char *metric; /* that grows by as much; NULL: weir_lua_info.dropped does */
} attacks[] = {
    {"a message too long", one_way_oversize, WEIR_REASON_TOO_LARGE, 1,
     "weir_messages_dropped_total{where=\"peer\"}"},
    {"a message that stays silent", one_way_silent, WEIR_REASON_TOO_SLOW, 1,
     "weir_messages_dropped_total{where=\"peer\"}"},
    {"a message of two bytes per second", one_way_drip, WEIR_REASON_DEADLINE, 1,
     "weir_messages_dropped_total{where=\"peer\"}"},
    {"200 messages that do not come", one_way_opens, WEIR_REASON_OVERLOAD, 100,
     "weir_messages_dropped_total{where=\"receive\"}"},
    {"500 messages begun and cancelled", one_way_cancels, 0, 0, NULL},
    {"a request too long", request_oversize, WEIR_REASON_TOO_LARGE, 1,
     "weir_requests_failed_total{reason=\"too_large\"}"},
    {"a request longer than its entry", entry_oversize, WEIR_REASON_TOO_LARGE, 1, NULL},
    {"a request that stays silent", request_silent, WEIR_REASON_TOO_SLOW, 1,
     "weir_requests_failed_total{reason=\"too_slow\"}"},
    {"a request of two bytes per second", request_drip, WEIR_REASON_DEADLINE, 1,
     "weir_requests_failed_total{reason=\"deadline\"}"},
    {"200 requests that do not come", request_opens, WEIR_REASON_OVERLOAD, 100,
     "weir_requests_busy_total{side=\"served\"}"},
    {"200 requests that take long", holds, WEIR_REASON_OVERLOAD, 100,
     "weir_requests_busy_total{side=\"served\"}"},
    {"500 requests begun and cancelled", request_cancels, 0, 0, NULL},
    {"malformed requests", malformed_requests, WEIR_REASON_FORMAT, 16, NULL},
    {"an answer in pieces that is not taken", pieces_not_taken, WEIR_REASON_TOO_SLOW, 1,
     "weir_requests_failed_total{reason=\"too_slow\"}"},
    {"500 answers in pieces cancelled", pieces_cancels, 0, 0, NULL},
    {"a request for a range too long", range_oversize, WEIR_REASON_TOO_LARGE, 1,
     "weir_requests_failed_total{reason=\"too_large\"}"},
    {"a request for more than a part", range_too_long, WEIR_REASON_TOO_LARGE, 1, NULL},
    {"a request for a range that stays silent", range_silent, WEIR_REASON_TOO_SLOW, 1,
     "weir_requests_failed_total{reason=\"too_slow\"}"},
    {"a request for a range, by the byte", range_drip, WEIR_REASON_DEADLINE, 1,
     "weir_requests_failed_total{reason=\"deadline\"}"},
    {"200 requests for ranges", range_opens, WEIR_REASON_OVERLOAD, 100,
     "weir_requests_busy_total{side=\"served\"}"},
    {"500 requests for ranges cancelled", range_cancels, 0, 0, NULL},
    {"a message to a range", message_to_a_range, WEIR_REASON_KIND, 1, "weir_streams_refused_total"},
    {"a stream that stays silent", stream_silent, WEIR_REASON_TOO_SLOW, 1, NULL},
    {"a stream of two bytes per second", stream_drip, WEIR_REASON_DEADLINE, 1, NULL},
    {"a stream whose other lane is not taken", stream_not_taken, WEIR_REASON_TOO_SLOW, 1, NULL},
    {"200 streams", stream_opens, WEIR_REASON_OVERLOAD, 100, NULL},
    {"500 streams opened and cancelled", stream_cancels, 0, 0, NULL},
    {"20 subscriptions of one feed", feed_opens, WEIR_REASON_LIMIT, 16, "weir_feed_refused_total"},
    {"a subscriber that talks", feed_talks, WEIR_REASON_FORMAT, 1, "weir_feed_refused_total"},
    {"500 subscriptions cancelled", feed_cancels, 0, 0, NULL},
};

static void begin(void)
{
    weir_world_options options = {.size = sizeof options, .seed = 11};
    weir_serve_options serve = {
        .size = sizeof serve, .kinds = WEIR_KIND_MESSAGE, .overflow = WEIR_OVERFLOW_DROP_NEW};
    weir_link_options link = {.size = sizeof link, .delay_us_plus1 = 5001};
    int64_t script;

    memset(&s, 0, sizeof s);
    memset(reasons, 0, sizeof reasons);
    memset(is_answered, 0, sizeof is_answered);
    objects = 0;
    connection = readable_bytes = words_back = 0;
    s.error.size = sizeof s.error;
    assert_int_equal(weir_world_create(&options, &s.world, NULL), 0);
    assert_int_equal(weir_lua_create(NULL, &s.lua, NULL), 0);
    for (s.count = 0; s.count < 3; s.count++)
        assert_int_equal(weir_world_add_node(s.world, NULL, &s.nodes[s.count + 1], NULL), 0);
    assert_int_equal(weir_world_link(s.world, 0, 0, &link), 0);
    script = scripts_load(&s, "hostile.lua", script_text);
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    scripts_attach(&s, 3, script, scripts_address(&s, 1));
    assert_int_equal(weir_node_serve(s.nodes[2], "h/1", &serve), 0);
    assert_true(weir_node_dial(s.nodes[2], scripts_address(&s, 1), NULL) > 0);
    run_for(HANDSHAKES_MS * ms);
    assert_true(connection != 0);
}

static uint32_t count_text(const char *what)
{
    uint32_t count = 0;

    for (const char *at = strstr(s.text, what); at; at = strstr(at + 1, what)) count++;
    return count;
}

/* The third node was served in time, all the time; nothing of the attack is left. */
static bool is_unharmed(const char *name)
{
    uint64_t seconds = weir_world_now(s.world) / second - 2;
    bool is_fine = count_text("3 served\n") >= 9 * seconds && !strstr(s.text, "3 late") &&
                   !strstr(s.text, "3 bad") && !strstr(s.text, "! ");
    weir_lua_info info = scripts_info(&s);

    if (!is_fine)
        print_error("%s: in %llu s node 3 was served %u times:\n%.2000s\n", name,
                    (unsigned long long)seconds, count_text("3 served\n"),
                    strstr(s.text, "3 late")  ? strstr(s.text, "3 late")
                    : strstr(s.text, "3 bad") ? strstr(s.text, "3 bad")
                    : strstr(s.text, "! ")    ? strstr(s.text, "! ")
                                              : "");
    if (info.tasks > 1) print_error("%s: %u tasks are left\n", name, (unsigned)info.tasks);
    return is_fine && info.tasks <= 1;
}

static bool attack(const struct attack *a)
{
    uint64_t before, counted;
    bool is_right;

    begin();
    before = a->metric ? metric(a->metric) : scripts_info(&s).dropped;
    a->run();
    run_for(QUIET_MS * ms);
    counted = (a->metric ? metric(a->metric) : scripts_info(&s).dropped) - before;
    is_right = count_reason(a->reason) >= a->least || a->least == 0;
    if (!is_right || counted < a->least) {
        print_error("%s: %u of %u ended with %s, %llu were counted; the last with %s\n", a->name,
                    count_reason(a->reason), objects, weir_reason_name(a->reason),
                    (unsigned long long)counted, weir_reason_name(reasons[objects]));
        is_right = false;
    }
    is_right = is_unharmed(a->name) && is_right;
    scripts_close(&s);
    return is_right;
}

static void test_each_attack_ends_with_its_reason_is_counted_and_harms_nobody(void **state)
{
    uint32_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) wrong += !attack(&attacks[i]);
    assert_int_equal(wrong, 0);
}

static void test_malformed_messages_are_dropped_and_counted(void **state)
{
    static const uint8_t deep[] = {0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x01};
    static const char unknown[] = "\x82\x64oops\x01", request[] = "\x82\x64"
                                                                  "echo\x01";
    uint8_t data[8192], list[4096], *at = list;
    uint64_t dropped;

    (void)state;
    begin();
    dropped = scripts_info(&s).dropped;
    tell_raw("\xff", 1);
    tell_raw("", 0);
    tell_raw(unknown, sizeof unknown - 1);
    tell_raw(request, sizeof request - 1);
    tell_raw(data, compose(data, "say", deep, sizeof deep));
    tell_raw(data, compose(data, "say", "\x82\x01", 2));
    /* 65 peers: an id is 38 bytes, of an ed25519 key. */
    *at++ = 0x98;
    *at++ = 65;
    for (uint8_t i = 0; i < 65; i++) {
        static const uint8_t head[] = {0xda, 0x77, 0x65, 0x69, 0x72, 0x81, 0x58,
                                       38,   0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
        memcpy(at, head, sizeof head);
        memset(at + sizeof head, 128 + i, 32);
        at += sizeof head + 32;
    }
    tell_raw(data, compose(data, "say", list, (size_t)(at - list)));
    run_for(QUIET_MS * ms);
    assert_int_equal(scripts_info(&s).dropped - dropped, 7);
    assert_true(is_unharmed("malformed messages"));
    assert_null(strstr(s.text, "1 heard"));
    /* One fewer is taken, and what one source tells is bounded. */
    list[1] = 64;
    tell_raw(data, compose(data, "say", list, (size_t)(at - list) - 46));
    run_for(second);
    assert_true(scripts_said(&s, "1 heard\t4\n"));
    scripts_close(&s);
}

static void tell_link(bool is_up, uint64_t sequence)
{
    uint8_t data[11] = {0x82, is_up, 0x1b};

    for (int i = 0; i < 8; i++) data[3 + i] = (uint8_t)(sequence >> (56 - 8 * i));
    tell_raw(data, sizeof data);
}

static void test_link_words_of_any_order_and_number_do_no_harm(void **state)
{
    static const struct {
        bool is_up;
        uint64_t sequence;
    } words[] = {
        {false, 5},  {true, 3},          {true, 9},  {true, 9},           {false, 8},
        {true, 0},   {true, UINT64_MAX}, {false, 9}, {true, 9},           {true, 10},
        {false, 11}, {true, 1ull << 53}, {true, 11}, {false, 1ull << 53}, {true, (1ull << 53) + 1}};
    uint64_t before;

    (void)state;
    begin();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        tell_link(words[i].is_up, words[i].sequence);
        run_for(20 * ms);
    }
    before = words_back;
    assert_true(before > 0 && before <= 2 * sizeof words / sizeof words[0]);
    run_for(QUIET_MS * ms);
    assert_true(is_unharmed("link words"));
    scripts_close(&s);
    /* A thousand of them, of a stranger that no game ever linked. */
    begin();
    for (uint64_t i = 0; i < 1000; i++) {
        tell_link(i % 3 != 0, i * 7919 % 1000);
        if (i % 50 == 49) run_for(50 * ms);
    }
    run_for(QUIET_MS * ms);
    assert_true(words_back <= 1000);
    assert_true(is_unharmed("a thousand link words"));
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_attack_ends_with_its_reason_is_counted_and_harms_nobody),
        cmocka_unit_test(test_malformed_messages_are_dropped_and_counted),
        cmocka_unit_test(test_link_words_of_any_order_and_number_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
