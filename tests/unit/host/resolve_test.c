/* SPDX-License-Identifier: MIT */
/* Goal: names become one answer each, with both families when both come in time, and none of it
 * waits or leaks. Method: lookups that the test answers by hand in any order, time handed in; and
 * the real resolver for a number and for a name that cannot exist (RFC 6761). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "host/clock.h"
#include "host/resolve.h"
#include "watchdog.h"
#include "weir.h"
#include <stdio.h>
#include <string.h>

enum { LOOKUPS = 64 };

static struct {
    uv_getaddrinfo_t *request;
    uv_getaddrinfo_cb done;
    int family;
} lookups[LOOKUPS];
static int lookup_count;
static bool any_name;
static int refused; /* uv's error of every start; 0: it starts */

static int fake_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                            const char *name, const char *service, const struct addrinfo *hints)
{
    (void)loop;
    (void)service;
    if (!any_name) assert_string_equal(name, "peer.example");
    if (refused != 0) return refused;
    lookups[lookup_count].request = request;
    lookups[lookup_count].done = done;
    lookups[lookup_count++].family = hints->ai_family;
    return 0;
}

/* Answer the i-th lookup with the addresses of a literal, as getaddrinfo would. */
static void answer(int i, const char *literal)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM}, *list = NULL;

    assert_int_equal(getaddrinfo(literal, NULL, &hints, &list), 0);
    lookups[i].done(lookups[i].request, 0, list);
}

static void answer_error(int i, int error)
{
    lookups[i].done(lookups[i].request, error, NULL);
}

static uv_loop_t loop;
static struct resolve resolve;
static struct resolve_answer got;
static struct mem_counter counter;
static struct host_calls calls;

static int set_up(void **state)
{
    (void)state;
    calls = *host_calls_system();
    calls.getaddrinfo = fake_getaddrinfo;
    lookup_count = 0;
    refused = 0;
    any_name = false;
    mem_counter_init(&counter, mem_system());
    resolve_init(&resolve, &loop, &counter.mem, &calls);
    return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    resolve_close(&resolve);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0) continue;
    assert_int_equal(resolve.lookups, 0);
    assert_int_equal(counter.live_bytes, 0);
    return uv_loop_close(&loop);
}

static struct endpoint host_of(const char *text)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse_host(&e, text, strlen(text)), 0);
    return e;
}

static void check_address(uint32_t i, const char *text)
{
    struct endpoint e = host_of(text);

    assert_true(i < got.count);
    assert_true(endpoint_equal(&got.addresses[i], &e));
}

static void test_both_families_make_one_answer(void **state)
{
    (void)state;
    assert_int_equal(resolve_start(&resolve, "peer.example", 5), 0);
    assert_int_equal(lookup_count, 2);
    assert_int_equal(lookups[0].family, AF_INET6);
    assert_int_equal(lookups[1].family, AF_INET);
    assert_false(resolve_next(&resolve, clock_now_us(), &got));
    answer(0, "2001:db8::1");
    answer(1, "192.0.2.1");
    assert_int_equal(resolve_deadline(&resolve), 0);
    assert_true(resolve_next(&resolve, clock_now_us(), &got));
    assert_int_equal(got.token, 5);
    assert_int_equal(got.error, 0);
    assert_int_equal(got.count, 2);
    assert_true(got.ip6_first);
    check_address(0, "2001:db8::1");
    check_address(1, "192.0.2.1");
    assert_false(resolve_next(&resolve, clock_now_us(), &got));
    assert_int_equal(counter.live_bytes, 0);
}

static void test_the_family_that_answered_first_is_told(void **state)
{
    (void)state;
    assert_int_equal(resolve_start(&resolve, "peer.example", 5), 0);
    answer(1, "192.0.2.1");
    answer(0, "2001:db8::1");
    assert_true(resolve_next(&resolve, clock_now_us(), &got));
    assert_false(got.ip6_first);
    assert_int_equal(got.count, 2);
}

