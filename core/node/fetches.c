/* SPDX-License-Identifier: MIT */
/* The calls of a fetch. */
#include "node/fetches.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "node/conns.h"
#include "node/drain.h"
#include "node/errors.h"
#include "node/fetch.h"
#include "node/peers.h"
#include "node/stream_head.h"
#include <string.h>

enum {
    PART_BYTES = 1 << 20,
    PART_BYTES_LEAST = 1 << 10,
    PART_BYTES_MOST = 1 << 24,
    PARTS_IN_FLIGHT = 8,
    PROGRESS_US = 5000000,
    BUDGET_SHARE = 2, /* a part must fit into half of the node's memory */
    URGENCY = 5
};
/* So that sums of times do not wrap. */
#define FAR_US (UINT64_MAX / 4)

static struct fetch *find(const struct node *node, uint64_t handle, int *error)
{
    struct owner *o = handle_get(&node->handles, handle, HANDLE_FETCH, error);
    return o == NULL ? NULL : list_entry(o, struct fetch, owner);
}

/* Opening. */

struct sizes {
    uint32_t part_bytes, slots;
    uint64_t parts;
};

static int check_budget(struct node *node, uint32_t part_bytes)
{
    const struct budget *budget = &node->budget;
    struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                 .name = LIMIT_NODE_MEMORY,
                                 .side = LIMIT_SIDE_LOCAL,
                                 .used = part_bytes,
                                 .max = budget->max};
    if (part_bytes <= budget->max / BUDGET_SHARE) return 0;
    return errors_fail(node, WEIR_E_BUDGET, &limit, NULL,
                       "a part is longer than half of the node's memory: make part_bytes smaller");
}

static int check_sizes(struct node *node, const weir_fetch_options *options, struct sizes *out)
{
    uint64_t most = node->env.limits->value[LIMIT_FETCH_PARTS];
    out->part_bytes = options->part_bytes == 0 ? PART_BYTES : options->part_bytes;
    if (out->part_bytes < PART_BYTES_LEAST || out->part_bytes > PART_BYTES_MOST)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "part_bytes is 0 (1 MiB) or 1 KiB to 16 MiB");
    if (options->total_bytes == 0 || options->total_bytes > VARINT_MAX)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "total_bytes must be given: how long the whole thing is");
    if (options->data_len > FETCH_DATA_MAX)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "data is at most 1024 bytes: it is sent with each part");
    out->parts = (options->total_bytes - 1) / out->part_bytes + 1;
    if (out->parts > most || out->parts > UINT32_MAX) {
        struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                     .name = LIMIT_FETCH_PARTS,
                                     .side = LIMIT_SIDE_LOCAL,
                                     .used = out->parts,
                                     .max = most};
        return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                           "so many parts: make part_bytes larger, or fetch it in several pieces");
    }
    out->slots = options->parts_in_flight == 0 ? PARTS_IN_FLIGHT : options->parts_in_flight;
    if (out->slots > FETCH_SLOTS_MAX) out->slots = FETCH_SLOTS_MAX;
    return check_budget(node, out->part_bytes < options->total_bytes
                                  ? out->part_bytes
                                  : (uint32_t)options->total_bytes);
}

static int check_count(struct node *node)
{
    uint64_t most = node->env.limits->value[LIMIT_FETCHES], count = 0;
    for (const struct fetch *f = state_extras(node)->fetches; f != NULL; f = f->next)
        count += f->owner.ended ? 0u : 1u;
    if (count < most) return 0;
    struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                 .name = LIMIT_FETCHES,
                                 .side = LIMIT_SIDE_LOCAL,
                                 .used = count,
                                 .max = most};
    return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                       "so many fetches are under way: finish or cancel one");
}

/* One block: the fetch, its slots, hashes, data, name, and two bytes for each part. */
static struct fetch *make(struct node *node, const struct node_call *call,
                          const struct sizes *sizes, int *error)
{
    const weir_fetch_options *options = call->options;
    size_t slots = sizes->slots * sizeof(struct fetch_slot), parts = (size_t)sizes->parts;
    size_t hashes = options->hashes == NULL ? 0 : parts * BLAKE2B_SIZE;
    size_t size = sizeof(struct fetch) + slots + hashes + options->data_len + call->len + 2 * parts;
    struct fetch *f = state_alloc(node, size, error);
    if (f == NULL) return NULL;
    f->size = size;
    f->plan.slots = (struct fetch_slot *)(void *)(f + 1);
    uint8_t *at = (uint8_t *)(void *)(f + 1) + slots;
    f->hashes = hashes == 0 ? NULL : at;
    if (hashes > 0) memcpy(at, options->hashes, hashes);
    at += hashes;
    f->data = at;
    if (options->data_len > 0) memcpy(at, options->data, options->data_len);
    at += options->data_len;
    f->name = (const char *)memcpy(at, call->data, call->len);
    at += call->len;
    f->plan.state = at;
    f->plan.blame = at + parts;
    f->data_len = (uint16_t)options->data_len;
    f->name_len = (uint8_t)call->len;
    return f;
}

