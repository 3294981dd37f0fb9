/* SPDX-License-Identifier: MIT */
/* Goal: a link is known at both ends or at none, `up` and `down` come in pairs, and nothing that
 * crosses, comes late or comes twice changes that. Method: a game that prints what it is told, in a
 * world; and words of the other end that the test says itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit/lua/worlds.h"

static const char script[] =
    "local G = game 'pair/1' { serve = 8, links = view { cap = 2, linked = true },\n"
    "    hi = message { bytes = 16, full = 'drop-new' }, fields = { room = '' } }\n"
    "function G:hi() end\n"
    "function G:up(p, how) print('up ' .. how) end\n"
    "function G:down(p, why)\n"
    "    print('down ' .. why .. (self.links:has(p) and ' kept' or ''))\n"
    "end\n"
    "function G:crowded(view, p)\n"
    "    print 'crowded'\n"
    "    if self.room == 'make' then view:add(p, 'oldest') end\n"
    "end\n"
    "function G:set(p, how) self.room = how end\n"
    "function G:add(p) self.links:add(p) end\n"
    "function G:remove(p) self.links:remove(p) end\n"
    "function G:again(p) self.links:remove(p) self.links:add(p) end\n"
    "function G:push(p) print(type(self.links:add(p, 'oldest'))) end\n"
    "function G:drop(p) drop(p, 'enough') end\n"
    "function G:join(p, address)\n"
    "    local q, why = connect(address)\n"
    "    print(q == p and 'connected' or tostring(why))\n"
    "end\n"
    "return G\n";

/* Nodes 1 to count, each connected to node 1. */
static void open_star_as(struct worlds *w, uint32_t count, uint32_t fidelity)
{
    worlds_open_as(w, count, 7, script, fidelity, 0);
    for (uint32_t i = 1; i <= count; i++) worlds_attach(w, i, NULL, 0);
    for (uint32_t i = 2; i <= count; i++) {
        worlds_call(w, i, "join", 1, worlds_address(w, 1));
        worlds_run(w, worlds_second_us);
    }
    w->lines[0] = 0;
}

static void open_star(struct worlds *w, uint32_t count)
{
    open_star_as(w, count, WEIR_FIDELITY_MESSAGE);
}

static void expect(struct worlds *w, const char *lines)
{
    assert_string_equal(w->lines, lines);
    assert_int_equal(w->failures, 0);
    w->lines[0] = 0;
}

static void test_both_ends_have_a_link_and_are_told_once(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    expect(&w, "2 up out\n1 up in\n");
    assert_true(worlds_has(&w, 1, "links", 2));
    assert_true(worlds_has(&w, 2, "links", 1));
    assert_true(link_is_up(worlds_instance(&w, 1), worlds_peer(&w, 2)));
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "");
    worlds_close(&w);
}

static void test_a_link_holds_the_connection_and_its_end_lets_go(void **state)
{
    struct worlds w;
    weir_peer_info info = {.size = sizeof info};
    weir_peer_id id;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, 120 * worlds_second_us);
    assert_int_equal(weir_node_peer(w.nodes[1], &id), 0);
    assert_int_equal(weir_peer_get_info(w.nodes[2], &id, &info), 0);
    assert_int_equal(info.holds, 1);
    assert_int_equal(info.connections, 1);
    worlds_call(&w, 2, "remove", 1, "");
    worlds_run(&w, worlds_second_us);
    assert_int_equal(weir_peer_get_info(w.nodes[2], &id, &info), 0);
    assert_int_equal(info.holds, 0);
    assert_int_equal(weir_node_peer(w.nodes[2], &id), 0);
    assert_int_equal(weir_peer_get_info(w.nodes[1], &id, &info), 0);
    assert_int_equal(info.holds, 0);
    expect(&w, "2 up out\n1 up in\n1 down dropped\n");
    worlds_close(&w);
}

static void test_a_drop_is_told_to_the_other_end_alone(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    worlds_call(&w, 1, "remove", 2, "");
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "2 down dropped\n");
    assert_false(worlds_has(&w, 2, "links", 1));
    assert_int_equal(links_count(worlds_instance(&w, 1)), 0);
    assert_int_equal(links_count(worlds_instance(&w, 2)), 0);
    worlds_close(&w);
}

static void test_two_ends_that_begin_at_once_begin_one_link(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_call(&w, 1, "add", 2, "");
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "2 up out\n1 up out\n");
    worlds_close(&w);
}

static void test_two_ends_that_dial_at_once_have_one_link(void **state)
{
    struct worlds w;

    (void)state;
    worlds_open(&w, 2, 9, script);
    worlds_attach(&w, 1, NULL, 0);
    worlds_attach(&w, 2, NULL, 0);
    for (uint32_t i = 1; i <= 2; i++) {
        weir_peer_id id;
        assert_int_equal(weir_node_peer(w.nodes[3 - i], &id), 0);
        assert_int_equal(weir_peer_add_address(w.nodes[i], &id, worlds_address(&w, 3 - i)), 0);
        worlds_call(&w, i, "add", 3 - i, "");
    }
    worlds_run(&w, 60 * worlds_second_us);
    assert_true(worlds_has(&w, 1, "links", 2));
    assert_true(worlds_has(&w, 2, "links", 1));
    assert_int_equal(strlen(w.lines), strlen("1 up out\n2 up out\n"));
    worlds_close(&w);
}

