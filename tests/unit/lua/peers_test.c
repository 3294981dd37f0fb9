/* SPDX-License-Identifier: MIT */
/* Goal: the table of peers is bounded and never takes one peer for another; a place dials a peer
 * once whoever asks, and leaves alone for a while one that it could not reach. Method: the
 * functions of peers.h, on a table by itself and on the nodes of a world. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/cbor.h"
#include "unit/lua/worlds.h"

static weir_peer_id id_of(uint32_t number)
{
    weir_peer_id id = {.len = 38, .bytes = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20}};

    memcpy(id.bytes + 6, &number, sizeof number);
    return id;
}

static uint32_t intern(weir_lua *lua, uint32_t number)
{
    weir_peer_id id = id_of(number);

    return peers_intern(lua, &id);
}

static weir_lua *open_table(void)
{
    weir_lua *lua = calloc(1, sizeof *lua);

    assert_non_null(lua);
    lua->peers = peers_open();
    assert_non_null(lua->peers);
    return lua;
}

static void close_table(weir_lua *lua)
{
    peers_close(lua->peers);
    free(lua);
}

static void test_one_id_is_one_number(void **state)
{
    weir_lua *lua = open_table();
    weir_peer_id id = id_of(7), nobody = {0};
    uint32_t numbers[2000];

    (void)state;
    for (uint32_t i = 0; i < 2000; i++) numbers[i] = intern(lua, i);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_int_not_equal(numbers[i], PEER_NONE);
        assert_int_equal(intern(lua, i), numbers[i]);
    }
    assert_int_equal(peers_count(lua->peers), 2000);
    assert_memory_equal(peers_id(lua, numbers[7]), &id, sizeof id);
    id.len = 37;
    assert_int_not_equal(peers_intern(lua, &id), numbers[7]);
    assert_int_equal(peers_intern(lua, &nobody), PEER_NONE);
    assert_null(peers_id(lua, PEER_NONE));
    assert_null(peers_id(lua, 1000000));
    close_table(lua);
}

static void test_what_is_not_held_goes_oldest_first(void **state)
{
    weir_lua *lua = open_table();
    uint32_t held, touched, old;
    weir_peer_id id = id_of(1);

    (void)state;
    held = intern(lua, 1);
    touched = intern(lua, 2);
    old = intern(lua, 3);
    peers_hold(lua, held);
    for (uint32_t i = 4; i <= PEERS_LIVE_MAX; i++) intern(lua, i);
    assert_int_equal(peers_count(lua->peers), PEERS_LIVE_MAX);
    assert_int_equal(intern(lua, 2), touched);
    intern(lua, PEERS_LIVE_MAX + 1);
    assert_int_equal(peers_count(lua->peers), PEERS_LIVE_MAX);
    id = id_of(3);
    assert_true(peers_id(lua, old) == NULL || memcmp(peers_id(lua, old), &id, sizeof id) != 0);
    id = id_of(2);
    assert_memory_equal(peers_id(lua, touched), &id, sizeof id);
    for (uint32_t i = 0; i < 3 * PEERS_LIVE_MAX; i++) intern(lua, 100000 + i);
    id = id_of(1);
    assert_memory_equal(peers_id(lua, held), &id, sizeof id);
    peers_release(lua, held);
    for (uint32_t i = 0; i < PEERS_LIVE_MAX; i++) intern(lua, 200000 + i);
    assert_true(memcmp(peers_id(lua, held), &id, sizeof id) != 0);
    close_table(lua);
}

static void test_a_table_of_held_peers_is_full(void **state)
{
    weir_lua *lua = open_table();

    (void)state;
    for (uint32_t i = 1; i <= PEERS_LIVE_MAX; i++) peers_hold(lua, intern(lua, i));
    assert_int_equal(intern(lua, PEERS_LIVE_MAX + 1), PEER_NONE);
    peers_release(lua, intern(lua, 5));
    assert_int_not_equal(intern(lua, PEERS_LIVE_MAX + 1), PEER_NONE);
    /* A world needs its own nodes beside. */
    lua->place_count = 1;
    assert_int_not_equal(intern(lua, PEERS_LIVE_MAX + 2), PEER_NONE);
    close_table(lua);
}

static void test_a_handle_of_a_forgotten_peer_is_nobody(void **state)
{
    weir_lua *lua = open_table();
    struct script script = {.lua = lua};
    struct vm_options options = {0};
    struct vm *vm = vm_open(&options);
    lua_State *L = vm_main(vm);
    uint32_t peer = intern(lua, 1);

    (void)state;
    vm_set_user(vm, &script);
    peers_push(L, lua, peer);
    peers_push(L, lua, intern(lua, 1));
    assert_true(lua_rawequal(L, -1, -2));
    assert_int_equal(peers_get(L, -1), peer);
    for (uint32_t i = 2; i < PEERS_LIVE_MAX + 2; i++) intern(lua, i);
    assert_non_null(peers_id(lua, peer)); /* somebody else has the number now */
    assert_int_equal(peers_get(L, -1), PEER_NONE);
    peers_push(L, lua, peer);
    assert_false(lua_rawequal(L, -1, -2));
    lua_pushlightuserdata(L, (void *)UINTPTR_MAX);
    assert_int_equal(peers_get(L, -1), PEER_NONE);
    lua_pushinteger(L, 1);
    assert_int_equal(peers_get(L, -1), PEER_NONE);
    vm_close(vm);
    close_table(lua);
}

