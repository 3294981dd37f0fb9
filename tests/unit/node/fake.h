/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_NODE_FAKE_H
#define WEIR_TEST_NODE_FAKE_H
/* The rest of the fake network: the driver, the clock, nodes, and short forms of the calls. */
#include "unit/node/fake_transport.h"

/* The driver. */
static inline int fake_listen(void *context, const struct endpoint *want, struct endpoint *got,
                              uint32_t *socket, weir_error *error)
{
    struct fake_net *net = context;
    if (net->listen_error != 0) {
        (void)snprintf(error->detail, sizeof error->detail, "the port is taken");
        return net->listen_error;
    }
    *got = *want;
    *socket = ++net->listens;
    return 0;
}

static inline void fake_unlisten(void *context, uint32_t socket)
{
    struct fake_net *net = context;
    assert_true(socket > 0 && net->listens > 0);
    net->listens--;
}

static inline int fake_dial_socket(void *context, const struct endpoint *remote, uint32_t *socket)
{
    (void)context, (void)remote;
    *socket = 1;
    return 0;
}

static inline int fake_resolve(void *context, const char *name, uint64_t token)
{
    struct fake_net *net = context;
    struct fake_lookup *l = &net->lookups[net->lookup_count++ % FAKE_LOOKUPS];
    (void)snprintf(l->name, sizeof l->name, "%s", name);
    l->token = token;
    l->cancelled = false;
    return 0;
}

static inline void fake_resolve_cancel(void *context, uint64_t token)
{
    struct fake_net *net = context;
    for (unsigned i = 0; i < FAKE_LOOKUPS; i++) {
        if (net->lookups[i].token == token) net->lookups[i].cancelled = true;
    }
}

static const struct node_driver fake_driver = {.listen = fake_listen,
                                               .unlisten = fake_unlisten,
                                               .dial_socket = fake_dial_socket,
                                               .resolve = fake_resolve,
                                               .resolve_cancel = fake_resolve_cancel,
                                               .name = "fake"};

static inline void fake_fill(void *context, void *out, size_t len) { rng_fill(context, out, len); }

static inline void net_init(struct fake_net *net)
{
    memset(net, 0, sizeof *net);
    net->now_us = 1000000;
    net->piece_bytes = 65536;
    mem_counter_init(&net->counter, mem_system());
    limits_derive(&net->limits, 1 << 24, 0);
    log_init(&net->log, mem_system(), 16, LOG_ERROR);
    assert_int_equal(secret_init(), 0);
}

static inline void net_free(struct fake_net *net)
{
    for (uint32_t i = 0; i < net->count; i++) {
        if (net->nodes[i] != NULL) node_free(net->nodes[i]);
    }
    log_free(&net->log);
    assert_int_equal(net->counter.live_bytes, 0);
    assert_int_equal(net->counter.live_blocks, 0);
}

static inline void net_route(struct fake_net *net, struct endpoint endpoint, uint32_t mode,
                             uint32_t node, uint64_t delay_us)
{
    assert_true(net->route_count < FAKE_ROUTES);
    net->routes[net->route_count++] = (struct fake_route){endpoint, mode, node, delay_us};
}

static const struct transport_ops *const fake_transports[] = {&fake_ops};

static inline struct node_config net_config(struct fake_net *net)
{
    uint32_t i = net->count;
    uint8_t seed[32] = {(uint8_t)(i + 1)};
    rng_init(&net->rng[i], 7, "node", i);
    key_pair_from_seed(&net->keys[i], seed);
    net->networks[i] = "";
    fake_opening = net;
    return (struct node_config){.mem = &net->counter.mem,
                                .entropy = {fake_fill, &net->rng[i]},
                                .key = &net->keys[i],
                                .limits = net->limits,
                                .shared_limits = &net->limits,
                                .network = "",
                                .transports = fake_transports,
                                .transport_count = 1,
                                .driver = &fake_driver,
                                .driver_context = net,
                                .metrics = &net->metrics,
                                .log = &net->log,
                                .observed_off = true};
}

