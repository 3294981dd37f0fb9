/* SPDX-License-Identifier: MIT */
/* Goal: connection ids of both sides (RFC 9000 5.1): as many as the peer keeps, told until they are
 * heard, replaced when they are given back, never used again; and the endpoint's map holds exactly
 * the live ones. Method: pairs on a wire that loses, peers that say what they should not
 * (reseal.h), allocations that fail one by one. What a hostile peer costs is in
 * tests/regress/ids_test.c. */
#include "moves.h"

static uint32_t map_count(const struct pair *p, int i)
{
    return endpoint_of(p->side[i].transport)->by_cid.count;
}

static unsigned local_count(const struct connection *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) n += c->local_cids[i].used;
    return n;
}

static unsigned remote_count(const struct connection *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) n += c->remote_cids[i].used;
    return n;
}

static void test_each_side_issues_as_many_ids_as_the_other_keeps_and_four_at_most(void **state)
{
    (void)state;
    for (uint64_t keeps = 2; keeps <= 4; keeps++) {
        struct limits few, many;
        limits_derive(&few, 0, 0);
        limits_derive(&many, 0, 0);
        few.value[LIMIT_CONNECTION_IDS] = keeps;
        for (int side = 0; side < 2; side++) {
            struct pair *p = pair_new(side == 0 ? &few : &many, side == 0 ? &many : &few);
            pair_connect(p);
            pair_run(p, 1000000);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(local_count(reseal_side(p, i)), keeps);
                assert_int_equal(remote_count(reseal_side(p, i)), keeps);
                assert_int_equal(map_count(p, i), keeps);
                assert_int_equal(moves_metric(p, i, METRIC_CONNECTION_IDS_ISSUED), keeps - 1);
                assert_false(reseal_side(p, i)->ids_to_tell);
            }
            pair_free(p);
        }
    }
}

static bool lose_some(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)from;
    (void)n;
    (void)bytes;
    (void)len;
    return rng_below(&p->rng, 100) >= 40;
}

static void test_ids_that_are_lost_are_told_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair *p = pair_new(NULL, NULL);
        rng_init(&p->rng, seed, "ids", 0);
        p->filter = lose_some;
        pair_connect(p);
        pair_run(p, 20000000);
        p->filter = NULL;
        for (int i = 0; i < 2; i++) {
            assert_int_equal(local_count(reseal_side(p, i)), 4);
            assert_int_equal(remote_count(reseal_side(p, i)), 4);
            for (unsigned k = 0; k < QUIC_LOCAL_CIDS_MAX; k++) {
                /* With the same bytes under the same number. */
                const struct local_cid *l = &reseal_side(p, i)->local_cids[k];
                bool found = false;
                for (unsigned n = 0; n < QUIC_REMOTE_CIDS_MAX; n++) {
                    const struct remote_cid *r = &reseal_side(p, 1 - i)->remote_cids[n];
                    found = found || (r->sequence == l->sequence &&
                                      memcmp(r->cid.bytes, l->bytes, sizeof l->bytes) == 0);
                }
                assert_true(found);
            }
        }
        pair_free(p);
    }
}

static void say(struct pair *p, int from, const struct writer *w)
{
    reseal_give(p, from, PACKET_SHORT, w->start, writer_len(w));
}

static void retire(struct pair *p, int from, uint64_t sequence)
{
    uint8_t bytes[32];
    struct writer w = writer_of(bytes, sizeof bytes);
    assert_true(frame_write_retire_connection_id(&w, sequence));
    say(p, from, &w);
}

static void test_a_retired_id_is_replaced_and_one_that_is_retired_twice_is_not(void **state)
{
    (void)state;
    struct moves m;
    for (int side = 0; side < 2; side++) {
        struct pair *p = moves_pair(&m);
        struct connection *c = reseal_side(p, 1 - side), *peer = reseal_side(p, side);
        /* The engine of the peer shall know that it does not have it any more. */
        peer->remote_cids[2].used = false;
        uint64_t sequence = peer->remote_cids[2].sequence;
        retire(p, side, sequence);
        assert_int_equal(local_count(c), 4);
        assert_int_equal(c->local_next, 5);
        retire(p, side, sequence);
        assert_int_equal(c->local_next, 5);
        assert_int_equal(c->phase, QUIC_UP);
        pair_run(p, 1000000);
        moves_expect_ids(p);
        pair_free(p);
    }
}

