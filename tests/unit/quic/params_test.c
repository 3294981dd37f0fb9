/* SPDX-License-Identifier: MIT */
/* Goal: transport parameters come back as written and every rule of RFC 9000 18.2 and of
 * docs/wire.md 5.8 and 7 holds. Method: round trips in both roles, a table of good and bad bytes,
 * every truncation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/params.h"

#include <stdlib.h>
#include <string.h>

static const struct cid id_a = {8, {1, 2, 3, 4, 5, 6, 7, 8}};
static const struct cid id_b = {8, {1, 2, 3, 4, 5, 6, 7, 9}};
static const struct cid id_c = {4, {1, 2, 3, 4}};

static void params_fill(struct params *p)
{
    params_init(p);
    p->max_idle_timeout_ms = 30000;
    p->max_udp_payload_size = 1472;
    p->initial_max_data = 1 << 20;
    p->initial_max_stream_data_bidi_local = 65536;
    p->initial_max_stream_data_bidi_remote = 65537;
    p->initial_max_stream_data_uni = 65538;
    p->initial_max_streams_bidi = 100;
    p->initial_max_streams_uni = UINT64_C(1) << 60;
    p->ack_delay_exponent = 20;
    p->max_ack_delay_ms = (1 << 14) - 1;
    p->active_connection_id_limit = 4;
    p->max_datagram_frame_size = 65535;
    p->min_ack_delay_us = 16383000;
    p->disable_active_migration = true;
    p->has_initial_scid = true;
    p->initial_scid = id_a;
    p->network_len = PARAMS_NETWORK_MAX;
    memset(p->network, 'n', PARAMS_NETWORK_MAX);
}

static void test_a_clients_parameters_come_back(void **state)
{
    struct params sent, got;
    uint8_t out[PARAMS_SIZE_MAX];
    (void)state;
    for (uint64_t grease = 0; grease < 64; grease++) {
        struct writer w = writer_of(out, sizeof out);
        params_fill(&sent);
        sent.suite = AEAD_AES_256_GCM;
        size_t len = params_encode(&w, &sent, false, grease * UINT64_C(0x9e3779b97f4a7c15));
        assert_true(len > 0);
        assert_int_equal(len, writer_len(&w));
        assert_int_equal(params_decode(out, len, false, &got), 0);
        assert_memory_equal(&got, &sent, sizeof got);
    }
}

static void test_a_servers_parameters_come_back(void **state)
{
    struct params sent, got;
    uint8_t out[PARAMS_SIZE_MAX];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    params_fill(&sent);
    sent.has_original_dcid = sent.has_retry_scid = sent.has_reset_token = true;
    sent.original_dcid = id_b;
    sent.retry_scid = id_c;
    memset(sent.reset_token, 0x77, 16);
    sent.has_preferred_address = true;
    sent.preferred_address.ipv4[0] = 127;
    sent.preferred_address.ipv4_port = 443;
    sent.preferred_address.ipv6[15] = 1;
    sent.preferred_address.ipv6_port = 8443;
    sent.preferred_address.cid = id_c;
    sent.preferred_address.reset_token[3] = 9;
    sent.suites = 3;
    size_t len = params_encode(&w, &sent, true, UINT64_MAX);
    assert_true(len > 0);
    assert_int_equal(params_decode(out, len, true, &got), 0);
    assert_memory_equal(&got, &sent, sizeof got);
    /* The same bytes from a client hold what only a server may say. */
    assert_int_equal(params_decode(out, len, false, &got), QUIC_TRANSPORT_PARAMETER);
    /* A client never writes them. */
    w = writer_of(out, sizeof out);
    len = params_encode(&w, &sent, false, 1);
    assert_int_equal(params_decode(out, len, false, &got), 0);
    assert_false(got.has_original_dcid || got.has_retry_scid || got.has_reset_token);
    assert_false(got.has_preferred_address);
}

