/* SPDX-License-Identifier: MIT */
/* CUBIC (RFC 9438) in whole numbers.
 *
 *  After a reduction the window follows W(t) = C (t - K)^3 + W_max: fast at first, flat where
 *  the last loss happened, then probing. C is 0.4 segments per cubic second, and K the time at
 *  which the curve reaches W_max again: K = cbrt((W_max - cwnd) / C). Next to it runs an
 *  estimate of what Reno would have; where Reno is faster, it wins.
 *
 *  Scaling. Windows are bytes below 2^30, a segment is datagram_bytes, time is milliseconds:
 *      K^3 [ms^3]    = (W_max - cwnd) / segment / 0.4 * 10^9
 *                    = bytes * 2.5*10^9 / segment               below 2.7*10^18
 *      delta [bytes] = 0.4 * x^3 / 10^9 * segment
 *                    = (x^3 / 2500) * segment / 10^6            x = |t - K| up to 10^5 ms
 *  Rounding K and t to a millisecond moves the curve by at most 0.0012 segments per second of
 *  |t - K| squared, far below one datagram. The divisions that happen per ACK carry their
 *  remainders, so that a window larger than acked bytes × growth still grows.
 *
 *  t excludes time in which the application, not the window, was the limit (section 5.8):
 *  otherwise the curve would run on while nobody measures the path, and the window would jump
 *  afterwards. */
#include "quic/congestion.h"

#define CUBIC_BETA_TENTHS 7u     /* 0.7 */
#define CUBIC_ALPHA_NUMERATOR 9u /* 3 (1 - 0.7) / (1 + 0.7) = 9/17 exactly */
#define CUBIC_ALPHA_DENOMINATOR 17u
#define CUBIC_K_SCALE 2500000000u     /* 10^9 / 0.4 */
#define CUBIC_DELTA_DIVISOR 2500u     /* 1000 / 0.4 */
#define CUBIC_DISTANCE_MAX_MS 100000u /* 400,000 segments beyond W_max: no window gets there */

static uint64_t cubic_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The largest r with r^3 <= n, bit by bit: 22 steps, no table, no division. */
static uint64_t cubic_root(uint64_t n)
{
    uint64_t root = 0;

    for (int bit = 21; bit >= 0; bit--) {
        uint64_t candidate = root | (uint64_t)1 << bit;

        /* 2642245 is the largest root of a 64-bit number. */
        if (candidate <= 2642245 && candidate * candidate * candidate <= n) {
            root = candidate;
        }
    }
    return root;
}

static uint64_t cubic_k_ms(uint64_t bytes, uint32_t segment_bytes)
{
    uint64_t cube = bytes * CUBIC_K_SCALE / segment_bytes;
    uint64_t root = cubic_root(cube);

    /* To the nearest: (r + 1/2)^3 is r^3 + 1.5 r^2 + 0.75 r + 1/8. */
    return cube - root * root * root > root * root + root * root / 2 + root ? root + 1 : root;
}

static uint64_t cubic_at(const struct congestion *c, uint64_t t_us)
{
    const struct cubic_stage *s = &c->of.cubic.now;
    uint64_t t_ms = (t_us + 500) / 1000;
    uint64_t x = t_ms > s->k_ms ? t_ms - s->k_ms : s->k_ms - t_ms;
    uint64_t delta;

    x = x > CUBIC_DISTANCE_MAX_MS ? CUBIC_DISTANCE_MAX_MS : x;
    delta = x * x * x / CUBIC_DELTA_DIVISOR * c->datagram_bytes / 1000000u;
    if (t_ms >= s->k_ms) {
        return s->max_bytes + delta;
    }
    return s->max_bytes > delta ? s->max_bytes - delta : 0;
}

static void cubic_begin_stage(struct congestion *c, uint64_t now_us)
{
    struct cubic_stage *s = &c->of.cubic.now;

    s->valid = true;
    s->epoch_us = now_us;
    s->accounted_us = now_us;
    s->estimate_bytes = c->window_bytes;
    s->estimate_remainder = 0;
    s->growth_remainder = 0;
    if (s->after_event && s->max_bytes > c->window_bytes) {
        s->k_ms = cubic_k_ms(s->max_bytes - c->window_bytes, c->datagram_bytes);
        return;
    }
    /* Slow start ended by itself, or after persistent congestion: the window of now is the
     *  plateau. */
    s->k_ms = 0;
    s->max_bytes = c->window_bytes;
    if (!s->after_event) {
        s->prior_bytes = c->window_bytes;
    }
}