static void test_retiring_what_was_not_issued_or_what_the_packet_came_to_is_a_violation(
    void **state)
{
    (void)state;
    static const uint64_t bad[] = {4, 5, VARINT_MAX, 0};
    for (int side = 0; side < 2; side++) {
        for (unsigned i = 0; i < 4; i++) {
            struct moves m;
            struct pair *p = moves_pair(&m);
            retire(p, side, bad[i]);
            assert_int_equal(reseal_side(p, 1 - side)->close_code, QUIC_PROTOCOL_VIOLATION);
            pair_free(p);
        }
    }
}

static struct cid made_up(uint8_t n)
{
    uint8_t bytes[8] = {0xee, n, 3, 4, 5, 6, 7, 8};
    struct cid cid;
    assert_true(cid_set(&cid, bytes, sizeof bytes));
    return cid;
}

static void issue(struct pair *p, int from, uint64_t sequence, uint64_t prior, uint8_t n)
{
    uint8_t bytes[64];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct cid cid = made_up(n);
    uint8_t token[TOKEN_RESET_LEN] = {n};
    assert_true(frame_write_new_connection_id(&w, sequence, prior, &cid, token));
    say(p, from, &w);
}

struct seen {
    uint64_t retired;
};
static void note(void *context, const struct frame *f)
{
    struct seen *seen = context;
    if (f->type == FRAME_RETIRE_CONNECTION_ID)
        seen->retired |= UINT64_C(1) << f->u.retire_connection_id.sequence;
}

/* What side i has to say leaves, and reaches nobody. */
static struct seen drain(struct pair *p, int i, const struct cid *only_to)
{
    static uint8_t buffer[65536];
    struct seen seen = {0};
    struct datagram_out out = {.data = buffer, .cap = sizeof buffer};
    while (quic_transport.next_datagram(p->side[i].transport, &out, p->now_us)) {
        for (size_t at = 0; at < out.len; at += out.segment) {
            size_t len = out.len - at < out.segment ? out.len - at : out.segment;
            if (only_to != NULL) assert_memory_equal(buffer + at + 1, only_to->bytes, only_to->len);
            reseal_open(p, 1 - i, buffer + at, len, note, &seen);
        }
    }
    return seen;
}

static void test_what_the_peer_wants_back_leaves_all_paths_at_once(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct moves m;
        struct pair *p = moves_pair(&m);
        struct connection *c = reseal_side(p, 1 - side);
        struct endpoint other = endpoint_ip4(10, 8, 8, 8, 88);
        /* Three paths: the one in use, the one before, a probed one. */
        m.mute[0] = m.mute[1] = true;
        quic_transport.network_changed(p->side[1 - side].transport, p->now_us);
        uint8_t bytes[1400], out[1500];
        struct writer w = writer_of(bytes, sizeof bytes);
        assert_true(frame_write_path_challenge(&w, (const uint8_t *)"probing!"));
        assert_true(frame_write_padding(&w, 1100));
        size_t len = reseal_packet(reseal_side(p, side), PACKET_SHORT, bytes, writer_len(&w), 0,
                                   p->now_us, out, sizeof out);
        pair_inject(p, 1 - side, &other, out, len);
        assert_non_null(c->fallback);
        assert_non_null(c->probe);
        assert_int_equal(c->path.remote_id + c->fallback->path.remote_id + c->probe->remote_id,
                         0 + 1 + 2);
        issue(p, side, 4, 4, 77);
        assert_int_equal(c->phase, QUIC_UP);
        assert_int_equal(c->path.remote_id, 4);
        assert_int_equal(c->fallback->path.remote_id, 4);
        assert_int_equal(c->probe->remote_id, 4);
        assert_int_equal(remote_count(c), 1);
        struct cid cid = made_up(77);
        struct seen seen = drain(p, 1 - side, &cid);
        assert_int_equal(seen.retired, 0xf);
        /* One that comes late is given back at once. */
        issue(p, side, 3, 3, 78);
        assert_int_equal(remote_count(c), 1);
        seen = drain(p, 1 - side, &cid);
        assert_int_equal(seen.retired, 8);
        pair_free(p);
    }
}

