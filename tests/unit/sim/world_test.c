/* SPDX-License-Identifier: MIT */
/* Goal: a world gives each node its inputs in one order (time, node, sequence), takes no virtual
 * time for calls of the application, stops where an event is, and is the same for the same seed.
 * Method: scripted nodes (fake_node.h) that write a common diary, compared as text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/secret.h"
#include "sim/world.h"
#include "unit/sim/fake_node.h"

static struct world *world_make(const struct mem *mem, uint32_t fidelity, uint64_t seed)
{
    struct world_config config = {.mem = mem, .seed = seed, .fidelity = fidelity};
    struct world *w = NULL;

    fake_diary[0] = '\0';
    assert_int_equal(world_open(&config, &w), 0);
    return w;
}

static struct node *add(struct world *w)
{
    struct node_config config = {.network = NULL};
    struct node *node = NULL;

    assert_int_equal(world_add_node(w, &config, &node), 0);
    return node;
}

/* As an ABI call on the node does it: ask for the time, then change something. */
static void touch(struct node *node)
{
    (void)node->config.driver->now_us(node->config.driver_context);
}

static void call_send(struct node *from, const struct node *to, const char *text)
{
    touch(from);
    fake_send(from, &to->listens, text);
}

static void clear_turns(struct world *w)
{
    assert_int_equal(world_run(w, world_now(w)), 0);
    fake_diary[0] = '\0';
}

static void test_nodes_listen_on_the_address_of_their_number(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct endpoint want = endpoint_ip4(10, 0, 1, 44, 4001);
    struct node *node = NULL;
    uint32_t i;

    (void)state;
    for (i = 0; i < 300; i++) node = add(w);
    assert_int_equal(node->number, 300);
    assert_true(endpoint_equal(&node->listens, &want));
    world_free(w);
    w = world_make(mem_system(), WEIR_FIDELITY_MESSAGE, 1);
    add(w);
    assert_int_equal(endpoint_memory_number(&add(w)->listens), 2);
    world_free(w);
}

static void test_touched_nodes_get_one_turn_in_the_order_of_their_numbers(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w), *c = add(w);

    (void)state;
    assert_int_equal(world_run(w, 0), 0);
    assert_string_equal(fake_diary, "1:turn@1000000 2:turn@1000000 3:turn@1000000");
    fake_diary[0] = '\0';
    touch(c);
    touch(a);
    touch(c);
    assert_int_equal(world_run(w, 0), 0);
    assert_string_equal(fake_diary, "1:turn@1000000 3:turn@1000000");
    /* Who was not called gets none, and what the engine itself asked is no call. */
    fake_diary[0] = '\0';
    assert_int_equal(world_run(w, 0), 0);
    assert_string_equal(fake_diary, "");
    (void)b;
    world_free(w);
}

static void test_what_was_written_leaves_with_the_turn_and_is_answered(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w);

    (void)state;
    clear_turns(w);
    call_send(a, b, "ping");
    assert_null(network_first(&w->network));
    assert_int_equal(world_run(w, 1500000), 0);
    assert_string_equal(fake_diary, "1:turn@1000000 2:ping@1010000 1:pong@1020000");
    assert_int_equal(world_now(w), 1500000);
    world_free(w);
}

static void test_a_flush_sends_at_once(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w);

    (void)state;
    clear_turns(w);
    call_send(a, b, "ping");
    a->config.driver->flush(a->config.driver_context);
    assert_non_null(network_first(&w->network));
    assert_string_equal(fake_diary, "");
    world_free(w);
}

static void test_one_instant_is_ordered_by_node_and_deadlines_follow_arrivals(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w), *c = add(w);

    (void)state;
    clear_turns(w);
    call_send(c, b, "one");
    call_send(c, b, "two");
    call_send(c, a, "three");
    touch(a);
    a->deadline_us = 1010000;
    touch(b);
    b->deadline_us = 1010000;
    assert_int_equal(world_run(w, 1010000), 0);
    assert_string_equal(fake_diary, "1:turn@1000000 2:turn@1000000 3:turn@1000000 "
                                    "1:three@1010000 1:deadline@1010000 "
                                    "2:one@1010000 2:two@1010000 2:deadline@1010000");
    world_free(w);
}