/* Add a node that others reach at /memory/<index>. */
static inline struct node *net_add(struct fake_net *net, const struct node_config *config)
{
    uint32_t i = net->count;
    struct node_config own = config == NULL ? net_config(net) : *config;
    assert_int_equal(node_open(&own, &net->nodes[i]), 0);
    net->networks[i] = own.network;
    net_route(net, endpoint_memory(i), ROUTE_UP, i, 1000);
    net->count++;
    return net->nodes[i];
}

/* Moving lanes. */
static inline struct stream *fake_far(struct fake_conn *c, uint64_t id, bool for_receive,
                                      uint64_t now_us)
{
    struct stream *s = NULL;
    int result = streams_on_frame(&c->base, id, for_receive, now_us, &s);
    assert_true(result == STREAMS_FOUND || result == STREAMS_GONE || result == STREAMS_NO_MEMORY);
    return s;
}

static inline bool fake_pump_stream(struct fake_net *net, struct fake_conn *c, struct stream *s)
{
    static uint8_t bytes[65536];
    uint64_t offset, len;
    bool fin, moved = false;
    struct stream *far;
    if (s->out.reset_pending && (far = fake_far(c->remote, s->id, true, net->now_us)) != NULL) {
        (void)streams_on_reset(far, s->out.reset_code, s->out.sent);
        moved = true;
    }
    if (s->out.reset_pending) streams_on_reset_acked(s);
    if (s->has_out && send_lane_next(&s->out, false, net->piece_bytes, &offset, &len, &fin)) {
        ring_read(&s->out.ring, offset, bytes, (size_t)len);
        far = fake_far(c->remote, s->id, true, net->now_us);
        int result =
            far == NULL ? RECEIVE_OK : streams_on_data(far, offset, bytes, (size_t)len, fin);
        assert_true(result == RECEIVE_OK || result == RECEIVE_DROP);
        if (result == RECEIVE_OK) {
            (void)send_lane_on_sent(&s->out, offset, len, fin, c->base.transport->env->mem);
            streams_on_acked(s, offset, len, fin, net->now_us);
            moved = true;
        }
    }
    if (s->in.stop_pending) {
        s->in.stop_pending = false;
        far = fake_far(c->remote, s->id, false, net->now_us);
        if (far != NULL) streams_on_stop(far, s->in.stop_code, net->now_us);
        moved = true;
    }
    if (s->in.credit_pending) {
        s->in.credit_pending = false;
        far = fake_far(c->remote, s->id, false, net->now_us);
        if (far != NULL) streams_on_stream_credit(far, s->in.limit, net->now_us);
        moved = true;
    }
    return moved;
}

static inline bool fake_pump_conn(struct fake_net *net, struct fake_conn *c)
{
    struct conn_streams *st = c->base.streams;
    uint32_t cursor = 0;
    struct stream *s;
    bool moved = false;
    if (c->base.state != CONN_UP || c->remote == NULL || c->remote->base.state != CONN_UP ||
        st == NULL)
        return false;
    while ((s = map_next(&st->by_id, &cursor)) != NULL)
        moved = fake_pump_stream(net, c, s) || moved;
    if (st->credit_pending)
        streams_on_connection_credit(&c->remote->base, st->receive_limit, net->now_us);
    st->credit_pending = false;
    for (unsigned type = 0; type < 2; type++) {
        if (st->accept_pending[type])
            streams_on_count_credit(&c->remote->base, type == 1, st->accept_max[type]);
        st->accept_pending[type] = false;
    }
    return moved;
}

static inline int64_t net_input(struct fake_net *net, struct node *node, uint32_t kind,
                                const struct node_call *call)
{
    struct node_input in = {.kind = kind, .now_us = net->now_us, .call = call};
    return node_input(node, &in);
}

/* Let everything that is due now happen. No turn of an application: see net_turn. */
static inline void net_settle(struct fake_net *net)
{
    bool moved = true;
    for (unsigned round = 0; moved; round++) {
        assert_true(round < 20000);
        moved = false;
        for (uint32_t i = 0; i < net->count; i++) {
            struct fake_transport *t = net->transports[i];
            if (t == NULL || net->nodes[i] == NULL) continue;
            for (struct list *link = t->conns.next; link != &t->conns; link = link->next)
                moved = fake_pump_conn(net, list_entry(link, struct fake_conn, link)) || moved;
            if (node_deadline(net->nodes[i]) > net->now_us) continue;
            (void)net_input(net, net->nodes[i], NODE_INPUT_DEADLINE, NULL);
            moved = true;
        }
    }
}

