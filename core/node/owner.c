/* SPDX-License-Identifier: MIT */
#include "node/owner.h"
#include "base/assert.h"
#include "node/conns.h"
#include "node/streams.h"

/* Made when the first owner is, and kept. */
struct owners {
    struct list all, ready, gone;
    struct list unseen; /**< gone, without a handle: nobody can ask for them any more */
    struct heap timers;
    uint64_t order; /**< of timers that are due at the same time: the older owner first */
};

static struct owners *owners_of(const struct node *node)
{
    return state_extras(node)->owners;
}

static struct owners *owners_make(struct node *node)
{
    int error;
    struct node_extras *extras = state_extras_make(node);
    if (extras == NULL || extras->owners != NULL) return extras == NULL ? NULL : extras->owners;
    struct owners *os = state_alloc(node, sizeof *os, &error);
    if (os == NULL) return NULL;
    list_init(&os->all);
    list_init(&os->ready);
    list_init(&os->gone);
    list_init(&os->unseen);
    heap_init(&os->timers, node->env.mem);
    extras->owners = os;
    return os;
}

int owner_begin(struct node *node, struct owner *o, const struct owner_ops *ops, unsigned kind)
{
    struct owners *os = owners_make(node);
    if (os == NULL) return WEIR_E_MEMORY;
    if (kind != 0) {
        o->handle = handle_add(&node->handles, kind, o);
        if (o->handle == 0) return WEIR_E_MEMORY;
    }
    o->ops = ops;
    o->timer.order = ++os->order;
    list_push_back(&os->all, &o->link);
    return 0;
}

void owner_forget_handle(struct node *node, struct owner *o)
{
    if (o->handle != 0) handle_remove(&node->handles, o->handle);
    o->handle = 0;
}

static void go(struct node *node, struct owner *o)
{
    struct owners *os = owners_of(node);
    list_remove(&o->link);
    list_push_back(o->handle == 0 ? &os->unseen : &os->gone, &o->link);
}

void owner_end(struct node *node, struct owner *o)
{
    if (o->ended) return;
    o->ended = true;
    heap_remove(&owners_of(node)->timers, &o->timer);
    if (!list_is_linked(&o->ready_link)) go(node, o);
}

void owner_ready(struct node *node, struct owner *o)
{
    WEIR_ASSERT(o->ops->next_event != NULL);
    if (!list_is_linked(&o->ready_link)) list_push_back(&owners_of(node)->ready, &o->ready_link);
}

void owner_not_ready(struct owner *o)
{
    list_remove(&o->ready_link);
}

bool owner_set_timer(struct node *node, struct owner *o, uint64_t when_us)
{
    if (when_us == UINT64_MAX || o->ended) {
        heap_remove(&owners_of(node)->timers, &o->timer);
        return true;
    }
    return heap_set(&owners_of(node)->timers, &o->timer, when_us);
}

void owner_take_stream(struct owner *o, struct stream *s)
{
    s->node_flags = STREAM_OWNED;
    s->node_data = o;
}

void owner_drop_stream(struct node *node, struct stream *s, uint32_t reason)
{
    s->node_data = NULL;
    streams_refuse(node, s, reason);
}

void owner_let_go(struct node *node, struct stream *s)
{
    if (!s->has_out || s->conn->state != CONN_UP) return;
    stream_release(s, node->now_us);
    s->conn->transport->ops->conn_flush(s->conn, node->now_us);
}

void owners_on_stream(struct node *node, struct stream *s)
{
    unsigned facts = s->pending;
    struct owner *o = s->node_data;
    WEIR_ASSERT(o != NULL);
    s->pending = 0;
    o->ops->on_stream(node, o, s, facts);
    if ((facts & STREAM_PENDING_OVER) != 0) streams_drop(node, s);
}

void owners_on_deadline(struct node *node)
{
    struct heap_item *item;
    if (owners_of(node) == NULL) return;
    while ((item = heap_first(&owners_of(node)->timers)) != NULL && item->when <= node->now_us) {
        struct owner *o = list_entry(item, struct owner, timer);
        heap_remove(&owners_of(node)->timers, item);
        o->ops->on_time(node, o);
        /* What sets its timer into the past would be called for ever. */
        WEIR_ASSERT(!heap_contains(item) || item->when > node->now_us);
    }
}

uint64_t owners_deadline(const struct node *node)
{
    const struct heap_item *item =
        owners_of(node) == NULL ? NULL : heap_first(&owners_of(node)->timers);
    return item == NULL ? UINT64_MAX : item->when;
}

bool owners_have_events(const struct node *node)
{
    return owners_of(node) != NULL && !list_is_empty(&owners_of(node)->ready);
}

bool owners_next_event(struct node *node, weir_event *event)
{
    struct owner *o;
    if (owners_of(node) == NULL) return false;
    while ((o = list_first(&owners_of(node)->ready, struct owner, ready_link)) != NULL) {
        *event = (weir_event){.object = o->handle, .time_us = node->now_us, .node = node->number};
        if (o->ops->next_event(node, o, event)) return true;
        list_remove(&o->ready_link);
        if (o->ended) go(node, o);
    }
    return false;
}

static void release(struct node *node, struct owner *o)
{
    list_remove(&o->link);
    list_remove(&o->ready_link);
    heap_remove(&owners_of(node)->timers, &o->timer);
    owner_forget_handle(node, o);
    o->ops->release(node, o);
}

void owners_on_turn(struct node *node)
{
    struct owner *o;
    if (owners_of(node) == NULL) return;
    while ((o = list_first(&owners_of(node)->gone, struct owner, link)) != NULL) release(node, o);
}

void owners_on_settled(struct node *node)
{
    struct owner *o;
    if (owners_of(node) == NULL) return;
    while ((o = list_first(&owners_of(node)->unseen, struct owner, link)) != NULL) release(node, o);
}

void owners_free(struct node *node)
{
    struct owners *os = owners_of(node);
    struct owner *o;
    if (os == NULL) return;
    owners_on_settled(node);
    while ((o = list_first(&os->gone, struct owner, link)) != NULL) release(node, o);
    while ((o = list_first(&os->all, struct owner, link)) != NULL) release(node, o);
    heap_free(&os->timers);
    state_release(node, os, sizeof *os);
    node->extras->owners = NULL;
}