static void test_a_run_finishes_the_instant_of_an_event_and_stops(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w), *c = add(w);
    weir_event events[8];

    (void)state;
    clear_turns(w);
    call_send(a, b, "event");
    call_send(a, c, "e");
    touch(a);
    a->deadline_us = 1010001;
    assert_int_equal(world_run(w, 9000000), 1);
    assert_int_equal(world_now(w), 1010000);
    assert_string_equal(fake_diary, "1:turn@1000000 2:event@1010000 3:e@1010000");
    /* Not drained: nothing moves on. */
    assert_int_equal(world_run(w, 9000000), 1);
    assert_int_equal(world_now(w), 1010000);
    assert_int_equal(world_poll(w, 0, events, 8), 2);
    assert_int_equal(events[0].node, 2);
    assert_int_equal(events[0].amount, 5);
    assert_int_equal(events[1].node, 3);
    assert_int_equal(events[1].time_us, 1010000);
    assert_int_equal(world_poll(w, 0, events, 8), 0);
    /* Those whose events were taken get a turn: their ended handles go stale. */
    fake_diary[0] = '\0';
    assert_int_equal(world_run(w, 9000000), 0);
    assert_string_equal(fake_diary, "2:turn@1010000 3:turn@1010000 1:deadline@1010001");
    world_free(w);
}

static void test_a_small_array_gets_the_events_in_pieces(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w);
    weir_event events[2];

    (void)state;
    clear_turns(w);
    touch(b);
    fake_event(b, WEIR_EVENT_READABLE, 4, 1000000);
    touch(a);
    fake_event(a, WEIR_EVENT_READABLE, 1, 1000000);
    fake_event(a, WEIR_EVENT_READABLE, 2, 1000000);
    fake_event(a, WEIR_EVENT_READABLE, 3, 1000000);
    /* Made by calls, without a run between. */
    assert_int_equal(world_poll(w, 0, events, 0), 0);
    assert_int_equal(world_poll(w, 0, events, 2), 2);
    assert_int_equal(events[0].amount, 1);
    assert_int_equal(events[1].amount, 2);
    assert_int_equal(world_poll(w, 0, events, 2), 2);
    assert_int_equal(events[0].amount, 3);
    assert_int_equal(events[1].amount, 4);
    assert_int_equal(events[1].node, 2);
    assert_int_equal(world_poll(w, 0, events, 2), 0);
    assert_int_equal(world_poll(w, 1, events, 2), WEIR_E_ARGUMENT);
    world_free(w);
}

static void test_an_event_that_vanished_does_not_stop_the_run(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w);
    weir_event events[1];

    (void)state;
    clear_turns(w);
    touch(a);
    fake_event(a, WEIR_EVENT_READABLE, 1, 1000000);
    assert_int_equal(world_run(w, 2000000), 1);
    a->events_count = 0;
    assert_int_equal(world_run(w, 2000000), 0);
    assert_int_equal(world_now(w), 2000000);
    assert_int_equal(world_poll(w, 0, events, 1), 0);
    world_free(w);
}

static void test_without_an_end_the_clock_stops_at_the_last_happening(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w);

    (void)state;
    touch(a);
    a->deadline_us = 5000000;
    a->repeat_us = 1000000;
    a->repeats = 2;
    assert_int_equal(world_run(w, WEIR_NONE), 0);
    assert_int_equal(world_now(w), 7000000);
    /* The past cannot be run to. */
    assert_int_equal(world_run(w, 1), 0);
    assert_int_equal(world_now(w), 7000000);
    world_free(w);
}