/* ---- places */

struct waiting {
    struct dial_wait wait;
    uint32_t answers;
    uint64_t connection;
    int32_t error;
};

static void on_answer(struct dial_wait *w, uint64_t connection, int32_t error, const char *text)
{
    struct waiting *waiting = list_entry(w, struct waiting, wait);

    assert_non_null(text);
    waiting->answers++;
    waiting->connection = connection;
    waiting->error = error;
}

static const char idle[] = "local G = game 'idle/1' { serve = 1, v = view { cap = 2 } } return G";

static void open_idle(struct worlds *w, uint32_t count)
{
    worlds_open(w, count, 3, idle);
    for (uint32_t i = 1; i <= count; i++) worlds_attach(w, i, NULL, 0);
}

static void test_all_who_want_a_peer_wait_for_one_dial(void **state)
{
    struct waiting waits[4];
    struct worlds w;
    struct place *place;
    weir_node_statistics statistics = {.size = sizeof statistics};

    (void)state;
    open_idle(&w, 2);
    place = place_find(w.lua, 1);
    memset(waits, 0, sizeof waits);
    for (size_t i = 0; i < 4; i++) waits[i].wait.on_answer = on_answer;
    peers_heard(w.lua, w.peers[2], worlds_address(&w, 2), strlen(worlds_address(&w, 2)),
                w.peers[1]);
    place_dial_address(place, worlds_address(&w, 2), &waits[0].wait);
    place_dial(place, w.peers[2], true, &waits[1].wait);
    place_dial(place, w.peers[2], false, &waits[2].wait);
    place_dial(place, w.peers[2], false, &waits[3].wait);
    dial_wait_cancel(&waits[3].wait);
    worlds_run(&w, worlds_second_us);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(waits[i].answers, 1);
        assert_int_equal(waits[i].error, 0);
        assert_true(waits[i].connection == place_connection(place, w.peers[2]));
    }
    assert_int_equal(waits[3].answers, 0);
    assert_int_equal(weir_node_get_statistics(w.nodes[1], &statistics), 0);
    assert_int_equal(place_peer_of(place, waits[0].connection), w.peers[2]);
    assert_int_equal(
        place_peer_of(place_find(w.lua, 2), place_connection(place_find(w.lua, 2), w.peers[1])),
        w.peers[1]);
    place_dial(place, w.peers[2], false, &waits[3].wait);
    assert_int_equal(waits[3].answers, 1);
    place_dial_address(place, worlds_address(&w, 2), &waits[3].wait);
    worlds_run(&w, worlds_second_us);
    assert_int_equal(waits[3].answers, 2);
    assert_int_equal(waits[3].error, 0);
    worlds_close(&w);
}

static void test_a_peer_that_cannot_be_reached_is_left_alone_for_a_while(void **state)
{
    struct waiting wait = {.wait.on_answer = on_answer};
    struct worlds w;
    struct place *place;
    uint32_t nobody;
    uint64_t begun;

    (void)state;
    open_idle(&w, 2);
    place = place_find(w.lua, 1);
    nobody = intern(w.lua, 77);
    place_dial(place, nobody, false, &wait.wait);
    assert_int_equal(wait.answers, 1);
    assert_int_equal(wait.error, WEIR_E_NOT_FOUND);
    place_dial(place, nobody, false, &wait.wait);
    assert_int_equal(wait.error, WEIR_E_UNREACHABLE);
    place_dial(place, nobody, true, &wait.wait);
    assert_int_equal(wait.error, WEIR_E_NOT_FOUND);
    for (int i = 0; i < 20; i++) place_dial(place, nobody, true, &wait.wait);
    worlds_run(&w, 300 * worlds_second_us);
    place_dial(place, nobody, false, &wait.wait);
    assert_int_equal(wait.error, WEIR_E_NOT_FOUND);
    /* One that was there once. */
    place_dial_address(place, worlds_address(&w, 2), &wait.wait);
    worlds_run(&w, worlds_second_us);
    assert_int_equal(wait.error, 0);
    weir_node_close(w.nodes[2]);
    worlds_run(&w, 60 * worlds_second_us);
    assert_int_equal(place_connection(place, w.peers[2]), 0);
    wait.answers = 0;
    begun = weir_world_now(w.world);
    place_dial(place, w.peers[2], false, &wait.wait);
    for (int i = 0; i < 100 && wait.answers == 0; i++) worlds_run(&w, worlds_second_us / 4);
    assert_int_equal(wait.answers, 1);
    assert_true(wait.error < 0 && weir_world_now(w.world) - begun <= 9 * worlds_second_us);
    worlds_close(&w);
}

