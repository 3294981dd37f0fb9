/* SPDX-License-Identifier: MIT */
/* The record of what was sent, without an allocation per packet.
 *
 *  Packet numbers of a space are handed out one by one, so the packets that still matter are a
 *  window [base, next) of numbers, and number & (capacity - 1) is their slot in a ring that
 *  doubles when the window outgrows it. The frames of those packets stand in a second ring, in
 *  the order of sending; a slot says where its first frame is and how many there are. Both rings
 *  take no memory before the first packet, are charged to the budget by capacity, and are given
 *  back by sent_trim when the window is empty. A packet that is not in flight keeps its slot
 *  only as long as an older packet does.
 *
 *  The base moves over what is settled: acked, skipped, ack-only, or lost and no longer
 *  interesting. One packet that stays unsettled keeps the slots above it, and each ACK repeats
 *  the ranges that cover them. So that those repeats cost nothing, an acked slot stores the
 *  distance to the next number that may be unacked, and look-ups shorten these chains as they
 *  follow them (path halving, as in union-find). A range therefore costs what it newly
 *  acknowledges plus an amortised constant, whatever the size of the window.
 *
 *  A controller that models the path needs more of each packet (delivery.h). That stands in a
 *  third ring with the slots of the first, which exists only when it is asked for.
 *
 *  What it refuses: more than packets_max numbers in the window, more than four times as many
 *  frames, and more than SENT_PACKET_FRAMES_MAX frames in one packet. The caller then stops
 *  sending; nothing is ever forgotten that is still in flight. */
#include "quic/sent.h"
#include "base/assert.h"
#include "weir.h"
#include <string.h>

#define SENT_PACKETS_MIN 32u
#define SENT_FRAMES_MIN 128u
#define SENT_FRAMES_PER_PACKET 4u /* on average; bounds the frame ring */
#define SENT_SPARE_PACKETS 4u     /* what ordinary packets leave allocated for probes */
#define SENT_SPARE_FRAMES 16u
#define SENT_PROBE_FRAMES 8u /* a probe is worth sending with so few */

static struct sent_packet *sent_slot(const struct sent *sent, uint64_t number)
{
    return &sent->packets[number & (sent->packet_capacity - 1)];
}

static struct sent_frame *sent_frame_slot(const struct sent *sent, uint32_t index)
{
    return &sent->frames[index & (sent->frame_capacity - 1)];
}

void sent_init(struct sent *sent, const struct mem *mem, struct budget *budget,
               uint32_t packets_max)
{
    uint32_t bound = 4 * SENT_RESERVE;

    memset(sent, 0, sizeof *sent);
    sent->mem = mem;
    sent->budget = budget;
    packets_max = packets_max == 0 ? SENT_PACKETS_MAX : packets_max;
    while (bound <= packets_max / 2 && bound < (1u << 24)) {
        bound *= 2;
    }
    sent->packets_max = bound;
    for (uint32_t i = 0; i < SENT_SKIPPED_KEPT; i++) {
        sent->skipped[i] = UINT64_MAX;
    }
}

static void sent_release(struct sent *sent)
{
    size_t packets = sent->packet_capacity * sizeof *sent->packets;
    size_t frames = sent->frame_capacity * sizeof *sent->frames;

    size_t delivery = sent->delivery == NULL ? 0 : sent->packet_capacity * sizeof *sent->delivery;

    mem_free(sent->mem, sent->packets, packets);
    mem_free(sent->mem, sent->frames, frames);
    mem_free(sent->mem, sent->delivery, delivery);
    if (sent->budget != NULL) {
        budget_refund(sent->budget, packets + frames + delivery);
    }
    sent->packets = NULL;
    sent->delivery = NULL;
    sent->frames = NULL;
    sent->packet_capacity = 0;
    sent->frame_capacity = 0;
}

void sent_free(struct sent *sent)
{
    sent_clear(sent);
    sent_release(sent);
}

void sent_keep_delivery(struct sent *sent)
{
    sent->keep_delivery = true;
}