static void test_more_ids_than_we_keep_and_one_id_with_two_meanings_close(void **state)
{
    (void)state;
    static const struct {
        uint64_t sequence, prior;
        uint8_t first, second;
        uint64_t code;
    } cases[] = {
        {4, 0, 1, 1, QUIC_CONNECTION_ID_LIMIT}, /* a fifth */
        {4, 4, 1, 2, QUIC_PROTOCOL_VIOLATION},  /* the same number again, another id */
    };
    for (unsigned i = 0; i < 2; i++) {
        struct moves m;
        struct pair *p = moves_pair(&m);
        issue(p, 0, cases[i].sequence, cases[i].prior, cases[i].first);
        issue(p, 0, cases[i].sequence, cases[i].prior, cases[i].second);
        assert_int_equal(reseal_side(p, 1)->close_code, cases[i].code);
        pair_free(p);
    }
    /* The same bytes under another number. */
    struct moves m;
    struct pair *p = moves_pair(&m);
    issue(p, 0, 4, 4, 1);
    issue(p, 0, 5, 4, 1);
    assert_int_equal(reseal_side(p, 1)->close_code, QUIC_PROTOCOL_VIOLATION);
    pair_free(p);
}

static void test_an_id_that_was_given_back_reaches_nothing(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    struct cid old = reseal_side(p, 0)->remote_cid;
    uint8_t bytes[64] = {0x40};
    moves_told(p, 0, 55);
    pair_run(p, 3000000);
    assert_int_equal(reseal_side(p, 0)->path.remote_id, 1);
    assert_false(cid_equal(&old, &reseal_side(p, 0)->remote_cid));
    memcpy(bytes + 1, old.bytes, old.len);
    uint64_t in = reseal_side(p, 1)->bytes_in;
    pair_inject(p, 1, &p->side[0].address, bytes, sizeof bytes);
    assert_int_equal(reseal_side(p, 1)->bytes_in, in);
    assert_int_equal(reseal_side(p, 1)->phase, QUIC_UP);
    pair_free(p);
}

static void test_the_map_is_empty_when_connections_are_over(void **state)
{
    (void)state;
    for (int by = 0; by < 2; by++) {
        struct moves m;
        struct pair *p = moves_pair(&m);
        p->sweep = true;
        quic_transport.conn_close(p->side[by].conn, 3, NULL, 0, p->now_us);
        pair_run(p, 60000000);
        for (int i = 0; i < 2; i++) assert_int_equal(map_count(p, i), 0);
        pair_free(p);
    }
}

static void test_without_memory_the_peer_has_fewer_ids_and_nothing_else_is_missing(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 60; nth++) {
        struct pair *p = pair_new(NULL, NULL);
        p->counter.fail_at = nth;
        struct transport_dial dial = {.remote = p->side[1].address, .expected = p->side[1].key.id};
        struct transport_conn *c = NULL;
        p->sweep = true;
        if (quic_transport.dial(p->side[0].transport, &dial, p->now_us, &c) == 0) pair_send(p, 0);
        pair_run(p, 8000000);
        p->counter.fail_at = 0;
        for (int i = 0; i < 2; i++) {
            uint32_t live = 0;
            const struct endpoint_state *e = endpoint_of(p->side[i].transport);
            for (struct list *l = e->all.next; l != &e->all; l = l->next)
                live += local_count(list_entry(l, struct connection, all_link));
            assert_int_equal(map_count(p, i), live);
        }
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_side_issues_as_many_ids_as_the_other_keeps_and_four_at_most),
        cmocka_unit_test(test_ids_that_are_lost_are_told_again),
        cmocka_unit_test(test_a_retired_id_is_replaced_and_one_that_is_retired_twice_is_not),
        cmocka_unit_test(
            test_retiring_what_was_not_issued_or_what_the_packet_came_to_is_a_violation),
        cmocka_unit_test(test_what_the_peer_wants_back_leaves_all_paths_at_once),
        cmocka_unit_test(test_more_ids_than_we_keep_and_one_id_with_two_meanings_close),
        cmocka_unit_test(test_an_id_that_was_given_back_reaches_nothing),
        cmocka_unit_test(test_the_map_is_empty_when_connections_are_over),
        cmocka_unit_test(test_without_memory_the_peer_has_fewer_ids_and_nothing_else_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
