/* SPDX-License-Identifier: MIT */
/* The names of a dial: looked up by the driver, their answers join the race as they come. When only
 * IPv4 is known while a name that may bring IPv6 is still looked up, the first attempt waits 50 ms
 * (RFC 8305 section 3). */
#include "node/dial_table.h"
#include <string.h>

enum { RESOLUTION_DELAY_US = 50000 };

/* The token of a look-up: the dial's handle has 53 bits, the place of the name has the rest. */
enum { TOKEN_SHIFT = 53, NAMES_MAX = 1 << 10 };

static uint64_t token_of(const struct dial *dial, uint32_t name)
{
    return (uint64_t)name << TOKEN_SHIFT | dial->handle;
}

int dial_name_add(struct node *node, struct dial *dial, const struct multiaddr *address,
                  uint8_t provenance)
{
    int error = 0;
    uint32_t count = dial->name_count;
    if (count >= NAMES_MAX || count >= node->env.limits->value[LIMIT_DIAL_ADDRESSES])
        return WEIR_E_LIMIT;
    struct dial_name *names = state_alloc(node, (count + 1) * sizeof *names, &error);
    if (names == NULL) return error;
    if (count > 0) memcpy(names, dial->names, count * sizeof *names);
    state_release(node, dial->names, count * sizeof *names);
    dial->names = names;
    dial->name_count++;
    memcpy(names[count].name, address->name, sizeof names[count].name);
    names[count].host = address->host;
    names[count].port = address->endpoint.port;
    names[count].provenance = provenance;
    return 0;
}

void dial_names_begin(struct node *node, struct dial *dial)
{
    for (uint32_t i = 0; i < dial->name_count; i++) {
        struct dial_name *name = &dial->names[i];
        name->error = node->driver->resolve(node->driver_context, name->name, token_of(dial, i));
        if (name->error == WEIR_E_LIMIT) metric_inc(node->env.metrics, METRIC_LIMIT_REACHED);
        name->is_pending = name->error == 0;
        dial->names_pending += name->is_pending ? 1u : 0u;
    }
}

void dial_names_cancel(struct node *node, struct dial *dial)
{
    for (uint32_t i = 0; i < dial->name_count; i++) {
        if (!dial->names[i].is_pending) continue;
        node->driver->resolve_cancel(node->driver_context, token_of(dial, i));
        dial->names[i].is_pending = false;
        dial->names[i].error = WEIR_E_TIMEOUT; /* for the report */
    }
    dial->names_pending = 0;
}

static bool takes_family(const struct dial_name *name, uint8_t family)
{
    if (name->host == MULTIADDR_HOST_DNS4) return family == ENDPOINT_IP4;
    if (name->host == MULTIADDR_HOST_DNS6) return family == ENDPOINT_IP6;
    return true;
}

/* RFC 8305 section 3: only IPv4 is known and an answer that may hold IPv6 is due. */
static bool should_wait_for_ip6(const struct dial *dial)
{
    bool due = false;
    for (uint32_t i = 0; i < dial->target_count; i++) {
        if (dial->targets[i].endpoint.family != ENDPOINT_IP4 ||
            dial->targets[i].state != TARGET_WAITING)
            return false;
    }
    for (uint32_t i = 0; i < dial->name_count; i++) {
        due = due || (dial->names[i].is_pending && dial->names[i].host != MULTIADDR_HOST_DNS4);
    }
    return due;
}

void dial_on_resolved(struct node *node, const struct node_input *in)
{
    uint64_t handle = in->resolved.token & ((UINT64_C(1) << TOKEN_SHIFT) - 1);
    uint32_t place = (uint32_t)(in->resolved.token >> TOKEN_SHIFT), before;
    void *object = handle_get(&node->handles, handle, HANDLE_CONNECTION, NULL);
    struct dial *dial = object == NULL ? NULL : dial_of(object);
    if (dial == NULL || dial->is_over || place >= dial->name_count ||
        !dial->names[place].is_pending)
        return;
    struct dial_name *name = &dial->names[place];
    name->is_pending = false;
    name->error = in->resolved.error;
    dial->names_pending--;
    before = dial->target_count;
    for (uint32_t i = 0; name->error == 0 && i < in->resolved.count; i++) {
        struct endpoint endpoint = in->resolved.addresses[i];
        endpoint.port = name->port;
        if (!takes_family(name, endpoint.family)) continue;
        /* What goes beyond the limit, or finds no memory, is left out: the others are tried. */
        (void)dial_target_add(node, dial, &endpoint, name->provenance);
    }
    if (name->error == 0 && dial->target_count == before) name->error = WEIR_E_HOST_UNKNOWN;
    if (before == 0) dial->ip6_first = in->resolved.ip6_first;
    if (before == 0 && dial->target_count > 0 && should_wait_for_ip6(dial))
        dial->next_start_us = node->now_us + RESOLUTION_DELAY_US;
    else if (dial->trying == 0)
        dial->next_start_us = node->now_us;
    dial_step(node, dial);
}
