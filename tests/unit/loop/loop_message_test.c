/* SPDX-License-Identifier: MIT */
/* Goal: any bytes give a message or an error, and any datagrams and any failing allocation leave
 * two transports whole. Method: every message written and read back, cut at every length, out of
 * range by one; a conversation replayed with random damage, and with each allocation failing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "loop_pair.h"

static struct message_hello some_hello(void)
{
    struct message_hello hello = {.network = "a network"};
    struct key_pair key;
    uint8_t seed[32] = {1};
    key_pair_from_seed(&key, seed);
    hello.peer = key.id;
    hello.grants = (struct streams_grants){1000, 2000, 3000, 4000, 50, 60};
    return hello;
}

static size_t write_one(uint8_t *bytes, size_t cap, uint8_t type)
{
    struct writer w = writer_of(bytes, cap);
    struct message_hello hello = some_hello();
    switch (type) {
    case MESSAGE_OPEN:
    case MESSAGE_ACCEPT: loop_message_write_hello(&w, type, &hello); break;
    case MESSAGE_REFUSE:
    case MESSAGE_CLOSE: loop_message_write_end(&w, type, 0x10000004u, "why", 3); break;
    case MESSAGE_DATA:
    case MESSAGE_DATA_END:
        loop_message_write_data(&w, 8, 70000, 5, type == MESSAGE_DATA_END);
        writer_bytes(&w, "bytes", 5);
        break;
    case MESSAGE_RESET: loop_message_write_reset(&w, 8, 33, 70005); break;
    case MESSAGE_STOP: loop_message_write_stop(&w, 8, 33); break;
    case MESSAGE_DATAGRAM:
        loop_message_write_datagram(&w, 8, (const uint8_t *)"whole", 5);
        break;
    default: loop_message_write_limit(&w, type, 8, 70005); break;
    }
    assert_false(w.full);
    return writer_len(&w);
}

static void test_every_message_is_read_back_and_none_when_cut(void **state)
{
    uint8_t bytes[512];
    struct message m;
    (void)state;
    for (uint8_t type = MESSAGE_OPEN; type < MESSAGE_TYPES; type++) {
        size_t len = write_one(bytes, sizeof bytes, type);
        struct reader r = reader_of(bytes, len);
        assert_true(loop_message_read(&r, &m));
        assert_int_equal(reader_left(&r), 0);
        assert_int_equal(m.type, type);
        if (type == MESSAGE_OPEN) {
            struct message_hello hello = some_hello();
            assert_true(peer_id_equal(&m.hello.peer, &hello.peer));
            assert_string_equal(m.hello.network, "a network");
            assert_memory_equal(&m.hello.grants, &hello.grants, sizeof hello.grants);
        }
        if (type == MESSAGE_DATA_END) {
            assert_int_equal(m.stream, 8);
            assert_int_equal(m.offset, 70000);
            assert_int_equal(m.len, 5);
            assert_memory_equal(m.bytes, "bytes", 5);
        }
        if (type == MESSAGE_DATAGRAM) {
            assert_int_equal(m.stream, 8);
            assert_int_equal(m.len, 5);
            assert_memory_equal(m.bytes, "whole", 5);
        }
        if (type == MESSAGE_CLOSE) {
            assert_int_equal(m.code, 0x10000004u);
            assert_memory_equal(m.bytes, "why", 3);
        }
        if (type == MESSAGE_RESET) {
            assert_int_equal(m.code, 33);
            assert_int_equal(m.limit, 70005);
        }
        for (size_t cut = 0; cut < len; cut++) {
            /* A copy of its own size, so that the sanitizer sees every byte too many. */
            uint8_t *copy = malloc(cut + 1);
            memcpy(copy, bytes, cut);
            r = reader_of(copy, cut);
            assert_false(loop_message_read(&r, &m));
            free(copy);
        }
    }
}

