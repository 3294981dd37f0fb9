/* SPDX-License-Identifier: MIT */
/* Goal: a host waits as it should: deadlines, wakes, names, its descriptor for other loops, and at
 * the end everything is given back. Method: as host_test.c. */
#include "side.h"
#include "host/turn.h"
#include <sys/resource.h>
#include <time.h>

static void test_an_idle_poll_is_one_turn(void **state)
{
    (void)state;
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(side_poll(&here, 1000), 0);
    assert_int_equal(here.node.kinds[NODE_INPUT_TURN], 2);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 0);
}

static void test_poll_waits_for_the_deadline_and_not_longer_than_told(void **state)
{
    uint64_t start_us = clock_now_us();

    (void)state;
    assert_int_equal(side_poll(&here, 1500), 0);
    assert_true(clock_now_us() - start_us >= 1500);
    start_us = clock_now_us();
    here.node.deadline_us = start_us + 3000;
    assert_int_equal(side_poll(&here, 1000), 0);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 0);
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 1);
    assert_true(fake_input_of(&here.node, NODE_INPUT_DEADLINE, 0)->now_us >= start_us + 3000);
}

static void test_the_descriptor_is_readable_at_the_deadline(void **state)
{
    int fd = host_driver.fd(here.host);
    struct pollfd now = {.fd = fd, .events = POLLIN};

    (void)state;
    assert_int_equal(poll(&now, 1, 0), 0);
    here.node.deadline_us = clock_now_us() + 2000;
    assert_int_equal(side_poll(&here, 0), 0);
    wait_readable(fd);
    assert_true(clock_now_us() >= here.node.deadline_us);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 1);
    assert_int_equal(poll(&now, 1, 0), 0);
}

static void test_a_deadline_that_moved_away_is_not_served_early(void **state)
{
    uint64_t first_us = clock_now_us() + 1000;

    (void)state;
    here.node.deadline_us = first_us;
    assert_int_equal(side_poll(&here, 0), 0);
    here.node.deadline_us = first_us + 4000;
    assert_int_equal(side_poll(&here, -1), 1);
    assert_true(clock_now_us() >= first_us + 4000);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 1);
}

static void test_the_descriptor_is_readable_when_a_datagram_comes(void **state)
{
    int fd = host_driver.fd(here.host), plain = plain_socket(AF_INET);
    struct pollfd now = {.fd = fd, .events = POLLIN};

    (void)state;
    /* The socket is opened after the descriptor was asked for and no poll is between. */
    side_listen(&here, "127.0.0.1:0");
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(poll(&now, 1, 0), 0);
    plain_send(plain, &here.at, 1);
    wait_readable(fd);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(poll(&now, 1, 0), 0);
    (void)close(plain);
}

static void test_the_descriptor_stays_readable_while_events_are_left(void **state)
{
    struct pollfd now = {.fd = host_driver.fd(here.host), .events = POLLIN};

    (void)state;
    here.node.events = 9;
    assert_int_equal(side_poll(&here, 0), 8);
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(poll(&now, 1, 0), 0);
}

static void *wake_it(void *context)
{
    (void)host_driver.wake(context);
    return NULL;
}

static void test_wake_from_another_thread_ends_a_poll(void **state)
{
    struct pollfd now = {.fd = host_driver.fd(here.host), .events = POLLIN};
    pthread_t thread;
    int i;

    (void)state;
    for (i = 0; i < 50; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_it, here.host), 0);
        assert_int_equal(side_poll(&here, -1), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    /* A wake before the poll is not lost, and many are one. */
    assert_int_equal(host_driver.wake(here.host), 0);
    assert_int_equal(host_driver.wake(here.host), 0);
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, -1), 0);
    assert_int_equal(poll(&now, 1, 0), 0);
}

static void test_a_name_is_answered_by_an_input(void **state)
{
    const struct fake_input *in;

    (void)state;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 77), 0);
    assert_int_equal(side_poll(&here, -1), 1);
    in = fake_input_of(&here.node, NODE_INPUT_RESOLVED, 0);
    assert_non_null(in);
    assert_int_equal(in->token, 77);
    assert_int_equal(in->error, 0);
    assert_true(in->count >= 1);
    assert_int_equal(in->addresses[0].port, 0);
}