static void test_absent_parameters_have_their_defaults(void **state)
{
    struct params p;
    (void)state;
    memset(&p, 0xff, sizeof p);
    assert_int_equal(params_decode(NULL, 0, true, &p), 0);
    assert_int_equal(p.max_idle_timeout_ms, 0);
    assert_int_equal(p.max_udp_payload_size, 65527);
    assert_int_equal(p.initial_max_data, 0);
    assert_int_equal(p.initial_max_streams_uni, 0);
    assert_int_equal(p.ack_delay_exponent, 3);
    assert_int_equal(p.max_ack_delay_ms, 25);
    assert_int_equal(p.active_connection_id_limit, 2);
    assert_int_equal(p.max_datagram_frame_size, 0);
    assert_true(p.min_ack_delay_us == PARAMS_ABSENT);
    assert_int_equal(p.suites, 1);
    assert_int_equal(p.suite, 1);
    assert_int_equal(p.network_len, 0);
    assert_false(p.disable_active_migration || p.has_initial_scid);
}

static void test_defaults_are_not_sent(void **state)
{
    struct params p;
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    params_init(&p);
    assert_int_equal(params_encode(&w, &p, true, 0), 2); /* the reserved one: 27, empty */
    assert_memory_equal(out, "\x1b\x00", 2);
}

static void test_what_does_not_fit_is_not_written(void **state)
{
    struct params p;
    uint8_t out[PARAMS_SIZE_MAX];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    params_fill(&p);
    size_t need = params_encode(&w, &p, true, 5);
    for (size_t cap = 0; cap < need; cap++) {
        w = writer_of(out, cap);
        assert_int_equal(params_encode(&w, &p, true, 5), 0);
        assert_int_equal(writer_len(&w), 0);
        assert_false(w.full);
    }
}

