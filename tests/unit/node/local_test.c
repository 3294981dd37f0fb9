/* SPDX-License-Identifier: MIT */
/* Goal: files, children and Unix sockets are streams like others: bytes, credit, budget, ends.
 * Method: a node over the fake network, with a driver that only notes what it is asked; the test
 * says what the system would have answered. */
#include "unit/node/fake.h"
#include "node/state.h"

static struct {
    uint64_t token, offset;
    uint32_t kind, flags, opens, wants, closes, kills;
    char what[64];
    size_t len;
    int error;
} driver;

static int on_open(void *context, uint32_t kind, uint32_t flags, const char *what, size_t len,
                   uint64_t offset, uint64_t token)
{
    (void)context;
    if (driver.error != 0) return driver.error;
    driver.opens++;
    driver.kind = kind;
    driver.flags = flags;
    driver.offset = offset;
    driver.token = token;
    driver.len = len;
    memcpy(driver.what, what, len < sizeof driver.what ? len : sizeof driver.what);
    return 0;
}

static void on_wants(void *context, uint64_t token)
{
    (void)context;
    assert_int_equal(token, driver.token);
    driver.wants++;
}

static void on_close(void *context, uint64_t token, bool kill)
{
    (void)context;
    (void)token;
    driver.closes++;
    driver.kills += kill ? 1u : 0u;
}

struct scene {
    struct fake_net net;
    struct node_driver table;
    struct node *node;
    weir_event events[16];
    uint32_t count;
};

static void open_node(struct scene *s)
{
    struct node_config config = net_config(&s->net);
    s->table = fake_driver;
    s->table.local_open = on_open;
    s->table.local_wants = on_wants;
    s->table.local_close = on_close;
    config.driver = &s->table;
    s->node = net_add(&s->net, &config);
}

static int setup(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    memset(&driver, 0, sizeof driver);
    net_init(&s.net);
    open_node(&s);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    net_free(&s->net);
    return 0;
}

static int64_t open_local(struct scene *s, uint32_t flags, const char *what, size_t len)
{
    uint64_t offset = 7;
    struct node_call call = {.kind = NODE_CALL_LOCAL_OPEN,
                             .flags = flags,
                             .data = what,
                             .len = len,
                             .number = 99,
                             .number_out = &offset};
    return net_input(&s->net, s->node, NODE_INPUT_CALL, &call);
}

static uint64_t open_file(struct scene *s, uint32_t mode)
{
    int64_t handle = open_local(s, NODE_LOCAL_FILE | mode << 8, "a/b", 3);
    assert_true(handle > 0);
    return (uint64_t)handle;
}

static uint64_t open_child(struct scene *s)
{
    int64_t handle = open_local(s, NODE_LOCAL_CHILD, "cat\0-u", 7);
    assert_true(handle > 0);
    return (uint64_t)handle;
}

static int64_t say(struct scene *s, uint32_t fact, int error, uint64_t amount, const void *data,
                   size_t len)
{
    struct node_input in = {.kind = NODE_INPUT_LOCAL, .now_us = s->net.now_us};
    in.local.fact = fact;
    in.local.error = error;
    in.local.token = driver.token;
    in.local.amount = amount;
    in.local.data = data;
    in.local.len = len;
    return node_input(s->node, &in);
}

static const weir_event *poll_one(struct scene *s, uint32_t kind)
{
    s->count = net_poll(&s->net, s->node, s->events, 16);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->events[0].kind, kind);
    assert_int_equal(s->events[0].parent, 0);
    return &s->events[0];
}

static void poll_none(struct scene *s)
{
    assert_int_equal(net_poll(&s->net, s->node, s->events, 16), 0);
}

static int64_t write_text(struct scene *s, uint64_t stream, const char *text, uint32_t flags)
{
    return call_stream(&s->net, s->node, NODE_CALL_STREAM_WRITE, stream, flags, text, strlen(text));
}

static int64_t peek(struct scene *s, const uint8_t **data, bool *fin)
{
    return node_local_peek(s->node, driver.token, data, fin);
}

