/* SPDX-License-Identifier: MIT */
/* The search for the path's size, and its loss.
 *
 * Most paths carry Ethernet, so the ceiling is tried first and one probe ends most searches. A
 * size that was lost PMTU_TRIES_MAX times is too large; then halves, between what is proven and
 * what is not refuted, until less than PMTU_STEP_BYTES can be gained. With a ceiling beyond
 * Ethernet its size comes second. A path may improve: PMTU_RAISE_US later it is searched again.
 *
 * A path that begins to swallow large datagrams says nothing. The signs (after RFC 8899 4.3):
 * bursts of losses with large packets only, while no packet as large as the smallest of them
 * arrives; congestion hits small ones too, and lets large ones pass between. And silence: probe
 * timeouts in a row. Silence is mostly an outage, so the size is only laid aside and probed first
 * when somebody answers again; twice within PMTU_COOL_US it is treated as a black hole.
 *
 * What it refuses: sizes below the floor, and any word of the network about sizes. */
#include "quic/pmtu.h"

#include "base/assert.h"

enum {
    ETHERNET_FRAME_BYTES = 1500,
    ETHERNET_DATAGRAM_BYTES = 1452, /* IPv6; IPv4 has 20 more */
    UDP_PAYLOAD_MAX = 65527
};

void pmtu_init(struct pmtu *p, uint32_t floor_bytes, uint32_t start_bytes, uint32_t ceiling_bytes)
{
    WEIR_ASSERT(floor_bytes > 0 && floor_bytes <= start_bytes);
    WEIR_ASSERT(start_bytes <= ceiling_bytes && ceiling_bytes <= UDP_PAYLOAD_MAX);
    *p = (struct pmtu){
        .wait_us = PMTU_NEVER,
        .burst_us = PMTU_NEVER,
        .fell_us = PMTU_NEVER,
        .floor_bytes = (uint16_t)floor_bytes,
        .ceiling_bytes = (uint16_t)ceiling_bytes,
        .bytes = (uint16_t)start_bytes,
        .high_bytes = (uint16_t)ceiling_bytes,
    };
}

static void search(struct pmtu *p, uint16_t first_bytes, uint16_t high_bytes)
{
    p->state = PMTU_SEARCH;
    p->first_bytes = first_bytes;
    p->high_bytes = high_bytes;
    p->tries = 0;
}

/* The size to try next, larger than what is proven; 0: the search is over. */
static uint16_t next_size(const struct pmtu *p)
{
    if (p->first_bytes > p->bytes && p->first_bytes <= p->high_bytes) return p->first_bytes;
    if (p->high_bytes < p->bytes + PMTU_STEP_BYTES) return 0;
    if (p->high_bytes > ETHERNET_FRAME_BYTES && p->bytes < ETHERNET_DATAGRAM_BYTES)
        return ETHERNET_DATAGRAM_BYTES;
    return (uint16_t)(p->bytes + (p->high_bytes - p->bytes + 1) / 2);
}

static void settle(struct pmtu *p, uint64_t now_us)
{
    if (p->state != PMTU_SEARCH || next_size(p) != 0) return;
    p->state = PMTU_DONE;
    p->wait_us = p->bytes < p->ceiling_bytes ? now_us + PMTU_RAISE_US : PMTU_NEVER;
}

/* Nothing larger than most will be tried in this search. */
static void lower_high(struct pmtu *p, uint32_t most)
{
    if (p->high_bytes > most) p->high_bytes = (uint16_t)most;
    p->tries = 0;
}

void pmtu_set_ceiling(struct pmtu *p, uint64_t ceiling_bytes)
{
    if (ceiling_bytes < p->floor_bytes) ceiling_bytes = p->floor_bytes;
    if (ceiling_bytes >= p->ceiling_bytes) return;
    uint16_t ceiling = (uint16_t)ceiling_bytes;
    bool was_first = p->first_bytes == p->ceiling_bytes;
    p->ceiling_bytes = ceiling;
    if (p->bytes > ceiling) p->bytes = ceiling;
    lower_high(p, ceiling);
    if (was_first) p->first_bytes = ceiling;
    if (p->state == PMTU_DONE && p->bytes == ceiling) p->wait_us = PMTU_NEVER;
}

void pmtu_enable(struct pmtu *p)
{
    if (p->state == PMTU_OFF) search(p, p->ceiling_bytes, p->ceiling_bytes);
}