#define MOST 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
#define SIXTEEN 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define MIN_ACK_DELAY 0xc0, 0, 0, 0, 0xff, 0x04, 0xde, 0x1b
enum { C = 1, S = 2, CS = 3 }; /* from whom these bytes are good */
static const struct {
    const char *what;
    uint8_t bytes[80];
    size_t len;
    int good;
} rows[] = {
    {"id alone", {0x01}, 1, 0},
    {"length cut off", {0x01, 0x40}, 2, 0},
    {"value cut off", {0x01, 2, 0x40}, 3, 0},
    {"length 2^62-1", {0x01, MOST, 0}, 10, 0},
    {"empty number", {0x04, 0}, 2, 0},
    {"number shorter than its length", {0x04, 2, 5, 0}, 4, 0},
    {"number in more bytes than needed", {0x04, 2, 0x40, 5}, 4, CS},
    {"id in more bytes than needed", {0x40, 0x04, 1, 5}, 4, CS},
    {"twice", {0x04, 1, 5, 0x04, 1, 5}, 6, 0},
    {"twice in two encodings", {0x04, 1, 5, 0x40, 0x04, 1, 5}, 7, 0},
    {"unknown", {0x3f, 1, 5}, 3, CS},
    {"unknown twice", {0x3f, 1, 5, 0x3f, 1, 5}, 6, CS},
    {"unknown with the greatest id", {MOST, 0}, 9, CS},
    {"max_udp_payload_size 1199", {0x03, 2, 0x44, 0xaf}, 4, 0},
    {"max_udp_payload_size 1200", {0x03, 2, 0x44, 0xb0}, 4, CS},
    {"max_udp_payload_size beyond UDP", {0x03, 8, MOST}, 10, CS},
    {"streams_bidi 2^60", {0x08, 8, 0xd0, 0, 0, 0, 0, 0, 0, 0}, 10, CS},
    {"streams_bidi 2^60 + 1", {0x08, 8, 0xd0, 0, 0, 0, 0, 0, 0, 1}, 10, 0},
    {"streams_uni 2^60 + 1", {0x09, 8, 0xd0, 0, 0, 0, 0, 0, 0, 1}, 10, 0},
    {"ack_delay_exponent 20", {0x0a, 1, 20}, 3, CS},
    {"ack_delay_exponent 21", {0x0a, 1, 21}, 3, 0},
    {"max_ack_delay 2^14 - 1", {0x0b, 2, 0x7f, 0xff}, 4, CS},
    {"max_ack_delay 2^14", {0x0b, 4, 0x80, 0, 0x40, 0}, 6, 0},
    {"disable_active_migration", {0x0c, 0}, 2, CS},
    {"disable_active_migration with a value", {0x0c, 1, 1}, 3, 0},
    {"active_connection_id_limit 1", {0x0e, 1, 1}, 3, 0},
    {"active_connection_id_limit 2", {0x0e, 1, 2}, 3, CS},
    {"initial_scid, empty", {0x0f, 0}, 2, CS},
    {"initial_scid of 20", {0x0f, 20}, 22, CS},
    {"initial_scid of 21", {0x0f, 21}, 23, 0},
    {"original_dcid", {0x00, 1, 7}, 3, S},
    {"original_dcid of 21", {0x00, 21}, 23, 0},
    {"retry_scid", {0x10, 1, 7}, 3, S},
    {"reset token", {0x02, 16, SIXTEEN}, 18, S},
    {"reset token of 15", {0x02, 15, SIXTEEN}, 17, 0},
    {"reset token of 17", {0x02, 17, SIXTEEN, 0}, 19, 0},
    {"preferred address", {0x0d, 42, [26] = 1, [43] = 9}, 44, S},
    {"preferred address without id", {0x0d, 41, [26] = 0, [42] = 9}, 43, 0},
    {"preferred address, one byte too long", {0x0d, 43, [26] = 1}, 45, 0},
    {"preferred address, id of 21", {0x0d, 62, [26] = 21}, 64, 0},
    {"datagrams", {0x20, 1, 5}, 3, CS},
    {"datagrams twice", {0x20, 1, 5, 0x20, 1, 5}, 6, 0},
    {"min_ack_delay 0", {MIN_ACK_DELAY, 1, 0}, 10, CS},
    {"min_ack_delay as large as max_ack_delay", {MIN_ACK_DELAY, 4, 0x80, 0, 0x61, 0xa8}, 13, CS},
    {"min_ack_delay above max_ack_delay", {MIN_ACK_DELAY, 4, 0x80, 0, 0x61, 0xa9}, 13, 0},
    {"min_ack_delay above a later max_ack_delay",
     {MIN_ACK_DELAY, 2, 0x43, 0xe9, 0x0b, 1, 1},
     14,
     0},
    {"min_ack_delay below an earlier max_ack_delay",
     {0x0b, 1, 1, MIN_ACK_DELAY, 2, 0x43, 0xe8},
     14,
     CS},
    {"min_ack_delay 2^24", {MIN_ACK_DELAY, 4, 0x81, 0, 0, 0}, 13, 0},
    {"min_ack_delay twice", {MIN_ACK_DELAY, 1, 0, MIN_ACK_DELAY, 1, 0}, 20, 0},
    {"min_ack_delay, empty", {MIN_ACK_DELAY, 0}, 9, 0},
    {"min_ack_delay under an older draft's id",
     {0xc0, 0, 0, 0, 0xff, 0x04, 0xde, 0x1a, 1, 0},
     10,
     CS},
    {"suite of one byte", {0x40, 0x01 | 0x40, 1, 1}, 4, CS}, /* id 0x41: merely unknown */
    {"suites: none", {0x80, 0, 0x40, 1, 0}, 5, 0},
    {"suites: one", {0x80, 0, 0x40, 1, 1, 2}, 6, CS},
    {"suites: two", {0x80, 0, 0x40, 1, 2, 1, 2}, 7, S},
    {"suites: two and one yet unknown", {0x80, 0, 0x40, 1, 3, 1, 9, 2}, 8, S},
    {"suites twice", {0x80, 0, 0x40, 1, 1, 1, 0x80, 0, 0x40, 1, 1, 1}, 12, 0},
    {"network name, empty", {0x80, 0, 0x40, 2, 0}, 5, CS},
    {"network name", {0x80, 0, 0x40, 2, 4, 't', 'e', 'a', 'm'}, 9, CS},
    {"network name of 64 zeros", {0x80, 0, 0x40, 2, 0x40, 64}, 70, 0},
    {"network name that hides behind a zero",
     {0x80, 0, 0x40, 2, 6, 't', 'e', 'a', 'm', 0, 'x'},
     11,
     0},
    {"network name with an escape", {0x80, 0, 0x40, 2, 2, 'a', 0x1b}, 7, 0},
    {"network name with a delete", {0x80, 0, 0x40, 2, 2, 0x7f, 'a'}, 7, 0},
    {"network name of 65", {0x80, 0, 0x40, 2, 0x40, 65}, 71, 0},
};

