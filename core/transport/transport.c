/* SPDX-License-Identifier: MIT */
#include "transport/transport.h"
#include "base/assert.h"
#include "transport/stream.h"
#include <string.h>

enum { RECHECK_ROOM_BYTES = 4096 };

void transport_init(struct transport *t, const struct transport_ops *ops,
                    const struct transport_env *env)
{
    t->ops = ops;
    t->env = env;
    list_init(&t->ready);
    list_init(&t->starved);
}

struct transport_conn *transport_next_ready(struct transport *t)
{
    struct transport_conn *c = list_first(&t->ready, struct transport_conn, ready_link);
    if (c != NULL) list_remove(&c->ready_link);
    return c;
}

void transport_recheck(struct transport *t, uint64_t now_us)
{
    /* One pass over those who wait now: each is told or goes back to the end, so the loop is
     * bounded by them. */
    struct list waiting;
    if (list_is_empty(&t->starved) || budget_room(t->env->budget) < RECHECK_ROOM_BYTES) return;
    list_init(&waiting);
    while (!list_is_empty(&t->starved)) {
        struct list *link = t->starved.next;
        list_remove(link);
        list_push_back(&waiting, link);
    }
    while (!list_is_empty(&waiting)) {
        struct conn_streams *st = list_entry(waiting.next, struct conn_streams, starved_link);
        list_remove(&st->starved_link);
        /* With no more room than before there is nothing to tell: this runs for every datagram of
         * anybody, and peers that take nothing may starve many writers. */
        if (lane_send_room(&st->budget, NULL) > st->starved_room)
            streams_recheck(st->conn, now_us);
        else
            list_push_back(&t->starved, &st->starved_link);
    }
}

void conn_init(struct transport_conn *c, struct transport *t, enum conn_role role)
{
    memset(c, 0, sizeof *c);
    c->transport = t;
    c->role = (uint8_t)role;
    c->state = CONN_CONNECTING;
}

void conn_mark(struct transport_conn *c, unsigned pending)
{
    c->pending = (uint8_t)(c->pending | pending);
    if (!list_is_linked(&c->ready_link)) list_push_back(&c->transport->ready, &c->ready_link);
}

bool conn_ended(struct transport_conn *c, enum conn_end_by by, int error, uint32_t reason,
                const void *text, size_t text_len, uint64_t now_us)
{
    (void)now_us;
    if (c->state >= CONN_CLOSING) return false;
    c->state = CONN_CLOSING;
    c->end = mem_alloc(c->transport->env->mem, sizeof *c->end);
    if (c->end != NULL) {
        /* Without memory the end is told without its facts. */
        c->end->by = (uint8_t)by;
        c->end->error = error;
        c->end->reason = reason;
        if (text == NULL) text_len = 0;
        if (text_len > sizeof c->end->text) text_len = sizeof c->end->text;
        c->end->text_len = (uint8_t)text_len;
        if (text_len > 0) memcpy(c->end->text, text, text_len);
    }
    if (c->streams != NULL) streams_end(c);
    conn_mark(c, CONN_PENDING_ENDED);
    return true;
}

void conn_release(struct transport_conn *c)
{
    list_remove(&c->ready_link);
    if (c->streams != NULL) streams_free(c);
    mem_free(c->transport->env->mem, c->end, sizeof *c->end);
    c->end = NULL;
}