/* Time up to now was not the window's: the curve stands still over it. */
static void cubic_exclude(struct cubic_stage *s, uint64_t now_us)
{
    if (s->valid && now_us > s->accounted_us) {
        s->epoch_us += now_us - s->accounted_us;
        s->accounted_us = now_us;
    }
}

static void cubic_init(struct congestion *c, uint64_t now_us, uint64_t seed)
{
    (void)now_us;
    (void)seed;
    c->of.cubic = (struct cubic){.now = {.valid = false}};
}

static void cubic_on_sent(struct congestion *c, uint64_t now_us, uint64_t bytes,
                          uint64_t in_flight_bytes)
{
    (void)bytes;
    if (in_flight_bytes == 0) {
        cubic_exclude(&c->of.cubic.now, now_us);
    }
}

/* Section 4.3: W_est += alpha * acked / cwnd segments; alpha is 1 once it is back at cwnd_prior. */
static void cubic_grow_estimate(struct congestion *c, uint64_t bytes)
{
    struct cubic_stage *s = &c->of.cubic.now;
    uint64_t alpha =
        s->estimate_bytes >= s->prior_bytes ? CUBIC_ALPHA_DENOMINATOR : CUBIC_ALPHA_NUMERATOR;
    uint64_t divisor = c->window_bytes * CUBIC_ALPHA_DENOMINATOR;
    uint64_t scaled = bytes * c->datagram_bytes * alpha + s->estimate_remainder;

    s->estimate_bytes += scaled / divisor;
    s->estimate_remainder = scaled % divisor;
}

static void cubic_on_acked(struct congestion *c, const struct congestion_ack *ack)
{
    struct cubic_stage *s = &c->of.cubic.now;
    uint64_t t_us, target, scaled;

    if (c->app_limited) {
        cubic_exclude(s, ack->now_us);
        return;
    }
    if (!s->valid) {
        cubic_begin_stage(c, ack->now_us);
    }
    s->accounted_us = ack->now_us;
    t_us = ack->now_us - s->epoch_us;
    cubic_grow_estimate(c, ack->bytes);
    if (cubic_at(c, t_us) < s->estimate_bytes) {
        c->window_bytes = cubic_max(c->window_bytes, s->estimate_bytes);
        s->growth_remainder = 0;
        return;
    }
    target = cubic_at(c, t_us + ack->rtt->smoothed_us);
    if (target > c->window_bytes + c->window_bytes / 2) {
        target = c->window_bytes + c->window_bytes / 2;
    }
    if (target <= c->window_bytes) {
        return;
    }
    scaled = (target - c->window_bytes) * ack->bytes + s->growth_remainder;
    s->growth_remainder = scaled % c->window_bytes;
    c->window_bytes += scaled / c->window_bytes;
}

static void cubic_on_event(struct congestion *c, uint64_t now_us)
{
    struct cubic_stage *s = &c->of.cubic.now;
    uint64_t reduced_bytes = c->window_bytes * CUBIC_BETA_TENTHS / 10;

    (void)now_us;
    if (!c->undo_hold) {
        c->of.cubic.undo = *s;
    }
    s->prior_bytes = c->window_bytes;
    /* Section 4.7, fast convergence: below the last plateau, leave room for whoever came. */
    s->max_bytes = c->window_bytes < s->max_bytes ? c->window_bytes * 17 / 20 : c->window_bytes;
    s->valid = false;
    s->after_event = true;
    c->window_bytes = cubic_max(reduced_bytes, congestion_minimum_window(c));
    c->threshold_bytes = c->window_bytes;
}

static void cubic_on_persistent(struct congestion *c)
{
    c->of.cubic.now.valid = false;
    c->of.cubic.now.after_event = false;
}

static void cubic_on_spurious(struct congestion *c)
{
    c->of.cubic.now = c->of.cubic.undo;
}

const struct congestion_ops congestion_cubic = {
    .name = "cubic",
    .init = cubic_init,
    .on_sent = cubic_on_sent,
    .on_acked = cubic_on_acked,
    .on_event = cubic_on_event,
    .on_persistent = cubic_on_persistent,
    .on_spurious = cubic_on_spurious,
};
