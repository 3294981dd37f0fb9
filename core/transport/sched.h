/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_SCHED_H
#define WEIR_TRANSPORT_SCHED_H
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>

/* Which stream sends next: urgency 0 first to 7, fair by bytes within one urgency, and a floor for
 * each.
 *
 * Strict urgency alone starves (MsQuic flushes higher ones fully first), so every urgency that
 * waits is owed one byte in SCHED_FLOOR_SHARE of what passes it by; once it is owed a whole
 * datagram, it goes first. Within an urgency streams take turns; a turn is one datagram's worth of
 * bytes, so that fifty bulk streams share by bytes. On a fast path a turn is what leaves in a
 * quarter of a millisecond, at most 16 KiB: to change the stream with each packet costs both sides
 * their caches and gains nobody anything. */
enum {
    SCHED_URGENCIES = 8,
    SCHED_FLOOR_SHARE = 32,
    SCHED_TURN_BYTES = 1200,
    SCHED_TURN_BYTES_MAX = 16384
};
struct sched {
    struct list ready[SCHED_URGENCIES];
    uint32_t owed_bytes[SCHED_URGENCIES];
    uint32_t turn_bytes[SCHED_URGENCIES]; /**< what the head of each has sent in its turn */
    uint32_t turn_max_bytes;   /**< how long a turn is now */
    uint8_t waiting;           /**< bit per urgency that has a ready stream */
};
void sched_init(struct sched *s);
/** How fast the path is: sets the length of turns. */
void sched_set_rate(struct sched *s, uint64_t bytes_per_s);
/** Put a stream's link in (at the back), if it is in no list. */
void sched_add(struct sched *s, struct list *link, uint8_t urgency);
void sched_remove(struct sched *s, struct list *link, uint8_t urgency);
/** The link whose turn it is, or NULL; and its urgency. */
struct list *sched_next(const struct sched *s, uint8_t *urgency);
/** The link sent bytes. It goes to the back when its turn is used up; remove it when it has nothing
 *  left. */
void sched_sent(struct sched *s, struct list *link, uint8_t urgency, uint32_t bytes);
#endif