static void test_a_drop_that_crosses_a_new_link_ends_only_the_old_one(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    worlds_call(&w, 1, "remove", 2, "");
    worlds_call(&w, 2, "again", 1, "");
    worlds_run(&w, 60 * worlds_second_us);
    assert_true(worlds_has(&w, 1, "links", 2));
    assert_true(worlds_has(&w, 2, "links", 1));
    expect(&w, "2 up out\n1 up in\n");
    worlds_close(&w);
}

static void test_a_death_is_told_at_every_linked_neighbour(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 3);
    worlds_call(&w, 2, "add", 1, "");
    worlds_call(&w, 3, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    assert_int_equal(weir_node_close(w.nodes[1]), 0);
    worlds_run(&w, 60 * worlds_second_us);
    assert_non_null(strstr(w.lines, "2 down dead\n"));
    assert_non_null(strstr(w.lines, "3 down dead\n"));
    assert_int_equal(strlen(w.lines), 2 * strlen("2 down dead\n"));
    assert_int_equal(links_count(worlds_instance(&w, 2)), 0);
    worlds_close(&w);
}

static void test_a_connection_that_somebody_closes_is_a_link_that_was_closed(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    worlds_call(&w, 2, "drop", 1, "");
    worlds_run(&w, 60 * worlds_second_us);
    assert_non_null(strstr(w.lines, "1 down closed\n"));
    assert_non_null(strstr(w.lines, "2 down closed\n"));
    worlds_close(&w);
}

static void test_a_newcomer_without_room_is_dropped(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 4);
    for (uint32_t i = 2; i <= 3; i++) worlds_call(&w, i, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    worlds_call(&w, 4, "add", 1, "");
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "4 up out\n1 crowded\n4 down dropped\n");
    assert_false(worlds_has(&w, 4, "links", 1));
    assert_int_equal(links_count(worlds_instance(&w, 1)), 2);
    worlds_close(&w);
}

static void test_a_newcomer_for_whom_room_is_made_stays(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 4);
    for (uint32_t i = 2; i <= 3; i++) {
        worlds_call(&w, i, "add", 1, "");
        worlds_run(&w, worlds_second_us);
    }
    worlds_call(&w, 1, "set", 0, "make");
    w.lines[0] = 0;
    worlds_call(&w, 4, "add", 1, "");
    worlds_run(&w, 60 * worlds_second_us);
    assert_non_null(strstr(w.lines, "1 crowded\n"));
    assert_non_null(strstr(w.lines, "1 up in\n"));
    assert_non_null(strstr(w.lines, "2 down dropped\n"));
    assert_true(worlds_has(&w, 1, "links", 4));
    assert_false(worlds_has(&w, 1, "links", 2));
    assert_false(worlds_has(&w, 2, "links", 1));
    assert_int_equal(links_count(worlds_instance(&w, 1)), 2);
    worlds_close(&w);
}

static void test_who_steps_down_is_told(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 4);
    for (uint32_t i = 2; i <= 3; i++) {
        worlds_call(&w, 1, "add", i, "");
        worlds_run(&w, worlds_second_us);
    }
    w.lines[0] = 0;
    worlds_call(&w, 1, "push", 4, "");
    worlds_run(&w, worlds_second_us);
    assert_non_null(strstr(w.lines, "1 userdata\n1 up out\n"));
    assert_non_null(strstr(w.lines, "2 down dropped\n"));
    assert_non_null(strstr(w.lines, "4 up in\n"));
    assert_null(strstr(w.lines, "1 down"));
    worlds_close(&w);
}

static void test_a_peer_that_does_not_play_is_given_up(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    assert_int_equal(weir_lua_detach(w.lua, w.nodes[1]), 0);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "2 up out\n2 down closed\n");
    assert_int_equal(links_count(worlds_instance(&w, 2)), 0);
    worlds_close(&w);
}

static void test_words_that_are_late_or_twice_change_nothing(void **state)
{
    struct worlds w;
    struct instance *in;
    uint32_t peer;

    (void)state;
    open_star(&w, 2);
    in = worlds_instance(&w, 1);
    peer = worlds_peer(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    worlds_call(&w, 2, "again", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    link_on_told(in, peer, false, 1); /* the first drop, once more */
    link_on_told(in, peer, true, 1);
    link_on_told(in, peer, true, 2);
    link_on_told(in, peer, true, 0);
    link_on_told(in, peer, false, UINT64_MAX);
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "");
    assert_true(link_is_up(in, peer));
    assert_true(link_is_up(worlds_instance(&w, 2), worlds_peer(&w, 1)));
    worlds_close(&w);
}

static void test_a_word_that_was_lost_is_said_again(void **state)
{
    struct worlds w;
    struct instance *in;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    in = worlds_instance(&w, 1);
    /* As if node 1 had heard of a drop and a later link that node 2 never sent. */
    link_on_told(in, worlds_peer(&w, 2), false, 5);
    worlds_lines(&w);
    worlds_run(&w, 60 * worlds_second_us);
    expect(&w, "1 down dropped\n2 down dropped\n");
    worlds_close(&w);
}

static void test_links_end_with_their_instance(void **state)
{
    struct worlds w;

    (void)state;
    open_star(&w, 2);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, worlds_second_us);
    w.lines[0] = 0;
    assert_int_equal(weir_lua_detach(w.lua, w.nodes[2]), 0);
    worlds_run(&w, worlds_second_us);
    expect(&w, "1 down dropped\n");
    worlds_close(&w);
}