static void test_a_file_is_read_to_its_end(void **state)
{
    struct scene *s = *state;
    char text[16];
    uint64_t f = open_file(s, WEIR_FILE_READ);
    assert_int_equal(driver.flags, WEIR_FILE_READ);
    assert_int_equal(driver.offset, 7);
    assert_int_equal(driver.len, 3);
    assert_memory_equal(driver.what, "a/b", 3);
    assert_int_equal(say(s, NODE_LOCAL_OPENED, 0, 5, NULL, 0), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_STREAM)->amount, 5);
    assert_int_equal(node_local_credit(s->node, driver.token), 65536);
    assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, "hello", 5), 0);
    const weir_event *e = poll_one(s, WEIR_EVENT_READABLE);
    assert_int_equal(e->amount, 5);
    assert_int_equal(e->user, 99);
    assert_int_equal(call_read(&s->net, s->node, f, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(call_read(&s->net, s->node, f, text, sizeof text), 0);
    assert_int_equal(write_text(s, f, "x", 0), WEIR_E_ONE_WAY);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
    s->count = net_poll(&s->net, s->node, s->events, 16);
    assert_int_equal(s->count, 2);
    assert_int_equal(s->events[0].error, WEIR_E_END);
    assert_int_equal(s->events[1].kind, WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(s->events[1].error, 0);
    assert_int_equal(s->events[1].amount, 0);
    poll_none(s);
    assert_int_equal(call_read(&s->net, s->node, f, text, sizeof text), WEIR_E_STALE);
    assert_int_equal(node_local_credit(s->node, driver.token), WEIR_E_STALE);
    assert_int_equal(s->net.metrics.value[METRIC_LOCAL_OPENED], 1);
    assert_int_equal(s->net.metrics.value[METRIC_LOCAL_OPEN], 0);
    assert_int_equal(s->net.metrics.value[METRIC_LOCAL_FAILED], 0);
}

static void test_a_reader_that_does_not_consume_stops_the_reads_at_the_window(void **state)
{
    static const uint8_t bytes[65536];
    static uint8_t out[65536];
    struct scene *s = *state;
    uint64_t window = s->net.limits.value[LIMIT_STREAM_WINDOW_FIRST], got = 0;
    uint64_t f = open_file(s, WEIR_FILE_READ);
    int64_t credit;
    while ((credit = node_local_credit(s->node, driver.token)) > 0) {
        assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, bytes, (size_t)credit), 0);
        got += (uint64_t)credit;
    }
    assert_int_equal(credit, 0);
    assert_int_equal(got, window);
    driver.wants = 0;
    assert_int_equal(call_read(&s->net, s->node, f, out, 1), 1);
    assert_int_equal(driver.wants, 0); /* not for every byte */
    assert_int_equal(call_read(&s->net, s->node, f, out, sizeof out), 65536);
    assert_int_equal(driver.wants, 1);
    assert_int_equal(node_local_credit(s->node, driver.token), 65536);
}

static void test_what_is_written_leaves_with_the_turn_and_waits_at_the_window(void **state)
{
    static const char bytes[400000];
    struct scene *s = *state;
    uint64_t window = s->net.limits.value[LIMIT_STREAM_WINDOW_FIRST];
    const uint8_t *data;
    bool fin;
    uint64_t f = open_file(s, WEIR_FILE_WRITE);
    assert_int_equal(write_text(s, f, "abc", 0), 3);
    assert_int_equal(peek(s, &data, &fin), 0);
    poll_none(s);
    assert_int_equal(driver.wants, 1);
    assert_int_equal(peek(s, &data, &fin), 3);
    assert_memory_equal(data, "abc", 3);
    assert_false(fin);
    assert_int_equal(say(s, NODE_LOCAL_WROTE, 0, 3, NULL, 0), 0);
    int64_t taken = call_stream(&s->net, s->node, NODE_CALL_STREAM_WRITE, f, 0, bytes, 400000);
    assert_int_equal(taken, window - 3);
    assert_int_equal(call_stream(&s->net, s->node, NODE_CALL_STREAM_WRITE, f, 0, bytes, 400000), 0);
    poll_none(s);
    uint64_t written = 0;
    while (written < window / 2) {
        int64_t n = peek(s, &data, &fin);
        assert_true(n > 0);
        assert_int_equal(say(s, NODE_LOCAL_WROTE, 0, (uint64_t)n, NULL, 0), 0);
        written += (uint64_t)n;
    }
    assert_true(poll_one(s, WEIR_EVENT_WRITABLE)->amount > 0);
    assert_true(call_stream(&s->net, s->node, NODE_CALL_STREAM_WRITE, f, 0, bytes, 9) > 0);
}

