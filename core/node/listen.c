/* SPDX-License-Identifier: MIT */
#include "node/listen.h"
#include "address/address.h"
#include "node/drain.h"
#include "node/errors.h"
#include <string.h>

struct listener {
    struct endpoint endpoint;
    uint32_t socket;
};
struct listeners {
    uint32_t count;
    struct listener all[];
};

static size_t bytes_of(uint32_t count)
{
    return sizeof(struct listeners) + count * sizeof(struct listener);
}

/* The list with room for one more, at its end. */
static struct listener *append(struct node *node, int *error)
{
    uint32_t count = node->listeners == NULL ? 0 : node->listeners->count;
    struct listeners *larger = state_alloc(node, bytes_of(count + 1), error);
    if (larger == NULL) return NULL;
    if (count > 0) memcpy(larger, node->listeners, bytes_of(count));
    state_release(node, node->listeners, bytes_of(count));
    larger->count = count + 1;
    node->listeners = larger;
    return &larger->all[count];
}

static void shorten(struct node *node)
{
    uint32_t count = node->listeners->count;
    if (count == 1) {
        state_release(node, node->listeners, bytes_of(1));
        node->listeners = NULL;
        return;
    }
    int error;
    struct listeners *smaller = state_alloc(node, bytes_of(count - 1), &error);
    if (smaller == NULL) {
        /* Keep the block: the last place listens on nothing. */
        node->listeners->all[count - 1] = (struct listener){0};
        return;
    }
    memcpy(smaller, node->listeners, bytes_of(count - 1));
    smaller->count = count - 1;
    state_release(node, node->listeners, bytes_of(count));
    node->listeners = smaller;
}

int64_t listen_on_call(struct node *node, const struct node_call *call)
{
    struct address_error why = {0};
    struct multiaddr address;
    int error = address_parse(&address, call->data, call->len, 0, ADDRESS_LISTEN, &why);
    if (error != 0)
        return errors_fail(node, error, NULL, NULL, "\"%.*s\", at byte %u: %s",
                           call->len > 100 ? 100 : (int)call->len, (const char *)call->data,
                           (unsigned)why.offset, why.sentence);
    if (address.has_peer && !peer_id_equal(&address.peer, &node->key.id))
        return errors_fail(node, WEIR_E_PEER_ID, NULL, &address.peer,
                           "that is another peer's address: listen on one of this machine");
    if (drain_is_on(node)) return WEIR_E_DRAINING;
    if (address.host != MULTIADDR_HOST_ENDPOINT ||
        (address.kind != ADDRESS_UDP && address.kind != ADDRESS_MEMORY) ||
        state_transport(node, address.endpoint.family) == NULL)
        return errors_fail(node, WEIR_E_ADDRESS, NULL, NULL,
                           "\"%.*s\" is no numeric UDP address: listen on one, such as [::]:4001",
                           call->len > 100 ? 100 : (int)call->len, (const char *)call->data);
    weir_error facts = {.size = sizeof facts};
    struct listener *listener = append(node, &error);
    if (listener == NULL) return error;
    error = node->driver->listen(node->driver_context, &address.endpoint, &listener->endpoint,
                                 &listener->socket, &facts);
    if (error == 0) return 0;
    shorten(node);
    const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                       .name = LIMIT_PORTS,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = facts.limit_used,
                                       .max = facts.limit_max};
    return errors_fail(node, error, error == WEIR_E_LIMIT ? &limit : NULL, NULL, "%.255s",
                       facts.detail);
}

void listen_free(struct node *node)
{
    struct listeners *listeners = node->listeners;
    if (listeners == NULL) return;
    for (uint32_t i = 0; i < listeners->count; i++) {
        if (listeners->all[i].endpoint.family != ENDPOINT_NONE)
            node->driver->unlisten(node->driver_context, listeners->all[i].socket);
    }
    state_release(node, listeners, bytes_of(listeners->count));
    node->listeners = NULL;
}

int node_address(const struct node *node, uint32_t i, char *text, uint32_t cap)
{
    if (node->closed) return WEIR_E_CLOSED;
    if (node->listeners == NULL || i >= node->listeners->count) return WEIR_E_NOT_FOUND;
    if (node->listeners->all[i].endpoint.family == ENDPOINT_NONE) return WEIR_E_NOT_FOUND;
    struct multiaddr m = multiaddr_of(&node->listeners->all[i].endpoint);
    m.has_peer = true;
    m.peer = node->key.id;
    return multiaddr_format(&m, text, cap);
}