static void test_the_descriptor_is_readable_when_a_name_is_answered(void **state)
{
    int fd = host_driver.fd(here.host);

    (void)state;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 78), 0);
    while (here.node.kinds[NODE_INPUT_RESOLVED] == 0) {
        wait_readable(fd);
        (void)side_poll(&here, 0);
    }
}

static void test_a_cancelled_name_is_not_answered(void **state)
{
    (void)state;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 1), 0);
    assert_int_equal(host_driver.resolve(here.host, "localhost", 2), 0);
    host_driver.resolve_cancel(here.host, 1);
    host_driver.resolve_cancel(here.host, 99);
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(fake_input_of(&here.node, NODE_INPUT_RESOLVED, 0)->token, 2);
}

static void test_localhost_is_answered_without_a_wait_outside_of_poll(void **state)
{
    struct pollfd now = {.fd = host_driver.fd(here.host), .events = POLLIN};

    (void)state;
    assert_int_equal(poll(&now, 1, 0), 0);
    assert_int_equal(host_driver.resolve(here.host, "localhost", 79), 0);
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_RESOLVED], 1);
    assert_int_equal(poll(&now, 1, 0), 0);
}

/* Lookups that hang, as with a dead name server, until the test lets them end. */
static uv_sem_t hanging;
static uv_work_t hanging_work[2];
static struct {
    uv_getaddrinfo_t *request;
    uv_getaddrinfo_cb done;
} hanging_lookups[2];
static int hanging_count;

static void hang(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&hanging);
}

static void hang_over(uv_work_t *work, int status)
{
    size_t i = (size_t)(work - hanging_work);

    (void)status;
    hanging_lookups[i].done(hanging_lookups[i].request, UV_EAI_AGAIN, NULL);
}

static int hanging_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                               const char *name, const char *service, const struct addrinfo *hints)
{
    (void)name;
    (void)service;
    (void)hints;
    hanging_lookups[hanging_count].request = request;
    hanging_lookups[hanging_count].done = done;
    return uv_queue_work(loop, &hanging_work[hanging_count++], hang, hang_over);
}

static void test_a_lookup_that_hangs_blocks_neither_poll_nor_close(void **state)
{
    int before;

    (void)state;
    side_close(&here);
    before = descriptors_open();
    calls.getaddrinfo = hanging_getaddrinfo;
    hanging_count = 0;
    assert_int_equal(uv_sem_init(&hanging, 0), 0);
    side_open(&here, &(struct host_options){.calls = &calls});
    assert_int_equal(host_driver.resolve(here.host, "dead.example", 1), 0);
    assert_int_equal(side_poll(&here, 0), 0);
    side_close(&here); /* returns: the lookups still hang */
    assert_true(descriptors_open() > before);
    uv_sem_post(&hanging);
    uv_sem_post(&hanging);
    while (descriptors_open() > before) (void)sched_yield();
    uv_sem_destroy(&hanging);
}

