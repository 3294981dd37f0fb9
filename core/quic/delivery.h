/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_DELIVERY_H
#define WEIR_QUIC_DELIVERY_H
#include <stdbool.h>
#include <stdint.h>

/** How fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation): see delivery.c. */

/** What has to be remembered of one packet in flight: 20 bytes, kept by sent.c beside the packet
 *  and only for a controller that asks. Totals are their low 32 bits: what lies between sending
 *  and acknowledgement is far below that. */
struct delivery_packet {
    uint32_t delivered, lost;  /**< the totals when it left */
    uint32_t in_flight_bytes;  /**< with it */
    uint32_t delivered_ago_us; /**< when it left, so long ago was the last delivery */
    uint32_t first_ago_us;     /**< and so long ago the sampled flight had begun to be sent */
};

/** What one ACK frame says about the path, by the newest packet that it acknowledges. */
struct delivery_sample {
    uint64_t prior_delivered_bytes;  /**< the total when that packet was sent */
    uint64_t delivered_bytes;        /**< since then */
    uint64_t lost_bytes;             /**< since then */
    uint64_t in_flight_bytes;        /**< when it was sent, with it */
    uint64_t bytes_per_s;            /**< 0: no reliable sample */
    uint64_t number, send_us, ack_us, prior_lost_bytes;
    bool any;                        /**< the frame acknowledged a packet with state */
    bool app_limited;                /**< the application, not the path, set this rate */
};

/** The totals of one path. */
struct delivery {
    uint64_t delivered_bytes, lost_bytes;
    uint64_t delivered_us;           /**< time of the last delivery */
    uint64_t first_us;               /**< when the newest delivered packet was sent */
    uint64_t app_limited_bytes;      /**< until so much is delivered, samples are the
                                          application's; 0: they are not */
    struct delivery_sample sample;
};

#define DELIVERY_RATE_MAX 100000000000u  /**< 800 Gbit/s: keeps products in 64 bits */

void delivery_init(struct delivery *d);
/** A packet leaves.
 *  @param packet           where its state is kept; NULL: nowhere, it will give no sample
 *  @param in_flight_bytes  before it */
void delivery_on_sent(struct delivery *d, struct delivery_packet *packet, uint64_t now_us,
                      uint64_t bytes, uint64_t in_flight_bytes);
/** What is in flight now is all that the application had. */
void delivery_on_app_limited(struct delivery *d, uint64_t in_flight_bytes);
void delivery_on_lost(struct delivery *d, uint64_t bytes);
/** An ACK frame begins: forget the last sample. */
void delivery_begin(struct delivery *d);
/** A packet of the frame is newly acknowledged. @param packet   NULL: counted only */
void delivery_on_acked(struct delivery *d, const struct delivery_packet *packet, uint64_t number,
                       uint64_t sent_us, uint64_t bytes, bool app_limited, uint64_t now_us);
/** The frame ends, its losses are known: complete the sample.
 *  @param min_us   smallest round trip: a rate measured over less is no rate; 0: unknown */
void delivery_end(struct delivery *d, uint64_t min_us);
#endif
