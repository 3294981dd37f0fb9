/* SPDX-License-Identifier: MIT */
/* What a peer that stalls costs a fetch: a thing from three peers behind one line, in the packet
 * world. Each round is a seed, and every run gives the same figures on every machine. */
#include "simulated.h"
#include "base/bytes.h"
#include "ends.h"
#include <string.h>

enum { SERVERS = 3, CLIENT = SERVERS + 1, ANSWERS = 64, PART = 1 << 20, HEAD = 64 };
#define MIB (UINT64_C(1) << 20)

/* A part that a server owes. */
struct answer {
    uint64_t request; /* 0: free */
    uint64_t left;
};

struct load {
    struct scene scene;
    struct answer answers[SERVERS + 1][ANSWERS];
    uint64_t sent[SERVERS + 1];
    uint64_t stall_after; /* node 1 sends so many bytes and no more */
    uint64_t fetch, total, got, end_us;
};

static struct answer *answer_of(struct load *l, unsigned server, uint64_t request)
{
    for (unsigned i = 0; i < ANSWERS; i++)
        if (l->answers[server][i].request == request) return &l->answers[server][i];
    return NULL;
}

/* The thing is all zeros: what it costs to make it is not measured. */
static void respond(struct load *l, unsigned server, struct answer *a)
{
    static const uint8_t zeros[PART];
    uint64_t most = server == 1 ? l->stall_after - l->sent[server] : UINT64_MAX;
    uint32_t len = (uint32_t)(a->left < most ? a->left : most);
    if (len == 0) return;
    int64_t n = weir_request_respond(l->scene.node[server], a->request, zeros, len,
                                     len < a->left ? WEIR_MORE : 0);
    if (n < 0) return;
    a->left -= (uint64_t)n;
    l->sent[server] += (uint64_t)n;
}

static void on_request(struct load *l, unsigned server, const weir_event *e)
{
    uint8_t head[HEAD];
    struct answer *a = answer_of(l, server, 0);
    int64_t n = ends_check(l->scene.node[server], "request",
                           weir_message_read(l->scene.node[server], e->object, head, sizeof head));
    struct reader r = reader_of(head, (size_t)n);
    (void)reader_varint(&r); /* the offset: all parts are alike */
    uint64_t len = reader_varint(&r);
    if (a == NULL || r.failed || len > PART) bench_die("a request that cannot be");
    *a = (struct answer){.request = e->object, .left = len};
    respond(l, server, a);
}

static void on_server_event(struct load *l, unsigned server, const weir_event *e)
{
    struct answer *a = answer_of(l, server, e->object);
    if (e->kind == WEIR_EVENT_REQUEST) on_request(l, server, e);
    if (a == NULL) return;
    if (e->kind == WEIR_EVENT_WRITABLE) respond(l, server, a);
    if (e->kind == WEIR_EVENT_REQUEST_CLOSED) a->request = 0;
}

static void on_client_event(struct load *l, const weir_event *e)
{
    static uint8_t part[PART];
    weir_node *node = l->scene.node[CLIENT];
    uint64_t offset;
    int64_t n;
    if (e->object != l->fetch) return;
    if (e->kind == WEIR_EVENT_FETCH_CLOSED) {
        if (e->error != 0) bench_die("the fetch failed: %s", weir_strerror(e->error));
        l->end_us = e->time_us;
    }
    if (e->kind != WEIR_EVENT_FETCH_PART) return;
    while ((n = weir_fetch_read(node, l->fetch, &offset, part, sizeof part)) > 0)
        l->got += (uint64_t)n;
}

static void begin(struct load *l)
{
    const weir_serve_options serve = {.size = sizeof serve, .kinds = WEIR_KIND_REQUEST};
    const weir_fetch_options options = {
        .size = sizeof options, .part_bytes = PART, .total_bytes = l->total};
    struct scene *s = &l->scene;
    uint64_t connections[SERVERS + 1];
    for (unsigned i = 1; i <= SERVERS; i++) {
        ends_check(s->node[i], "unserve", weir_node_unserve(s->node[i], ENDS_PROTOCOL));
        ends_check(s->node[i], "serve", weir_node_serve(s->node[i], ENDS_PROTOCOL, &serve));
        connections[i] = scene_connect(s, CLIENT, i);
    }
    weir_node *node = s->node[CLIENT];
    l->fetch = (uint64_t)ends_check(node, "fetch", weir_fetch_open(node, ENDS_PROTOCOL, &options));
    for (unsigned i = 1; i <= SERVERS; i++)
        ends_check(node, "add", weir_fetch_add(node, l->fetch, connections[i]));
}

/* @return seconds of virtual time */
static double fetch(unsigned seed, uint64_t total, uint64_t stall_after)
{
    const weir_node_options options = {.size = sizeof options};
    static struct load l;
    weir_fetch_info info = {.size = sizeof info};
    weir_event e;
    l = (struct load){.total = total, .stall_after = stall_after};
    if (!scene_open(&l.scene, seed + 1, CLIENT, &options)) bench_die("no world");
    scene_share(&l.scene, 100000000, 40 * SCENE_MS, 1 << 18);
    begin(&l);
    uint64_t start = scene_now(&l.scene);
    while (l.end_us == 0 && scene_next(&l.scene, &e, start + 600 * SCENE_SECOND)) {
        if (e.node == CLIENT) {
            on_client_event(&l, &e);
        } else {
            on_server_event(&l, (unsigned)e.node, &e);
        }
    }
    if (l.end_us == 0 || l.got != total) bench_die("the fetch did not bring it all");
    if (weir_fetch_get_info(l.scene.node[CLIENT], l.fetch, &info) == 0)
        bench_say("  seed %u: %.2f s, %llu parts doubled, %llu asked again\n", seed + 1,
                  (double)(l.end_us - start) / 1e6, (unsigned long long)info.doubled,
                  (unsigned long long)info.retried);
    scene_close(&l.scene);
    return (double)(l.end_us - start) / 1e6;
}

int main(int argc, char **argv)
{
    uint64_t mib = 50;
    struct bench_series smooth = {.count = 0}, stalled = {.count = 0}, silent = {.count = 0};
    const struct bench_option options[] = {
        {.name = "--mib", .help = "N: length of the thing; 50", .number = &mib}, {.name = NULL}};
    bench_begin(argc, argv,
                "A fetch from three peers whose line of 100 Mbit/s, 40 ms is shared, in virtual\n"
                "time: all answer; one stalls after a ninth of the thing, a third of its share;\n"
                "one never answers.",
                options, NULL);
    if (bench.quick) mib = 8;
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&smooth, fetch(i, mib * MIB, UINT64_MAX));
        bench_add(&stalled, fetch(i, mib * MIB, mib * MIB / 9));
        bench_add(&silent, fetch(i, mib * MIB, 0));
    }
    struct bench_figure figure = {.figure = "fetch: 3 peers", .unit = "s", .is_lower_better = true};
    bench_report(&figure, &smooth, NULL);
    figure.against = "fetch: 3 peers";
    figure.must = 1.3;
    figure.aim = 1.15;
    figure.figure = "fetch: one of 3 peers stalls";
    bench_report(&figure, &stalled, &smooth);
    figure.figure = "fetch: one of 3 peers never answers";
    bench_report(&figure, &silent, &smooth);
    return 0;
}