/* Times that this thread slept. */
static long sleeps(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

/* Poll so that a deadline ends it. @return times that it slept */
static long sleeps_until_deadline(uint64_t after_us)
{
    long before;

    here.node.deadline_us = clock_now_us() + after_us;
    before = sleeps();
    assert_int_equal(side_poll(&here, -1), 1);
    return sleeps() - before;
}

static void spinning_open(uint32_t spin_us)
{
    side_close(&here);
    side_open(&here, &(struct host_options){.calls = &calls, .spin_us = spin_us});
    here.node.peers = 1;
}

static void test_a_spin_after_traffic_does_not_sleep(void **state)
{
    int tries;

    (void)state;
    spinning_open(1u << 20);
    assert_int_equal(here.host->spin_us, HOST_SPIN_MAX_US);
    /* A machine with much else to do may let the first spin run out. */
    for (tries = 0; tries < 20; tries++) {
        here.node.metrics.value[METRIC_PACKETS_SENT]++;
        if (sleeps_until_deadline(HOST_SPIN_MAX_US / 4) == 0) break;
    }
    assert_true(tries < 20);
    assert_true(here.node.kinds[NODE_INPUT_DEADLINE] >= 1);
}

static void test_a_spin_is_bounded_and_needs_traffic_and_a_peer(void **state)
{
    int tries;

    (void)state;
    spinning_open(HOST_SPIN_MAX_US);
    here.node.metrics.value[METRIC_PACKETS_RECEIVED]++;
    assert_true(sleeps_until_deadline(20000) >= 1); /* longer than a spin */
    /* Nothing came since. On a busy machine the deadline may be over before it can sleep. */
    for (tries = 0; tries < 20; tries++) {
        if (sleeps_until_deadline(HOST_SPIN_MAX_US / 2) >= 1) break;
    }
    assert_true(tries < 20);
    here.node.peers = 0;
    for (tries = 0; tries < 20; tries++) {
        here.node.metrics.value[METRIC_PACKETS_RECEIVED]++;
        if (sleeps_until_deadline(HOST_SPIN_MAX_US / 2) >= 1) break;
    }
    assert_true(tries < 20);
}

static uint64_t busy_us(void)
{
    struct timespec used;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return (uint64_t)used.tv_sec * 1000000u + (uint64_t)used.tv_nsec / 1000u;
}

static void test_spins_that_find_nothing_are_left_out(void **state)
{
    uint64_t start_us;
    int i;

    (void)state;
    spinning_open(HOST_SPIN_MAX_US);
    start_us = busy_us();
    for (i = 0; i < 20; i++) {
        here.node.metrics.value[METRIC_PACKETS_SENT]++;
        (void)sleeps_until_deadline(3 * HOST_SPIN_MAX_US);
    }
    assert_true(busy_us() - start_us < 20 * HOST_SPIN_MAX_US / 2);
    /* One that finds something brings them back. */
    here.host->spin_skips = 0;
    here.node.metrics.value[METRIC_PACKETS_SENT]++;
    assert_int_equal(host_driver.wake(here.host), 0);
    assert_int_equal(side_poll(&here, -1), 0);
    assert_int_equal(here.host->spin_misses, 0);
}

static void test_a_wake_ends_a_spin_at_once(void **state)
{
    uint64_t start_us = busy_us();
    int i;

    (void)state;
    spinning_open(HOST_SPIN_MAX_US);
    for (i = 0; i < 100; i++) {
        here.node.metrics.value[METRIC_PACKETS_SENT]++;
        assert_int_equal(host_driver.wake(here.host), 0);
        assert_int_equal(side_poll(&here, -1), 0);
    }
    assert_true(busy_us() - start_us < 100 * HOST_SPIN_MAX_US / 2);
}

static void test_a_spin_ends_by_a_datagram_a_wake_or_a_name(void **state)
{
    pthread_t thread;
    int fd = plain_socket(AF_INET), i;

    (void)state;
    calls.getaddrinfo = hanging_getaddrinfo;
    hanging_count = 0;
    assert_int_equal(uv_sem_init(&hanging, 0), 0);
    spinning_open(HOST_SPIN_MAX_US);
    side_listen(&here, "127.0.0.1:0");
    for (i = 0; i < 50; i++) {
        plain_send(fd, &here.at, 1);
        assert_int_equal(side_poll(&here, -1), 1);
        assert_int_equal(pthread_create(&thread, NULL, wake_it, here.host), 0);
        assert_int_equal(side_poll(&here, -1), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 50);
    here.node.metrics.value[METRIC_PACKETS_SENT]++;
    assert_int_equal(host_driver.resolve(here.host, "dead.example", 1), 0);
    uv_sem_post(&hanging);
    uv_sem_post(&hanging);
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_RESOLVED], 1);
    uv_sem_destroy(&hanging);
    (void)close(fd);
}

static void test_close_sends_what_the_node_has_left(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &there.at, 30, 30, 3);
    side_close(&here);
    assert_int_equal(side_poll(&there, -1), 1);
    assert_int_equal(fake_input_of(&there.node, NODE_INPUT_DATAGRAM, 0)->first, 3);
}

