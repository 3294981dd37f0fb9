/* SPDX-License-Identifier: MIT */
#include "node/drain.h"
#include "node/conns.h"
#include "node/dial.h"
#include "node/exchanges.h"
#include "node/feeds.h"
#include "node/fetches.h"

struct drain {
    uint64_t deadline_us;
    uint32_t reason;
    bool is_closing, told;
};

static struct drain *drain_of(const struct node *node)
{
    return state_extras(node)->drain;
}

bool drain_is_on(const struct node *node)
{
    return drain_of(node) != NULL;
}

uint64_t drain_deadline(const struct node *node)
{
    const struct drain *drain = drain_of(node);
    return drain == NULL || drain->is_closing ? UINT64_MAX : drain->deadline_us;
}

void drain_settle(struct node *node)
{
    struct drain *drain = drain_of(node);
    if (drain == NULL || drain->is_closing) return;
    bool busy = node->streams_open > 0 || exchanges_are_open(node);
    if (busy && node->now_us < drain->deadline_us) return;
    drain->is_closing = true;
    node_close_connections(node, drain->reason, node->now_us);
}

bool node_is_drained(const struct node *node)
{
    const struct drain *drain = drain_of(node);
    return drain != NULL && drain->is_closing && node->connections == 0 &&
           list_is_empty(&node->ended) && list_is_empty(&node->started) &&
           list_is_empty(&node->streams) && !owners_have_events(node) && !dial_has_failed(node);
}

bool drain_has_event(const struct node *node)
{
    return node_is_drained(node) && !drain_of(node)->told;
}

bool drain_take_event(struct node *node)
{
    if (!drain_has_event(node)) return false;
    drain_of(node)->told = true;
    return true;
}

int64_t drain_on_call(struct node *node, const struct node_call *call)
{
    int error = 0;
    uint64_t deadline =
        call->number > UINT64_MAX - node->now_us ? UINT64_MAX : node->now_us + call->number;
    struct drain *drain = drain_of(node);
    if (drain != NULL) {
        if (deadline < drain->deadline_us) drain->deadline_us = deadline;
        return 0;
    }
    struct node_extras *extras = state_extras_make(node);
    if (extras == NULL) return WEIR_E_MEMORY;
    drain = state_alloc(node, sizeof *drain, &error);
    if (drain == NULL) return error;
    drain->deadline_us = deadline;
    drain->reason = call->flags;
    extras->drain = drain;
    dial_cancel_all(node, WEIR_E_DRAINING, WEIR_REASON_DRAINING);
    feeds_on_drain(node);
    fetches_on_drain(node);
    return 0;
}

void drain_free(struct node *node)
{
    if (!drain_is_on(node)) return;
    state_release(node, node->extras->drain, sizeof *node->extras->drain);
    node->extras->drain = NULL;
}
