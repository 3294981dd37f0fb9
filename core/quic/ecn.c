/* SPDX-License-Identifier: MIT */
/* Three things can be wrong with ECN on a path: it swallows marked packets, it wipes marks off, or
 * the peer or somebody between reports marks that cannot be. So the first packets of a path are
 * marked as a test (RFC 9000 A.4), and each report is held against what was sent (13.4.2.1):
 *
 *     counts present when a marked packet is newly acknowledged, none smaller than before,
 *     what ECT(0) and CE grew by covers the marked packets newly acknowledged,
 *     ECT(0) and CE together no more than was ever marked, no ECT(1) since none is sent.
 *
 * Any breach stops marking on this path, and that is the worst a lie can do: a CE that never was
 * shrinks the window of whoever the liar wants data from. Reports of ACKs that do not raise the
 * largest acknowledged number may be reordered and are skipped; the next one covers them. */
#include "quic/ecn.h"

static void begin_test(struct ecn *e)
{
    e->state = ECN_TESTING;
    e->test_sent = e->test_lost = 0;
    e->seen = e->retest = false;
}

void ecn_init(struct ecn *e, bool on)
{
    *e = (struct ecn){0};
    ecn_restart(e, on);
}

void ecn_restart(struct ecn *e, bool on)
{
    begin_test(e);
    if (!on) e->state = ECN_FAILED;
}

static bool test_is_lost(const struct ecn *e)
{
    return e->test_sent > 0 && e->test_lost >= e->test_sent && !e->seen;
}

static void end_test(struct ecn *e)
{
    e->state = e->seen ? ECN_CAPABLE : ECN_UNKNOWN;
    if (test_is_lost(e)) e->state = ECN_FAILED;
}

enum ack_ecn ecn_mark(struct ecn *e, uint64_t now_us)
{
    if (e->state == ECN_TESTING && e->test_sent > 0) {
        bool over = e->test_sent >= ECN_TEST_PACKETS || now_us >= e->test_end_us;
        if (over) end_test(e);
    }
    return e->state == ECN_TESTING || e->state == ECN_CAPABLE ? ACK_ECN_ECT0 : ACK_ECN_NONE;
}

void ecn_on_sent(struct ecn *e, uint32_t packets, uint64_t now_us, uint64_t pto_us)
{
    e->sent += packets;
    if (e->state != ECN_TESTING) return;
    if (e->test_sent == 0) e->test_end_us = now_us + ECN_TEST_PTOS * pto_us;
    e->test_sent += packets;
}

enum ecn_result ecn_on_lost(struct ecn *e)
{
    if (e->state != ECN_TESTING && e->state != ECN_UNKNOWN) return ECN_OK;
    /* More losses than the test has packets are of marked ones that were sent before it. */
    if (e->test_lost < e->test_sent) e->test_lost++;
    bool over = e->state == ECN_UNKNOWN || e->test_sent >= ECN_TEST_PACKETS;
    if (!over || e->retest || !test_is_lost(e)) return ECN_OK;
    e->state = ECN_FAILED;
    return ECN_HAS_FAILED;
}

void ecn_on_pto(struct ecn *e, uint32_t pto_count)
{
    if (pto_count < ECN_PTO_SUSPECT || e->state == ECN_FAILED) return;
    e->state = ECN_UNKNOWN;
    e->retest = true;
}

static bool counts_are_true(const struct ecn *e, uint64_t newly_marked, uint64_t ect0,
                            uint64_t ect1, uint64_t ce)
{
    if (ect0 < e->ect0 || ce < e->ce) return false;
    if (ect1 != 0) return false;
    if (ect0 - e->ect0 + (ce - e->ce) < newly_marked) return false;
    return ect0 <= e->sent && ce <= e->sent - ect0;
}

static enum ecn_result judge(struct ecn *e, uint64_t newly_marked, bool has_counts, uint64_t ect0,
                             uint64_t ect1, uint64_t ce)
{
    if (!has_counts && newly_marked == 0) return ECN_OK;
    if (!has_counts || !counts_are_true(e, newly_marked, ect0, ect1, ce)) {
        e->state = ECN_FAILED;
        return ECN_HAS_FAILED;
    }
    bool grew = ce > e->ce;
    e->ect0 = ect0;
    e->ce = ce;
    if (newly_marked > 0) {
        e->seen = true;
        if (e->state == ECN_UNKNOWN) e->state = ECN_CAPABLE;
    }
    return grew ? ECN_CE_INCREASED : ECN_OK;
}

enum ecn_result ecn_on_ack(struct ecn *e, bool largest_raised, uint64_t newly_marked,
                           bool has_counts, uint64_t ect0, uint64_t ect1, uint64_t ce)
{
    enum ecn_result result = ECN_OK;
    if (e->state != ECN_FAILED && largest_raised)
        result = judge(e, newly_marked, has_counts, ect0, ect1, ce);
    /* The next path shall not answer for what grew while nobody listened. */
    if (e->state == ECN_FAILED && has_counts && counts_are_true(e, 0, ect0, ect1, ce)) {
        e->ect0 = ect0;
        e->ce = ce;
    }
    /* Somebody answers again. */
    if (e->retest && e->state != ECN_FAILED) begin_test(e);
    return result;
}
