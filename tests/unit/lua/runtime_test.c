/* SPDX-License-Identifier: MIT */
/* Goal: weir_lua.h keeps its promises: arguments are checked, a runtime serves one live node or the
 * nodes of one world, events that are not the scripts' stay in order, and a world repeats itself to
 * the last event. Method: a world of each fidelity, and two live nodes that poll in turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "runtime/embedded.h"
#include "unit/lua/scripts.h"

static struct scripts s;

static const char gossip[] =
    "local G = game 'gossip/1' { serve = 16, fields = { heard = 0, known = {} },\n"
    "  rumour = message { bytes = 64, full = 'drop-new' },\n"
    "  count = request { bytes = 9, answer = 9, within = 5*sec } }\n"
    "function G:rumour(from, n) self.heard = self.heard + n print('heard', n) end\n"
    "function G:count() return self.heard end\n"
    "function G:start(address)\n"
    "  if not address then return end\n"
    "  local peer = connect(address)\n"
    "  self:every(sec, function()\n"
    "    tell(peer, G.rumour, math.random(100))\n"
    "    print('counts', ask(peer, G.count))\n"
    "  end)\n"
    "end\n";

static void test_arguments_are_checked(void **state)
{
    weir_lua_options options = {.size = sizeof options};
    union {
        weir_lua_options options;
        unsigned char bytes[sizeof(weir_lua_options) + 8];
    } longer = {{.size = sizeof longer}};
    weir_lua_info info = {.size = 7};
    weir_lua *lua;

    (void)state;
    assert_int_equal(weir_lua_create(NULL, NULL, &s.error), WEIR_E_NULL);
    options.size = 4;
    assert_int_equal(weir_lua_create(&options, &lua, &s.error), WEIR_E_SIZE);
    options.size = 8;
    assert_int_equal(weir_lua_create(&options, &lua, &s.error), 0);
    assert_int_equal(weir_lua_free(lua), 0);
    assert_int_equal(weir_lua_create(&longer.options, &lua, &s.error), 0);
    assert_int_equal(weir_lua_free(lua), 0);
    longer.bytes[sizeof longer - 1] = 1;
    assert_int_equal(weir_lua_create(&longer.options, &lua, &s.error), WEIR_E_UNKNOWN_OPTION);
    assert_int_equal(weir_lua_free(NULL), WEIR_E_NULL);
    assert_int_equal(weir_lua_load(s.lua, NULL, "", 0, &s.error), WEIR_E_NULL);
    assert_int_equal(weir_lua_load(s.lua, "", "", 0, &s.error), WEIR_E_ARGUMENT);
    assert_int_equal(weir_lua_attach(s.lua, s.nodes[1], 1, NULL, 0, &s.error), WEIR_E_NOT_FOUND);
    assert_int_equal(weir_lua_attach(s.lua, NULL, 1, NULL, 0, &s.error), WEIR_E_NULL);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), WEIR_E_NOT_FOUND);
    assert_int_equal(weir_lua_get_info(s.lua, &info), WEIR_E_SIZE);
    assert_int_equal(weir_lua_events(NULL, NULL, 0), WEIR_E_NULL);
    assert_int_equal(weir_lua_run(s.lua, NULL, 0), WEIR_E_NULL);
    assert_int_equal(weir_lua_deadline(s.lua), WEIR_NONE);
}

static void test_a_name_is_served_once_on_a_node(void **state)
{
    int64_t a = scripts_load(&s, "a.lua", gossip), b = scripts_load(&s, "b.lua", gossip);

    (void)state;
    scripts_attach(&s, 1, a, NULL);
    assert_int_equal(weir_lua_attach(s.lua, s.nodes[1], a, NULL, 0, &s.error), WEIR_E_EXISTS);
    assert_int_equal(weir_lua_attach(s.lua, s.nodes[1], b, NULL, 0, &s.error), WEIR_E_EXISTS);
    assert_int_equal(weir_node_serve(s.nodes[2], "gossip/1", NULL), 0);
    assert_int_equal(weir_lua_attach(s.lua, s.nodes[2], b, NULL, 0, &s.error), WEIR_E_EXISTS);
    assert_non_null(strstr(s.error.detail, "gossip/1"));
    assert_int_equal(scripts_info(&s).instances, 1);
}

static void test_events_that_are_not_the_scripts_stay_in_order(void **state)
{
    weir_event events[4];

    (void)state;
    scripts_attach(&s, 1, scripts_load(&s, "a.lua", gossip), NULL);
    memset(events, 0, sizeof events);
    for (uint32_t i = 0; i < 4; i++) {
        events[i].kind = WEIR_EVENT_READABLE;
        events[i].node = 1;
        events[i].object = i + 1;
        events[i].user = i % 2 ? 5 : (uint64_t)0x5745 << 48 | 77;
    }
    assert_int_equal(weir_lua_events(s.lua, events, 4), 2);
    assert_int_equal(events[0].object, 2);
    assert_int_equal(events[1].object, 4);
}

/* Another world in the place of the one that the test began with. */
static void open_world(uint32_t fidelity, uint64_t seed, uint32_t nodes)
{
    weir_world_options options = {.size = sizeof options, .fidelity = fidelity, .seed = seed};

    scripts_close(&s);
    scripts_open(&s, 0, seed, NULL);
    assert_int_equal(weir_world_free(s.world), 0);
    assert_int_equal(weir_world_create(&options, &s.world, NULL), 0);
    for (s.count = 0; s.count < nodes; s.count++)
        assert_int_equal(weir_world_add_node(s.world, NULL, &s.nodes[s.count + 1], NULL), 0);
}