static void fill_plan(struct fetch *f, const weir_fetch_options *options, const struct sizes *sizes)
{
    struct fetch_plan *plan = &f->plan;
    const uint8_t *have = options->have;
    plan->total_bytes = options->total_bytes;
    plan->part_bytes = sizes->part_bytes;
    plan->parts = plan->wanted = (uint32_t)sizes->parts;
    plan->slots_max = sizes->slots;
    plan->progress_limit_us = options->progress_us == 0 ? PROGRESS_US : options->progress_us;
    if (plan->progress_limit_us > FAR_US) plan->progress_limit_us = FAR_US;
    plan->progress_limit_bytes = options->progress_bytes == 0 ? 1 : options->progress_bytes;
    for (uint32_t i = 0; have != NULL && i < plan->parts; i++) {
        if ((have[i / 8] >> (i % 8) & 1) == 0) continue;
        plan->state[i] = PART_DONE;
        plan->done++;
        plan->wanted--;
        f->bytes_done += fetch_plan_part_len(plan, i);
    }
    while (plan->first_wanted < plan->parts && plan->state[plan->first_wanted] != PART_WANTED)
        plan->first_wanted++;
}

static int64_t fetch_open(struct node *node, const struct node_call *call)
{
    const weir_fetch_options *options = call->options;
    struct sizes sizes = {0};
    if (!stream_head_is_name(call->data, call->len, node->env.limits->value[LIMIT_PROTOCOL_NAME]))
        return errors_fail(
            node, WEIR_E_NAME, NULL, NULL,
            "a protocol's name has 1 to 128 printable ASCII characters and no space");
    if (drain_is_on(node))
        return errors_fail(node, WEIR_E_DRAINING, NULL, NULL,
                           "the node is draining: fetch no more");
    int error = check_sizes(node, options, &sizes);
    if (error == 0) error = check_count(node);
    if (error != 0) return error;
    struct fetch *f = make(node, call, &sizes, &error);
    if (f == NULL) return error;
    fill_plan(f, options, &sizes);
    f->user = options->user;
    f->urgency = options->urgency_plus1 == 0 ? URGENCY : (uint8_t)(options->urgency_plus1 - 1);
    f->begun_us = node->now_us;
    f->deadline_us = UINT64_MAX;
    if (options->deadline_us != 0 && options->deadline_us < FAR_US)
        f->deadline_us = node->now_us + options->deadline_us;
    error = owner_begin(node, &f->owner, &fetch_ops, HANDLE_FETCH);
    if (error != 0) {
        state_release(node, f, f->size);
        return error;
    }
    f->next = node->extras->fetches;
    node->extras->fetches = f;
    fetch_look(node, f);
    return (int64_t)f->owner.handle;
}

/* The others. */

static int fetch_add(struct node *node, struct fetch *f, uint64_t connection)
{
    uint64_t most = node->env.limits->value[LIMIT_FETCH_PEERS];
    struct conn_info info;
    struct dial *dial;
    int error;
    struct transport_conn *c = conns_get(node, connection, &dial, &error);
    if (error != 0) return error;
    if (c == NULL || c->state != CONN_UP) return WEIR_E_NOT_CONNECTED;
    if (f->is_over) return 0; /* nothing is left to ask for */
    if (fetch_plan_find_peer(&f->plan, connection) >= 0) return WEIR_E_EXISTS;
    memset(&info, 0, sizeof info);
    c->transport->ops->conn_info(c, &info);
    if (most > FETCH_PEERS_MAX) most = FETCH_PEERS_MAX;
    const struct peer_id id = conns_peer(c);
    error = peers_keep(node, &id, true);
    if (error != 0) return error;
    int peer = fetch_plan_add_peer(&f->plan, connection, info.rtt_us, (uint32_t)most, node->now_us);
    if (peer < 0) {
        (void)peers_keep(node, &id, false);
        struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                     .name = LIMIT_FETCH_PEERS,
                                     .side = LIMIT_SIDE_LOCAL,
                                     .used = fetch_plan_peers(&f->plan),
                                     .max = most};
        return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                           "the fetch asks so many peers already");
    }
    f->held[peer] = id;
    f->had_peer = true;
    f->grace_us = 0;
    /* Not at once: of several that are added together, the first would get all parts. */
    if (!owner_set_timer(node, &f->owner, node->now_us)) fetch_look(node, f);
    return 0;
}

static struct fetch_slot *first_waiting(const struct fetch *f)
{
    struct fetch_slot *first = NULL;
    for (uint32_t i = 0; i < f->plan.slots_max; i++) {
        struct fetch_slot *slot = &f->plan.slots[i];
        if (slot->state != SLOT_WAITING) continue;
        if (first == NULL || slot->part < first->part) first = slot;
    }
    return first;
}

