/* SPDX-License-Identifier: MIT */
/* Delivery rate samples (draft-cheng-iccrg-delivery-rate-estimation; draft-ietf-ccwg-bbr).
 *
 * Between the moment at which a packet left and the moment at which it is acknowledged, so many
 * bytes were delivered: that is a rate, measured over one round trip or more. The interval is the
 * longer one of two: over which the acks came, and over which those packets had been sent. Acks
 * that were held up and arrive together therefore cannot show a rate at which nothing was ever
 * sent, and a burst that left at once cannot show a rate at which nothing ever arrived.
 *
 * A flight that was cut short because the application had no more shows the application's rate.
 * Its packets carry a mark, and the controller lets such a sample raise its estimate but never
 * lower it. The mark stays until all that was in flight at that moment is delivered.
 *
 * Only the newest packet of an ACK frame gives a sample, and only when no newer one was
 * acknowledged before: a packet that comes late would measure the reordering. */
#include "quic/delivery.h"
#include "base/assert.h"

#define DELIVERY_SECOND_US 1000000u

static uint32_t delivery_since(uint64_t now_us, uint64_t then_us)
{
    uint64_t since_us = now_us > then_us ? now_us - then_us : 0;

    return since_us < UINT32_MAX ? (uint32_t)since_us : UINT32_MAX;
}

void delivery_init(struct delivery *d)
{
    *d = (struct delivery){.delivered_bytes = 0};
}

void delivery_on_sent(struct delivery *d, struct delivery_packet *packet, uint64_t now_us,
                      uint64_t bytes, uint64_t in_flight_bytes)
{
    uint64_t with_bytes = in_flight_bytes + bytes;

    if (in_flight_bytes == 0) {
        d->first_us = now_us;
        d->delivered_us = now_us;
    }
    if (packet == NULL) {
        return;
    }
    *packet = (struct delivery_packet){
        .delivered = (uint32_t)d->delivered_bytes,
        .lost = (uint32_t)d->lost_bytes,
        .in_flight_bytes = with_bytes < UINT32_MAX ? (uint32_t)with_bytes : UINT32_MAX,
        .delivered_ago_us = delivery_since(now_us, d->delivered_us),
        .first_ago_us = delivery_since(now_us, d->first_us)};
}

void delivery_on_app_limited(struct delivery *d, uint64_t in_flight_bytes)
{
    uint64_t until_bytes = d->delivered_bytes + in_flight_bytes;

    d->app_limited_bytes = until_bytes > 0 ? until_bytes : 1;
}

void delivery_on_lost(struct delivery *d, uint64_t bytes)
{
    d->lost_bytes += bytes;
}

void delivery_begin(struct delivery *d)
{
    d->sample = (struct delivery_sample){.any = false};
}

void delivery_on_acked(struct delivery *d, const struct delivery_packet *packet, uint64_t number,
                       uint64_t sent_us, uint64_t bytes, bool app_limited, uint64_t now_us)
{
    struct delivery_sample *s = &d->sample;

    d->delivered_bytes += bytes;
    d->delivered_us = now_us;
    if (packet == NULL || sent_us < d->first_us ||
        (s->any && sent_us == d->first_us && number < s->number)) {
        return;
    }
    s->any = true;
    s->number = number;
    s->app_limited = app_limited;
    s->in_flight_bytes = packet->in_flight_bytes;
    s->prior_delivered_bytes =
        d->delivered_bytes - (uint32_t)((uint32_t)d->delivered_bytes - packet->delivered);
    s->prior_lost_bytes = d->lost_bytes - (uint32_t)((uint32_t)d->lost_bytes - packet->lost);
    s->send_us = packet->first_ago_us;
    s->ack_us = now_us - sent_us + packet->delivered_ago_us;
    d->first_us = sent_us;
}

void delivery_end(struct delivery *d, uint64_t min_us)
{
    struct delivery_sample *s = &d->sample;
    uint64_t interval_us = s->send_us > s->ack_us ? s->send_us : s->ack_us;

    if (d->app_limited_bytes != 0 && d->delivered_bytes > d->app_limited_bytes) {
        d->app_limited_bytes = 0;
    }
    if (!s->any) {
        return;
    }
    WEIR_ASSERT(d->delivered_bytes >= s->prior_delivered_bytes);
    WEIR_ASSERT(d->lost_bytes >= s->prior_lost_bytes);
    s->delivered_bytes = d->delivered_bytes - s->prior_delivered_bytes;
    s->lost_bytes = d->lost_bytes - s->prior_lost_bytes;
    if (interval_us == 0 || interval_us < min_us) {
        return;
    }
    s->bytes_per_s = s->delivered_bytes * DELIVERY_SECOND_US / interval_us;
    if (s->bytes_per_s > DELIVERY_RATE_MAX) {
        s->bytes_per_s = DELIVERY_RATE_MAX;
    }
}
