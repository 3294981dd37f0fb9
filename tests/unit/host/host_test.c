/* SPDX-License-Identifier: MIT */
/* Goal: a host drives its node over its sockets: datagrams go in and out, nothing starves,
 * listening and dialling answer in sentences. Method: real loopback sockets, a fake node that keeps
 * what it is given, and a few system calls that refuse when told to. */
#include "side.h"
#include "host/resolve.h"

static bool has_ip6(void)
{
    const struct endpoint loopback = {.family = ENDPOINT_IP6, .bytes = {[15] = 1}};

    return udp_socket_route(host_calls_system(), &loopback) == 0;
}

static void test_a_run_travels_from_one_node_to_another(void **state)
{
    const struct fake_input *in;
    size_t got = 0;
    uint32_t i = 0;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &there.at, 5000, 1200, 7);
    assert_int_equal(side_poll(&here, 0), 0);
    while (got < 5000) {
        assert_true(side_poll(&there, -1) >= 1);
        while ((in = fake_input_of(&there.node, NODE_INPUT_DATAGRAM, i)) != NULL) {
            assert_int_equal(in->first, 7);
            assert_int_equal(in->socket, there.socket);
            assert_true(endpoint_equal(&in->remote, &here.at));
            assert_true(endpoint_equal(&in->local, &there.at));
            assert_true(in->segment == 0 ? in->len <= 1200 : in->segment == 1200);
            got += in->len;
            i++;
        }
    }
    assert_int_equal(got, 5000);
    assert_int_equal(here.node.kinds[NODE_INPUT_TURN], 1);
}

static void test_flush_sends_without_a_turn(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &there.at, 10, 10, 1);
    host_driver.flush(here.host);
    assert_int_equal(side_poll(&there, -1), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_TURN], 0);
}

static void test_a_burst_to_many_peers_leaves_at_once_and_in_order(void **state)
{
    enum { PEERS = 8, EACH = 7 };
    int fds[PEERS];
    unsigned i;

    (void)state;
    side_listen(&here, "0.0.0.0:0");
    for (i = 0; i < PEERS; i++) fds[i] = plain_socket(AF_INET);
    for (i = 0; i < PEERS * EACH; i++) {
        struct sockaddr_in name = {.sin_family = AF_INET};
        socklen_t len = sizeof name;
        struct endpoint to;

        (void)bind(fds[i % PEERS], (struct sockaddr *)&name, i < PEERS ? len : 0);
        assert_int_equal(getsockname(fds[i % PEERS], (struct sockaddr *)&name, &len), 0);
        to = endpoint_ip4(127, 0, 0, 1, ntohs(name.sin_port));
        fake_send(&here.node, here.socket, &to, 40 + i, 40 + i, (uint8_t)i);
    }
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(here.node.metrics.value[METRIC_SEND_CALLS], PEERS * EACH);
    for (i = 0; i < PEERS * EACH; i++) {
        uint8_t bytes[128];

        wait_readable(fds[i % PEERS]);
        assert_int_equal(recv(fds[i % PEERS], bytes, sizeof bytes, 0), 40 + i);
        assert_int_equal(bytes[0], i);
    }
    for (i = 0; i < PEERS; i++) (void)close(fds[i]);
}

static void test_a_full_socket_stops_the_asking_and_loses_nothing(void **state)
{
    uint8_t i;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    for (i = 0; i < 5; i++) fake_send(&here.node, here.socket, &there.at, 100, 100, i);
    refuse.send_errno = EAGAIN;
    refuse.times = 2;
    host_driver.flush(here.host);
    assert_int_equal(here.node.asked, 1);
    host_driver.flush(here.host); /* the same run is tried again, and no other */
    assert_int_equal(here.node.asked, 1);
    assert_int_equal(here.node.metrics.value[METRIC_SEND_BLOCKED], 2);
    assert_int_equal(side_poll(&here, 0), 0);
    while (there.node.kinds[NODE_INPUT_DATAGRAM] < 5) (void)side_poll(&there, -1);
    for (i = 0; i < 5; i++) {
        assert_int_equal(fake_input_of(&there.node, NODE_INPUT_DATAGRAM, i)->first, i);
    }
    assert_int_equal(here.node.metrics.value[METRIC_SEND_ERRORS], 0);
}

static void test_want_of_buffers_is_tried_again_after_a_while(void **state)
{
    uint64_t start_us = clock_now_us();

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    refuse.send_errno = ENOBUFS;
    refuse.times = 2;
    assert_int_equal(side_poll(&here, -1), 1); /* its own datagram comes back to it */
    assert_true(clock_now_us() - start_us >= 2000);
    assert_int_equal(here.node.metrics.value[METRIC_SEND_BLOCKED], 2);
}

