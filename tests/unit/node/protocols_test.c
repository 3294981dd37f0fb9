/* SPDX-License-Identifier: MIT */
/* Goal: streams reach the application only under a name that is served, whatever bytes a peer sends
 * first. Method: the far side's lanes are written by hand, below node, and moved in pieces down to
 * one byte. */
#include "unit/node/fake.h"

struct pair {
    struct fake_net net;
    struct node *a, *b;
    uint64_t conn[2];
    weir_event events[16];
};

static int setup(void **state)
{
    static struct pair p;
    memset(&p, 0, sizeof p);
    net_init(&p.net);
    p.a = net_add(&p.net, NULL);
    p.b = net_add(&p.net, NULL);
    assert_int_equal(call_text(&p.net, p.b, NODE_CALL_SERVE, 0, "echo", NULL), 0);
    net_pair(&p.net, p.conn);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    net_free(&p->net);
    return 0;
}

static struct transport_conn *conn_of(struct pair *p)
{
    return &list_first(&p->net.transports[0]->conns, struct fake_conn, link)->base;
}

/* A stream that a's node knows nothing of: what a foreign implementation could send. */
static struct stream *raw_stream(struct pair *p, const void *bytes, size_t len, bool fin)
{
    int error;
    struct stream *s = streams_open_local(conn_of(p), false, 3, &error);
    assert_non_null(s);
    s->node_flags = 2; /* hidden: a's node removes it when it is over */
    assert_int_equal(stream_write(s, bytes, len, false, fin, p->net.now_us), len);
    stream_release(s, p->net.now_us);
    return s;
}

static void test_a_protocol_that_is_not_served_is_reset_and_stopped_unseen(void **state)
{
    struct pair *p = *state;
    int64_t s = call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "chat", NULL);
    assert_true(s > 0);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, (uint64_t)s, 0, "hi", 2),
                     2);
    assert_int_equal(net_poll(&p->net, p->a, p->events, 16), 3);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_STREAM_RESET);
    assert_int_equal(p->events[0].amount, WEIR_REASON_PROTOCOL_NOT_SERVED);
    assert_int_equal(p->events[1].kind, WEIR_EVENT_STREAM_STOPPED);
    assert_int_equal(p->events[1].amount, WEIR_REASON_PROTOCOL_NOT_SERVED);
    assert_int_equal(p->events[2].kind, WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 0);
    (void)net_poll(&p->net, p->a, p->events, 16);
    assert_int_equal(p->net.metrics.value[METRIC_STREAMS_REFUSED], 1);
    assert_int_equal(p->net.metrics.value[METRIC_STREAMS_OPEN], 0);
}

static void test_a_head_split_into_single_bytes_is_read(void **state)
{
    struct pair *p = *state;
    char text[8];
    p->net.piece_bytes = 1;
    int64_t s = call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "echo", NULL);
    assert_int_equal(
        call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, (uint64_t)s, WEIR_FIN, "body", 4), 4);
    (void)net_poll(&p->net, p->a, p->events, 16);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 2);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_STREAM);
    assert_int_equal(p->events[1].amount, 4);
    assert_int_equal(call_read(&p->net, p->b, p->events[0].object, text, 8), 4);
    assert_memory_equal(text, "body", 4);
}

static void test_no_prefix_of_a_head_surfaces(void **state)
{
    struct pair *p = *state;
    static const uint8_t head[] = {4, 'e', 'c', 'h', 'o'};
    struct stream *s = raw_stream(p, head, 1, false);
    for (size_t i = 1; i < sizeof head; i++) {
        net_settle(&p->net);
        assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 0);
        assert_int_equal(stream_write(s, &head[i], 1, false, false, p->net.now_us), 1);
        stream_release(s, p->net.now_us);
    }
    net_settle(&p->net);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_STREAM);
}