static void test_values_out_of_range_are_malformed(void **state)
{
    static const struct {
        uint8_t bytes[24];
        size_t len;
    } table[] = {
        {{0}, 1},
        {{MESSAGE_TYPES}, 1},
        {{255}, 1},
        /* Offset and length pass 2^62. */
        {{MESSAGE_DATA, 0, 0xff, 255, 255, 255, 255, 255, 255, 255, 1, 'x'}, 12},
        {{MESSAGE_DATA, 0, 0, 0xff, 255, 255, 255, 255, 255, 255, 255}, 11},
        /* 2^60 + 1 streams. */
        {{MESSAGE_COUNT_UNI, 0xd0, 0, 0, 0, 0, 0, 0, 1}, 9},
        /* An empty peer id, and one that is no multihash. */
        {{MESSAGE_OPEN, 0, 0, 0, 0, 0, 0, 0, 0}, 9},
        {{MESSAGE_OPEN, 2, 7, 7, 0, 0, 0, 0, 0, 0, 0}, 11},
    };
    struct message m;
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct reader r = reader_of(table[i].bytes, table[i].len);
        assert_false(loop_message_read(&r, &m));
    }
    uint8_t bytes[512];
    size_t len = write_one(bytes, sizeof bytes, MESSAGE_OPEN);
    bytes[2 + PEER_ID_ED25519_SIZE + 1] = '\n'; /* in the network's name */
    struct reader r = reader_of(bytes, len);
    assert_false(loop_message_read(&r, &m));
    /* An id that hashes its key: nobody can have it here. */
    uint8_t hashed[64] = {MESSAGE_OPEN, 34, 0x12, 0x20};
    r = reader_of(hashed, sizeof hashed);
    assert_false(loop_message_read(&r, &m));
    uint8_t end[200] = {MESSAGE_CLOSE, 0, 0, 0, 0, MESSAGE_TEXT_MAX + 1};
    r = reader_of(end, sizeof end);
    assert_false(loop_message_read(&r, &m));
    end[5] = MESSAGE_TEXT_MAX;
    r = reader_of(end, sizeof end);
    assert_true(loop_message_read(&r, &m));
}

static void test_the_longest_hello_fits_its_bound(void **state)
{
    uint8_t bytes[512];
    struct writer w = writer_of(bytes, MESSAGE_HELLO_BYTES);
    struct message_hello hello = some_hello();
    (void)state;
    memset(hello.network, 'n', MESSAGE_NETWORK_MAX);
    hello.grants = (struct streams_grants){VARINT_MAX, VARINT_MAX,        VARINT_MAX,
                                           VARINT_MAX, MESSAGE_COUNT_MAX, MESSAGE_COUNT_MAX};
    hello.peer.len = PEER_ID_SIZE_MAX;
    loop_message_write_hello(&w, MESSAGE_OPEN, &hello);
    assert_false(w.full);
    assert_true(writer_len(&w) <= MESSAGE_HELLO_BYTES);
}

/* Whatever was damaged or refused, both applications go on as they can. */
static void use_stream(struct side *s, struct stream *stream, struct pair *p)
{
    uint8_t bytes[300];
    while (stream_read(stream, bytes, sizeof bytes, p->now_us) > 0) continue;
    if (stream->has_out) (void)stream_write(stream, "answer", 6, false, true, p->now_us);
    side_look(s);
}

static void damage(uint8_t *bytes, size_t len, struct rng *rng)
{
    uint64_t count = rng == NULL ? 0 : rng_below(rng, 4);
    for (; count > 0; count--) bytes[rng_below(rng, len)] = (uint8_t)rng_u32(rng);
}

static void carry(struct pair *p, struct side *from, struct rng *rng)
{
    struct side *to = from == &p->a ? &p->b : &p->a;
    struct datagram_out out;
    size_t len;
    for (int i = 0; i < 64 && (len = pair_take(p, from, &out)) > 0; i++) {
        uint8_t *copy = malloc(len);
        memcpy(copy, p->bytes, len);
        damage(copy, len, rng);
        if (rng != NULL && rng_below(rng, 16) == 0) len = rng_below(rng, len);
        pair_give(p, from, to, copy, len);
        free(copy);
    }
    side_look(from);
    p->now_us += LATENCY_US;
}