static void test_each_rule_is_applied_to_each_role(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct params p;
        uint8_t *copy = malloc(rows[i].len);
        memcpy(copy, rows[i].bytes, rows[i].len);
        int client = params_decode(copy, rows[i].len, false, &p);
        int server = params_decode(copy, rows[i].len, true, &p);
        if ((client == 0) != ((rows[i].good & C) != 0)) print_message("client: %s\n", rows[i].what);
        if ((server == 0) != ((rows[i].good & S) != 0)) print_message("server: %s\n", rows[i].what);
        assert_int_equal(client, rows[i].good & C ? 0 : QUIC_TRANSPORT_PARAMETER);
        assert_int_equal(server, rows[i].good & S ? 0 : QUIC_TRANSPORT_PARAMETER);
        free(copy);
    }
}

static void test_an_endless_idle_timeout_is_read_as_the_longest(void **state)
{
    static const uint8_t bytes[] = {0x01, 8, MOST};
    struct params p;
    (void)state;
    assert_int_equal(params_decode(bytes, sizeof bytes, true, &p), 0);
    assert_true(p.max_idle_timeout_ms == PARAMS_IDLE_MAX_MS);
    assert_true(p.max_idle_timeout_ms * 1000 > p.max_idle_timeout_ms);
}

static void test_every_truncation_is_read_or_refused(void **state)
{
    struct params p;
    uint8_t out[PARAMS_SIZE_MAX];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    params_fill(&p);
    size_t len = params_encode(&w, &p, false, 0x1234567);
    unsigned whole = 0;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, out, cut);
        int error = params_decode(copy, cut, false, &p);
        assert_true(error == 0 || error == QUIC_TRANSPORT_PARAMETER);
        if (error == 0) whole++; /* cut between two parameters */
        free(copy);
    }
    assert_in_range(whole, 10, 17);
}

static void test_connection_ids_are_checked_in_both_roles(void **state)
{
    struct params p;
    (void)state;
    params_init(&p);
    assert_int_equal(params_check_cids(&p, &id_a, NULL, NULL), QUIC_TRANSPORT_PARAMETER);
    p.has_initial_scid = true;
    p.initial_scid = id_a;
    assert_int_equal(params_check_cids(&p, &id_a, NULL, NULL), 0);
    assert_int_equal(params_check_cids(&p, &id_b, NULL, NULL), QUIC_TRANSPORT_PARAMETER);
    assert_int_equal(params_check_cids(&p, &id_c, NULL, NULL), QUIC_TRANSPORT_PARAMETER);
    /* A server must repeat the original id. */
    assert_int_equal(params_check_cids(&p, &id_a, &id_b, NULL), QUIC_TRANSPORT_PARAMETER);
    p.has_original_dcid = true;
    p.original_dcid = id_b;
    assert_int_equal(params_check_cids(&p, &id_a, &id_b, NULL), 0);
    assert_int_equal(params_check_cids(&p, &id_a, &id_c, NULL), QUIC_TRANSPORT_PARAMETER);
    /* And the Retry's if, and only if, there was one. */
    assert_int_equal(params_check_cids(&p, &id_a, &id_b, &id_c), QUIC_TRANSPORT_PARAMETER);
    p.has_retry_scid = true;
    p.retry_scid = id_c;
    assert_int_equal(params_check_cids(&p, &id_a, &id_b, &id_c), 0);
    assert_int_equal(params_check_cids(&p, &id_a, &id_b, &id_a), QUIC_TRANSPORT_PARAMETER);
    assert_int_equal(params_check_cids(&p, &id_a, &id_b, NULL), QUIC_TRANSPORT_PARAMETER);
}