static int64_t fetch_read(struct node *node, struct fetch *f, const struct node_call *call)
{
    struct fetch_slot *slot = first_waiting(f);
    if (slot == NULL) {
        f->told_part = false;
        return WEIR_E_NOT_FOUND;
    }
    if (call->cap < slot->len) return WEIR_E_SPACE;
    uint32_t len = slot->len;
    memcpy(call->out, slot->bytes, len);
    *call->number_out = (uint64_t)slot->part * f->plan.part_bytes;
    fetch_part_drop_bytes(node, slot);
    fetch_plan_read(&f->plan, slot);
    f->bytes_done += len;
    if (--f->waiting == 0) f->told_part = false;
    fetch_look(node, f);
    return len;
}

static int fetch_reject(struct node *node, struct fetch *f, uint64_t offset)
{
    uint64_t part = offset / f->plan.part_bytes;
    if (offset % f->plan.part_bytes != 0 || offset >= f->plan.total_bytes)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL, "no part begins at that offset");
    if (f->plan.state[part] != PART_DONE)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL, "that part was not read yet");
    if (f->told_over) return WEIR_E_STATE;
    if (f->is_over && f->error == 0) {
        /* It was complete, but the application has not been told. */
        f->is_over = false;
        owner_not_ready(&f->owner);
    }
    f->bytes_done -= fetch_plan_part_len(&f->plan, (uint32_t)part);
    int peer = fetch_plan_rejected(&f->plan, (uint32_t)part);
    fetch_blame(node, f, peer, WEIR_REASON_FORMAT);
    fetch_look(node, f);
    return 0;
}

static int fetch_cancel(struct node *node, struct fetch *f)
{
    owner_forget_handle(node, &f->owner);
    if (f->owner.ended) return 0;
    f->is_over = f->told_over = true;
    fetch_leave_all(node, f);
    owner_not_ready(&f->owner);
    owner_end(node, &f->owner);
    return 0;
}

int64_t fetches_on_call(struct node *node, const struct node_call *call)
{
    int error;
    if (call->kind == NODE_CALL_FETCH_OPEN) return fetch_open(node, call);
    struct fetch *f = find(node, call->object, &error);
    if (f == NULL) return error;
    switch (call->kind) {
    case NODE_CALL_FETCH_ADD: return fetch_add(node, f, call->number);
    case NODE_CALL_FETCH_READ: return fetch_read(node, f, call);
    case NODE_CALL_FETCH_REJECT: return fetch_reject(node, f, call->number);
    case NODE_CALL_FETCH_CANCEL: return fetch_cancel(node, f);
    default: return WEIR_E_ARGUMENT;
    }
}

static uint64_t bytes_per_second(const struct node *node, const struct fetch *f)
{
    const struct fetch_meter *m = &f->meter;
    uint64_t second = node->now_us / 1000000, sum = 0;
    uint64_t span_us = (FETCH_METER_SECONDS - 1) * UINT64_C(1000000) + node->now_us % 1000000;
    for (uint64_t back = 0; back < FETCH_METER_SECONDS; back++) {
        if (second >= back && second - back <= m->second &&
            m->second - (second - back) < FETCH_METER_SECONDS)
            sum += m->bytes[(second - back) % FETCH_METER_SECONDS];
    }
    if (node->now_us - f->begun_us < span_us) span_us = node->now_us - f->begun_us;
    return span_us == 0 ? 0 : sum * 1000000 / span_us;
}

int node_fetch_info(struct node *node, uint64_t fetch, weir_fetch_info *info)
{
    int error;
    if (node->closed) return WEIR_E_CLOSED;
    const struct fetch *f = find(node, fetch, &error);
    if (f == NULL) return error;
    info->peers = f->is_over ? 0 : fetch_plan_peers(&f->plan);
    info->parts = f->plan.parts;
    info->parts_done = f->plan.done;
    info->bytes_done = f->bytes_done;
    info->total_bytes = f->plan.total_bytes;
    info->in_flight = f->plan.slots_used - f->waiting;
    info->retried = f->retried;
    info->doubled = f->doubled;
    info->corrupt = f->corrupt;
    info->begun_us = f->begun_us;
    info->bytes_per_second = bytes_per_second(node, f);
    return 0;
}

/* What a connection's end changes is seen at its streams, and when the fetch is looked at next. */
void fetches_on_end(struct node *node, struct transport_conn *c)
{
    (void)node, (void)c;
}

void fetches_on_room(struct node *node, struct transport_conn *c)
{
    if (c->handle == 0) return;
    for (struct fetch *f = state_extras(node)->fetches; f != NULL; f = f->next) {
        if (f->owner.ended) continue;
        int peer = fetch_plan_find_peer(&f->plan, c->handle);
        if (peer < 0 || !f->plan.peers[peer].is_blocked) continue;
        f->plan.peers[peer].is_blocked = false;
        fetch_look(node, f);
    }
}

void fetches_on_drain(struct node *node)
{
    for (struct fetch *f = state_extras(node)->fetches; f != NULL; f = f->next) {
        if (!f->owner.ended) fetch_look(node, f);
    }
}