static void test_wishes_that_cannot_come_true_are_answered_at_once(void **state)
{
    struct waiting wait = {.wait.on_answer = on_answer};
    struct worlds w;
    struct place *place;

    (void)state;
    open_idle(&w, 1);
    place = place_find(w.lua, 1);
    place_dial(place, PEER_NONE, true, &wait.wait);
    assert_int_equal(wait.error, WEIR_E_NOT_FOUND);
    place_dial(place, place->me, true, &wait.wait);
    assert_int_equal(wait.error, WEIR_E_PEER_ID);
    place_dial_address(place, "no address at all", &wait.wait);
    assert_int_equal(wait.error, WEIR_E_ADDRESS);
    place_wait_room(place, 12345, &wait.wait);
    assert_int_equal(wait.error, WEIR_E_NOT_CONNECTED);
    assert_int_equal(wait.answers, 4);
    assert_int_equal(place_peer_of(place, 12345), PEER_NONE);
    worlds_close(&w);
}

static void test_who_waits_is_answered_when_the_place_ends(void **state)
{
    struct waiting wait = {.wait.on_answer = on_answer}, room = {.wait.on_answer = on_answer};
    struct worlds w;
    struct place *place;

    (void)state;
    open_idle(&w, 3);
    place = place_find(w.lua, 1);
    place_dial_address(place, worlds_address(&w, 2), &room.wait);
    worlds_run(&w, worlds_second_us);
    place_wait_room(place, room.connection, &room.wait);
    place_dial_address(place, worlds_address(&w, 3), &wait.wait);
    assert_int_equal(weir_lua_detach(w.lua, w.nodes[1]), 0);
    assert_int_equal(wait.error, WEIR_E_CLOSED);
    assert_int_equal(room.error, WEIR_E_CLOSED);
    assert_int_equal(room.answers, 2);
    worlds_close(&w);
}

/* What a peer is on the wire, seen from a place. */
static unsigned taken(struct place *place, uint32_t peer, char addresses[3][128])
{
    struct peer_wire wire = {.place = place};
    struct cbor_peers peers;
    lua_State *L = vm_main(place->lua->scripts[0]->vm);
    uint8_t id[64];
    size_t id_len = 0;
    unsigned count = 0;

    peers_wire(&wire, &peers);
    peers_push(L, place->lua, peer);
    assert_true(peers.take(peers.context, L, -1, id, &id_len, addresses, &count));
    lua_pop(L, 1);
    assert_int_equal(id_len, 38);
    return count;
}

static void test_at_most_three_addresses_are_remembered_of_a_peer(void **state)
{
    static const char *const told[] = {
        "/ip4/192.0.2.1/udp/1",    "/ip4/192.0.2.2/udp/2", "/ip4/192.0.2.1/udp/1", "nonsense",
        "192.0.2.4:4,192.0.2.5:5", "192.0.2.3:3",          "192.0.2.6:6",
    };
    char addresses[3][128];
    struct worlds w;
    struct place *place;
    uint32_t peer;

    (void)state;
    open_idle(&w, 1);
    place = place_find(w.lua, 1);
    peer = intern(w.lua, 5);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        peers_heard(w.lua, peer, told[i], strlen(told[i]), w.peers[1]);
    peers_heard(w.lua, peer, "/ip4/192.0.2.9\0/udp/9", 21, w.peers[1]);
    peers_heard(w.lua, peer, "192.0.2.8:8", 11, PEER_NONE);
    assert_int_equal(taken(place, peer, addresses), 3);
    assert_non_null(strstr(addresses[0], "192.0.2.6"));
    assert_non_null(strstr(addresses[1], "192.0.2.3"));
    assert_non_null(strstr(addresses[2], "192.0.2.1/"));
    assert_int_equal(taken(place, place->me, addresses), 1);
    assert_null(strstr(addresses[0], "/p2p/"));
    worlds_close(&w);
}

static void test_who_dialled_us_can_be_passed_on(void **state)
{
    struct waiting wait = {.wait.on_answer = on_answer};
    char addresses[3][128];
    struct worlds w;

    (void)state;
    open_idle(&w, 2);
    place_dial_address(place_find(w.lua, 1), worlds_address(&w, 2), &wait.wait);
    worlds_run(&w, worlds_second_us);
    assert_int_equal(taken(place_find(w.lua, 2), w.peers[1], addresses), 1);
    assert_non_null(strstr(worlds_address(&w, 1), addresses[0]));
    worlds_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_id_is_one_number),
        cmocka_unit_test(test_what_is_not_held_goes_oldest_first),
        cmocka_unit_test(test_a_table_of_held_peers_is_full),
        cmocka_unit_test(test_a_handle_of_a_forgotten_peer_is_nobody),
        cmocka_unit_test(test_all_who_want_a_peer_wait_for_one_dial),
        cmocka_unit_test(test_a_peer_that_cannot_be_reached_is_left_alone_for_a_while),
        cmocka_unit_test(test_wishes_that_cannot_come_true_are_answered_at_once),
        cmocka_unit_test(test_who_waits_is_answered_when_the_place_ends),
        cmocka_unit_test(test_at_most_three_addresses_are_remembered_of_a_peer),
        cmocka_unit_test(test_who_dialled_us_can_be_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
