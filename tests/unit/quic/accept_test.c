/* SPDX-License-Identifier: MIT */
/* Goal: what a listener does before there is a connection (docs/wire.md 2, 5.7, 8): state
 * only for a whole message 1, caps, Retry and its tokens, Version Negotiation. Method: first
 * datagrams made by forge.h from chosen addresses; what comes back is caught before it reaches
 * anybody. */
#include "forge.h"

struct caught {
    uint64_t count;
    uint8_t bytes[1500]; /* the last one */
    size_t len;
};

static bool catch_from_server(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct caught *c = p->context;
    (void)n;
    if (from == 0) return true;
    c->count++;
    c->len = len;
    memcpy(c->bytes, bytes, len);
    return false;
}

static struct pair *listening(struct caught *c, uint64_t retry_from)
{
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_HALF_OPEN_RETRY] = retry_from;
    struct pair *p = pair_new(NULL, &limits);
    memset(c, 0, sizeof *c);
    p->filter = catch_from_server;
    p->context = c;
    return p;
}

static struct endpoint_state *server(struct pair *p)
{
    return endpoint_of(p->side[1].transport);
}

static uint64_t metric(struct pair *p, enum metric m)
{
    return p->side[1].metrics.value[m];
}

/* @return how many datagrams the server answers with at once */
static uint64_t ask(struct pair *p, const struct endpoint *from, const uint8_t *bytes, size_t len)
{
    uint64_t before = p->side[1].datagrams;
    pair_inject(p, 1, from, bytes, len);
    pair_send(p, 1);
    return p->side[1].datagrams - before;
}

static void test_state_is_made_only_for_a_whole_first_message(void **state)
{
    enum {
        CRYPTO_AT_1 = 1,
        HALF,
        TWO_BYTES_MORE,
        WRONG_LENGTH,
        BAD_FRAME_AFTER,
        WRONG_FRAME_AFTER,
        NO_CRYPTO,
        ZERO_KEY,
        SHORT_DATAGRAM,
        SHORT_DCID,
        NO_SCID,
        GOOD
    };
    (void)state;
    for (int variant = CRYPTO_AT_1; variant <= GOOD; variant++) {
        struct caught c;
        struct pair *p = listening(&c, 64);
        struct cid dcid = forge_cid(p), scid = forge_cid(p);
        uint8_t message[64] = {0, 32}, payload[200], out[1500];
        struct writer w = writer_of(payload, sizeof payload);
        size_t pad = variant == SHORT_DATAGRAM ? 1199 : 1200;
        if (variant != ZERO_KEY) pair_fill(p, message + 2, 32);
        if (variant == WRONG_LENGTH) message[1] = 33;
        if (variant == SHORT_DCID) dcid.len = 7, dcid.bytes[7] = 0;
        if (variant == NO_SCID) memset(&scid, 0, sizeof scid);
        if (variant == NO_CRYPTO)
            frame_write_ping(&w);
        else
            frame_write_crypto(&w, variant == CRYPTO_AT_1, message,
                               variant == HALF             ? 17
                               : variant == TWO_BYTES_MORE ? 36
                                                           : 34);
        if (variant == BAD_FRAME_AFTER) writer_u8(&w, 0x3f);
        if (variant == WRONG_FRAME_AFTER) frame_write_max_data(&w, 1);
        size_t len = forge_client_initial(&dcid, &scid, NULL, 0, 0, payload, writer_len(&w), pad,
                                          out, sizeof out);
        uint64_t answers = ask(p, &p->side[0].address, out, len);
        if ((answers != 0) != (variant == GOOD))
            fail_msg("variant %d: %d answers", variant, (int)answers);
        assert_int_equal(server(p)->connections, variant == GOOD);
        assert_int_equal(server(p)->half_open, variant == GOOD);
        pair_free(p);
    }
}