/* One run: how it ended and what was said. */
static uint64_t play(uint32_t fidelity, uint64_t seed, char **text)
{
    uint64_t hash;
    int64_t script;

    open_world(fidelity, seed, 5);
    script = scripts_load(&s, "gossip.lua", gossip);
    scripts_attach(&s, 1, script, NULL);
    for (uint32_t i = 2; i <= 5; i++) scripts_attach(&s, i, script, scripts_address(&s, i - 1));
    scripts_run(&s, 20000);
    assert_true(scripts_said(&s, "1 heard\t"));
    assert_true(scripts_said(&s, "5 counts\t"));
    assert_int_equal(scripts_info(&s).errors, 0);
    hash = weir_world_hash(s.world);
    *text = strdup(s.text);
    return hash;
}

static void test_one_seed_is_one_run_and_another_is_another(void **state)
{
    static const uint32_t fidelities[] = {WEIR_FIDELITY_MESSAGE, WEIR_FIDELITY_PACKET};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *first, *second, *third;
        uint64_t a = play(fidelities[i], 7, &first), b = play(fidelities[i], 7, &second);
        uint64_t c = play(fidelities[i], 8, &third);
        assert_int_equal(a, b);
        assert_int_not_equal(a, c);
        assert_string_equal(first, second);
        assert_string_not_equal(first, third);
        free(first);
        free(second);
        free(third);
    }
}