static void test_a_deadline_that_stays_due_lets_the_clock_move(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w);

    (void)state;
    clear_turns(w);
    touch(a);
    a->deadline_us = 999; /* in the past */
    a->repeat_us = 0;
    a->repeats = 2;
    assert_int_equal(world_run(w, 2000000), 0);
    assert_string_equal(fake_diary, "1:turn@1000000 1:deadline@1000000 1:deadline@1000001 "
                                    "1:deadline@1000002");
    world_free(w);
}

static void ask(struct node *node, const char *name, uint64_t token)
{
    touch(node);
    assert_int_equal(node->config.driver->resolve(node->config.driver_context, name, token), 0);
}

static void test_names_of_nodes_resolve_at_the_same_instant(void **state)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = {{"n2", 0},
                 {"node2", 0},
                 {"n3", WEIR_E_HOST_UNKNOWN},
                 {"n02", WEIR_E_HOST_UNKNOWN},
                 {"n", WEIR_E_HOST_UNKNOWN},
                 {"n2x", WEIR_E_HOST_UNKNOWN},
                 {"n99999999999", WEIR_E_HOST_UNKNOWN},
                 {"example", WEIR_E_HOST_UNKNOWN},
                 {"", WEIR_E_HOST_UNKNOWN}};
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct endpoint two = endpoint_ip4(10, 0, 0, 2, 0);
    struct node *a = add(w);
    size_t i;

    (void)state;
    add(w);
    clear_turns(w);
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_diary[0] = '\0';
        ask(a, cases[i].name, 70 + i);
        assert_int_equal(world_run(w, 1000000), 0);
        assert_string_equal(fake_diary, "1:turn@1000000 1:resolved@1000000");
        assert_int_equal(a->resolved.resolved.token, 70 + i);
        assert_int_equal(a->resolved.resolved.error, cases[i].error);
        assert_int_equal(a->resolved.resolved.count, cases[i].error == 0 ? 1 : 0);
        if (cases[i].error == 0) assert_true(endpoint_equal(&a->resolved_first, &two));
    }
    world_free(w);
}

static void test_a_registered_name_has_its_addresses_and_its_delay(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct endpoint both[2] = {world_address(2, ENDPOINT_IP6, 0), endpoint_ip4(10, 0, 0, 2, 0)};
    struct node *a = add(w);

    (void)state;
    clear_turns(w);
    assert_int_equal(world_add_name(w, "both.test", both, 2, 300), 0);
    assert_int_equal(world_add_name(w, "both.test", both, 1, 0), WEIR_E_EXISTS);
    assert_int_equal(world_add_name(w, "", both, 1, 0), WEIR_E_NAME);
    assert_int_equal(world_add_name(w, "nowhere.test", NULL, 0, 0), 0);
    ask(a, "both.test", 1);
    ask(a, "both.test", 2);
    ask(a, "nowhere.test", 3);
    a->config.driver->resolve_cancel(a->config.driver_context, 1);
    a->config.driver->resolve_cancel(a->config.driver_context, 99);
    assert_int_equal(world_run(w, 1000000), 0);
    assert_int_equal(a->resolved.resolved.error, WEIR_E_HOST_UNKNOWN);
    assert_int_equal(world_run(w, 2000000), 0);
    assert_string_equal(fake_diary, "1:turn@1000000 1:resolved@1000000 1:resolved@1000300");
    assert_int_equal(a->resolved.resolved.token, 2);
    assert_int_equal(a->resolved.resolved.count, 2);
    assert_true(a->resolved.resolved.ip6_first);
    assert_true(endpoint_equal(&a->resolved_first, &both[0]));
    world_free(w);
}