static void test_a_repeated_first_message_finds_its_half_open_connection(void **state)
{
    (void)state;
    struct caught c;
    struct pair *p = listening(&c, 64);
    struct cid dcid = forge_cid(p), scid = forge_cid(p);
    uint8_t payload[64], other[64], out[1500];
    size_t payload_len = forge_first_message(p, payload, sizeof payload);
    (void)forge_first_message(p, other, sizeof other);
    for (uint64_t number = 0; number < 5; number++) {
        size_t len = forge_client_initial(&dcid, &scid, NULL, 0, number, payload, payload_len, 1200,
                                          out, sizeof out);
        (void)ask(p, &p->side[0].address, out, len);
        assert_int_equal(server(p)->half_open, 1);
    }
    /* wire.md 5.7: the same ids with another key are somebody else, as is another port. */
    size_t len =
        forge_client_initial(&dcid, &scid, NULL, 0, 0, other, payload_len, 1200, out, sizeof out);
    assert_int_equal(ask(p, &p->side[0].address, out, len), 1);
    assert_int_equal(server(p)->half_open, 2);
    struct endpoint port = p->side[0].address;
    port.port++;
    len =
        forge_client_initial(&dcid, &scid, NULL, 0, 0, payload, payload_len, 1200, out, sizeof out);
    assert_int_equal(ask(p, &port, out, len), 1);
    assert_int_equal(server(p)->half_open, 3);
    assert_int_equal(server(p)->hosts.count, 1);
    pair_run(p, 60000000);
    assert_int_equal(server(p)->half_open, 0);
    assert_int_equal(server(p)->connections, 0);
    assert_int_equal(server(p)->hosts.count, 0);
    assert_int_equal(metric(p, METRIC_HANDSHAKES_FAILED), 3);
    pair_free(p);
}

static void test_an_initial_to_the_listeners_own_id_reaches_its_connection(void **state)
{
    (void)state;
    struct caught c;
    struct pair *p = listening(&c, 64);
    struct cid dcid = forge_cid(p), scid = forge_cid(p);
    struct protect_keys read, write;
    struct packet_header h;
    uint8_t payload[64], out[1500];
    static const uint8_t ping[] = {0x01};
    size_t len = forge_first_message(p, payload, sizeof payload);
    len = forge_client_initial(&dcid, &scid, NULL, 0, 0, payload, len, 1200, out, sizeof out);
    assert_int_equal(ask(p, &p->side[0].address, out, len), 1);
    assert_int_equal(packet_parse(c.bytes, c.len, &h), 0);
    conn_handshake_initial_keys(&dcid, true, &read, &write);
    for (size_t pad = 1199; pad <= 1200; pad++) {
        uint64_t before = metric(p, METRIC_PACKETS_RECEIVED);
        len = forge_long(&write, PACKET_INITIAL, &h.scid, &scid, NULL, 0, pad, ping, 1, pad, out,
                         sizeof out);
        (void)ask(p, &p->side[0].address, out, len);
        assert_int_equal(metric(p, METRIC_PACKETS_RECEIVED) - before, pad == 1200);
    }
    assert_int_equal(server(p)->connections, 1);
    pair_free(p);
}

static void test_half_open_connections_are_capped_per_host_and_in_all(void **state)
{
    (void)state;
    struct caught c;
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_HALF_OPEN_RETRY] = 1000;
    limits.value[LIMIT_HALF_OPEN_PER_HOST] = 5;
    limits.value[LIMIT_HALF_OPEN] = 12;
    struct pair *p = pair_new(NULL, &limits);
    p->filter = catch_from_server;
    p->context = &c;
    uint8_t out[1500];
    for (uint8_t host = 1; host <= 4; host++) {
        for (uint16_t i = 0; i < 8; i++) {
            struct endpoint from = endpoint_ip4(192, 0, 2, host, (uint16_t)(1000 + i));
            (void)ask(p, &from, out, forge_hello(p, out, sizeof out));
        }
        uint32_t expected = host * 5 < 12 ? host * 5u : 12;
        assert_int_equal(server(p)->half_open, expected);
    }
    assert_int_equal(metric(p, METRIC_DROPPED_HALF_OPEN), 32 - 12);
    /* An honest peer that dials now is told that it is refused, and one that dials after the
     * flood's state has timed out gets through: in 10 s, since more than half of the places are
     * taken. */
    p->filter = NULL;
    (void)pair_dial(p);
    pair_run(p, 5000000);
    assert_false(p->side[0].up);
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].conn->end->error, WEIR_E_REFUSED);
    pair_run(p, 20000000);
    assert_true(server(p)->half_open <= 6);
    pair_run(p, 40000000);
    assert_int_equal(server(p)->half_open, 0);
    pair_connect(p);
    assert_int_equal(server(p)->half_open, 0);
    pair_free(p);
}