static void converse(struct pair *p, struct rng *rng)
{
    struct transport_dial dial = {.remote = p->b.at};
    struct transport_conn *c;
    int error;
    if (loop_transport.dial(p->a.t, &dial, p->now_us, &c) != 0) return;
    for (int round = 0; round < 12; round++) {
        carry(p, &p->a, rng);
        carry(p, &p->b, rng);
        for (int i = 0; p->a.conn != NULL && p->a.conn->state == CONN_UP && i < 2; i++) {
            struct stream *s = streams_open_local(p->a.conn, i == 1, 3, &error);
            if (s == NULL) continue;
            (void)stream_write(s, "question and more", 17, false, round % 2 == 0, p->now_us);
            if (round % 5 == 4) (void)stream_reset(s, 4, p->now_us);
        }
        if (p->b.conn != NULL && p->b.conn->state == CONN_UP && p->b.conn->streams != NULL) {
            struct stream *list[64], *s;
            uint32_t cursor = 0, count = 0;
            while (count < 64 && (s = map_next(&p->b.conn->streams->by_id, &cursor)) != NULL)
                list[count++] = s;
            while (count > 0) {
                s = list[--count];
                if (round % 3 == 2 && s->has_in)
                    (void)stream_stop(s, 6, p->now_us);
                else
                    use_stream(&p->b, s, p);
                if (p->b.conn == NULL || p->b.conn->state != CONN_UP) break;
            }
        }
        side_look(&p->a);
        side_look(&p->b);
        loop_transport.on_turn(p->a.t, p->now_us);
        loop_transport.on_turn(p->b.t, p->now_us);
    }
    if (p->a.conn != NULL) {
        loop_transport.conn_close(p->a.conn, 1, "bye", 3, p->now_us);
        side_look(&p->a);
    }
    carry(p, &p->a, rng);
    carry(p, &p->b, rng);
    loop_transport.on_deadline(p->a.t, UINT64_MAX - 1);
    side_look(&p->a);
}

static void test_random_damage_ends_connections_and_nothing_else(void **state)
{
    static struct pair pair;
    struct rng rng;
    uint64_t violations = 0, done = 0;
    (void)state;
    rng_init(&rng, 4, "loop damage", 0);
    for (int i = 0; i < 3000; i++) {
        pair_init(&pair);
        pair_open(&pair);
        converse(&pair, &rng);
        violations += pair.a.metrics.value[METRIC_PROTOCOL_VIOLATIONS];
        violations += pair.b.metrics.value[METRIC_PROTOCOL_VIOLATIONS];
        done += pair.a.metrics.value[METRIC_HANDSHAKES_DONE];
        pair_close(&pair);
    }
    assert_true(violations > 100 && done > 100); /* the damage reaches deep enough */
}

static void test_random_bytes_do_no_harm(void **state)
{
    static struct pair pair;
    struct rng rng;
    uint8_t bytes[64];
    (void)state;
    rng_init(&rng, 4, "loop bytes", 0);
    pair_init(&pair);
    pair_open(&pair);
    pair_connect(&pair);
    for (int i = 0; i < 100000; i++) {
        size_t len = rng_below(&rng, sizeof bytes);
        rng_fill(&rng, bytes, sizeof bytes);
        bytes[0] = MESSAGE_VERSION;
        memset(bytes + 1, 0, 8);
        bytes[4] = (uint8_t)rng_below(&rng, 3);
        bytes[8] = (uint8_t)rng_below(&rng, 3);
        pair_give(&pair, &pair.a, &pair.b, bytes, len);
        if (i % 64 == 0) pair_settle(&pair);
        if (pair.a.conn == NULL && pair.b.conn == NULL) {
            pair.a.up = pair.b.up = 0;
            pair_connect(&pair);
        }
    }
    pair_close(&pair);
}

static void test_each_allocation_may_fail_on_either_side(void **state)
{
    static struct pair pair;
    (void)state;
    for (int side = 0; side < 2; side++) {
        uint64_t at = 1;
        for (;; at++) {
            pair_init(&pair);
            pair_open(&pair);
            struct mem_counter *counter = side == 0 ? &pair.a.counter : &pair.b.counter;
            counter->fail_at = at;
            converse(&pair, NULL);
            bool reached = counter->fail_at == 0;
            counter->fail_at = 0;
            pair_close(&pair);
            if (!reached) break;
        }
        assert_true(at > 20);
    }
}

static void test_opening_a_transport_without_memory_says_so(void **state)
{
    struct side s;
    (void)state;
    side_init(&s, 1);
    s.counter.fail_at = 1;
    assert_int_equal(loop_transport.open(&s.env, &s.t), WEIR_E_MEMORY);
    assert_null(s.t);
    side_open(&s);
    side_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_is_read_back_and_none_when_cut),
        cmocka_unit_test(test_values_out_of_range_are_malformed),
        cmocka_unit_test(test_the_longest_hello_fits_its_bound),
        cmocka_unit_test(test_random_damage_ends_connections_and_nothing_else),
        cmocka_unit_test(test_random_bytes_do_no_harm),
        cmocka_unit_test(test_each_allocation_may_fail_on_either_side),
        cmocka_unit_test(test_opening_a_transport_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