struct delivery_packet *sent_delivery(const struct sent *sent, uint64_t number)
{
    if (sent->delivery == NULL || number < sent->base || number >= sent->next) {
        return NULL;
    }
    return &sent->delivery[number & (sent->packet_capacity - 1)];
}

/* Charge and allocate a ring of the new size; the caller moves the items and frees the old one. */
static int sent_allocate(struct sent *sent, size_t old_size, size_t new_size, void **block,
                         struct limit_record *limit)
{
    if (sent->budget != NULL && !budget_charge(sent->budget, new_size - old_size, limit)) {
        return WEIR_E_BUDGET;
    }
    *block = mem_alloc(sent->mem, new_size);
    if (*block == NULL) {
        if (sent->budget != NULL) {
            budget_refund(sent->budget, new_size - old_size);
        }
        return WEIR_E_MEMORY;
    }
    return 0;
}

/* The third ring grows with the first. */
static int sent_grow_delivery(struct sent *sent, uint32_t capacity, struct limit_record *limit)
{
    size_t old_size = sent->delivery == NULL ? 0 : sent->packet_capacity * sizeof *sent->delivery;
    struct delivery_packet *delivery;
    void *block;
    int error = sent_allocate(sent, old_size, capacity * sizeof *delivery, &block, limit);

    if (error != 0) {
        return error;
    }
    delivery = block;
    for (uint64_t n = sent->base; old_size > 0 && n < sent->next; n++) {
        delivery[n & (capacity - 1)] = sent->delivery[n & (sent->packet_capacity - 1)];
    }
    mem_free(sent->mem, sent->delivery, old_size);
    sent->delivery = delivery;
    return 0;
}

static int sent_grow_packets(struct sent *sent, struct limit_record *limit)
{
    uint32_t capacity = sent->packet_capacity == 0 ? SENT_PACKETS_MIN : sent->packet_capacity * 2;
    size_t old_size = sent->packet_capacity * sizeof *sent->packets;
    size_t new_size = capacity * sizeof *sent->packets;
    struct sent_packet *packets;
    void *block;
    int error = sent_allocate(sent, old_size, new_size, &block, limit);

    if (error == 0 && (sent->keep_delivery || sent->delivery != NULL)) {
        error = sent_grow_delivery(sent, capacity, limit);
        if (error != 0) {
            mem_free(sent->mem, block, new_size);
            if (sent->budget != NULL) {
                budget_refund(sent->budget, new_size - old_size);
            }
        }
    }
    if (error != 0) {
        return error;
    }
    packets = block;
    for (uint64_t n = sent->base; n < sent->next; n++) {
        packets[n & (capacity - 1)] = *sent_slot(sent, n);
    }
    mem_free(sent->mem, sent->packets, old_size);
    sent->packets = packets;
    sent->packet_capacity = capacity;
    return 0;
}

static int sent_grow_frames(struct sent *sent, struct limit_record *limit)
{
    uint32_t capacity = sent->frame_capacity == 0 ? SENT_FRAMES_MIN : sent->frame_capacity * 2;
    size_t old_size = sent->frame_capacity * sizeof *sent->frames;
    struct sent_frame *frames;
    void *block;
    int error = sent_allocate(sent, old_size, capacity * sizeof *frames, &block, limit);

    if (error != 0) {
        return error;
    }
    frames = block;
    for (uint32_t i = sent->frame_base; i != sent->frame_next; i++) {
        frames[i & (capacity - 1)] = *sent_frame_slot(sent, i);
    }
    mem_free(sent->mem, sent->frames, old_size);
    sent->frames = frames;
    sent->frame_capacity = capacity;
    return 0;
}

static int sent_refuse(const struct sent *sent, struct limit_record *limit)
{
    if (limit != NULL) {
        *limit = (struct limit_record){.scope = LIMIT_SCOPE_CONNECTION,
                                       .name = sent->limit_name,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = sent->next - sent->base,
                                       .max = sent->packets_max - SENT_RESERVE,
                                       .owner = sent->budget == NULL ? NULL : sent->budget->owner};
    }
    return WEIR_E_LIMIT;
}