static void test_from_a_number_of_half_open_connections_on_a_token_is_asked_for(void **state)
{
    (void)state;
    struct caught c;
    struct pair *p = listening(&c, 3);
    uint8_t out[1500];
    struct packet_header h;
    for (uint16_t i = 0; i < 6; i++) {
        struct endpoint from = endpoint_ip4(192, 0, 2, 1, (uint16_t)(1000 + i));
        assert_int_equal(ask(p, &from, out, forge_hello(p, out, sizeof out)), 1);
        assert_int_equal(packet_parse(c.bytes, c.len, &h), 0);
        assert_int_equal(h.type, i < 3 ? PACKET_INITIAL : PACKET_RETRY);
        if (i >= 3) assert_true(c.len < 200);
    }
    assert_int_equal(server(p)->half_open, 3);
    assert_int_equal(metric(p, METRIC_RETRY_SENT), 3);
    /* Garbage gets no Retry below 1200 bytes. */
    assert_int_equal(ask(p, &p->side[0].address, out, 1199), 0);
    pair_free(p);
}

static void test_a_handshake_with_retry_completes_and_its_ids_are_checked(void **state)
{
    (void)state;
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_HALF_OPEN_RETRY] = 0;
    struct pair *p = pair_new(NULL, &limits);
    uint64_t start = p->now_us;
    (void)pair_dial(p);
    while (!p->side[0].up && pair_step(p, start + 1000000)) {
    }
    assert_int_equal(p->now_us - start, 4 * p->delay_us); /* one round trip more */
    pair_run(p, 1000000);
    assert_true(pair_agrees(p));
    assert_true(connection_of(p->side[1].conn)->path.validated);
    assert_int_equal(metric(p, METRIC_RETRY_SENT), 1);
    assert_int_equal(metric(p, METRIC_AMPLIFICATION_BLOCKED), 0);
    pair_free(p);
}

/* Retry's tag can be made by anybody, so the client must find out from the parameters that
 * nobody asked for one. */
static bool insert_retry(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct forge_first f;
    uint8_t out[1500];
    if (from != 0 || n != 0) return true;
    forge_read_first(bytes, len, &f);
    struct writer w = writer_of(out, sizeof out);
    struct cid scid = forge_cid(p);
    size_t retry = packet_write_retry(&w, &f.scid, &scid, (const uint8_t *)"token", 5, &f.dcid);
    pair_post(p, 0, &p->side[1].address, out, retry, p->now_us + 1);
    return false;
}

static bool strip_token(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    if (from == 0 && n == 0) return insert_retry(p, from, n, bytes, len);
    if (from == 1 || (bytes[0] & 0xf0) != 0xc0) return true;
    /* What an attacker must do to get a handshake at all: send the same message without the
     * foreign token. */
    struct forge_first f;
    uint8_t payload[64], out[1500];
    forge_read_first(bytes, len, &f);
    struct writer w = writer_of(payload, sizeof payload);
    if (!f.has_message) return true;
    frame_write_crypto(&w, 0, f.message, sizeof f.message);
    size_t made = forge_client_initial(&f.dcid, &f.scid, NULL, 0, n, payload, writer_len(&w), 1200,
                                       out, sizeof out);
    pair_post(p, 1, &p->side[0].address, out, made, p->now_us + p->delay_us);
    return false;
}

static void test_a_retry_that_the_server_did_not_send_never_connects(void **state)
{
    (void)state;
    bool (*const filters[])(struct pair *, int, uint64_t, uint8_t *, size_t) = {insert_retry,
                                                                                strip_token};
    for (int i = 0; i < 2; i++) {
        struct pair *p = pair_new(NULL, NULL);
        p->filter = filters[i];
        (void)pair_dial(p);
        pair_run(p, 40000000);
        assert_false(p->side[0].up || p->side[1].up);
        assert_true(p->side[0].ended);
        pair_free(p);
    }
}

/* Ask for a Retry from an address. @return the token's length */
static size_t get_token(struct pair *p, struct caught *c, const struct endpoint *from,
                        struct cid *scid, uint8_t *token)
{
    uint8_t out[1500];
    struct packet_header h;
    assert_int_equal(ask(p, from, out, forge_hello(p, out, sizeof out)), 1);
    assert_int_equal(packet_parse(c->bytes, c->len, &h), 0);
    assert_int_equal(h.type, PACKET_RETRY);
    memcpy(token, h.token, h.token_len);
    *scid = h.scid;
    return h.token_len;
}