static void test_a_deadline_that_stays_due_while_blocked_does_not_spin(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    here.node.is_silent = true;
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    refuse.send_errno = ENOBUFS;
    refuse.times = 1000;
    host_driver.flush(here.host);
    here.node.deadline_us = 1;
    (void)side_poll(&here, 20000);
    /* About one call a millisecond, not as many as fit. */
    assert_true(here.node.metrics.value[METRIC_SEND_CALLS] <= 25);
}

static void test_what_waits_for_a_closed_socket_is_dropped(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    refuse.send_errno = EAGAIN;
    refuse.times = 1;
    host_driver.flush(here.host);
    host_driver.unlisten(here.host, here.socket);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(here.node.asked, 4); /* the first, the second, twice none */
    assert_int_equal(here.node.metrics.value[METRIC_SEND_ERRORS], 1);
}

static void test_a_flood_on_one_socket_leaves_room_for_the_others(void **state)
{
    struct host_options options = {.offload_off = true};
    struct endpoint quiet, flooded;
    uint32_t quiet_socket, flooded_socket, i, from_flood = 0, from_quiet = 0;
    int fd = plain_socket(AF_INET);

    (void)state;
    side_close(&here);
    side_open(&here, &options);
    here.node.is_silent = true;
    side_listen(&here, "127.0.0.1:0");
    flooded = here.at;
    flooded_socket = here.socket;
    side_listen(&here, "127.0.0.1:0");
    quiet = here.at;
    quiet_socket = here.socket;
    for (i = 0; i < 200; i++) plain_send(fd, &flooded, 1);
    plain_send(fd, &quiet, 2);
    assert_int_equal(side_poll(&here, 0), 0);
    for (i = 0; i < here.node.input_count; i++) {
        from_flood += here.node.inputs[i].socket == flooded_socket;
        from_quiet += here.node.inputs[i].socket == quiet_socket;
    }
    assert_int_equal(from_flood, UDP_BATCH);
    assert_int_equal(from_quiet, 1);
    (void)close(fd);
}

static void test_events_come_first_but_do_not_starve_the_sockets(void **state)
{
    int fd = plain_socket(AF_INET), polls;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    plain_send(fd, &here.at, 1);
    here.node.has_endless_events = true;
    assert_int_equal(side_poll(&here, -1), 8);
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 0);
    for (polls = 0; polls < 4; polls++) assert_int_equal(side_poll(&here, -1), 8);
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 1);
    (void)close(fd);
}

static void test_a_node_may_close_a_socket_while_it_looks_at_a_datagram(void **state)
{
    int fd = plain_socket(AF_INET);

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    plain_send(fd, &here.at, 1);
    plain_send(fd, &here.at, 2);
    here.node.closes_socket = true;
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 1);
    (void)close(fd);
}

static void test_listening_everywhere_takes_both_families_on_one_port(void **state)
{
    const struct endpoint any = {.family = ENDPOINT_IP6};
    struct endpoint to6 = {.family = ENDPOINT_IP6, .bytes = {[15] = 1}}, to4;
    int fd4 = plain_socket(AF_INET), fd6;

    (void)state;
    if (!has_ip6()) SKIP("no IPv6 loopback");
    refuse.bind_ip4_times = 2; /* the first ports that IPv6 is given are taken on IPv4 */
    assert_int_equal(host_driver.listen(here.host, &any, &here.at, &here.socket, NULL), 0);
    assert_int_equal(here.at.family, ENDPOINT_IP6);
    assert_int_not_equal(here.at.port, 0);
    fd6 = plain_socket(AF_INET6);
    to6.port = here.at.port;
    to4 = endpoint_ip4(127, 0, 0, 1, here.at.port);
    plain_send(fd4, &to4, 4);
    plain_send(fd6, &to6, 6);
    while (here.node.kinds[NODE_INPUT_DATAGRAM] < 2) (void)side_poll(&here, -1);
    assert_int_equal(fake_input_of(&here.node, NODE_INPUT_DATAGRAM, 0)->socket, here.socket);
    assert_int_equal(fake_input_of(&here.node, NODE_INPUT_DATAGRAM, 1)->socket, here.socket);
    /* And it sends by both. */
    fake_send(&here.node, here.socket, &to4, 1, 1, 4);
    fake_send(&here.node, here.socket, &to6, 1, 1, 6);
    while (here.node.kinds[NODE_INPUT_DATAGRAM] < 4) (void)side_poll(&here, -1);
    (void)close(fd4);
    (void)close(fd6);
}

