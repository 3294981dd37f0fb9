/* SPDX-License-Identifier: MIT */
/* What a world is to its nodes: sockets, names, a clock. The same table that host fills for the
 * real world. */
#include "base/assert.h"
#include "sim/files.h"
#include "sim/world.h"
#include <stdio.h>
#include <string.h>

struct endpoint world_address(uint32_t number, uint8_t family, uint16_t port)
{
    uint8_t high = (uint8_t)(number >> 16 & 0xff), middle = (uint8_t)(number >> 8 & 0xff);
    uint8_t low = (uint8_t)(number & 0xff);
    uint8_t bytes[16] = {0xfd, 0x77};

    if (family == ENDPOINT_MEMORY) return endpoint_memory(number);
    if (family == ENDPOINT_IP4) return endpoint_ip4(10, high, middle, low, port);
    bytes[13] = high;
    bytes[14] = middle;
    bytes[15] = low;
    return endpoint_ip6(bytes, port, 0);
}

static int attach(struct world_node *n, const struct endpoint *at, uint32_t *socket)
{
    struct place *place;
    int error = network_attach(&n->world->network, at, n->number, n->socket_next, &place);

    if (error != 0) return error;
    *socket = n->socket_next++;
    place->next = n->sockets;
    n->sockets = place;
    return 0;
}

/* A free address of the node's own in that family. */
static int attach_any(struct world_node *n, uint8_t family, struct endpoint *got, uint32_t *socket)
{
    uint32_t tries;

    for (tries = 0; tries < 16384; tries++) {
        uint16_t port = n->port_next;

        n->port_next = port == UINT16_MAX ? 49152 : (uint16_t)(port + 1);
        *got = world_address(n->number, family, port);
        /* Numbers in memory have no ports: the upper half tells a node's sockets apart. */
        if (family == ENDPOINT_MEMORY) *got = endpoint_memory((uint64_t)port << 32 | n->number);
        if (network_is_free(&n->world->network, got)) return attach(n, got, socket);
    }
    return WEIR_E_ADDRESS_IN_USE;
}

static bool fits_world(const struct world_node *n, uint8_t family)
{
    return (family == ENDPOINT_MEMORY) == (n->world->config.fidelity == WEIR_FIDELITY_MESSAGE);
}

static void explain(weir_error *error, const char *why, const struct endpoint *at)
{
    char text[ENDPOINT_TEXT_MAX];

    if (error == NULL) return;
    (void)endpoint_format(at, text, sizeof text);
    snprintf(error->detail, sizeof error->detail, "%s: %s", text, why);
}

static int driver_listen(void *context, const struct endpoint *want, struct endpoint *got,
                         uint32_t *socket, weir_error *error)
{
    struct world_node *n = context;
    int result;

    if (!fits_world(n, want->family)) {
        explain(error,
                "this world has no addresses of that kind; use the one that its nodes listen on",
                want);
        return WEIR_E_SOCKET;
    }
    *got = *want;
    if (endpoint_is_unspecified(want)) *got = world_address(n->number, want->family, want->port);
    if (want->family != ENDPOINT_MEMORY && want->port == 0) {
        struct endpoint any;

        /* Any port: of the node's own address only, since another's may be taken while we
         * choose. */
        result = attach_any(n, want->family, &any, socket);
        if (result == 0) *got = any;
    } else {
        result = attach(n, got, socket);
    }
    if (result == WEIR_E_ADDRESS_IN_USE)
        explain(error, "a node of this world listens there already", want);
    return result;
}

static void driver_unlisten(void *context, uint32_t socket)
{
    struct world_node *n = context;
    struct place **at = &n->sockets, *place;

    while (*at != NULL && (*at)->socket != socket) at = &(*at)->next;
    place = *at;
    if (place == NULL) return;
    *at = place->next;
    network_detach(&n->world->network, place);
}

static int driver_dial_socket(void *context, const struct endpoint *remote, uint32_t *socket)
{
    struct world_node *n = context;
    const struct place *place, *oldest = NULL;
    struct endpoint got;

    if (!fits_world(n, remote->family)) return WEIR_E_UNREACHABLE;
    /* The list has the newest first; the first one listened on is the node's address. */
    for (place = n->sockets; place != NULL; place = place->next) {
        if (place->endpoint.family == remote->family) oldest = place;
    }
    if (oldest == NULL) return attach_any(n, remote->family, &got, socket);
    *socket = oldest->socket;
    return 0;
}

/* "n12" and "node12" are node 12. @return its number, or 0 */
static uint32_t node_named(const struct world *w, const char *name)
{
    uint32_t number = 0;

    if (strncmp(name, "node", 4) == 0) {
        name += 4;
    } else if (name[0] == 'n') {
        name++;
    } else {
        return 0;
    }
    if (name[0] == '0') return 0;
    for (; *name >= '0' && *name <= '9'; name++) {
        number = number * 10 + (uint32_t)(*name - '0');
        if (number > w->count) return 0;
    }
    return *name == '\0' ? number : 0;
}