static void test_a_peer_that_falls_silent_is_dead_at_both_ends(void **state)
{
    weir_link_options hole = {.size = sizeof hole, .blackhole_end_us = WEIR_NONE};
    struct worlds w;

    (void)state;
    open_star_as(&w, 2, WEIR_FIDELITY_PACKET);
    worlds_call(&w, 2, "add", 1, "");
    worlds_run(&w, 100 * worlds_second_us);
    w.lines[0] = 0;
    assert_int_equal(weir_world_link(w.world, 0, 0, &hole), 0);
    worlds_run(&w, 60 * worlds_second_us);
    assert_non_null(strstr(w.lines, "1 down dead\n"));
    assert_non_null(strstr(w.lines, "2 down dead\n"));
    assert_int_equal(strlen(w.lines), 2 * strlen("2 down dead\n"));
    worlds_close(&w);
}

/* Links come and go at random while every tenth packet is lost and messages overtake each other;
 * when it is quiet again, no end has a link that the other lacks. */
static void churn(uint64_t seed, uint32_t fidelity, uint32_t loss_ppm)
{
    static const char *const methods[] = {"add", "remove", "again", "push"};
    struct worlds w;
    uint32_t nodes[WORLDS_PEERS_MAX], links = 0;
    uint64_t random = seed;

    worlds_open_as(&w, 6, seed, script, fidelity, loss_ppm);
    for (uint32_t i = 1; i <= 6; i++) worlds_attach(&w, i, NULL, 0);
    for (uint32_t i = 2; i <= 6; i++)
        for (uint32_t k = 1; k < i; k++) worlds_call(&w, i, "join", k, worlds_address(&w, k));
    worlds_run(&w, 10 * worlds_second_us);
    for (int i = 0; i < 300; i++) {
        uint32_t a = 1 + (uint32_t)random_below(&random, 6);
        uint32_t b = 1 + (a + (uint32_t)random_below(&random, 5)) % 6;
        if (i % 50 == 0) worlds_call(&w, a, "set", 0, i % 100 ? "make" : "");
        worlds_call(&w, a, methods[random_below(&random, 4)], b, "");
        worlds_run(&w, random_below(&random, 30000));
        w.lines[0] = 0;
    }
    worlds_run(&w, 60 * worlds_second_us);
    for (uint32_t i = 1; i <= 6; i++) {
        uint32_t count = worlds_view(&w, i, "links", nodes);
        assert_int_equal(links_count(worlds_instance(&w, i)), count);
        for (uint32_t k = 0; k < count; k++) assert_true(worlds_has(&w, nodes[k], "links", i));
        links += count;
    }
    assert_true(links > 0);
    assert_int_equal(w.failures, 0);
    worlds_close(&w);
}

static void test_links_are_symmetric_after_any_churn(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) churn(seed, WEIR_FIDELITY_MESSAGE, 0);
    for (uint64_t seed = 1; seed <= 4; seed++) churn(seed, WEIR_FIDELITY_PACKET, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_have_a_link_and_are_told_once),
        cmocka_unit_test(test_a_link_holds_the_connection_and_its_end_lets_go),
        cmocka_unit_test(test_a_drop_is_told_to_the_other_end_alone),
        cmocka_unit_test(test_two_ends_that_begin_at_once_begin_one_link),
        cmocka_unit_test(test_two_ends_that_dial_at_once_have_one_link),
        cmocka_unit_test(test_a_drop_that_crosses_a_new_link_ends_only_the_old_one),
        cmocka_unit_test(test_a_death_is_told_at_every_linked_neighbour),
        cmocka_unit_test(test_a_connection_that_somebody_closes_is_a_link_that_was_closed),
        cmocka_unit_test(test_a_newcomer_without_room_is_dropped),
        cmocka_unit_test(test_a_newcomer_for_whom_room_is_made_stays),
        cmocka_unit_test(test_who_steps_down_is_told),
        cmocka_unit_test(test_a_peer_that_does_not_play_is_given_up),
        cmocka_unit_test(test_words_that_are_late_or_twice_change_nothing),
        cmocka_unit_test(test_a_word_that_was_lost_is_said_again),
        cmocka_unit_test(test_links_end_with_their_instance),
        cmocka_unit_test(test_a_peer_that_falls_silent_is_dead_at_both_ends),
        cmocka_unit_test(test_links_are_symmetric_after_any_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