static void test_malformed_heads_are_refused_by_name_and_leave_nothing(void **state)
{
    struct pair *p = *state;
    static uint8_t spaces[130] = {0x40, 128};
    memset(spaces + 2, ' ', 128);
    const struct {
        const char *what;
        const void *bytes;
        size_t len;
        bool fin;
    } cases[] = {
        {"length 0", "\0abc", 4, false},
        {"longer than the limit", "\x40\x81xxxx", 6, false},
        {"longer than memory", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, false},
        {"ends inside the length", "\x40", 1, true},
        {"ends inside the name",
         "\x04"
         "ech",
         4, true},
        {"ends at once", "", 0, true},
        {"a space in the name",
         "\x04"
         "ec o",
         5, false},
        {"a byte above ASCII",
         "\x04"
         "ec\xc3o",
         5, false},
        {"a zero in the name",
         "\x04"
         "ec\0o",
         5, false},
        {"all spaces", spaces, sizeof spaces, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream *s = raw_stream(p, cases[i].bytes, cases[i].len, cases[i].fin);
        uint64_t id = s->id;
        net_settle(&p->net);
        assert_int_equal(p->net.metrics.value[METRIC_STREAMS_REFUSED], i + 1);
        assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 0);
        (void)net_poll(&p->net, p->a, p->events, 16);
        assert_null(streams_get(conn_of(p), id));
        assert_int_equal(p->net.metrics.value[METRIC_STREAMS_OPEN], 0);
    }
}

static void test_a_length_in_its_long_form_is_read_too(void **state)
{
    struct pair *p = *state;
    (void)raw_stream(p,
                     "\xc0\0\0\0\0\0\0\x04"
                     "echo!",
                     13, false);
    net_settle(&p->net);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 2);
    assert_int_equal(p->events[1].kind, WEIR_EVENT_READABLE);
    assert_int_equal(p->events[1].amount, 1);
}

static void test_names_are_checked_served_once_and_bounded(void **state)
{
    struct pair *p = *state;
    char longest[130];
    memset(longest, 'x', sizeof longest);
    longest[129] = 0;
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, longest, NULL), WEIR_E_NAME);
    longest[128] = 0;
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, longest, NULL), 0);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "", NULL), WEIR_E_NAME);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "a b", NULL), WEIR_E_NAME);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "weir/x", NULL), WEIR_E_NAME);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "echo", NULL), WEIR_E_EXISTS);
    assert_int_equal(call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "a b", NULL),
                     WEIR_E_NAME);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_UNSERVE, 0, "nobody", NULL),
                     WEIR_E_NOT_FOUND);
    p->net.limits.value[LIMIT_PROTOCOLS] = 3;
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "third", NULL), 0);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "fourth", NULL), WEIR_E_LIMIT);
    assert_string_equal(node_error(p->b)->limit_name, "protocols");
    assert_int_equal(node_error(p->b)->limit_max, 3);
}

static void test_a_stream_keeps_its_name_when_the_protocol_is_no_longer_served(void **state)
{
    struct pair *p = *state;
    weir_stream_info info;
    uint64_t used = node_memory_used(p->b);
    int64_t s = call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "echo", NULL);
    assert_true(s > 0);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 0);
    /* Nothing was written: the name leaves alone at the next turn, so that the other side may speak
     * first. */
    (void)net_poll(&p->net, p->a, p->events, 16);
    net_settle(&p->net);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 1);
    uint64_t far = p->events[0].object;
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_UNSERVE, 0, "echo", NULL), 0);
    assert_int_equal(node_stream_info(p->b, far, &info), 0);
    assert_string_equal(info.protocol, "echo");
    assert_int_equal(call_simple(&p->net, p->b, NODE_CALL_STREAM_RESET, far, 1, 0), 0);
    assert_int_equal(call_simple(&p->net, p->b, NODE_CALL_STREAM_STOP, far, 1, 0), 0);
    net_settle(&p->net);
    (void)net_poll(&p->net, p->a, p->events, 16);
    while (net_poll(&p->net, p->b, p->events, 16) > 0) {
    }
    assert_int_equal(node_stream_info(p->b, far, &info), WEIR_E_STALE);
    assert_true(node_memory_used(p->b) < used);
    int64_t again = call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "echo", NULL);
    assert_true(again > 0);
    assert_int_equal(call_simple(&p->net, p->a, NODE_CALL_STREAM_FLUSH, (uint64_t)again, 0, 0), 0);
    (void)net_poll(&p->net, p->a, p->events, 16);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 0);
}