static void test_listening_everywhere_does_without_a_family_that_is_missing(void **state)
{
    const struct endpoint any = {.family = ENDPOINT_IP6};

    (void)state;
    refuse.no_ip6 = true;
    assert_int_equal(host_driver.listen(here.host, &any, &here.at, &here.socket, NULL), 0);
    assert_int_equal(here.at.family, ENDPOINT_IP4);
    assert_true(endpoint_is_unspecified(&here.at));
}

static void test_a_port_in_use_is_told_in_a_sentence(void **state)
{
    struct endpoint got, everywhere = {.family = ENDPOINT_IP6};
    weir_error error = {.size = sizeof error};
    uint32_t socket;

    (void)state;
    side_listen(&here, "0.0.0.0:0");
    assert_int_equal(host_driver.listen(there.host, &here.at, &got, &socket, &error),
                     WEIR_E_ADDRESS_IN_USE);
    assert_int_equal(error.code, WEIR_E_ADDRESS_IN_USE);
    assert_non_null(strstr(error.detail, "is in use by another program"));
    /* One family's is enough, and the other's socket is given back. */
    everywhere.port = here.at.port;
    assert_int_equal(host_driver.listen(there.host, &everywhere, &got, &socket, &error),
                     WEIR_E_ADDRESS_IN_USE);
    host_driver.unlisten(here.host, here.socket);
    assert_int_equal(host_driver.listen(there.host, &everywhere, &got, &socket, &error), 0);
}

static void test_dialling_uses_the_listening_socket_that_can_reach(void **state)
{
    struct endpoint loopback = endpoint_ip4(127, 0, 0, 9, 99);
    struct endpoint everywhere = {.family = ENDPOINT_IP4};
    struct endpoint memory = endpoint_memory(1), outside = endpoint_ip4(192, 0, 2, 77, 99);
    uint32_t socket, again;

    (void)state;
    assert_int_equal(host_driver.dial_socket(here.host, &memory, &socket), WEIR_E_UNREACHABLE);
    refuse.connect_errno = ENETUNREACH;
    assert_int_equal(host_driver.dial_socket(here.host, &loopback, &socket), WEIR_E_UNREACHABLE);
    refuse.connect_errno = EAGAIN; /* says nothing about routes */
    side_listen(&here, "127.0.0.1:0");
    assert_int_equal(host_driver.dial_socket(here.host, &loopback, &socket), 0);
    assert_int_equal(socket, here.socket);
    assert_int_equal(host_driver.dial_socket(here.host, &outside, &socket), 0);
    assert_int_not_equal(socket, here.socket);
    assert_int_equal(host_driver.dial_socket(here.host, &outside, &again), 0);
    assert_int_equal(again, socket);
    /* A listener everywhere is preferred from now on. */
    assert_int_equal(host_driver.listen(here.host, &everywhere, &here.at, &again, NULL), 0);
    assert_int_equal(host_driver.dial_socket(here.host, &outside, &socket), 0);
    assert_int_equal(socket, again);
}

static void test_an_address_that_is_gone_is_not_dialled_from(void **state)
{
    struct endpoint remote = endpoint_ip4(127, 0, 0, 9, 99);
    uint32_t socket = 0, after = 0;
    int fd = plain_socket(AF_INET);

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    assert_int_equal(host_driver.dial_socket(here.host, &remote, &socket), 0);
    assert_int_equal(socket, here.socket);
    host_driver.network_changed(here.host); /* nothing that matters */
    assert_int_equal(host_driver.dial_socket(here.host, &remote, &after), 0);
    assert_int_equal(after, socket);
    refuse.bind_gone = true;
    host_driver.network_changed(here.host);
    refuse.bind_gone = false;
    assert_int_equal(host_driver.dial_socket(here.host, &remote, &after), 0);
    assert_int_not_equal(after, socket);
    /* It still listens, and is dialled from again when the address is back. */
    plain_send(fd, &here.at, 1);
    assert_int_equal(side_poll(&here, -1), 1);
    host_driver.network_changed(here.host);
    assert_int_equal(host_driver.dial_socket(here.host, &remote, &after), 0);
    assert_int_equal(after, socket);
    (void)close(fd);
}