uint32_t pmtu_probe_bytes(struct pmtu *p, uint64_t now_us)
{
    if (p->state == PMTU_OFF || p->probe_bytes != 0 || p->await_ack) return 0;
    if (p->state == PMTU_DONE) {
        if (now_us < p->wait_us || p->wait_us == PMTU_NEVER) return 0;
        search(p, p->ceiling_bytes, p->ceiling_bytes);
    }
    settle(p, now_us);
    return p->state == PMTU_SEARCH ? next_size(p) : 0;
}

void pmtu_on_probe_sent(struct pmtu *p, uint32_t bytes)
{
    WEIR_ASSERT(p->probe_bytes == 0);
    WEIR_ASSERT(p->state == PMTU_SEARCH && bytes == next_size(p));
    p->probe_bytes = (uint16_t)bytes;
}

static void clear_bursts(struct pmtu *p)
{
    p->bursts = 0;
    p->burst_counted = false;
    p->suspect_bytes = 0;
}

bool pmtu_on_probe_acked(struct pmtu *p, uint32_t bytes, uint64_t now_us)
{
    if (bytes == p->probe_bytes) p->probe_bytes = 0;
    p->await_ack = false;
    if (p->state != PMTU_SEARCH || bytes <= p->bytes || bytes > p->ceiling_bytes) return false;
    p->bytes = (uint16_t)bytes;
    p->tries = 0;
    clear_bursts(p);
    settle(p, now_us);
    return true;
}

void pmtu_on_probe_lost(struct pmtu *p, uint32_t bytes, uint64_t now_us)
{
    if (bytes != p->probe_bytes) return;
    p->probe_bytes = 0;
    if (p->state != PMTU_SEARCH || bytes != next_size(p)) return;
    p->tries++;
    if (p->tries < PMTU_TRIES_MAX) return;
    lower_high(p, bytes - 1);
    settle(p, now_us);
}

/* Back to what every path carries. What is on its way says nothing about the search to come. */
static void fall(struct pmtu *p)
{
    p->bytes = p->floor_bytes;
    p->probe_bytes = 0;
    p->tries = 0;
    clear_bursts(p);
}

static void rest(struct pmtu *p, uint64_t now_us)
{
    if (p->state == PMTU_OFF) return;
    p->state = PMTU_DONE;
    p->wait_us = now_us + PMTU_COOL_US;
}

void pmtu_on_packet_acked(struct pmtu *p, uint32_t bytes)
{
    p->await_ack = false;
    p->burst_over = true;
    if (p->bursts > 0 && bytes >= p->suspect_bytes) clear_bursts(p);
}

/* Large packets alone were lost so far; is it one burst too many? */
static bool count_burst(struct pmtu *p, uint32_t bytes)
{
    if (!p->burst_counted && p->bursts == PMTU_BURSTS_MAX) return true;
    if (!p->burst_counted) p->bursts++;
    p->burst_counted = true;
    if (p->suspect_bytes == 0 || bytes < p->suspect_bytes) p->suspect_bytes = (uint16_t)bytes;
    return false;
}

static void mix_burst(struct pmtu *p)
{
    p->burst_mixed = true;
    if (!p->burst_counted) return;
    p->burst_counted = false;
    p->bursts--;
    if (p->bursts == 0) p->suspect_bytes = 0;
}

bool pmtu_on_packet_lost(struct pmtu *p, uint32_t bytes, uint64_t now_us)
{
    if (p->bytes == p->floor_bytes) return false;
    if (p->burst_us == PMTU_NEVER || (p->burst_over && p->burst_us != now_us)) {
        p->burst_us = now_us;
        p->burst_mixed = p->burst_counted = p->burst_over = false;
    }
    if (bytes <= p->floor_bytes) {
        mix_burst(p);
        return false;
    }
    if (p->burst_mixed || !count_burst(p, bytes)) return false;
    fall(p);
    p->fell_us = now_us;
    rest(p, now_us);
    return true;
}

bool pmtu_on_pto(struct pmtu *p, uint32_t pto_count, uint64_t now_us)
{
    if (pto_count < PMTU_PTO_SUSPECT || p->bytes == p->floor_bytes) return false;
    uint16_t old = p->bytes;
    bool again = p->fell_us != PMTU_NEVER && now_us - p->fell_us < PMTU_COOL_US;
    fall(p);
    p->fell_us = now_us;
    p->await_ack = true;
    if (again) {
        rest(p, now_us);
    } else if (p->state != PMTU_OFF) {
        search(p, old, old);
    }
    return true;
}