static void test_one_family_waits_for_the_other_only_so_long(void **state)
{
    uint64_t due_us, before_us = clock_now_us();

    (void)state;
    assert_int_equal(resolve_start(&resolve, "peer.example", 5), 0);
    assert_int_equal(resolve_deadline(&resolve), UINT64_MAX);
    answer(1, "192.0.2.1");
    due_us = resolve_deadline(&resolve);
    assert_true(due_us >= before_us + RESOLVE_WAIT_US);
    assert_false(resolve_next(&resolve, due_us - 1, &got));
    assert_true(resolve_next(&resolve, due_us, &got));
    assert_int_equal(got.count, 1);
    check_address(0, "192.0.2.1");
    /* The other comes too late: it is swallowed, and only then is the memory free. */
    assert_true(counter.live_bytes > 0);
    assert_int_equal(resolve_deadline(&resolve), UINT64_MAX);
    answer(0, "2001:db8::1");
    assert_false(resolve_next(&resolve, due_us + 1, &got));
    assert_int_equal(counter.live_bytes, 0);
}

static void test_a_family_without_addresses_does_not_shorten_the_wait(void **state)
{
    (void)state;
    assert_int_equal(resolve_start(&resolve, "peer.example", 5), 0);
    answer_error(0, UV_EAI_NONAME);
    assert_int_equal(resolve_deadline(&resolve), UINT64_MAX);
    assert_false(resolve_next(&resolve, UINT64_MAX, &got));
    answer(1, "192.0.2.1");
    assert_true(resolve_next(&resolve, clock_now_us(), &got));
    assert_int_equal(got.error, 0);
    assert_int_equal(got.count, 1);
    assert_false(got.ip6_first);
}

static void test_failures_have_their_errors(void **state)
{
    static const struct {
        int ip6, ip4, error;
    } cases[] = {
        {UV_EAI_NONAME, UV_EAI_NONAME, WEIR_E_HOST_UNKNOWN},
        {UV_EAI_NODATA, UV_EAI_AGAIN, WEIR_E_TIMEOUT},
        {UV_EAI_AGAIN, UV_EAI_NONAME, WEIR_E_TIMEOUT},
        {UV_EAI_FAIL, UV_EAI_FAIL, WEIR_E_HOST_UNKNOWN},
        {UV_EAI_MEMORY, UV_EAI_NONAME, WEIR_E_MEMORY},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lookup_count = 0;
        assert_int_equal(resolve_start(&resolve, "peer.example", i), 0);
        answer_error(0, cases[i].ip6);
        answer_error(1, cases[i].ip4);
        assert_true(resolve_next(&resolve, clock_now_us(), &got));
        assert_int_equal(got.error, cases[i].error);
        assert_int_equal(got.count, 0);
        assert_int_equal(got.token, i);
    }
}

static void test_names_in_flight_are_limited(void **state)
{
    uint64_t token;
    int i;

    (void)state;
    for (token = 0; token < RESOLVE_NAMES_MAX; token++) {
        assert_int_equal(resolve_start(&resolve, "peer.example", token), 0);
    }
    assert_int_equal(resolve_start(&resolve, "peer.example", 99), WEIR_E_LIMIT);
    /* A cancelled one holds its place until its lookups are over. */
    resolve_cancel(&resolve, 3);
    assert_int_equal(resolve_start(&resolve, "peer.example", 99), WEIR_E_LIMIT);
    answer_error(6, UV_EAI_CANCELED);
    answer_error(7, UV_EAI_CANCELED);
    assert_int_equal(resolve_start(&resolve, "peer.example", 99), 0);
    for (i = 0; i < lookup_count; i++) {
        if (i != 6 && i != 7) answer(i, i % 2 == 0 ? "::1" : "127.0.0.1");
    }
    for (i = 0; i < RESOLVE_NAMES_MAX; i++) {
        assert_true(resolve_next(&resolve, clock_now_us(), &got));
        assert_int_not_equal(got.token, 3);
        assert_int_equal(got.count, 2);
    }
    assert_false(resolve_next(&resolve, clock_now_us(), &got));
}

static void test_addresses_are_bounded_and_told_once(void **state)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *first = NULL, *last = NULL;
    int i;

    (void)state;
    assert_int_equal(resolve_start(&resolve, "peer.example", 1), 0);
    for (i = 0; i < 40; i++) {
        struct addrinfo *one;
        char text[32];

        (void)snprintf(text, sizeof text, "192.0.2.%d", i / 2);
        assert_int_equal(getaddrinfo(text, NULL, &hints, &one), 0);
        if (last != NULL) last->ai_next = one;
        if (first == NULL) first = one;
        last = one;
    }
    lookups[1].done(lookups[1].request, 0, first);
    answer_error(0, UV_EAI_NONAME);
    assert_true(resolve_next(&resolve, clock_now_us(), &got));
    assert_int_equal(got.count, RESOLVE_ADDRESSES_MAX);
    for (i = 0; i < RESOLVE_ADDRESSES_MAX; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "192.0.2.%d", i);
        check_address((uint32_t)i, text);
    }
}