static void test_a_finished_file_is_over_when_the_driver_closed_it(void **state)
{
    struct scene *s = *state;
    const uint8_t *data;
    bool fin;
    uint64_t f = open_file(s, WEIR_FILE_WRITE);
    assert_int_equal(write_text(s, f, "abc", WEIR_FIN), 3);
    assert_int_equal(peek(s, &data, &fin), 0);
    assert_false(fin);
    poll_none(s);
    assert_int_equal(peek(s, &data, &fin), 3);
    assert_true(fin);
    assert_int_equal(say(s, NODE_LOCAL_WROTE, 0, 3, NULL, 0), 0);
    assert_int_equal(peek(s, &data, &fin), 0);
    assert_true(fin);
    poll_none(s);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_STREAM_CLOSED)->error, 0);
    poll_none(s);
}

static void test_a_failure_is_one_event_with_its_error(void **state)
{
    static const uint32_t modes[] = {WEIR_FILE_READ, WEIR_FILE_WRITE};
    struct scene *s = *state;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t f = open_file(s, modes[i]);
        assert_int_equal(say(s, NODE_LOCAL_CLOSED, WEIR_E_NOT_FOUND, 0, NULL, 0), 0);
        const weir_event *e = poll_one(s, WEIR_EVENT_STREAM_CLOSED);
        assert_int_equal(e->error, WEIR_E_NOT_FOUND);
        assert_int_equal(e->object, f);
        poll_none(s);
    }
    assert_int_equal(s->net.metrics.value[METRIC_LOCAL_FAILED], 2);
    assert_int_equal(driver.closes, 0);
}

static void test_a_file_that_is_given_up_is_closed_and_ends_then(void **state)
{
    struct scene *s = *state;
    uint64_t f = open_file(s, WEIR_FILE_READ);
    assert_int_equal(call_simple(&s->net, s->node, NODE_CALL_STREAM_STOP, f, 5, 0), 0);
    assert_int_equal(driver.closes, 1);
    assert_int_equal(node_local_credit(s->node, driver.token), WEIR_E_STOPPED);
    /* A read that was under way. */
    assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, "late", 4), 0);
    poll_none(s);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_STREAM_CLOSED)->amount, 5);
    f = open_file(s, WEIR_FILE_WRITE);
    assert_int_equal(write_text(s, f, "abc", 0), 3);
    poll_none(s);
    assert_int_equal(call_simple(&s->net, s->node, NODE_CALL_STREAM_RESET, f, 6, 0), 0);
    assert_int_equal(driver.closes, 2);
    assert_int_equal(say(s, NODE_LOCAL_WROTE, 0, 3, NULL, 0), 0);
    poll_none(s);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_STREAM_CLOSED)->amount, 6);
    assert_int_equal(driver.kills, 0);
}

static void test_a_child_ends_with_its_exit_code(void **state)
{
    struct scene *s = *state;
    char text[8];
    const uint8_t *data;
    bool fin;
    uint64_t c = open_child(s);
    assert_int_equal(driver.len, 7);
    assert_int_equal(write_text(s, c, "in", WEIR_FIN), 2);
    poll_none(s);
    assert_int_equal(peek(s, &data, &fin), 2);
    assert_int_equal(say(s, NODE_LOCAL_WROTE, 0, 2, NULL, 0), 0);
    assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, "out", 3), 0);
    assert_int_equal(say(s, NODE_LOCAL_END, 0, 0, NULL, 0), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_READABLE)->error, WEIR_E_END);
    assert_int_equal(call_read(&s->net, s->node, c, text, sizeof text), 3);
    assert_int_equal(call_read(&s->net, s->node, c, text, sizeof text), WEIR_E_END);
    poll_none(s);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 256 + 9, NULL, 0), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_STREAM_CLOSED)->amount, 256 + 9);
}

static void test_a_child_that_ends_first_stops_its_writer(void **state)
{
    struct scene *s = *state;
    (void)open_child(s);
    assert_int_equal(say(s, NODE_LOCAL_END, 0, 0, NULL, 0), 0);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 3, NULL, 0), 0);
    s->count = net_poll(&s->net, s->node, s->events, 16);
    assert_int_equal(s->count, 3);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_READABLE);
    assert_int_equal(s->events[1].kind, WEIR_EVENT_STREAM_STOPPED);
    assert_int_equal(s->events[2].kind, WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(s->events[2].amount, 3);
    poll_none(s);
}