static uint64_t use_token(struct pair *p, const struct endpoint *from, const struct cid *dcid,
                          const uint8_t *token, size_t token_len)
{
    uint8_t payload[64], out[1500];
    struct cid scid = forge_cid(p);
    size_t len = forge_first_message(p, payload, sizeof payload);
    len =
        forge_client_initial(dcid, &scid, token, token_len, 1, payload, len, 1200, out, sizeof out);
    return ask(p, from, out, len);
}

static void test_a_token_is_good_for_its_address_its_id_and_its_time_only(void **state)
{
    (void)state;
    struct caught c;
    struct pair *p = listening(&c, 0);
    struct endpoint from = p->side[0].address, port = from, host = from;
    uint8_t token[256];
    struct cid dcid, other = forge_cid(p);
    port.port++;
    host.bytes[3]++;
    size_t len = get_token(p, &c, &from, &dcid, token);
    assert_int_equal(server(p)->connections, 0);
    assert_int_equal(use_token(p, &port, &dcid, token, len), 0);
    assert_int_equal(use_token(p, &host, &dcid, token, len), 0);
    assert_int_equal(use_token(p, &from, &other, token, len), 0);
    for (size_t i = 0; i < len; i++) {
        token[i] ^= 0x10;
        assert_int_equal(use_token(p, &from, &dcid, token, len), 0);
        token[i] ^= 0x10;
        assert_int_equal(use_token(p, &from, &dcid, token, i == 0 ? 1 : i), 0);
    }
    assert_int_equal(server(p)->connections, 0);
    pair_run(p, TOKEN_RETRY_LIFETIME_US - 10000);
    assert_int_equal(use_token(p, &from, &dcid, token, len), 1);
    assert_int_equal(server(p)->connections, 1);
    pair_run(p, 20000);
    assert_int_equal(use_token(p, &from, &dcid, token, len), 0);
    pair_free(p);
}

static void test_a_token_lifts_the_amplification_limit_but_not_the_caps(void **state)
{
    (void)state;
    struct caught c;
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_HALF_OPEN_RETRY] = 0;
    limits.value[LIMIT_HALF_OPEN_PER_HOST] = 1;
    struct pair *p = pair_new(NULL, &limits);
    memset(&c, 0, sizeof c);
    p->filter = catch_from_server;
    p->context = &c;
    uint8_t token[256];
    struct cid dcid;
    size_t len = get_token(p, &c, &p->side[0].address, &dcid, token);
    uint64_t before = p->side[1].bytes;
    assert_int_equal(use_token(p, &p->side[0].address, &dcid, token, len), 1);
    /* Another e_c: the cap. It is told so, in one small Initial without state (wire.md 8.1). */
    assert_int_equal(use_token(p, &p->side[0].address, &dcid, token, len), 1);
    struct packet_header h;
    assert_int_equal(packet_parse(c.bytes, c.len, &h), 0);
    assert_int_equal(h.type, PACKET_INITIAL);
    assert_true(c.len < 100);
    assert_int_equal(server(p)->half_open, 1);
    assert_int_equal(metric(p, METRIC_CONNECTIONS_REFUSED), 1);
    pair_run(p, 25000000);
    assert_true(p->side[1].bytes - before > 3 * 1200);
    pair_free(p);
}

static void test_tokens_survive_a_key_rotation_but_not_a_restart(void **state)
{
    (void)state;
    struct caught c;
    struct pair *p = listening(&c, 0);
    uint8_t token[256], other[256];
    struct cid dcid, unused;
    struct endpoint late = endpoint_ip4(192, 0, 2, 9, 9);
    (void)get_token(p, &c, &late, &unused, other);
    pair_run(p, TOKEN_ROTATE_US - 5000000);
    size_t len = get_token(p, &c, &p->side[0].address, &dcid, token);
    pair_run(p, 6000000);
    (void)get_token(p, &c, &late, &unused, other); /* this one is under a new key */
    assert_int_equal(use_token(p, &p->side[0].address, &dcid, token, len), 1);
    pair_restart(p, 1);
    assert_int_equal(use_token(p, &p->side[0].address, &dcid, token, len), 0);
    pair_free(p);
}