static void test_live_nodes_talk_and_the_programs_events_stay(void **state)
{
    static const char text[] = "local P = protocol 'live/1' { serve = 8,\n"
                               "  twice = request { bytes = 9, answer = 9, within = 20*sec } }\n"
                               "function P:twice(from, n) return n * 2 end\n"
                               "function P:start(address)\n"
                               "  if not address then return end\n"
                               "  local peer, why = connect(address)\n"
                               "  print(peer and ask(peer, P.twice, 21) or why)\n"
                               "  quit()\n"
                               "end\n";
    weir_node_options options = {.size = sizeof options};
    weir_lua_options seeded = {.size = sizeof seeded, .seed = 5};
    weir_lua *lua[2];
    weir_node *node[2];
    weir_event events[16];
    weir_lua_info info = {.size = sizeof info};
    weir_lua_line line;
    char address[WEIR_ADDRESS_TEXT_MAX];
    const char *arguments[] = {address};
    bool saw_connection = false;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_node_create(&options, &node[i], NULL), 0);
        assert_int_equal(weir_node_listen(node[i], "127.0.0.1:0"), 0);
        assert_int_equal(weir_lua_create(&seeded, &lua[i], NULL), 0);
        assert_int_equal(weir_lua_load(lua[i], "live.lua", text, sizeof text - 1, &s.error), 1);
    }
    assert_true(weir_node_address(node[0], 0, address, sizeof address) > 0);
    assert_int_equal(weir_lua_attach(lua[0], node[0], 1, NULL, 0, &s.error), 0);
    assert_int_equal(weir_lua_attach(lua[1], node[1], 1, arguments, 1, &s.error), 0);
    assert_int_equal(weir_lua_attach(lua[1], node[0], 1, NULL, 0, &s.error), WEIR_E_STATE);
    assert_int_equal(weir_lua_attach(lua[1], s.nodes[1], 1, NULL, 0, &s.error), WEIR_E_STATE);
    /* Each turn waits at most 10 ms of the real clock for the other. */
    for (int turns = 0; turns < 1000 && !info.is_over; turns++) {
        for (int i = 0; i < 2; i++) {
            int64_t count = weir_lua_poll(lua[i], node[i], events, 16, 10000);
            assert_true(count >= 0);
            for (int64_t k = 0; k < count; k++)
                if (i == 0 && events[k].kind == WEIR_EVENT_CONNECTED) saw_connection = true;
        }
        assert_int_equal(weir_lua_get_info(lua[1], &info), 0);
    }
    assert_true(info.is_over);
    assert_true(saw_connection);
    assert_int_equal(weir_lua_next_line(lua[1], &line), 1);
    assert_string_equal(line.text, "42");
    assert_int_equal(line.node, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_lua_free(lua[i]), 0);
        assert_int_equal(weir_node_free(node[i]), 0);
    }
}

static void test_the_echo_script_gets_back_what_it_asked(void **state)
{
    static const uint32_t fidelities[] = {WEIR_FIDELITY_MESSAGE, WEIR_FIDELITY_PACKET};
    const struct embedded *echo = embedded_find("protocols/echo.lua");
    int64_t script;

    (void)state;
    assert_non_null(echo);
    for (size_t i = 0; i < 2; i++) {
        open_world(fidelities[i], 3, 2);
        script = scripts_load(&s, "echo.lua", echo->text);
        scripts_attach(&s, 1, script, NULL);
        scripts_attach(&s, 2, script, scripts_address(&s, 1));
        assert_int_equal(scripts_run(&s, 5000), 1);
        assert_int_equal(scripts_info(&s).exit_code, 0);
        assert_true(scripts_said(&s, "2 hello 10\t"));
    }
}

static void test_lines_that_nobody_takes_are_counted(void **state)
{
    weir_lua_options options = {.size = sizeof options, .log_lines = 10};
    weir_lua_line line;
    int64_t script;

    (void)state;
    assert_int_equal(weir_lua_free(s.lua), 0);
    assert_int_equal(weir_lua_create(&options, &s.lua, NULL), 0);
    script =
        scripts_load(&s, "p.lua", "for i = 1, 25 do print('line', i) end log.warn('a\\1b\\nc')");
    assert_int_equal(script, 1);
    assert_int_equal(scripts_info(&s).lines_dropped, 17);
    assert_int_equal(weir_lua_next_line(s.lua, &line), 1);
    assert_string_equal(line.text, "line\t18");
    for (int i = 0; i < 8; i++) assert_int_equal(weir_lua_next_line(s.lua, &line), 1);
    assert_string_equal(line.text, "a?b");
    assert_int_equal(line.level, 2);
    assert_int_equal(line.script, 1);
    assert_int_equal(weir_lua_next_line(s.lua, &line), 1);
    assert_string_equal(line.text, "c");
    assert_int_equal(weir_lua_next_line(s.lua, &line), 0);
}