static void test_resetting_a_child_kills_it_and_needs_no_reader(void **state)
{
    struct scene *s = *state;
    for (unsigned closed_its_input = 0; closed_its_input < 2; closed_its_input++) {
        uint64_t c = open_child(s);
        assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, "out", 3), 0);
        (void)poll_one(s, WEIR_EVENT_READABLE);
        if (closed_its_input != 0) {
            assert_int_equal(say(s, NODE_LOCAL_WROTE, WEIR_E_STOPPED, 0, NULL, 0), 0);
            (void)poll_one(s, WEIR_EVENT_STREAM_STOPPED);
        }
        driver.kills = 0;
        assert_int_equal(call_simple(&s->net, s->node, NODE_CALL_STREAM_RESET, c, 1, 0), 0);
        assert_int_equal(call_simple(&s->net, s->node, NODE_CALL_STREAM_RESET, c, 1, 0), 0);
        assert_int_equal(driver.kills, 1);
        poll_none(s);
        assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 256 + 15, NULL, 0), 0);
        assert_int_equal(poll_one(s, WEIR_EVENT_STREAM_CLOSED)->amount, 256 + 15);
        poll_none(s);
    }
}

static void test_limits_say_which_and_how_many(void **state)
{
    struct scene *s = *state;
    s->net.limits.value[LIMIT_CHILDREN] = 1;
    s->net.limits.value[LIMIT_LOCAL_STREAMS] = 2;
    (void)open_child(s);
    assert_int_equal(open_local(s, NODE_LOCAL_CHILD, "sh", 3), WEIR_E_LIMIT);
    assert_string_equal(node_error(s->node)->limit_name, "children");
    assert_int_equal(node_error(s->node)->limit_max, 1);
    (void)open_file(s, WEIR_FILE_READ);
    assert_int_equal(open_local(s, NODE_LOCAL_UNIX, "s", 1), WEIR_E_LIMIT);
    assert_string_equal(node_error(s->node)->limit_name, "local_streams");
    assert_int_equal(node_error(s->node)->limit_used, 2);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
    assert_true(open_local(s, NODE_LOCAL_UNIX, "s", 1) > 0);
}

static void test_what_cannot_be_opened_is_refused(void **state)
{
    struct scene *s = *state;
    assert_int_equal(open_local(s, NODE_LOCAL_FILE | WEIR_FILE_READ << 8, "", 0), WEIR_E_ARGUMENT);
    assert_int_equal(open_local(s, NODE_LOCAL_UNIX, "a\0b", 3), WEIR_E_ARGUMENT);
    assert_int_equal(open_local(s, NODE_LOCAL_CHILD, "cat", 3), WEIR_E_ARGUMENT);
    assert_int_equal(open_local(s, 9, "cat", 3), WEIR_E_ARGUMENT);
    driver.error = WEIR_E_UNSUPPORTED;
    assert_int_equal(open_local(s, NODE_LOCAL_CHILD, "cat", 4), WEIR_E_UNSUPPORTED);
    s->table.local_open = NULL;
    assert_int_equal(open_local(s, NODE_LOCAL_CHILD, "cat", 4), WEIR_E_UNSUPPORTED);
    assert_int_equal(s->net.metrics.value[METRIC_LOCAL_OPEN], 0);
    assert_int_equal(s->net.metrics.value[METRIC_STREAMS_OPEN], 0);
}

static void test_bytes_without_room_are_given_again_when_there_is_some(void **state)
{
    static const uint8_t bytes[65536];
    struct scene *s = *state;
    (void)open_file(s, WEIR_FILE_READ);
    uint64_t used = node_memory_used(s->node), room = (1 << 24) - used;
    assert_int_equal(node_local_credit(s->node, driver.token), 65536);
    /* Somebody takes the budget while the disk is read. */
    struct budget *budget = &s->node->budget;
    assert_true(budget_charge(budget, room - 1000, NULL));
    assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, bytes, 65536), WEIR_E_BUDGET);
    assert_int_equal(node_local_credit(s->node, driver.token), 512);
    driver.wants = 0;
    poll_none(s);
    assert_int_equal(driver.wants, 0);
    budget_refund(budget, room - 1000);
    poll_none(s);
    assert_int_equal(driver.wants, 1);
    assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, bytes, 65536), 0);
    assert_int_equal(poll_one(s, WEIR_EVENT_READABLE)->amount, 65536);
}

