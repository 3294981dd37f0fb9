/* SPDX-License-Identifier: MIT */
/* Goal: whoever sees a dialler's first message can answer it, and gains nothing (docs/wire.md 2.3,
 * 5.5, 5.6, 10.1). Method: pair.h with the first datagram captured; forge.h makes what an attacker
 * on the path can make, and injects it before, between and after what the honest server says. */
#include "forge.h"

struct tap {
    struct forge_first first;
    uint8_t bytes[1500]; /* the client's first datagram */
    size_t len;
    uint64_t initials; /* client datagrams that begin with an Initial */
    uint64_t whole;    /* of those, with all of message 1 */
};

static bool capture(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct tap *t = p->context;
    if (from != 0 || (bytes[0] & 0xf0) != 0xc0) return true;
    struct forge_first f;
    forge_read_first(bytes, len, &f);
    t->initials++;
    t->whole += f.has_message;
    if (n != 0) return true;
    t->first = f;
    t->len = len;
    memcpy(t->bytes, bytes, len);
    return true;
}

static bool capture_and_drop(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)capture(p, from, n, bytes, len);
    return false;
}

static struct pair *dialled(struct tap *t)
{
    struct pair *p = pair_new(NULL, NULL);
    memset(t, 0, sizeof *t);
    p->filter = capture;
    p->context = t;
    (void)pair_dial(p);
    assert_true(t->first.has_message);
    return p;
}

static void wait_up(struct pair *p, uint64_t limit_us)
{
    uint64_t until = p->now_us + limit_us;
    while (!(p->side[0].up && p->side[1].up) && pair_step(p, until)) {
    }
    assert_true(pair_agrees(p));
}

