/* SPDX-License-Identifier: MIT */
#include "node/state.h"
#include "base/assert.h"
#include "node/errors.h"

enum { SLOT_MASK = HANDLE_SLOTS_MAX - 1 };

void *state_alloc(struct node *node, size_t size, int *error)
{
    struct limit_record limit;
    if (!budget_charge(&node->budget, size, &limit)) {
        *error = errors_fail(
            node, WEIR_E_BUDGET, &limit, NULL,
            "the node's memory budget is used up; close something or raise memory_bytes");
        return NULL;
    }
    void *block = mem_alloc(node->env.mem, size);
    if (block == NULL) {
        budget_refund(&node->budget, size);
        *error = WEIR_E_MEMORY;
    }
    return block;
}

void state_release(struct node *node, void *block, size_t size)
{
    if (block == NULL) return;
    mem_free(node->env.mem, block, size);
    budget_refund(&node->budget, size);
}

const struct node_extras *state_extras(const struct node *node)
{
    static const struct node_extras none;
    return node->extras != NULL ? node->extras : &none;
}

/* Not charged: the facts of an error must be told when the budget is used up. */
struct node_extras *state_extras_make(struct node *node)
{
    if (node->extras == NULL) node->extras = mem_alloc(node->env.mem, sizeof *node->extras);
    return node->extras;
}

struct transport *state_transport(const struct node *node, uint8_t family)
{
    unsigned bit = family == ENDPOINT_MEMORY ? 2u : family == ENDPOINT_NONE ? 0u : 1u;
    for (unsigned i = 0; i < node->transport_count; i++) {
        if ((node->transports[i]->ops->family_mask & bit) != 0) return node->transports[i];
    }
    return NULL;
}

void state_handle_move(struct node *node, uint64_t handle, void *object)
{
    struct handle_slot *slot = &node->handles.slots[handle & SLOT_MASK];
    int error;
    WEIR_ASSERT(handle_get(&node->handles, handle, handle_kind(handle), &error) != NULL);
    WEIR_ASSERT(object != NULL);
    slot->object = object;
}

struct conn_rare *state_rare(struct node *node, struct transport_conn *c)
{
    int error;
    WEIR_ASSERT((c->node_flags & CONN_ATTEMPT) == 0);
    if (c->node_data == NULL) c->node_data = state_alloc(node, sizeof(struct conn_rare), &error);
    return c->node_data;
}

void state_rare_release(struct node *node, struct transport_conn *c)
{
    if ((c->node_flags & CONN_ATTEMPT) != 0) return;
    struct conn_rare *rare = c->node_data;
    c->node_data = NULL;
    if (rare == NULL) return;
    state_release(node, rare->report, rare->report_len);
    state_release(node, rare, sizeof *rare);
}
