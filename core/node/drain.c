/* SPDX-License-Identifier: MIT */
#include "node/drain.h"
#include "node/conns.h"
#include "node/dial.h"

struct drain {
    uint64_t deadline_us;
    uint32_t reason;
    bool is_closing, told;
};

bool drain_is_on(const struct node *node) { return node->drain != NULL; }

uint64_t drain_deadline(const struct node *node)
{
    return node->drain == NULL || node->drain->is_closing ? UINT64_MAX : node->drain->deadline_us;
}

void drain_settle(struct node *node)
{
    struct drain *drain = node->drain;
    if (drain == NULL || drain->is_closing) return;
    if (node->streams_open > 0 && node->now_us < drain->deadline_us) return;
    drain->is_closing = true;
    node_close_connections(node, drain->reason, node->now_us);
}

bool node_is_drained(const struct node *node)
{
    const struct drain *drain = node->drain;
    return drain != NULL && drain->is_closing && node->connections == 0 &&
           list_is_empty(&node->ended) && list_is_empty(&node->started) &&
           list_is_empty(&node->streams) && !dial_has_failed(node);
}

bool drain_has_event(const struct node *node)
{
    return node_is_drained(node) && !node->drain->told;
}

bool drain_take_event(struct node *node)
{
    if (!drain_has_event(node)) return false;
    node->drain->told = true;
    return true;
}

int64_t drain_on_call(struct node *node, const struct node_call *call)
{
    int error = 0;
    uint64_t deadline =
        call->number > UINT64_MAX - node->now_us ? UINT64_MAX : node->now_us + call->number;
    if (node->drain != NULL) {
        if (deadline < node->drain->deadline_us) node->drain->deadline_us = deadline;
        return 0;
    }
    node->drain = state_alloc(node, sizeof *node->drain, &error);
    if (node->drain == NULL) return error;
    node->drain->deadline_us = deadline;
    node->drain->reason = call->flags;
    dial_cancel_all(node, WEIR_E_DRAINING, WEIR_REASON_DRAINING);
    return 0;
}

void drain_free(struct node *node)
{
    state_release(node, node->drain, sizeof *node->drain);
    node->drain = NULL;
}