static size_t foreign_version(uint32_t version, uint8_t cid_len, size_t len, uint8_t *out)
{
    struct writer w = writer_of(out, 2000);
    writer_u8(&w, 0xc0);
    for (int i = 24; i >= 0; i -= 8) writer_u8(&w, (uint8_t)(version >> i));
    for (int i = 0; i < 2; i++) {
        writer_u8(&w, cid_len);
        for (unsigned j = 0; j < cid_len; j++) writer_u8(&w, (uint8_t)(j + 100u * (unsigned)i));
    }
    memset(out + writer_len(&w), 0x55, len - writer_len(&w));
    return len;
}

static void test_version_negotiation_answers_full_datagrams_of_other_versions_only(void **state)
{
    static const struct {
        uint32_t version;
        uint8_t cid_len;
        size_t len;
        bool answered;
    } rows[] = {
        {1, 8, 1200, true},           {1, 8, 1199, false}, {1, 8, 50, false},
        {0x1a2a3a4a, 20, 1200, true}, {0, 8, 1200, false}, {1, 0, 1200, true},
        {0xffffffff, 60, 1200, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct caught c;
        uint8_t out[2000];
        struct packet_header h;
        struct pair *p = listening(&c, 64);
        size_t len = foreign_version(rows[i].version, rows[i].cid_len, rows[i].len, out);
        if ((ask(p, &p->side[0].address, out, len) == 1) != rows[i].answered)
            fail_msg("row %zu", i);
        if (rows[i].answered && rows[i].cid_len <= CID_MAX) {
            assert_int_equal(packet_parse(c.bytes, c.len, &h), 0);
            assert_int_equal(h.type, PACKET_VERSION_NEGOTIATION);
            assert_true(packet_versions_include(&h, PACKET_VERSION));
            assert_int_equal(h.dcid_view_len, rows[i].cid_len);
            if (rows[i].cid_len > 0)
                assert_int_equal(h.dcid_view[0], 100); /* swapped: what was the source */
            /* And its own answer is not answered, at any size. */
            memset(c.bytes + c.len, 0, sizeof c.bytes - c.len);
            assert_int_equal(ask(p, &p->side[0].address, c.bytes, c.len), 0);
            assert_int_equal(ask(p, &p->side[0].address, c.bytes, 1400), 0);
        }
        assert_int_equal(server(p)->connections, 0);
        pair_free(p);
    }
}

static void test_answers_without_state_are_limited_in_rate(void **state)
{
    (void)state;
    struct caught c;
    struct pair *p = listening(&c, 0);
    uint8_t out[1500];
    uint64_t answers = 0;
    size_t len = forge_hello(p, out, sizeof out);
    for (int i = 0; i < 5000; i++) answers += ask(p, &p->side[0].address, out, len);
    assert_int_equal(answers, ENDPOINT_STATELESS_PER_S);
    assert_int_equal(metric(p, METRIC_STATELESS_SUPPRESSED), 4000);
    p->now_us += 100000;
    answers = 0;
    for (int i = 0; i < 500; i++) answers += ask(p, &p->side[0].address, out, len);
    assert_int_equal(answers, 100);
    /* Nor does a burst before the next turn pile up. */
    p->now_us += 1000000;
    for (int i = 0; i < 100; i++) pair_inject(p, 1, &p->side[0].address, out, len);
    uint64_t before = p->side[1].datagrams;
    pair_send(p, 1);
    assert_int_equal(p->side[1].datagrams - before, ENDPOINT_STATELESS_MAX);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_is_made_only_for_a_whole_first_message),
        cmocka_unit_test(test_a_repeated_first_message_finds_its_half_open_connection),
        cmocka_unit_test(test_an_initial_to_the_listeners_own_id_reaches_its_connection),
        cmocka_unit_test(test_half_open_connections_are_capped_per_host_and_in_all),
        cmocka_unit_test(test_from_a_number_of_half_open_connections_on_a_token_is_asked_for),
        cmocka_unit_test(test_a_handshake_with_retry_completes_and_its_ids_are_checked),
        cmocka_unit_test(test_a_retry_that_the_server_did_not_send_never_connects),
        cmocka_unit_test(test_a_token_is_good_for_its_address_its_id_and_its_time_only),
        cmocka_unit_test(test_a_token_lifts_the_amplification_limit_but_not_the_caps),
        cmocka_unit_test(test_tokens_survive_a_key_rotation_but_not_a_restart),
        cmocka_unit_test(test_version_negotiation_answers_full_datagrams_of_other_versions_only),
        cmocka_unit_test(test_answers_without_state_are_limited_in_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
