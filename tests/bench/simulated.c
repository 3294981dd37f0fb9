/* SPDX-License-Identifier: MIT */
#include "simulated.h"
#include "ends.h"
#include "sim/world.h"
#include <string.h>

enum { CHUNK = 1 << 16 };

uint64_t scene_now(const struct scene *s)
{
    return weir_world_now(s->world);
}

bool scene_open(struct scene *s, uint64_t seed, unsigned count, const weir_node_options *options)
{
    weir_world_options w = {.size = sizeof w, .fidelity = WEIR_FIDELITY_PACKET, .seed = seed};
    weir_node_options o = *options;
    memset(s, 0, sizeof *s);
    o.observed_off = 1;
    ends_check(NULL, "world", weir_world_create(&w, &s->world, NULL));
    for (s->count = 1; s->count <= count; s->count++) {
        weir_node **node = &s->node[s->count];
        int32_t error = weir_world_add_node(s->world, &o, node, NULL);
        if (error == WEIR_E_ARGUMENT || error == WEIR_E_UNKNOWN_OPTION) {
            scene_close(s);
            return false;
        }
        ends_check(NULL, "node", error);
        ends_check(*node, "serve", weir_node_serve(*node, ENDS_PROTOCOL, NULL));
    }
    s->count = count;
    return true;
}

void scene_close(struct scene *s)
{
    (void)weir_world_free(s->world);
    s->world = NULL;
}

void scene_link(struct scene *s, unsigned a, unsigned b, uint64_t bandwidth_bps, uint64_t rtt_us,
                uint64_t queue_bytes, uint32_t loss_ppm)
{
    uint64_t product = bandwidth_bps / 8 * rtt_us / SCENE_SECOND;
    weir_link_options l = {.size = sizeof l,
                           .delay_us_plus1 = rtt_us / 2 + 1,
                           .bandwidth_bps = bandwidth_bps,
                           .queue_bytes = queue_bytes != 0 ? queue_bytes : product,
                           .loss_ppm = loss_ppm};
    ends_check(NULL, "link", weir_world_link(s->world, a, b, &l));
}

void scene_share(struct scene *s, uint64_t bandwidth_bps, uint64_t rtt_us, uint64_t queue_bytes)
{
    const struct rule_extra extra = {.bottleneck = 1};
    for (unsigned i = 1; i < s->count; i++) {
        weir_link_options l = {.size = sizeof l, .delay_us_plus1 = rtt_us / 2 + 1, .one_way = 1};
        ends_check(NULL, "link", weir_world_link(s->world, s->count, i, &l));
        l.bandwidth_bps = bandwidth_bps;
        l.queue_bytes = queue_bytes;
        ends_check(NULL, "link",
                   world_link_extra((struct world *)(void *)s->world, i, s->count, &l, &extra));
    }
}

bool scene_next(struct scene *s, weir_event *e, uint64_t until_us)
{
    if (s->events_next == s->events_count) {
        s->events_next = s->events_count = 0;
        int64_t n = weir_world_poll(s->world, 0, s->events, SCENE_EVENTS);
        if (n == 0 && weir_world_run(s->world, until_us) == 1)
            n = weir_world_poll(s->world, 0, s->events, SCENE_EVENTS);
        s->events_count = (unsigned)ends_check(NULL, "poll", n);
    }
    if (s->events_next == s->events_count) return false;
    *e = s->events[s->events_next++];
    if (e->kind == WEIR_EVENT_CONNECTION_CLOSED)
        bench_die("a connection of the world ended: %s", weir_strerror(e->error));
    return true;
}

uint64_t scene_connect(struct scene *s, unsigned a, unsigned b)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    unsigned up = 0;
    weir_event e;
    ends_check(s->node[b], "address", weir_node_address(s->node[b], 0, address, sizeof address));
    int64_t connection = ends_check(s->node[a], "dial", weir_node_dial(s->node[a], address, NULL));
    uint64_t end = scene_now(s) + 60 * SCENE_SECOND;
    while (up < 2) {
        if (!scene_next(s, &e, end)) bench_die("no connection in the world");
        if (e.kind == WEIR_EVENT_CONNECTED && (e.node == a || e.node == b)) up++;
    }
    return (uint64_t)connection;
}

static void fill(struct scene *s, struct scene_flow *f)
{
    static const uint8_t chunk[CHUNK];
    while (f->left > 0) {
        uint32_t want = f->left < CHUNK ? (uint32_t)f->left : CHUNK;
        bool last = want == f->left;
        int64_t n = ends_check(s->node[f->from], "write",
                               weir_stream_write(s->node[f->from], f->out, chunk, want,
                                                 last && !f->is_kept ? WEIR_FIN : 0));
        if (f->left != WEIR_NONE) f->left -= (uint64_t)n;
        if (n < want) return;
    }
}

void scene_flow_start(struct scene *s, struct scene_flow *f)
{
    const weir_stream_options o = {.size = sizeof o, .flags = WEIR_ONE_WAY};
    weir_node *node = s->node[f->from];
    f->out = (uint64_t)ends_check(node, "open",
                                  weir_stream_open(node, f->connection, ENDS_PROTOCOL, &o));
    f->in = f->read = f->end_us = 0;
    f->start_us = scene_now(s);
    f->wanted = f->left;
    fill(s, f);
}

void scene_flow_more(struct scene *s, struct scene_flow *f, uint64_t bytes)
{
    f->start_us = scene_now(s);
    f->end_us = 0;
    f->left = bytes;
    f->wanted = f->read + bytes;
    fill(s, f);
}

static bool is_from(struct scene *s, const struct scene_flow *f, const weir_event *e)
{
    weir_connection_info info = {.size = sizeof info};
    weir_peer_id peer;
    ends_check(s->node[f->to], "info", weir_connection_get_info(s->node[f->to], e->parent, &info));
    ends_check(NULL, "peer", weir_node_peer(s->node[f->from], &peer));
    return peer.len == info.peer.len && memcmp(peer.bytes, info.peer.bytes, peer.len) == 0;
}

bool scene_flow_on_event(struct scene *s, struct scene_flow *f, const weir_event *e)
{
    const void *data;
    int64_t n;
    if (e->node == f->from && e->object == f->out) {
        if (e->kind == WEIR_EVENT_WRITABLE) fill(s, f);
        return true;
    }
    if (e->node != f->to) return false;
    if (e->kind == WEIR_EVENT_STREAM && f->in == 0 && is_from(s, f, e)) f->in = e->object;
    if (e->object != f->in || f->in == 0) return false;
    if (e->kind != WEIR_EVENT_READABLE) return true;
    while ((n = weir_stream_peek(s->node[f->to], f->in, &data)) > 0) {
        f->read += (uint64_t)n;
        ends_check(s->node[f->to], "consume",
                   weir_stream_consume(s->node[f->to], f->in, (uint64_t)n));
    }
    if (f->read >= f->wanted && f->end_us == 0) f->end_us = e->time_us;
    return true;
}