static int driver_resolve(void *context, const char *name, uint64_t token)
{
    struct world_node *n = context;
    struct world *w = n->world;
    const struct world_name *known = map_get(&w->names, name, strlen(name));
    uint32_t number = known == NULL ? node_named(w, name) : 0;
    uint32_t count = known != NULL ? known->count : number > 0 ? 1 : 0;
    struct answer *answer = mem_alloc(w->mem, sizeof *answer + count * sizeof *answer->addresses);

    if (answer == NULL) return WEIR_E_MEMORY;
    answer->happening.kind = HAPPENING_ANSWER;
    answer->happening.heap.order = network_order(&w->network, n->number);
    answer->node = n;
    answer->token = token;
    answer->count = count;
    answer->error = count > 0 ? 0 : WEIR_E_HOST_UNKNOWN;
    if (number > 0) {
        bool is_packet = w->config.fidelity == WEIR_FIDELITY_PACKET;

        answer->addresses[0] = world_address(number, is_packet ? ENDPOINT_IP4 : ENDPOINT_MEMORY, 0);
    } else if (count > 0) {
        memcpy(answer->addresses, known->addresses, count * sizeof *answer->addresses);
    }
    if (!heap_set(&w->agenda, &answer->happening.heap,
                  w->now_us + (known != NULL ? known->delay_us : 0))) {
        mem_free(w->mem, answer, sizeof *answer + count * sizeof *answer->addresses);
        return WEIR_E_MEMORY;
    }
    list_push_back(&n->answers, &answer->link);
    return 0;
}

static void drop_answer(struct world *w, struct answer *answer)
{
    heap_remove(&w->agenda, &answer->happening.heap);
    list_remove(&answer->link);
    mem_free(w->mem, answer, sizeof *answer + answer->count * sizeof *answer->addresses);
}

static void driver_resolve_cancel(void *context, uint64_t token)
{
    struct world_node *n = context;
    struct list *link = n->answers.next;

    while (link != &n->answers) {
        struct answer *answer = list_entry(link, struct answer, link);

        link = link->next;
        if (answer->token == token) drop_answer(n->world, answer);
    }
}

static int driver_local_open(void *context, uint32_t kind, uint32_t flags, const char *what,
                             size_t len, uint64_t offset, uint64_t token)
{
    return files_open(context, kind, flags, what, len, offset, token);
}

static void driver_local_wants(void *context, uint64_t token)
{
    files_wants(context, token);
}

static void driver_local_close(void *context, uint64_t token, bool kill)
{
    (void)kill;
    files_end(context, token);
}

/* Every call of the ABI asks for the time: so the world learns which nodes the application
 * called. */
static uint64_t driver_now_us(void *context)
{
    struct world_node *n = context;

    world_touch(n);
    return n->world->now_us;
}

static int64_t driver_poll(void *context, weir_event *events, uint32_t cap, int64_t timeout_us)
{
    (void)context;
    (void)events;
    (void)cap;
    (void)timeout_us;
    return WEIR_E_STATE;
}

static void driver_flush(void *context)
{
    struct world_node *n = context;

    world_touch(n);
    world_settle(n);
}

static int driver_fd(void *context)
{
    (void)context;
    return WEIR_E_STATE;
}

/* Nobody waits in a world. */
static int driver_wake(void *context)
{
    const struct world_node *n = context;

    /* From any thread, as in the real world. */
    return __atomic_load_n(&n->is_closed, __ATOMIC_ACQUIRE) ? WEIR_E_CLOSED : 0;
}

void world_leave(struct world_node *n)
{
    __atomic_store_n(&n->is_closed, true, __ATOMIC_RELEASE);
    while (n->sockets != NULL) driver_unlisten(n, n->sockets->socket);
    while (!list_is_empty(&n->answers))
        drop_answer(n->world, list_first(&n->answers, struct answer, link));
    files_leave(n);
    heap_remove(&n->world->agenda, &n->deadline.heap);
}

/* The world frees its nodes itself. */
static void driver_release(void *context)
{
    (void)context;
}

static void driver_close(void *context)
{
    world_leave(context);
}

const struct node_driver world_driver = {
    .listen = driver_listen,
    .unlisten = driver_unlisten,
    .dial_socket = driver_dial_socket,
    .resolve = driver_resolve,
    .resolve_cancel = driver_resolve_cancel,
    .local_open = driver_local_open,
    .local_wants = driver_local_wants,
    .local_close = driver_local_close,
    .now_us = driver_now_us,
    .poll = driver_poll,
    .flush = driver_flush,
    .fd = driver_fd,
    .wake = driver_wake,
    .close = driver_close,
    .release = driver_release,
    .name = "world",
};

int world_add_name(struct world *w, const char *text, const struct endpoint *addresses,
                   uint32_t count, uint64_t delay_us)
{
    size_t len = strlen(text);
    struct world_name *name;

    if (len == 0 || len >= sizeof name->text) return WEIR_E_NAME;
    if (map_get(&w->names, text, len) != NULL) return WEIR_E_EXISTS;
    name = mem_alloc(w->mem, sizeof *name);
    if (name == NULL) return WEIR_E_MEMORY;
    memcpy(name->text, text, len);
    name->len = len;
    name->count = count;
    name->delay_us = delay_us;
    if (count > 0) name->addresses = mem_alloc(w->mem, count * sizeof *addresses);
    if (name->addresses != NULL) memcpy(name->addresses, addresses, count * sizeof *addresses);
    if ((count == 0 || name->addresses != NULL) && map_add(&w->names, name)) return 0;
    mem_free(w->mem, name->addresses, count * sizeof *addresses);
    mem_free(w->mem, name, sizeof *name);
    return WEIR_E_MEMORY;
}

void world_inject(struct world *w, const struct endpoint *source,
                  const struct endpoint *destination, const void *data, size_t len)
{
    const struct place *place = map_get(&w->network.places, source, sizeof *source);
    struct datagram_out out = {.remote = *destination, .len = len, .segment = len};

    WEIR_ASSERT(len <= WORLD_BUFFER_BYTES);
    memcpy(w->buffer, data, len);
    out.data = w->buffer;
    network_send(&w->network, place == NULL ? 0 : place->number, source, &out, w->now_us);
}