/* An Initial with an ephemeral key that nobody will finish, from its own SCID. */
static void inject_dead_end(struct pair *p, const struct tap *t)
{
    uint8_t payload[64], out[1500];
    struct cid scid = forge_cid(p);
    size_t len = forge_first_message(p, payload, sizeof payload);
    len = forge_server_initial(&t->first, &scid, 0, payload, len, out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
}

static void inject_close(struct pair *p, const struct tap *t, uint64_t code)
{
    uint8_t payload[64], out[1500];
    struct cid scid = forge_cid(p);
    struct writer w = writer_of(payload, sizeof payload);
    assert_true(frame_write_close(&w, false, code, 0, NULL, 0));
    size_t len =
        forge_server_initial(&t->first, &scid, 0, payload, writer_len(&w), out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
}

static void inject_answer(struct pair *p, const struct tap *t, const struct key_pair *key, bool lie)
{
    uint8_t out[4096];
    struct cid scid = forge_cid(p);
    size_t len = forge_answer(p, &t->first, key, &scid, lie, out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
}

static void test_forged_answers_before_the_honest_one_change_nothing(void **state)
{
    (void)state;
    for (unsigned forged = 0; forged <= 12; forged++) {
        struct tap t;
        struct pair *p = dialled(&t);
        for (unsigned i = 0; i < forged; i++) inject_dead_end(p, &t);
        uint64_t start = p->now_us;
        wait_up(p, 1000000);
        assert_int_equal(p->now_us - start, 3 * p->delay_us); /* not even time */
        pair_free(p);
    }
}

struct held {
    struct tap tap;
    uint8_t bytes[1500]; /* the server's first datagram, which waits */
    size_t len;
};

static bool hold_answer(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct held *held = p->context;
    if (from == 0) return capture(p, from, n, bytes, len);
    if (held->len > 0) return true;
    held->len = len;
    memcpy(held->bytes, bytes, len);
    return false;
}

/* Under the id of the server, with another key: whole, or a piece of one. */
static void inject_key(struct pair *p, const struct tap *t, const struct cid *scid, bool whole)
{
    uint8_t payload[64], out[1500], message[HANDSHAKE_FIRST_LEN] = {0, 32};
    struct writer w = writer_of(payload, sizeof payload);
    pair_fill(p, message + 2, 32);
    assert_true(frame_write_crypto(&w, 0, message, whole ? sizeof message : 12));
    size_t len = forge_server_initial(&t->first, scid, 0, payload, writer_len(&w), out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
}

static void test_other_keys_under_the_servers_id_lose_to_the_honest_answer(void **state)
{
    (void)state;
    for (unsigned kinds = 0; kinds < 16; kinds++) {
        struct packet_header h;
        static struct held held;
        struct pair *p = pair_new(NULL, NULL);
        memset(&held, 0, sizeof held);
        p->filter = hold_answer;
        p->context = &held; /* whose first member is the tap */
        (void)pair_dial(p);
        while (held.len == 0 && pair_step(p, p->now_us + 1000000)) {
        }
        assert_int_equal(packet_parse(held.bytes, held.len, &h), 0);
        for (unsigned i = 0; i < 1 + kinds % 4; i++)
            inject_key(p, &held.tap, &h.scid, (kinds >> 2 & 1u << i % 2) != 0);
        pair_inject(p, 0, &p->side[1].address, held.bytes, held.len);
        assert_true(p->side[0].up);
        wait_up(p, 1000000);
        /* Too late: the server's is adopted. */
        inject_key(p, &held.tap, &h.scid, true);
        pair_run(p, 5000000);
        assert_false(p->side[0].ended || p->side[1].ended);
        pair_free(p);
    }
}

static void test_forged_closes_before_the_honest_answer_change_nothing(void **state)
{
    (void)state;
    for (unsigned forged = 1; forged <= 6; forged++) {
        struct tap t;
        struct pair *p = dialled(&t);
        for (unsigned i = 0; i < forged; i++) inject_close(p, &t, QUIC_CONNECTION_REFUSED);
        wait_up(p, 1000000);
        pair_run(p, 5000000);
        assert_false(p->side[0].ended);
        pair_free(p);
    }
}

static void test_a_close_in_initial_is_believed_when_nobody_better_answers_in_one_pto(void **state)
{
    (void)state;
    struct tap t;
    struct pair *p = dialled(&t);
    p->filter = capture_and_drop;
    pair_lose(p);
    inject_close(p, &t, QUIC_CONNECTION_REFUSED);
    pair_run(p, 900000);
    assert_false(p->side[0].ended);
    pair_run(p, 200000);
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_error, WEIR_E_REFUSED);
    assert_int_equal(p->side[0].end_by, CONN_END_REMOTE);
    assert_int_equal(p->side[0].end_reason, REASON_TRANSPORT(QUIC_CONNECTION_REFUSED));
    pair_free(p);
}

static void test_an_answer_of_another_identity_loses_to_the_honest_one(void **state)
{
    (void)state;
    for (unsigned forged = 1; forged <= 5; forged++) {
        struct tap t;
        struct key_pair mallory;
        uint8_t seed[32];
        struct pair *p = dialled(&t);
        memset(seed, 'M', sizeof seed);
        key_pair_from_seed(&mallory, seed);
        for (unsigned i = 0; i < forged; i++) inject_answer(p, &t, &mallory, false);
        /* It proved to be somebody, and that is shown until somebody better comes. */
        assert_true(pair_knows(p->side[0].conn, &mallory.id));
        wait_up(p, 1000000);
        pair_run(p, 5000000);
        assert_false(p->side[0].ended);
        pair_free(p);
    }
}

static void test_an_answer_that_lies_about_connection_ids_is_dropped(void **state)
{
    (void)state;
    struct tap t;
    struct pair *p = dialled(&t);
    /* The right identity, but for another first datagram (wire.md 5.8): as if a proxy had changed
     * the id. */
    inject_answer(p, &t, &p->side[1].key, true);
    assert_false(p->side[0].up);
    assert_int_equal(p->side[0].metrics.value[METRIC_HANDSHAKE_CANDIDATES_DROPPED], 1);
    wait_up(p, 1000000);
    pair_free(p);
}

static void test_a_peer_that_was_not_dialled_is_an_identity_error_that_names_who_it_is(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    struct transport_dial dial = {.remote = p->side[1].address, .expected = p->side[0].key.id};
    struct key_pair other;
    uint8_t seed[32];
    memset(seed, 'X', sizeof seed);
    key_pair_from_seed(&other, seed);
    dial.expected = other.id;
    assert_int_equal(quic_transport.dial(p->side[0].transport, &dial, p->now_us, &p->side[0].conn),
                     0);
    pair_send(p, 0);
    pair_run(p, 5000000);
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_error, WEIR_E_IDENTITY);
    assert_int_equal(p->side[0].end_reason, WEIR_REASON_IDENTITY);
    assert_true(pair_knows(p->side[0].conn, &p->side[1].key.id));
    assert_false(p->side[0].up);
    assert_false(p->side[1].up); /* it never learned who we are */
    pair_run(p, 40000000);
    assert_int_equal(endpoint_of(p->side[1].transport)->connections, 0);
    pair_free(p);
}

static void test_a_node_does_not_connect_to_itself(void **state)
{
    (void)state;
    for (int expected = 0; expected < 2; expected++) {
        struct pair *p = pair_new(NULL, NULL);
        p->side[1].key = p->side[0].key;
        pair_restart(p, 1); /* a transport keeps the proof of the key that it was opened with */
        struct transport_dial dial = {.remote = p->side[1].address};
        if (expected == 1) dial.expected = p->side[0].key.id;
        assert_int_equal(
            quic_transport.dial(p->side[0].transport, &dial, p->now_us, &p->side[0].conn), 0);
        pair_send(p, 0);
        pair_run(p, 5000000);
        assert_true(p->side[0].ended);
        assert_int_equal(p->side[0].end_error, WEIR_E_IDENTITY);
        assert_false(p->side[0].up || p->side[1].up);
        pair_free(p);
    }
}

static void test_a_forged_ack_does_not_stop_message_1(void **state)
{
    (void)state;
    struct tap t;
    struct pair *p = dialled(&t);
    struct range range = {0, 1};
    uint8_t payload[64], out[1500];
    struct cid scid = forge_cid(p);
    struct writer w = writer_of(payload, sizeof payload);
    p->filter = capture_and_drop;
    assert_true(frame_write_ack(&w, &range, 1, 1, 0, NULL));
    size_t len = forge_server_initial(&t.first, &scid, 0, payload, writer_len(&w), out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
    pair_lose(p);
    pair_run(p, 10000000);
    assert_true(t.initials >= 4);
    assert_int_equal(t.whole, t.initials);
    p->filter = capture;
    wait_up(p, 10000000);
    pair_free(p);
}

static void test_an_ack_of_what_was_not_sent_costs_the_forger_its_candidate(void **state)
{
    (void)state;
    struct tap t;
    struct pair *p = dialled(&t);
    struct range range = {0, 1000};
    uint8_t payload[64], out[1500];
    struct cid scid = forge_cid(p);
    struct writer w = writer_of(payload, sizeof payload);
    assert_true(frame_write_ack(&w, &range, 1, 1, 0, NULL));
    size_t len = forge_server_initial(&t.first, &scid, 0, payload, writer_len(&w), out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
    assert_int_equal(p->side[0].metrics.value[METRIC_HANDSHAKE_CANDIDATES_DROPPED], 1);
    assert_false(p->side[0].ended);
    wait_up(p, 1000000);
    pair_free(p);
}

/* A forger that finishes ee has the Handshake keys of its candidate and may chat for ever. */
static void test_a_talkative_forger_does_not_keep_a_dial_alive(void **state)
{
    (void)state;
    struct tap t;
    struct pair *p = dialled(&t);
    struct key_pair mallory;
    uint8_t seed[32], out[4096], ping[1500];
    struct cid scid = forge_cid(p);
    struct protect_keys write;
    struct handshake *h;
    struct handshake_secrets secrets;
    const uint8_t *data;
    memset(seed, 'M', sizeof seed);
    key_pair_from_seed(&mallory, seed);
    struct handshake_own own;
    struct handshake_config config = {
        .mem = mem_system(), .entropy = &p->side[1].entropy, .own = &own};
    handshake_own_init(&own, &mallory, seed);
    assert_int_equal(noise_handshake.open(&config, &h), 0);
    (void)noise_handshake.on_bytes(h, HANDSHAKE_INITIAL, t.first.message, sizeof t.first.message);
    noise_handshake.secrets(h, &secrets);
    assert_int_equal(protect_keys_derive(&write, AEAD_CHACHA20_POLY1305, secrets.server), 0);
    size_t len = noise_handshake.bytes(h, HANDSHAKE_INITIAL, &data);
    struct writer w = writer_of(ping, sizeof ping);
    assert_true(frame_write_crypto(&w, 0, data, len));
    len = forge_server_initial(&t.first, &scid, 0, ping, writer_len(&w), out, sizeof out);
    noise_handshake.close(h);
    p->filter = capture_and_drop;
    pair_lose(p);
    pair_inject(p, 0, &p->side[1].address, out, len);
    for (uint64_t n = 0; n < 20; n++) {
        static const uint8_t payload[] = {0x01, 0, 0, 0};
        len = forge_long(&write, PACKET_HANDSHAKE, &t.first.scid, &scid, NULL, 0, n, payload,
                         sizeof payload, 0, out, sizeof out);
        if (!p->side[0].ended) pair_inject(p, 0, &p->side[1].address, out, len);
        pair_run(p, 2000000);
    }
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_error, WEIR_E_TIMEOUT);
    pair_free(p);
}

static size_t write_versions(const struct tap *t, bool ours, uint8_t *out)
{
    static const uint8_t other[] = {0x00, 0x00, 0x00, 0x01}, weir[] = {'w', 'e', 'i', 'r'};
    struct writer w = writer_of(out, 1500);
    writer_u8(&w, 0xc0);
    writer_u8(&w, 0);
    writer_u8(&w, 0);
    writer_u8(&w, 0);
    writer_u8(&w, 0);
    writer_u8(&w, t->first.scid.len);
    writer_bytes(&w, t->first.scid.bytes, t->first.scid.len);
    writer_u8(&w, t->first.dcid.len);
    writer_bytes(&w, t->first.dcid.bytes, t->first.dcid.len);
    writer_bytes(&w, other, 4);
    if (ours) writer_bytes(&w, weir, 4);
    return writer_len(&w);
}

static void test_version_negotiation_ends_the_attempt(void **state)
{
    (void)state;
    struct tap t;
    uint8_t out[1500];
    struct pair *p = dialled(&t);
    pair_inject(p, 0, &p->side[1].address, out, write_versions(&t, false, out));
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_error, WEIR_E_UNSUPPORTED);
    pair_run(p, 1000000);
    assert_false(p->side[0].up);
    pair_free(p);
}

static void test_version_negotiation_that_lists_our_version_is_ignored(void **state)
{
    (void)state;
    struct tap t;
    uint8_t out[1500];
    struct pair *p = dialled(&t);
    assert_int_equal(PACKET_VERSION, 0x77656972);
    pair_inject(p, 0, &p->side[1].address, out, write_versions(&t, true, out));
    assert_false(p->side[0].ended);
    wait_up(p, 1000000);
    pair_free(p);
}

static void test_version_negotiation_with_another_source_id_is_ignored(void **state)
{
    (void)state;
    struct tap t;
    uint8_t out[1500];
    struct pair *p = dialled(&t);
    size_t len = write_versions(&t, false, out);
    out[6 + t.first.scid.len + 1] ^=
        1; /* RFC 9000 17.2.1: it must echo the ids of what it answers */
    pair_inject(p, 0, &p->side[1].address, out, len);
    assert_false(p->side[0].ended);
    wait_up(p, 1000000);
    pair_free(p);
}

static void test_version_negotiation_after_an_answer_is_ignored(void **state)
{
    (void)state;
    struct tap t;
    uint8_t out[1500];
    struct pair *p = dialled(&t);
    inject_dead_end(p, &t);
    pair_inject(p, 0, &p->side[1].address, out, write_versions(&t, false, out));
    assert_false(p->side[0].ended);
    wait_up(p, 1000000);
    pair_inject(p, 0, &p->side[1].address, out, write_versions(&t, false, out));
    assert_false(p->side[0].ended);
    pair_free(p);
}

static size_t write_retry(struct pair *p, const struct tap *t, const struct cid *odcid,
                          uint8_t *out)
{
    struct writer w = writer_of(out, 1500);
    struct cid scid = forge_cid(p);
    return packet_write_retry(&w, &t->first.scid, &scid, (const uint8_t *)"token", 5, odcid);
}

static void test_a_retry_with_a_wrong_tag_is_ignored(void **state)
{
    (void)state;
    struct tap t;
    uint8_t out[1500];
    struct pair *p = dialled(&t);
    struct cid other = forge_cid(p);
    pair_inject(p, 0, &p->side[1].address, out, write_retry(p, &t, &other, out));
    size_t len = write_retry(p, &t, &t.first.dcid, out);
    out[len - 1] ^= 1;
    pair_inject(p, 0, &p->side[1].address, out, len);
    assert_false(connection_of(p->side[0].conn)->hs->has_retry);
    wait_up(p, 1000000);
    pair_free(p);
}

static void test_forged_answers_do_not_keep_an_honest_retry_out(void **state)
{
    (void)state;
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_HALF_OPEN_RETRY] = 0; /* every first message must come back with a token */
    struct tap t = {0};
    struct pair *p = pair_new(NULL, &limits);
    p->filter = capture;
    p->context = &t;
    (void)pair_dial(p);
    for (unsigned i = 0; i < 4; i++) inject_dead_end(p, &t);
    wait_up(p, 1000000);
    assert_int_equal(p->side[1].metrics.value[METRIC_RETRY_SENT], 1);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged_answers_before_the_honest_one_change_nothing),
        cmocka_unit_test(test_other_keys_under_the_servers_id_lose_to_the_honest_answer),
        cmocka_unit_test(test_forged_closes_before_the_honest_answer_change_nothing),
        cmocka_unit_test(test_a_close_in_initial_is_believed_when_nobody_better_answers_in_one_pto),
        cmocka_unit_test(test_an_answer_of_another_identity_loses_to_the_honest_one),
        cmocka_unit_test(test_an_answer_that_lies_about_connection_ids_is_dropped),
        cmocka_unit_test(
            test_a_peer_that_was_not_dialled_is_an_identity_error_that_names_who_it_is),
        cmocka_unit_test(test_a_node_does_not_connect_to_itself),
        cmocka_unit_test(test_a_forged_ack_does_not_stop_message_1),
        cmocka_unit_test(test_an_ack_of_what_was_not_sent_costs_the_forger_its_candidate),
        cmocka_unit_test(test_a_talkative_forger_does_not_keep_a_dial_alive),
        cmocka_unit_test(test_version_negotiation_ends_the_attempt),
        cmocka_unit_test(test_version_negotiation_that_lists_our_version_is_ignored),
        cmocka_unit_test(test_version_negotiation_with_another_source_id_is_ignored),
        cmocka_unit_test(test_version_negotiation_after_an_answer_is_ignored),
        cmocka_unit_test(test_a_retry_with_a_wrong_tag_is_ignored),
        cmocka_unit_test(test_forged_answers_do_not_keep_an_honest_retry_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