static bool sent_is_full(const struct sent *sent)
{
    uint32_t reserve = SENT_RESERVE - sent->probes;
    uint32_t packets_max = sent->packets_max - reserve;
    uint32_t frames_max =
        sent->packets_max * SENT_FRAMES_PER_PACKET + sent->probes * SENT_PACKET_FRAMES_MAX;

    return sent->next - sent->base >= packets_max ||
           sent->frame_next - sent->frame_base + SENT_PACKET_FRAMES_MAX > frames_max;
}

static uint32_t sent_free_frames(const struct sent *sent)
{
    return sent->frame_capacity - (sent->frame_next - sent->frame_base);
}

/* Have so many slots and frames allocated beyond those in use. */
static int sent_reserve(struct sent *sent, uint32_t packets, uint32_t frames,
                        struct limit_record *limit)
{
    int error = 0;

    while (error == 0 && sent->next - sent->base + packets > sent->packet_capacity) {
        error = sent_grow_packets(sent, limit);
    }
    while (error == 0 && sent_free_frames(sent) < frames) {
        error = sent_grow_frames(sent, limit);
    }
    return error;
}

/* Room for one packet. *frames is how many frames it may have. */
static int sent_make_room(struct sent *sent, uint32_t *frames, struct limit_record *limit)
{
    int error;

    WEIR_ASSERT(!sent->open);
    *frames = SENT_PACKET_FRAMES_MAX;
    if (sent_is_full(sent)) {
        sent_drop_settled(sent, UINT64_MAX);
        if (sent_is_full(sent)) {
            return sent_refuse(sent, limit);
        }
    }
    error = sent_reserve(sent, 1 + SENT_SPARE_PACKETS, SENT_PACKET_FRAMES_MAX + SENT_SPARE_FRAMES,
                         limit);
    if (error != 0 && sent->probes > 0 && sent->next - sent->base < sent->packet_capacity &&
        sent_free_frames(sent) >= SENT_PROBE_FRAMES) {
        *frames = SENT_PROBE_FRAMES;
        return 0;
    }
    return error;
}

int sent_begin(struct sent *sent, struct limit_record *limit)
{
    uint32_t frames;
    int error = sent_make_room(sent, &frames, limit);

    if (error == 0) {
        sent->open = true;
        sent->open_frames = 0;
        sent->open_frames_max = frames;
    }
    return error;
}

void sent_allow_probes(struct sent *sent, uint32_t packets)
{
    uint32_t sum = packets == 0 ? 0 : sent->probes + packets;

    sent->probes = sum < SENT_RESERVE ? sum : SENT_RESERVE;
}

bool sent_add_frame(struct sent *sent, const struct sent_frame *frame)
{
    WEIR_ASSERT(sent->open);
    if (sent->open_frames == sent->open_frames_max) {
        return false;
    }
    *sent_frame_slot(sent, sent->frame_next + sent->open_frames) = *frame;
    sent->open_frames++;
    return true;
}

uint64_t sent_commit(struct sent *sent, uint64_t now_us, uint32_t size, uint32_t flags)
{
    uint64_t number = sent->next;
    struct sent_packet *packet = sent_slot(sent, number);

    WEIR_ASSERT(sent->open);
    WEIR_ASSERT(size <= UINT16_MAX);
    WEIR_ASSERT((flags & (SENT_ACKED | SENT_LOST | SENT_UNSENT)) == 0);
    /* RFC 9002 2: ack-eliciting packets are always in flight. */
    flags |= (flags & SENT_ACK_ELICITING) != 0 ? (uint32_t)SENT_IN_FLIGHT : 0u;
    sent->open = false;
    *packet = (struct sent_packet){.time_us = now_us,
                                   .first = sent->frame_next,
                                   .size = (uint16_t)size,
                                   .flags = (uint16_t)flags};
    if ((flags & SENT_IN_FLIGHT) != 0) {
        packet->frame_count = (uint16_t)sent->open_frames;
        sent->frame_next += sent->open_frames;
    }
    sent->next = number + 1;
    if (sent->base == number && (flags & SENT_IN_FLIGHT) == 0) {
        sent_drop_settled(sent, 0);
    }
    return number;
}