/* Who floods pushes out nobody but himself, whoever was first. */
static void test_a_flood_of_lines_pushes_out_no_other_scripts_lines(void **state)
{
    weir_lua_options options = {.size = sizeof options, .log_lines = 100};
    const char *flood = "for i = 1, 5000 do print('flood', i) end";
    static weir_lua_line line;
    uint32_t quiet = 0, floods = 0;

    (void)state;
    assert_int_equal(weir_lua_free(s.lua), 0);
    assert_int_equal(weir_lua_create(&options, &s.lua, NULL), 0);
    assert_int_equal(scripts_load(&s, "a.lua", "for i = 1, 10 do print('before', i) end"), 1);
    assert_int_equal(scripts_load(&s, "b.lua", flood), 2);
    assert_int_equal(scripts_load(&s, "c.lua", "for i = 1, 10 do print('after', i) end"), 3);
    assert_int_equal(scripts_load(&s, "d.lua", flood), 4);
    assert_int_equal(scripts_info(&s).lines_dropped, 10020 - 100);
    while (weir_lua_next_line(s.lua, &line) == 1) {
        char wanted[32];
        if (line.script % 2 == 0) {
            floods++;
            continue;
        }
        snprintf(wanted, sizeof wanted, "%s\t%u", quiet < 10 ? "before" : "after",
                 (unsigned)(quiet % 10 + 1));
        assert_string_equal(line.text, wanted);
        assert_int_equal(line.script, quiet < 10 ? 1 : 3);
        quiet++;
    }
    assert_int_equal(quiet, 20);
    assert_int_equal(floods, 80);
    assert_int_equal(scripts_load(&s, "e.lua", "print 'again'"), 5);
    assert_int_equal(weir_lua_next_line(s.lua, &line), 1);
    assert_string_equal(line.text, "again");
    assert_int_equal(weir_lua_next_line(s.lua, &line), 0);
}

static void test_words_that_need_no_peer(void **state)
{
    (void)state;
    assert_true(scripts_load(&s, "w.lua",
                             "print(hex(hash('abc')):sub(1, 16))\n"
                             "print(hex(hasher():add('a'):add('bc'):done()) == hex(hash('abc')))\n"
                             "print(hex(encode { a = 1, list = { 1, 2 } }))\n"
                             "local t = decode(encode { a = 1, list = { 1, 2 } })\n"
                             "print(t.a, #t.list, select(2, decode('\\255')) ~= nil)\n"
                             "print(encode(print))\n"
                             "print(KB, MB, GB, ms, sec, min, hour, #args, args[1])\n"
                             "local h = hasher() h:done() print(pcall(h.add, h, 'x') )\n"
                             "print(pcall(h.done, h))\n") > 0);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "0 bddd813c63423972\n0 true\n0 a2616101646c697374820102\n"));
    assert_true(scripts_said(&s, "0 1\t2\ttrue\n0 nil\ta function cannot be sent"));
    assert_true(scripts_said(
        &s, "0 1024\t1048576\t1073741824\t1000\t1000000\t60000000\t3600000000\t0\tnil"));
    assert_true(scripts_said(&s, "this hasher was used up by done"));
}

static void test_arguments_reach_start_and_args(void **state)
{
    int64_t script =
        scripts_load(&s, "a.lua",
                     "local P = protocol 'a/1' {}\n"
                     "function P:start(...)\n"
                     "  print(..., #args, args[1], pcall(function() args[1] = 2 end))\n"
                     "  for i, v in ipairs(args) do print(i, v) end\n"
                     "end\n");

    (void)state;
    scripts_attach(&s, 1, script, "one");
    scripts_attach(&s, 2, script, NULL);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "1 one\t1\tone\tfalse\ta.lua:3: args is read-only\n1 1\tone\n"));
    assert_true(scripts_said(&s, "2 nil\t0\tnil"));
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
        TEST(test_arguments_are_checked),
        TEST(test_a_name_is_served_once_on_a_node),
        TEST(test_events_that_are_not_the_scripts_stay_in_order),
        TEST(test_one_seed_is_one_run_and_another_is_another),
        TEST(test_live_nodes_talk_and_the_programs_events_stay),
        TEST(test_the_echo_script_gets_back_what_it_asked),
        TEST(test_lines_that_nobody_takes_are_counted),
        TEST(test_a_flood_of_lines_pushes_out_no_other_scripts_lines),
        TEST(test_words_that_need_no_peer),
        TEST(test_arguments_reach_start_and_args),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