static void test_a_one_way_stream_has_no_way_back(void **state)
{
    struct pair *p = *state;
    const weir_stream_options options = {
        .size = sizeof options, .flags = WEIR_ONE_WAY, .user = 5, .urgency_plus1 = 1};
    weir_stream_info info;
    char text[4];
    int64_t s = call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "echo", &options);
    assert_int_equal(
        call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, (uint64_t)s, WEIR_FIN, "x", 1), 1);
    assert_int_equal(call_read(&p->net, p->a, (uint64_t)s, text, 4), WEIR_E_ONE_WAY);
    assert_int_equal(node_stream_info(p->a, (uint64_t)s, &info), 0);
    assert_int_equal(info.is_one_way, 1);
    assert_int_equal(info.user, 5);
    assert_int_equal(info.urgency, 0);
    (void)net_poll(&p->net, p->a, p->events, 16);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 2);
    uint64_t far = p->events[0].object;
    assert_int_equal(call_stream(&p->net, p->b, NODE_CALL_STREAM_WRITE, far, 0, "x", 1),
                     WEIR_E_ONE_WAY);
    assert_int_equal(call_read(&p->net, p->b, far, text, 4), 1);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 16), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(p->events[0].amount, 0);
}

enum { NAMES = 20 };

static int64_t on_name(struct pair *p, uint32_t kind, unsigned i)
{
    char name[] = "name/a";
    name[5] = (char)('a' + i);
    return call_text(&p->net, p->b, kind, 0, name, NULL);
}

static void test_many_names_are_found_as_few_are(void **state)
{
    struct pair *p = *state;
    for (unsigned i = 0; i < NAMES; i++) {
        assert_int_equal(on_name(p, NODE_CALL_UNSERVE, i), WEIR_E_NOT_FOUND);
        assert_int_equal(on_name(p, NODE_CALL_SERVE, i), 0);
        for (unsigned k = 0; k <= i; k++)
            assert_int_equal(on_name(p, NODE_CALL_SERVE, k), WEIR_E_EXISTS);
    }
    for (unsigned i = 0; i < NAMES; i += 2) assert_int_equal(on_name(p, NODE_CALL_UNSERVE, i), 0);
    for (unsigned i = 0; i < NAMES; i++)
        assert_int_equal(on_name(p, NODE_CALL_SERVE, i), i % 2 == 0 ? 0 : WEIR_E_EXISTS);
    assert_int_equal(call_text(&p->net, p->b, NODE_CALL_SERVE, 0, "echo", NULL), WEIR_E_EXISTS);
}

static void test_serving_without_memory_changes_nothing(void **state)
{
    struct pair *p = *state;
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        bool failed;
        p->net.counter.fail_at = n;
        for (unsigned i = 0; i < NAMES && p->net.counter.fail_at != 0; i++) {
            int64_t result = on_name(p, NODE_CALL_SERVE, i);
            failed = p->net.counter.fail_at == 0;
            assert_int_equal(result, failed ? WEIR_E_MEMORY : 0);
        }
        failed = p->net.counter.fail_at == 0;
        p->net.counter.fail_at = 0;
        if (!failed) break;
        failures++;
        for (unsigned i = 0; i < NAMES; i++) (void)on_name(p, NODE_CALL_UNSERVE, i);
    }
    assert_true(failures >= NAMES);
    for (unsigned i = 0; i < NAMES; i++)
        assert_int_equal(on_name(p, NODE_CALL_SERVE, i), WEIR_E_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_protocol_that_is_not_served_is_reset_and_stopped_unseen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_head_split_into_single_bytes_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_prefix_of_a_head_surfaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_heads_are_refused_by_name_and_leave_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_length_in_its_long_form_is_read_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_names_are_checked_served_once_and_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_a_stream_keeps_its_name_when_the_protocol_is_no_longer_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_one_way_stream_has_no_way_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_names_are_found_as_few_are, setup, teardown),
        cmocka_unit_test_setup_teardown(test_serving_without_memory_changes_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