static void test_a_drain_waits_for_a_local_stream_until_its_deadline(void **state)
{
    struct scene *s = *state;
    for (unsigned late = 0; late < 2; late++) {
        if (late == 1) {
            node_free(s->node);
            s->net.nodes[0] = NULL;
            open_node(s);
        }
        driver.closes = 0;
        (void)open_child(s);
        assert_int_equal(call_simple(&s->net, s->node, NODE_CALL_DRAIN, 0, 0, 5000), 0);
        poll_none(s);
        if (late == 1) {
            net_run(&s->net, 6000);
            assert_int_equal(driver.kills, 2); /* with that of the closed node */
        }
        assert_int_equal(say(s, NODE_LOCAL_END, 0, 0, NULL, 0), 0);
        assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 1, NULL, 0), 0);
        if (late == 0) {
            char c;
            s->count = net_poll(&s->net, s->node, s->events, 16);
            assert_int_equal(call_read(&s->net, s->node, s->events[0].object, &c, 1), WEIR_E_END);
        }
        s->count = 0;
        while (count_kind(s->events, s->count, WEIR_EVENT_DRAINED) == 0)
            s->count = net_poll(&s->net, s->node, s->events, 16);
        assert_int_equal(s->net.metrics.value[METRIC_LOCAL_OPEN], 0);
        (void)open_child(s);
    }
}

static void test_closing_the_node_closes_all_and_forgets_the_tokens(void **state)
{
    struct scene *s = *state;
    (void)open_file(s, WEIR_FILE_WRITE);
    (void)open_child(s);
    node_close(s->node);
    assert_int_equal(driver.closes, 2);
    assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
    assert_int_equal(node_local_credit(s->node, driver.token), WEIR_E_STALE);
    assert_int_equal(s->net.metrics.value[METRIC_LOCAL_OPEN], 0);
}

/* Whatever fails, there is an error or an end, and nothing is left. */
static void test_every_allocation_may_fail(void **state)
{
    struct scene *s = *state;
    uint64_t n = 0;
    bool has_failed = true;
    while (has_failed) {
        const uint8_t *data;
        bool fin;
        int64_t f, len;
        n++;
        s->net.counter.fail_at = n;
        f = open_local(s, NODE_LOCAL_CHILD, "cat", 4);
        if (f > 0) {
            (void)write_text(s, (uint64_t)f, "question", WEIR_FIN);
            s->count = net_poll(&s->net, s->node, s->events, 16);
            len = peek(s, &data, &fin);
            if (len > 0) assert_int_equal(say(s, NODE_LOCAL_WROTE, 0, (uint64_t)len, NULL, 0), 0);
            assert_int_equal(say(s, NODE_LOCAL_DATA, 0, 0, "answer", 6), 0);
            assert_int_equal(say(s, NODE_LOCAL_END, 0, 0, NULL, 0), 0);
            (void)call_simple(&s->net, s->node, NODE_CALL_STREAM_STOP, (uint64_t)f, 1, 0);
            assert_int_equal(say(s, NODE_LOCAL_CLOSED, 0, 0, NULL, 0), 0);
            do {
                s->count = net_poll(&s->net, s->node, s->events, 16);
            } while (count_kind(s->events, s->count, WEIR_EVENT_STREAM_CLOSED) == 0);
            poll_none(s);
        } else {
            assert_int_equal(f, WEIR_E_MEMORY);
        }
        has_failed = s->net.counter.fail_at == 0;
        s->net.counter.fail_at = 0;
        assert_int_equal(s->net.metrics.value[METRIC_STREAMS_OPEN], 0);
        assert_int_equal(s->net.metrics.value[METRIC_LOCAL_OPEN], 0);
        node_free(s->node);
        s->net.nodes[0] = NULL;
        s->net.count = 0;
        assert_int_equal(s->net.counter.live_bytes, 0);
        open_node(s);
    }
    assert_true(n > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_is_read_to_its_end),
        TEST(test_a_reader_that_does_not_consume_stops_the_reads_at_the_window),
        TEST(test_what_is_written_leaves_with_the_turn_and_waits_at_the_window),
        TEST(test_a_finished_file_is_over_when_the_driver_closed_it),
        TEST(test_a_failure_is_one_event_with_its_error),
        TEST(test_a_file_that_is_given_up_is_closed_and_ends_then),
        TEST(test_a_child_ends_with_its_exit_code),
        TEST(test_a_child_that_ends_first_stops_its_writer),
        TEST(test_resetting_a_child_kills_it_and_needs_no_reader),
        TEST(test_limits_say_which_and_how_many),
        TEST(test_what_cannot_be_opened_is_refused),
        TEST(test_bytes_without_room_are_given_again_when_there_is_some),
        TEST(test_a_drain_waits_for_a_local_stream_until_its_deadline),
        TEST(test_every_allocation_may_fail),
        TEST(test_closing_the_node_closes_all_and_forgets_the_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