static void test_what_cannot_start_is_told_at_once(void **state)
{
    (void)state;
    refused = UV_ENOMEM;
    assert_int_equal(resolve_start(&resolve, "peer.example", 1), WEIR_E_MEMORY);
    refused = UV_EINVAL;
    assert_int_equal(resolve_start(&resolve, "peer.example", 1), WEIR_E_HOST_UNKNOWN);
    refused = 0;
    counter.fail_at = 1;
    assert_int_equal(resolve_start(&resolve, "peer.example", 1), WEIR_E_MEMORY);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(lookup_count, 0);
}

/* Run the loop until the one name that is looked up has its answer. */
static void wait_answer(void)
{
    while (!resolve_next(&resolve, clock_now_us(), &got)) (void)uv_run(&loop, UV_RUN_ONCE);
}

/* Numbers need no name server. */
static void test_the_real_resolver_answers(void **state)
{
    (void)state;
    calls.getaddrinfo = uv_getaddrinfo;
    assert_int_equal(resolve_start(&resolve, "127.0.0.9", 7), 0);
    wait_answer();
    assert_int_equal(got.token, 7);
    assert_int_equal(got.error, 0);
    assert_int_equal(got.count, 1);
    check_address(0, "127.0.0.9");
}

static void test_localhost_is_this_machine_and_no_one_is_asked(void **state)
{
    static const char *const names[] = {"localhost", "LocalHost", "localhost.", "a.b.localhost",
                                        "x.LOCALHOST."};
    static const char *const others[] = {"localhost.example", "mylocalhost", ".localhost", "", "."};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(resolve_start(&resolve, names[i], i), 0);
        assert_int_equal(lookup_count, 0);
        assert_int_equal(resolve_deadline(&resolve), 0);
        assert_true(resolve_next(&resolve, clock_now_us(), &got));
        assert_int_equal(got.token, i);
        assert_int_equal(got.error, 0);
        assert_int_equal(got.count, 2);
        assert_true(got.ip6_first);
        check_address(0, "::1");
        check_address(1, "127.0.0.1");
        assert_int_equal(counter.live_bytes, 0);
        assert_int_equal(resolve_deadline(&resolve), UINT64_MAX);
    }
    refused = UV_EINVAL;
    any_name = true;
    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(resolve_start(&resolve, others[i], i), WEIR_E_HOST_UNKNOWN);
    }
    /* It may be cancelled like any other, and fills a place until it is told. */
    assert_int_equal(resolve_start(&resolve, "localhost", 9), 0);
    resolve_cancel(&resolve, 9);
    assert_false(resolve_next(&resolve, clock_now_us(), &got));
    assert_int_equal(counter.live_bytes, 0);
}

static void test_a_name_that_cannot_exist_has_no_address(void **state)
{
    (void)state;
    calls.getaddrinfo = uv_getaddrinfo;
    assert_int_equal(resolve_start(&resolve, "weir-test.invalid", 8), 0);
    wait_answer();
    assert_int_equal(got.count, 0);
    /* Without a name server nobody can know. */
    assert_true(got.error == WEIR_E_HOST_UNKNOWN || got.error == WEIR_E_TIMEOUT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_families_make_one_answer),
        TEST(test_the_family_that_answered_first_is_told),
        TEST(test_one_family_waits_for_the_other_only_so_long),
        TEST(test_a_family_without_addresses_does_not_shorten_the_wait),
        TEST(test_failures_have_their_errors),
        TEST(test_names_in_flight_are_limited),
        TEST(test_addresses_are_bounded_and_told_once),
        TEST(test_what_cannot_start_is_told_at_once),
        TEST(test_the_real_resolver_answers),
        TEST(test_localhost_is_this_machine_and_no_one_is_asked),
        TEST(test_a_name_that_cannot_exist_has_no_address),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