static void test_sockets_are_chosen_and_refused_as_a_system_does(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    const struct endpoint any = endpoint_ip4(0, 0, 0, 0, 0), port = endpoint_ip4(0, 0, 0, 0, 4001);
    const struct endpoint memory = endpoint_memory(7), six = world_address(9, ENDPOINT_IP6, 1);
    const struct endpoint remote = endpoint_ip4(10, 0, 0, 9, 1);
    struct endpoint got, first;
    weir_error error = {.size = sizeof error};
    struct node *a = add(w);
    void *context = a->config.driver_context;
    uint32_t socket, again;

    (void)state;
    assert_int_equal(world_driver.listen(context, &any, &got, &socket, &error), 0);
    assert_true(endpoint_same_host(&got, &a->listens));
    assert_int_equal(got.port, 49152);
    first = got;
    assert_int_equal(world_driver.listen(context, &any, &got, &socket, NULL), 0);
    assert_int_not_equal(got.port, first.port);
    assert_int_equal(world_driver.listen(context, &port, &got, &socket, &error),
                     WEIR_E_ADDRESS_IN_USE);
    assert_non_null(strstr(error.detail, "4001"));
    assert_int_equal(world_driver.listen(context, &memory, &got, &socket, &error), WEIR_E_SOCKET);
    /* Dialling uses the first address of the family, or a new one. */
    assert_int_equal(world_driver.dial_socket(context, &remote, &socket), 0);
    assert_int_equal(socket, a->socket);
    assert_int_equal(world_driver.dial_socket(context, &six, &socket), 0);
    assert_int_equal(world_driver.dial_socket(context, &six, &again), 0);
    assert_int_equal(socket, again);
    assert_int_equal(world_driver.dial_socket(context, &memory, &socket), WEIR_E_UNREACHABLE);
    assert_int_equal(world_driver.poll(context, NULL, 0, 0), WEIR_E_STATE);
    assert_int_equal(world_driver.fd(context), WEIR_E_STATE);
    assert_int_equal(world_driver.wake(context), 0);
    world_free(w);
}

static void test_a_closed_node_hears_and_says_nothing_more(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w);
    weir_event events[4];

    (void)state;
    clear_turns(w);
    call_send(a, b, "event");
    touch(b);
    b->deadline_us = 1005000;
    ask(b, "n1", 5);
    fake_event(b, WEIR_EVENT_READABLE, 1, 1000000);
    node_close(b);
    world_driver.close(b->config.driver_context);
    world_driver.close(b->config.driver_context);
    touch(b);
    assert_int_equal(world_poll(w, 0, events, 4), 0);
    assert_int_equal(world_run(w, 3000000), 0);
    assert_string_equal(fake_diary, "1:turn@1000000");
    assert_int_equal(w->network.count[VERDICT_NO_ROUTE], 1);
    world_free(w);
}

static void test_events_of_a_node_that_was_closed_meanwhile_are_not_told(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct node *a = add(w), *b = add(w);
    weir_event events[4];

    (void)state;
    clear_turns(w);
    call_send(b, a, "event");
    call_send(a, b, "event");
    assert_int_equal(world_run(w, 2000000), 1);
    node_close(a);
    world_driver.close(a->config.driver_context);
    assert_int_equal(world_poll(w, 0, events, 4), 1);
    assert_int_equal(events[0].node, 2);
    world_free(w);
}

static void test_a_stranger_can_be_played(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct endpoint nobody = endpoint_ip4(192, 0, 2, 1, 9);
    weir_link_options options = {.size = sizeof options, .delay_us_plus1 = 6, .one_way = 1};
    struct node *a = add(w), *b = add(w);

    (void)state;
    clear_turns(w);
    assert_int_equal(world_link(w, 1, 2, &options), 0);
    world_inject(w, &nobody, &b->listens, "boo", 3);
    world_inject(w, &a->listens, &b->listens, "spoof", 5);
    assert_int_equal(world_run(w, 2000000), 0);
    assert_string_equal(fake_diary, "2:spoof@1000005 2:boo@1010000");
    world_free(w);
}