static void test_a_stand_in_sends_and_hears_for_an_address_that_is_gone(void **state)
{
    const struct fake_input *in;
    struct endpoint seen;
    int before, i;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    before = descriptors_open();
    /* What waits for the old socket leaves by the new one. */
    refuse.send_errno = EAGAIN;
    refuse.times = 1;
    fake_send(&here.node, here.socket, &there.at, 10, 10, 1);
    host_driver.flush(here.host);
    for (i = 0; i < 2; i++) {
        refuse.bind_gone = true;
        host_driver.network_changed(here.host);
        refuse.bind_gone = false;
        if (i == 1) fake_send(&here.node, here.socket, &there.at, 10, 10, 1);
        assert_int_equal(side_poll(&here, 0), 0);
        assert_int_equal(descriptors_open(), before + 1);
        assert_int_equal(side_poll(&there, -1), 1);
        in = fake_input_of(&there.node, NODE_INPUT_DATAGRAM, (uint32_t)i);
        seen = in->remote;
        assert_int_not_equal(seen.port, here.at.port);
        fake_send(&there.node, there.socket, &seen, 10, 10, 2);
        assert_int_equal(side_poll(&there, 0), 0);
        assert_int_equal(side_poll(&here, -1), 1);
        in = fake_input_of(&here.node, NODE_INPUT_DATAGRAM, (uint32_t)i);
        assert_int_equal(in->socket, here.socket);
        assert_true(endpoint_equal(&in->local, &seen));
    }
    host_driver.network_changed(here.host); /* it is back */
    fake_send(&here.node, here.socket, &there.at, 10, 10, 3);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(descriptors_open(), before);
    assert_int_equal(side_poll(&there, -1), 1);
    in = fake_input_of(&there.node, NODE_INPUT_DATAGRAM, 2);
    assert_true(endpoint_equal(&in->remote, &here.at));
    refuse.bind_gone = true;
    host_driver.network_changed(here.host);
    host_driver.unlisten(here.host, here.socket);
    assert_int_equal(descriptors_open(), before - 1);
}

static int numeric_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                               const char *name, const char *service, const struct addrinfo *hints)
{
    (void)name;
    return uv_getaddrinfo(loop, request, done, "127.0.0.1", service, hints);
}

static void test_too_many_names_at_once_are_told_in_a_sentence(void **state)
{
    struct log_line line;
    uint64_t token;

    (void)state;
    calls.getaddrinfo = numeric_getaddrinfo;
    for (token = 0; token < RESOLVE_NAMES_MAX; token++) {
        assert_int_equal(host_driver.resolve(here.host, "peer.example", token), 0);
    }
    assert_int_equal(host_driver.resolve(here.host, "peer.example", token), WEIR_E_LIMIT);
    assert_true(log_pop(&here.node.log, &line));
    assert_non_null(strstr(line.text, "16 names are looked up at once"));
}

static void test_ports_are_limited(void **state)
{
    struct endpoint want = endpoint_ip4(127, 0, 0, 1, 0), got;
    weir_error error = {.size = sizeof error};
    uint32_t socket, i;

    (void)state;
    for (i = 0; i < PORTS_MAX; i++) {
        assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error), 0);
    }
    assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error), WEIR_E_LIMIT);
    assert_non_null(strstr(error.detail, "64 ports"));
    assert_int_equal(error.limit_used, PORTS_MAX);
    assert_int_equal(error.limit_max, PORTS_MAX);
    host_driver.unlisten(here.host, 5);
    assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error), 0);
    assert_int_equal(socket, 5);
    host_driver.unlisten(here.host, 0);
    host_driver.unlisten(here.host, PORTS_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_travels_from_one_node_to_another),
        TEST(test_flush_sends_without_a_turn),
        TEST(test_a_burst_to_many_peers_leaves_at_once_and_in_order),
        TEST(test_a_full_socket_stops_the_asking_and_loses_nothing),
        TEST(test_want_of_buffers_is_tried_again_after_a_while),
        TEST(test_a_deadline_that_stays_due_while_blocked_does_not_spin),
        TEST(test_what_waits_for_a_closed_socket_is_dropped),
        TEST(test_a_flood_on_one_socket_leaves_room_for_the_others),
        TEST(test_events_come_first_but_do_not_starve_the_sockets),
        TEST(test_a_node_may_close_a_socket_while_it_looks_at_a_datagram),
        TEST(test_listening_everywhere_takes_both_families_on_one_port),
        TEST(test_listening_everywhere_does_without_a_family_that_is_missing),
        TEST(test_a_port_in_use_is_told_in_a_sentence),
        TEST(test_dialling_uses_the_listening_socket_that_can_reach),
        TEST(test_an_address_that_is_gone_is_not_dialled_from),
        TEST(test_a_stand_in_sends_and_hears_for_an_address_that_is_gone),
        TEST(test_too_many_names_at_once_are_told_in_a_sentence),
        TEST(test_ports_are_limited),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