static inline uint64_t net_deadline(struct fake_net *net)
{
    uint64_t when = UINT64_MAX;
    for (uint32_t i = 0; i < net->count; i++) {
        if (net->nodes[i] != NULL && node_deadline(net->nodes[i]) < when)
            when = node_deadline(net->nodes[i]);
    }
    return when;
}

static inline void net_run(struct fake_net *net, uint64_t for_us)
{
    uint64_t until = net->now_us + for_us, when;
    net_settle(net);
    while ((when = net_deadline(net)) <= until) {
        if (when > net->now_us) net->now_us = when;
        net_settle(net);
    }
    net->now_us = until;
}

/* The application of a node comes back to poll, and takes up to cap events. */
static inline uint32_t net_poll(struct fake_net *net, struct node *node, weir_event *events,
                                uint32_t cap)
{
    (void)net_input(net, node, NODE_INPUT_TURN, NULL);
    net_settle(net);
    bool has = node_has_events(node);
    uint32_t count = node_next_events(node, events, cap);
    assert_true(!has || count > 0);
    assert_true(has || count == 0);
    return count;
}

/* Calls. */
static inline int64_t call_text(struct fake_net *net, struct node *node, uint32_t kind,
                                uint64_t object, const char *text, const void *options)
{
    struct node_call call = {
        .kind = kind, .object = object, .data = text, .len = strlen(text), .options = options};
    return net_input(net, node, NODE_INPUT_CALL, &call);
}

static inline int64_t call_stream(struct fake_net *net, struct node *node, uint32_t kind,
                                  uint64_t stream, uint32_t flags, const void *data, size_t len)
{
    struct node_call call = {
        .kind = kind, .object = stream, .flags = flags, .data = data, .len = len};
    return net_input(net, node, NODE_INPUT_CALL, &call);
}

static inline int64_t call_read(struct fake_net *net, struct node *node, uint64_t stream, void *out,
                                size_t cap)
{
    struct node_call call = {
        .kind = NODE_CALL_STREAM_READ, .object = stream, .out = out, .cap = cap};
    return net_input(net, node, NODE_INPUT_CALL, &call);
}

static inline int64_t call_peer(struct fake_net *net, struct node *node, uint32_t kind,
                                const struct peer_id *peer, uint32_t flags)
{
    struct node_call call = {.kind = kind, .peer = peer, .flags = flags};
    return net_input(net, node, NODE_INPUT_CALL, &call);
}

static inline int64_t call_simple(struct fake_net *net, struct node *node, uint32_t kind,
                                  uint64_t object, uint32_t flags, uint64_t number)
{
    struct node_call call = {.kind = kind, .object = object, .flags = flags, .number = number};
    return net_input(net, node, NODE_INPUT_CALL, &call);
}

static inline uint64_t dial_memory(struct fake_net *net, struct node *node, uint32_t to)
{
    char text[32];
    (void)snprintf(text, sizeof text, "/memory/%u", to);
    int64_t handle = call_text(net, node, NODE_CALL_DIAL, 0, text, NULL);
    assert_true(handle > 0);
    return (uint64_t)handle;
}

static inline uint32_t count_kind(const weir_event *events, uint32_t count, uint32_t kind)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) found += events[i].kind == kind ? 1u : 0u;
    return found;
}

/* Two nodes, connected, their events of that taken. handles[i]: node i's connection */
static inline void net_pair(struct fake_net *net, uint64_t handles[2])
{
    weir_event events[8];
    handles[0] = dial_memory(net, net->nodes[0], 1);
    net_run(net, 2000);
    assert_int_equal(net_poll(net, net->nodes[0], events, 8), 2);
    assert_int_equal(events[0].object, handles[0]);
    assert_int_equal(net_poll(net, net->nodes[1], events, 8), 2);
    assert_int_equal(events[0].kind, WEIR_EVENT_CONNECTED);
    handles[1] = events[0].object;
}
#endif