static void test_links_are_for_nodes_that_exist(void **state)
{
    struct world *w = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    weir_link_options options = {.size = sizeof options};

    (void)state;
    add(w);
    assert_int_equal(world_link(w, 1, 1, &options), 0);
    assert_int_equal(world_link(w, 0, 0, &options), 0);
    assert_int_equal(world_link(w, 1, 2, &options), WEIR_E_ARGUMENT);
    assert_int_equal(world_link(w, UINT64_C(1) << 32 | 1, 1, &options), WEIR_E_ARGUMENT);
    world_free(w);
}

static void test_keys_and_secrets_come_from_the_seed(void **state)
{
    struct world *one = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct world *same = world_make(mem_system(), WEIR_FIDELITY_PACKET, 1);
    struct world *other = world_make(mem_system(), WEIR_FIDELITY_PACKET, 2);
    struct node *a = add(one), *b = add(one), *c = add(same), *d = add(other);
    uint8_t x[32], y[32];

    (void)state;
    assert_true(peer_id_equal(&a->key.id, &c->key.id));
    assert_false(peer_id_equal(&a->key.id, &b->key.id));
    assert_false(peer_id_equal(&a->key.id, &d->key.id));
    entropy_fill(&a->config.entropy, x, sizeof x);
    entropy_fill(&c->config.entropy, y, sizeof y);
    assert_memory_equal(x, y, sizeof x);
    entropy_fill(&b->config.entropy, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
    entropy_fill(&d->config.entropy, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
    assert_ptr_equal(a->config.metrics, b->config.metrics);
    assert_ptr_equal(a->config.log, b->config.log);
    assert_ptr_not_equal(a->config.metrics, c->config.metrics);
    world_free(one);
    world_free(same);
    world_free(other);
}

/* Pings under loss and jitter, with events and deadlines. @return the trace hash, 0: no memory */
static uint64_t play(const struct mem *mem, uint64_t seed, uint32_t fidelity)
{
    struct world_config config = {.mem = mem, .seed = seed, .fidelity = fidelity};
    struct node_config node = {.network = NULL};
    weir_link_options options = {.size = sizeof options, .loss_ppm = 200000, .jitter_us = 5000};
    struct node *nodes[5];
    struct world *w;
    uint64_t hash = 0;
    uint32_t i;

    fake_diary[0] = '\0';
    if (world_open(&config, &w) != 0) return 0;
    for (i = 0; i < 5; i++) {
        if (world_add_node(w, &node, &nodes[i]) != 0) goto out;
    }
    if (world_link(w, 0, 0, &options) != 0) goto out;
    for (i = 0; i < 40; i++) {
        weir_event events[2];

        call_send(nodes[i % 5], nodes[(i * 3 + 1) % 5], i % 7 == 0 ? "event" : "ping");
        (void)nodes[0]->config.driver->resolve(nodes[0]->config.driver_context, "n1", i);
        fake_diary[0] = '\0';
        while (world_run(w, 1000000 + (uint64_t)i * 3000) > 0) (void)world_poll(w, 0, events, 2);
    }
    hash = world_hash(w);
out:
    world_free(w);
    return hash;
}

static void test_one_seed_is_one_trace(void **state)
{
    uint64_t hash = play(mem_system(), 1, WEIR_FIDELITY_PACKET);

    (void)state;
    assert_int_not_equal(hash, 0);
    assert_int_equal(play(mem_system(), 1, WEIR_FIDELITY_PACKET), hash);
    assert_int_not_equal(play(mem_system(), 2, WEIR_FIDELITY_PACKET), hash);
    assert_int_not_equal(play(mem_system(), 1, WEIR_FIDELITY_MESSAGE), hash);
}

static void test_all_memory_comes_back_and_any_allocation_may_fail(void **state)
{
    struct mem_counter counter;
    uint64_t calls, at;

    (void)state;
    mem_counter_init(&counter, mem_system());
    assert_int_not_equal(play(&counter.mem, 1, WEIR_FIDELITY_PACKET), 0);
    assert_int_equal(counter.live_bytes, 0);
    calls = counter.calls;
    for (at = 1; at <= calls; at++) {
        mem_counter_init(&counter, mem_system());
        counter.fail_at = at;
        (void)play(&counter.mem, 1, WEIR_FIDELITY_PACKET);
        assert_int_equal(counter.live_bytes, 0);
    }
}

static void test_a_node_that_cannot_be_added_leaves_nothing(void **state)
{
    struct mem_counter counter;
    struct node_config config = {.network = NULL};
    struct node *node;
    struct world *w;
    uint64_t at, live;

    (void)state;
    mem_counter_init(&counter, mem_system());
    w = world_make(&counter.mem, WEIR_FIDELITY_PACKET, 1);
    for (at = 1;; at++) {
        live = counter.live_blocks;
        counter.fail_at = at;
        if (world_add_node(w, &config, &node) == 0) break;
        /* Only the room for nodes may have grown. */
        assert_true(counter.live_blocks <= live + 5);
        assert_int_equal(w->count, 0);
    }
    assert_true(at >= 6);
    counter.fail_at = 0;
    assert_int_equal(node->number, 1);
    assert_true(endpoint_equal(
        &node->listens,
        &(struct endpoint){.family = ENDPOINT_IP4, .port = 4001, .bytes = {10, 0, 0, 1}}));
    world_free(w);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_ten_thousand_nodes_are_cheap(void **state)
{
    struct mem_counter counter, node_memory;
    struct node_config config = {.mem = &node_memory.mem};
    struct node *node = NULL;
    struct world *w;
    uint32_t i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    mem_counter_init(&node_memory, mem_system());
    w = world_make(&counter.mem, WEIR_FIDELITY_MESSAGE, 1);
    for (i = 0; i < 10000; i++) assert_int_equal(world_add_node(w, &config, &node), 0);
    assert_true(counter.live_bytes < 65536 + 10000 * 512);
    assert_int_equal(world_run(w, 2000000), 0);
    world_free(w);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(node_memory.live_bytes, 0);
}

static int prepare(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_listen_on_the_address_of_their_number),
        cmocka_unit_test(test_touched_nodes_get_one_turn_in_the_order_of_their_numbers),
        cmocka_unit_test(test_what_was_written_leaves_with_the_turn_and_is_answered),
        cmocka_unit_test(test_a_flush_sends_at_once),
        cmocka_unit_test(test_one_instant_is_ordered_by_node_and_deadlines_follow_arrivals),
        cmocka_unit_test(test_a_run_finishes_the_instant_of_an_event_and_stops),
        cmocka_unit_test(test_a_small_array_gets_the_events_in_pieces),
        cmocka_unit_test(test_an_event_that_vanished_does_not_stop_the_run),
        cmocka_unit_test(test_without_an_end_the_clock_stops_at_the_last_happening),
        cmocka_unit_test(test_a_deadline_that_stays_due_lets_the_clock_move),
        cmocka_unit_test(test_names_of_nodes_resolve_at_the_same_instant),
        cmocka_unit_test(test_a_registered_name_has_its_addresses_and_its_delay),
        cmocka_unit_test(test_sockets_are_chosen_and_refused_as_a_system_does),
        cmocka_unit_test(test_a_closed_node_hears_and_says_nothing_more),
        cmocka_unit_test(test_events_of_a_node_that_was_closed_meanwhile_are_not_told),
        cmocka_unit_test(test_a_stranger_can_be_played),
        cmocka_unit_test(test_links_are_for_nodes_that_exist),
        cmocka_unit_test(test_keys_and_secrets_come_from_the_seed),
        cmocka_unit_test(test_one_seed_is_one_trace),
        cmocka_unit_test(test_all_memory_comes_back_and_any_allocation_may_fail),
        cmocka_unit_test(test_a_node_that_cannot_be_added_leaves_nothing),
        cmocka_unit_test(test_ten_thousand_nodes_are_cheap),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