static void test_a_closed_node_is_not_asked_for_datagrams(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    here.node.is_closed = true;
    side_close(&here);
    assert_int_equal(here.node.asked, 0);
}

static void test_descriptors_and_memory_are_given_back(void **state)
{
    struct mem_counter counter;
    struct host_options options = {0};
    int before, round;

    (void)state;
    side_close(&here);
    before = descriptors_open();
    mem_counter_init(&counter, mem_system());
    options.mem = &counter.mem;
    for (round = 0; round < 3; round++) {
        side_open(&here, &options);
        side_listen(&here, "127.0.0.1:0");
        side_listen(&here, "[::]:0");
        host_driver.unlisten(here.host, here.socket);
        side_listen(&here, "127.0.0.1:0");
        assert_int_equal(host_driver.resolve(here.host, "localhost", 5), 0);
        assert_int_equal(side_poll(&here, -1), 1);
        side_close(&here);
        assert_int_equal(descriptors_open(), before);
        assert_int_equal(counter.live_bytes, 0);
    }
}

static void test_each_allocation_may_fail(void **state)
{
    struct mem_counter counter;
    struct host_options options = {0};
    struct endpoint want = {.family = ENDPOINT_IP6}, got;
    weir_error error = {.size = sizeof error};
    uint32_t socket;
    uint64_t n;
    int before;

    (void)state;
    side_close(&here);
    before = descriptors_open();
    mem_counter_init(&counter, mem_system());
    options.mem = &counter.mem;
    for (n = 1; n <= 3; n++) {
        counter.fail_at = n;
        assert_int_equal(host_open(&options, &here.host, &error), WEIR_E_MEMORY);
        assert_null(here.host);
        assert_int_equal(counter.live_bytes, 0);
        assert_int_equal(descriptors_open(), before);
    }
    side_open(&here, &options);
    for (n = 1; n <= 2; n++) {
        counter.fail_at = n;
        assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error),
                         WEIR_E_MEMORY);
    }
    counter.fail_at = 1;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 1), WEIR_E_MEMORY);
    assert_int_equal(side_poll(&here, 0), 0);
    side_close(&here);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(descriptors_open(), before);
}

static void test_a_small_kernel_buffer_is_logged(void **state)
{
    struct host_options options = {.socket_buffer_bytes = 1u << 30};
    struct log_line line;

    (void)state;
    side_close(&here);
    side_open(&here, &options);
    side_listen(&here, "127.0.0.1:0");
    assert_true(log_pop(&here.node.log, &line));
    assert_non_null(strstr(line.text, "net.core.rmem_max"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_idle_poll_is_one_turn),
        TEST(test_poll_waits_for_the_deadline_and_not_longer_than_told),
        TEST(test_the_descriptor_is_readable_at_the_deadline),
        TEST(test_a_deadline_that_moved_away_is_not_served_early),
        TEST(test_the_descriptor_is_readable_when_a_datagram_comes),
        TEST(test_the_descriptor_stays_readable_while_events_are_left),
        TEST(test_wake_from_another_thread_ends_a_poll),
        TEST(test_a_name_is_answered_by_an_input),
        TEST(test_the_descriptor_is_readable_when_a_name_is_answered),
        TEST(test_a_cancelled_name_is_not_answered),
        TEST(test_a_lookup_that_hangs_blocks_neither_poll_nor_close),
        TEST(test_localhost_is_answered_without_a_wait_outside_of_poll),
        TEST(test_a_spin_after_traffic_does_not_sleep),
        TEST(test_a_spin_is_bounded_and_needs_traffic_and_a_peer),
        TEST(test_spins_that_find_nothing_are_left_out),
        TEST(test_a_wake_ends_a_spin_at_once),
        TEST(test_a_spin_ends_by_a_datagram_a_wake_or_a_name),
        TEST(test_close_sends_what_the_node_has_left),
        TEST(test_a_closed_node_is_not_asked_for_datagrams),
        TEST(test_descriptors_and_memory_are_given_back),
        TEST(test_each_allocation_may_fail),
        TEST(test_a_small_kernel_buffer_is_logged),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
