/* SPDX-License-Identifier: MIT */
#include "transport/sched.h"
#include "base/assert.h"
#include <string.h>

void sched_init(struct sched *s)
{
    memset(s, 0, sizeof *s);
    for (unsigned u = 0; u < SCHED_URGENCIES; u++) list_init(&s->ready[u]);
    s->turn_max_bytes = SCHED_TURN_BYTES;
}

void sched_set_rate(struct sched *s, uint64_t bytes_per_s)
{
    enum { TURNS_PER_S = 4000 };
    uint64_t turn = bytes_per_s / TURNS_PER_S;
    if (turn < SCHED_TURN_BYTES) turn = SCHED_TURN_BYTES;
    s->turn_max_bytes = turn > SCHED_TURN_BYTES_MAX ? SCHED_TURN_BYTES_MAX : (uint32_t)turn;
}

void sched_add(struct sched *s, struct list *link, uint8_t urgency)
{
    WEIR_ASSERT(urgency < SCHED_URGENCIES);
    if (list_is_linked(link)) return;
    list_push_back(&s->ready[urgency], link);
    s->waiting = (uint8_t)(s->waiting | 1u << urgency);
}

void sched_remove(struct sched *s, struct list *link, uint8_t urgency)
{
    WEIR_ASSERT(urgency < SCHED_URGENCIES);
    if (!list_is_linked(link)) return;
    if (s->ready[urgency].next == link) s->turn_bytes[urgency] = 0;
    list_remove(link);
    if (list_is_empty(&s->ready[urgency])) {
        s->waiting = (uint8_t)(s->waiting & ~(1u << urgency));
        s->owed_bytes[urgency] = 0; /* what is not waiting is owed nothing */
    }
}

struct list *sched_next(const struct sched *s, uint8_t *urgency)
{
    int chosen = -1;
    for (unsigned u = 0; u < SCHED_URGENCIES; u++) {
        if ((s->waiting & 1u << u) == 0) continue;
        if (chosen < 0) chosen = (int)u;
        if (s->owed_bytes[u] >= SCHED_TURN_BYTES) {
            chosen = (int)u;
            break;
        }
    }
    if (chosen < 0) return NULL;
    *urgency = (uint8_t)chosen;
    return s->ready[chosen].next;
}

void sched_sent(struct sched *s, struct list *link, uint8_t urgency, uint32_t bytes)
{
    WEIR_ASSERT(urgency < SCHED_URGENCIES);
    for (unsigned u = 0; u < SCHED_URGENCIES; u++) {
        /* Those that are passed by collect their floor in 1/SCHED_FLOOR_SHARE bytes; the cap keeps
         * a long wait from turning into a burst that holds up what is urgent. */
        if (u <= urgency || (s->waiting & 1u << u) == 0) continue;
        uint32_t owed = s->owed_bytes[u] + (bytes + SCHED_FLOOR_SHARE - 1) / SCHED_FLOOR_SHARE;
        s->owed_bytes[u] = owed > 2 * SCHED_TURN_BYTES ? 2 * SCHED_TURN_BYTES : owed;
    }
    s->owed_bytes[urgency] = bytes >= s->owed_bytes[urgency] ? 0 : s->owed_bytes[urgency] - bytes;
    s->turn_bytes[urgency] += bytes;
    if (s->turn_bytes[urgency] < s->turn_max_bytes) return;
    s->turn_bytes[urgency] = 0;
    if (list_is_linked(link)) {
        list_remove(link);
        list_push_back(&s->ready[urgency], link);
    }
}