void sent_cancel(struct sent *sent)
{
    WEIR_ASSERT(sent->open);
    sent->open = false;
}

int sent_skip(struct sent *sent, struct limit_record *limit)
{
    uint32_t frames;
    int error = sent_make_room(sent, &frames, limit);

    if (error != 0) {
        return error;
    }
    *sent_slot(sent, sent->next) =
        (struct sent_packet){.first = sent->frame_next, .flags = SENT_UNSENT};
    sent->skipped[sent->skips++ % SENT_SKIPPED_KEPT] = sent->next;
    sent->next++;
    return 0;
}

struct sent_packet *sent_get(const struct sent *sent, uint64_t number)
{
    if (number < sent->base || number >= sent->next) {
        return NULL;
    }
    return sent_slot(sent, number);
}

const struct sent_frame *sent_frame_get(const struct sent *sent, const struct sent_packet *packet,
                                        uint32_t i)
{
    WEIR_ASSERT(i < packet->frame_count);
    WEIR_ASSERT((packet->flags & SENT_ACKED) == 0);
    return sent_frame_slot(sent, packet->first + i);
}

uint64_t sent_next_unacked(struct sent *sent, uint64_t number)
{
    number = number < sent->base ? sent->base : number;
    while (number < sent->next) {
        struct sent_packet *packet = sent_slot(sent, number);
        uint64_t after = number + packet->first;

        if ((packet->flags & SENT_ACKED) == 0) {
            return number;
        }
        if (after < sent->next && (sent_slot(sent, after)->flags & SENT_ACKED) != 0) {
            packet->first += sent_slot(sent, after)->first;
        }
        number += packet->first;
    }
    return sent->next;
}

void sent_mark_acked(struct sent *sent, uint64_t number, uint64_t last)
{
    struct sent_packet *packet = sent_get(sent, number);

    WEIR_ASSERT(packet != NULL && (packet->flags & (SENT_ACKED | SENT_UNSENT)) == 0);
    WEIR_ASSERT(number <= last && last < sent->next);
    packet->flags |= SENT_ACKED;
    packet->first = (uint32_t)(last + 1 - number);
}

uint32_t sent_skipped_between(const struct sent *sent, uint64_t first, uint64_t last)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SENT_SKIPPED_KEPT; i++) {
        count +=
            sent->skipped[i] != UINT64_MAX && sent->skipped[i] >= first && sent->skipped[i] <= last;
    }
    return count;
}

bool sent_covers_unsent(const struct sent *sent, uint64_t first, uint64_t last)
{
    return sent_skipped_between(sent, first, last) > 0;
}

void sent_drop_settled(struct sent *sent, uint64_t forget_below)
{
    WEIR_ASSERT(!sent->open);
    while (sent->base < sent->next) {
        const struct sent_packet *packet = sent_slot(sent, sent->base);
        bool settled = (packet->flags & (SENT_ACKED | SENT_UNSENT)) != 0 ||
                       (packet->flags & SENT_IN_FLIGHT) == 0 ||
                       ((packet->flags & SENT_LOST) != 0 && sent->base < forget_below);

        if (!settled) {
            return;
        }
        sent->frame_base += packet->frame_count;
        sent->base++;
    }
    WEIR_ASSERT(sent->frame_base == sent->frame_next);
}

void sent_clear(struct sent *sent)
{
    sent->open = false;
    sent->base = sent->next;
    sent->frame_base = sent->frame_next;
}

void sent_trim(struct sent *sent)
{
    if (sent->base == sent->next && !sent->open) {
        sent_release(sent);
    }
}