static void test_the_suite_is_the_best_that_both_offer(void **state)
{
    struct params p;
    (void)state;
    for (uint8_t suites = 1; suites <= 3; suites += 2) {
        for (int aes = 0; aes < 2; aes++) {
            params_init(&p);
            p.suites = suites;
            assert_int_equal(params_suite_choose(&p, aes), suites == 3 && aes ? 2 : 1);
        }
    }
    params_init(&p);
    assert_int_equal(params_suite_check(&p, false), 0);
    p.suite = 2;
    assert_int_equal(params_suite_check(&p, false), QUIC_TRANSPORT_PARAMETER);
    assert_int_equal(params_suite_check(&p, true), 0);
    p.suite = 0;
    assert_int_equal(params_suite_check(&p, true), QUIC_TRANSPORT_PARAMETER);
    p.suite = 3;
    assert_int_equal(params_suite_check(&p, true), QUIC_TRANSPORT_PARAMETER);
}

/* The whole of wire.md 7.3, over the wire: both lists, both choices, what a liar may say. */
static void test_a_suite_is_agreed_over_the_wire(void **state)
{
    (void)state;
    for (unsigned row = 0; row < 4; row++) {
        bool server_aes = (row & 1) != 0, client_aes = (row & 2) != 0;
        struct params ours, seen;
        uint8_t out[64];
        struct writer w = writer_of(out, sizeof out);
        params_init(&ours);
        if (server_aes) ours.suites |= 2;
        assert_int_equal(params_decode(out, params_encode(&w, &ours, true, 0), true, &seen), 0);
        assert_int_equal(seen.suites, server_aes ? 3 : 1);
        params_init(&ours);
        ours.suite = params_suite_choose(&seen, client_aes);
        assert_int_equal(ours.suite, server_aes && client_aes ? 2 : 1);
        w = writer_of(out, sizeof out);
        assert_int_equal(params_decode(out, params_encode(&w, &ours, false, 0), false, &seen), 0);
        assert_int_equal(seen.suite, ours.suite);
        assert_int_equal(params_suite_check(&seen, server_aes), 0);
        /* Suite 02 from a client, whatever was offered. */
        seen.suite = 2;
        assert_int_equal(params_suite_check(&seen, server_aes),
                         server_aes ? 0 : QUIC_TRANSPORT_PARAMETER);
    }
}

static void test_zero_is_a_value_and_not_absence(void **state)
{
    struct params ours, seen;
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    params_init(&ours);
    ours.active_connection_id_limit = 4;
    ours.max_datagram_frame_size = 1200;
    ours.min_ack_delay_us = 0; /* a value, not absence */
    assert_int_equal(params_decode(out, params_encode(&w, &ours, false, 0), false, &seen), 0);
    assert_int_equal(seen.active_connection_id_limit, 4);
    assert_int_equal(seen.max_datagram_frame_size, 1200);
    assert_int_equal(seen.min_ack_delay_us, 0);
    assert_false(seen.disable_active_migration);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clients_parameters_come_back),
        cmocka_unit_test(test_a_servers_parameters_come_back),
        cmocka_unit_test(test_absent_parameters_have_their_defaults),
        cmocka_unit_test(test_defaults_are_not_sent),
        cmocka_unit_test(test_what_does_not_fit_is_not_written),
        cmocka_unit_test(test_each_rule_is_applied_to_each_role),
        cmocka_unit_test(test_an_endless_idle_timeout_is_read_as_the_longest),
        cmocka_unit_test(test_every_truncation_is_read_or_refused),
        cmocka_unit_test(test_connection_ids_are_checked_in_both_roles),
        cmocka_unit_test(test_the_suite_is_the_best_that_both_offer),
        cmocka_unit_test(test_a_suite_is_agreed_over_the_wire),
        cmocka_unit_test(test_zero_is_a_value_and_not_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
