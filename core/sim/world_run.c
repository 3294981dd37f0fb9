/* SPDX-License-Identifier: MIT */
/* How a world moves.
 *
 * Two queues hold what will happen: the network's arrivals, and the agenda with the deadlines and
 * answers. The earliest of both heads is next; at one time the lower node number, then the lower
 * sequence, and a node's deadline after its arrivals. Each is one input of one node, after which
 * that node's outputs are collected. So a step costs the logarithm of what is under way and never
 * looks at all nodes. When a node has an event, only the instant that it happened in is finished:
 * the application must see it before time goes on. */
#include "base/assert.h"
#include "base/hash.h"
#include "sim/files.h"
#include "sim/world.h"
#include <stdlib.h>

static void set_add(struct world_set *set, uint32_t number)
{
    set->is_sorted = set->count == 0 || (set->is_sorted && set->numbers[set->count - 1] < number);
    set->numbers[set->count++] = number;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void set_sort(struct world_set *set)
{
    if (!set->is_sorted && set->count > 1)
        qsort(set->numbers, set->count, sizeof *set->numbers, compare_numbers);
    set->is_sorted = true;
}

static struct world_node *node_at(const struct world *w, uint32_t number)
{
    WEIR_ASSERT(number >= 1 && number <= w->count);
    return w->nodes[number - 1];
}

void world_touch(struct world_node *n)
{
    if (n->world->is_running || n->is_touched || n->is_closed) return;
    n->is_touched = true;
    set_add(&n->world->touched, n->number);
}

static void note_events(struct world_node *n)
{
    if (n->is_ready || n->is_closed || !node_has_events(n->node)) return;
    n->is_ready = true;
    set_add(&n->world->ready, n->number);
}

/* Drop nodes whose events are gone, because the application acted or the node was closed. */
static void prune_ready(struct world *w)
{
    uint32_t i, kept = 0;

    for (i = 0; i < w->ready.count; i++) {
        struct world_node *n = node_at(w, w->ready.numbers[i]);

        n->is_ready = !n->is_closed && node_has_events(n->node);
        if (n->is_ready) w->ready.numbers[kept++] = n->number;
    }
    w->ready.count = kept;
}

static void collect_datagrams(struct world_node *n)
{
    struct world *w = n->world;

    for (;;) {
        struct datagram_out out = {.data = w->buffer, .cap = WORLD_BUFFER_BYTES};
        const struct place *from = n->sockets;

        if (!node_next_datagram(n->node, &out, w->now_us)) return;
        WEIR_ASSERT(out.len <= WORLD_BUFFER_BYTES);
        while (from != NULL && from->socket != out.socket) from = from->next;
        /* A socket that was closed meanwhile sends nothing. */
        if (from != NULL) network_send(&w->network, n->number, &from->endpoint, &out, w->now_us);
    }
}

void world_settle(struct world_node *n)
{
    struct world *w = n->world;
    uint64_t deadline_us;

    if (n->is_closed || node_is_closed(n->node)) return;
    collect_datagrams(n);
    deadline_us = node_deadline(n->node);
    /* Real clocks move between two deadlines, so this one does: an engine that asks for the
     * same instant again (a pacer that rounds down) must not stop the world. */
    if (deadline_us <= w->now_us) deadline_us = w->now_us + (n->fired_us == w->now_us ? 1 : 0);
    (void)heap_set(&w->agenda, &n->deadline.heap, deadline_us);
    note_events(n);
}

int64_t world_give(struct world_node *n, struct node_input *in)
{
    int64_t result;

    in->now_us = n->world->now_us;
    if (n->is_closed || node_is_closed(n->node)) return 0;
    result = node_input(n->node, in);
    world_settle(n);
    return result;
}

static void give_turns(struct world *w)
{
    uint32_t i, count = w->touched.count;

    set_sort(&w->touched);
    for (i = 0; i < count; i++) {
        struct world_node *n = node_at(w, w->touched.numbers[i]);
        struct node_input in = {.kind = NODE_INPUT_TURN};

        n->is_touched = false;
        (void)world_give(n, &in);
    }
    w->touched.count = 0;
}

static void happen_answer(struct world *w, struct answer *answer)
{
    struct node_input in = {.kind = NODE_INPUT_RESOLVED};
    struct world_node *n = answer->node;

    heap_remove(&w->agenda, &answer->happening.heap);
    list_remove(&answer->link);
    in.resolved.token = answer->token;
    in.resolved.error = answer->error;
    in.resolved.count = answer->count;
    in.resolved.addresses = answer->addresses;
    in.resolved.ip6_first = answer->count > 0 && answer->addresses[0].family == ENDPOINT_IP6;
    (void)world_give(n, &in);
    mem_free(w->mem, answer, sizeof *answer + answer->count * sizeof *answer->addresses);
}

static void happen(struct world *w, struct heap_item *item)
{
    struct happening *happening = list_entry(item, struct happening, heap);
    struct node_input in = {.kind = NODE_INPUT_DEADLINE};
    struct world_node *n;

    if (happening->kind == HAPPENING_ANSWER) {
        happen_answer(w, list_entry(happening, struct answer, happening));
        return;
    }
    if (happening->kind == HAPPENING_FILE) {
        files_happen(happening);
        return;
    }
    n = list_entry(happening, struct world_node, deadline);
    n->fired_us = w->now_us;
    (void)world_give(n, &in);
}

static void happen_arrival(struct world *w)
{
    struct datagram_in datagram;
    struct node_input in = {.kind = NODE_INPUT_DATAGRAM, .datagram = &datagram};
    uint32_t number;

    if (!network_next(&w->network, w->now_us, &datagram, &number)) return;
    /* Tests may attach an address that no node stands behind, to watch it with a tap. */
    if (number <= w->count) (void)world_give(node_at(w, number), &in);
}

static bool is_before(const struct heap_item *a, const struct heap_item *b)
{
    if (b == NULL) return true;
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

/* The next thing up to limit_us. @return false when there is none */
static bool step(struct world *w, uint64_t limit_us)
{
    struct heap_item *item = heap_first(&w->agenda);
    const struct heap_item *arrival = network_first(&w->network);
    bool is_arrival = arrival != NULL && is_before(arrival, item);
    uint64_t when = is_arrival ? arrival->when : item != NULL ? item->when : UINT64_MAX;

    if (when == UINT64_MAX || when > limit_us) return false;
    if (when > w->now_us) w->now_us = when;
    if (is_arrival) {
        happen_arrival(w);
    } else {
        happen(w, item);
    }
    return true;
}

int world_run(struct world *w, uint64_t until_us)
{
    if (until_us < w->now_us) until_us = w->now_us;
    w->is_running = true;
    give_turns(w);
    for (;;) {
        /* Once there is an event only the instant that it happened in is finished. */
        while (step(w, w->ready.count > 0 ? w->now_us : until_us)) continue;
        if (w->ready.count == 0) break;
        prune_ready(w);
        if (w->ready.count > 0) break;
    }
    w->is_running = false;
    if (w->ready.count > 0) return 1;
    if (until_us != WEIR_NONE) w->now_us = until_us;
    return 0;
}

static void hash_events(struct world *w, weir_event *events, uint32_t count, uint32_t number)
{
    uint32_t i, k;

    for (i = 0; i < count; i++) {
        weir_event *e = &events[i];
        uint64_t facts[] = {number,    e->time_us, e->kind, (uint64_t)(int64_t)e->error,
                            e->object, e->parent,  e->user, e->amount};

        e->node = number;
        for (k = 0; k < sizeof facts / sizeof facts[0]; k++) {
            w->network.hash = hash_mix(w->network.hash, facts[k]);
        }
    }
}

int64_t world_poll(struct world *w, uint32_t shard, weir_event *events, uint32_t cap)
{
    uint32_t i, done = 0;

    if (shard != 0) return WEIR_E_ARGUMENT;
    /* Calls since the last run may have made events too. */
    for (i = 0; i < w->touched.count; i++) note_events(node_at(w, w->touched.numbers[i]));
    set_sort(&w->ready);
    for (i = 0; i < w->ready.count && done < cap; i++) {
        struct world_node *n = node_at(w, w->ready.numbers[i]);
        uint32_t count;

        if (n->is_closed) continue;
        count = node_next_events(n->node, events + done, cap - done);
        WEIR_ASSERT(count <= cap - done);
        hash_events(w, events + done, count, n->number);
        done += count;
        world_touch(n);
    }
    prune_ready(w);
    return done;
}

uint64_t world_now(const struct world *w)
{
    return w->now_us;
}

uint64_t world_hash(const struct world *w)
{
    return w->network.hash;
}
