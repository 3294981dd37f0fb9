/* SPDX-License-Identifier: MIT */
/* What congestion control and scheduling make of a line, in the packet world: each round is a seed,
 * and every run gives the same figures on every machine. */
#include "simulated.h"
#include "ends.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URGENT_BYTES = 100, SAMPLES_MAX = 1 << 16, SHARING = 5, CONTROLS = 3 };
#define MBIT UINT64_C(1000000)
#define MIB (UINT64_C(1) << 20)

static const char *const controls[CONTROLS] = {"CUBIC", "NewReno", "BBR"};

static weir_node_options options_of(unsigned control)
{
    return (weir_node_options){.size = sizeof(weir_node_options),
                               .memory_bytes = UINT64_C(1) << 30,
                               .congestion_plus1 = control + 1};
}

/* A pair with a line between, connected. */
static bool open_pair(struct scene *s, unsigned seed, const weir_node_options *o,
                      struct scene_flow *f, uint64_t bandwidth_bps, uint64_t rtt_us,
                      uint64_t queue_bytes, uint32_t loss_ppm)
{
    if (!scene_open(s, seed + 1, 2, o)) return false;
    scene_link(s, 1, 2, bandwidth_bps, rtt_us, queue_bytes, loss_ppm);
    *f = (struct scene_flow){.from = 1, .to = 2, .connection = scene_connect(s, 1, 2)};
    return true;
}

static void flow_until(struct scene *s, struct scene_flow *f, uint64_t until_us)
{
    weir_event e;
    while (f->end_us == 0 && scene_next(s, &e, until_us)) (void)scene_flow_on_event(s, f, &e);
}

/* ---- an urgent message under bulk */

struct urgent {
    struct scene scene;
    struct scene_flow bulk;
    double *taken; /**< us, of the messages that arrived */
    unsigned sent, arrived;
};

static void send_urgent(struct urgent *u)
{
    uint8_t data[URGENT_BYTES] = {0};
    const weir_stream_options o = {.size = sizeof o, .urgency_plus1 = 1, .flags = WEIR_ONE_WAY};
    weir_node *node = u->scene.node[1];
    uint64_t now = scene_now(&u->scene);
    int64_t stream = weir_stream_open(node, u->bulk.connection, ENDS_PROTOCOL, &o);
    if (stream < 0) return;
    memcpy(data, &now, sizeof now);
    u->sent++;
    ends_check(node, "write",
               weir_stream_write(node, (uint64_t)stream, data, sizeof data, WEIR_FIN));
}

static void on_urgent(struct urgent *u, const weir_event *e)
{
    uint8_t data[URGENT_BYTES];
    uint64_t sent_us;
    if (e->node != 2 || e->kind != WEIR_EVENT_READABLE) return;
    if (weir_stream_read(u->scene.node[2], e->object, data, sizeof data) != URGENT_BYTES) return;
    memcpy(&sent_us, data, sizeof sent_us);
    u->taken[u->arrived++] = (double)(e->time_us - sent_us);
}

static void run_until(struct urgent *u, uint64_t until_us)
{
    weir_event e;
    while (scene_next(&u->scene, &e, until_us)) {
        if (!scene_flow_on_event(&u->scene, &u->bulk, &e)) on_urgent(u, &e);
    }
}

/* A message each 20 ms and a bit, so that it meets every phase of the bulk. */
static bool urgent_round(unsigned seed, unsigned control, struct bench_series *p50,
                         struct bench_series *p99, struct bench_series *bulk)
{
    struct urgent u = {.taken = calloc(SAMPLES_MAX, sizeof *u.taken)};
    const weir_node_options o = options_of(control);
    uint64_t span_us = bench.quick ? SCENE_SECOND : 60 * SCENE_SECOND;
    uint64_t rtt = 20 * SCENE_MS, quarter = 20 * MBIT / 8 * rtt / SCENE_SECOND / 4;
    if (u.taken == NULL) bench_die("no memory");
    if (!open_pair(&u.scene, seed, &o, &u.bulk, 20 * MBIT, rtt, quarter, 10000)) {
        free(u.taken);
        return false;
    }
    u.bulk.left = WEIR_NONE;
    scene_flow_start(&u.scene, &u.bulk);
    run_until(&u, scene_now(&u.scene) + SCENE_SECOND);
    uint64_t before = u.bulk.read, end = scene_now(&u.scene) + span_us;
    while (scene_now(&u.scene) < end && u.sent < SAMPLES_MAX) {
        send_urgent(&u);
        run_until(&u, scene_now(&u.scene) + 20 * SCENE_MS + 137);
    }
    bench_add(bulk, (double)(u.bulk.read - before) * 8 / (double)span_us);
    run_until(&u, scene_now(&u.scene) + 2 * SCENE_SECOND);
    if (u.arrived < u.sent) bench_say("# %u of %u arrived\n", u.arrived, u.sent);
    bench_add(p50, bench_percentile(u.taken, u.arrived, 0.5) / 1e3);
    bench_add(p99, bench_percentile(u.taken, u.arrived, 0.99) / 1e3);
    scene_close(&u.scene);
    free(u.taken);
    return true;
}

/* Judged with the default. CUBIC leaves much of such a line free; BBR fills it. */
static void urgent_beside(unsigned control)
{
    struct bench_series p50 = {.count = 0}, p99 = {.count = 0}, bulk = {.count = 0};
    char name[64];
    for (unsigned i = 0; i < bench.rounds; i++) {
        if (!urgent_round(i, control, &p50, &p99, &bulk)) return;
    }
    struct bench_figure f = {.figure = name, .unit = "Mbit/s", .against = "link of 20 Mbit/s"};
    snprintf(name, sizeof name, "urgent: the bulk beside it, %s", controls[control]);
    bench_report_number(&f, &bulk, 20);
    f = (struct bench_figure){
        .figure = name, .unit = "ms", .against = "round trip of 20 ms", .is_lower_better = true};
    snprintf(name, sizeof name, "urgent: 100 bytes under bulk, p50, %s", controls[control]);
    bench_report_number(&f, &p50, 20);
    snprintf(name, sizeof name, "urgent: 100 bytes under bulk, p99, %s", controls[control]);
    f.must = control == 0 ? 2.5 : 0;
    f.aim = control == 0 ? 2 : 0;
    bench_report_number(&f, &p99, 20);
}

static void urgent(void)
{
    urgent_beside(0);
    urgent_beside(2);
}

/* ---- bursts */

/* Three seconds of bulk open the windows, then nothing for ten: bursts follow, each when the one
 * before has arrived, or every ten seconds.
 * @param is_new  each burst is a stream of its own */
static double burst_median(unsigned seed, bool is_busy, bool is_new, unsigned bursts)
{
    struct scene s;
    struct scene_flow f, own;
    double taken[64];
    weir_event e;
    const weir_node_options o = options_of(0);
    if (!open_pair(&s, seed, &o, &f, 100 * MBIT, 100 * SCENE_MS, 0, 0)) bench_die("no world");
    f.left = WEIR_NONE;
    f.is_kept = true;
    scene_flow_start(&s, &f);
    flow_until(&s, &f, scene_now(&s) + 3 * SCENE_SECOND);
    f.left = 0;
    flow_until(&s, &f, scene_now(&s) + (is_busy ? SCENE_SECOND : 10 * SCENE_SECOND));
    for (unsigned i = 0; i < bursts; i++) {
        uint64_t next = scene_now(&s) + 10 * SCENE_SECOND;
        struct scene_flow *used = is_new ? &own : &f;
        own = (struct scene_flow){.from = 1, .to = 2, .connection = f.connection, .left = MIB};
        if (is_new) scene_flow_start(&s, &own);
        if (!is_new) scene_flow_more(&s, &f, MIB);
        flow_until(&s, used, next);
        if (used->end_us == 0) bench_die("a burst takes more than 10 s");
        taken[i] = (double)(used->end_us - used->start_us) / 1e3;
        while (!is_busy && scene_next(&s, &e, next)) continue;
    }
    scene_close(&s);
    return bench_percentile(taken, bursts, 0.5);
}

static void bursts(void)
{
    struct bench_series idle = {.count = 0}, busy = {.count = 0}, own = {.count = 0};
    unsigned count = bench.quick ? 3 : 15;
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&busy, burst_median(i, true, false, count));
        bench_add(&idle, burst_median(i, false, false, count));
        bench_add(&own, burst_median(i, false, true, count));
    }
    struct bench_figure f = {.figure = "burst: 1 MiB after 1 MiB, 100 ms, 100 Mbit/s",
                             .unit = "ms",
                             .is_lower_better = true};
    bench_report(&f, &busy, NULL);
    f.against = f.figure;
    f.figure = "burst: 1 MiB every 10 s, each a new stream";
    bench_report(&f, &own, &busy);
    f.figure = "burst: 1 MiB every 10 s";
    f.must = 1.3;
    f.aim = 1.1;
    bench_report(&f, &idle, &busy);
}

/* ---- goodput with loss */

static bool goodput_round(unsigned seed, unsigned control, struct bench_series *series)
{
    struct scene s;
    struct scene_flow f;
    const weir_node_options o = options_of(control);
    uint64_t span = bench.quick ? SCENE_SECOND / 2 : 10 * SCENE_SECOND;
    if (!open_pair(&s, seed, &o, &f, 100 * MBIT, 30 * SCENE_MS, 0, 10000)) return false;
    f.left = WEIR_NONE;
    scene_flow_start(&s, &f);
    flow_until(&s, &f, scene_now(&s) + (bench.quick ? span : 3 * SCENE_SECOND));
    uint64_t before = f.read;
    flow_until(&s, &f, scene_now(&s) + span);
    bench_add(series, (double)(f.read - before) * 8 / (double)span);
    scene_close(&s);
    return true;
}

static void goodput(void)
{
    for (unsigned control = 0; control < CONTROLS; control++) {
        struct bench_series series = {.count = 0};
        char name[64];
        bool is_judged = control == 2;
        snprintf(name, sizeof name, "goodput at 1 %% loss, 30 ms: %s", controls[control]);
        for (unsigned i = 0; i < bench.rounds; i++) {
            if (goodput_round(i, control, &series)) continue;
            bench_say("# this weir has no %s\n", controls[control]);
            break;
        }
        if (series.count == 0) continue;
        bench_report_number(&(struct bench_figure){.figure = name,
                                                   .unit = "Mbit/s",
                                                   .against = "link of 100 Mbit/s",
                                                   .must = is_judged ? 0.7 : 0,
                                                   .aim = is_judged ? 0.9 : 0},
                            &series, 100);
    }
}

/* ---- fairness */

/* Jain's index of what each received: (sum)^2 / (n * sum of squares). */
static double jain(const double *x, unsigned n)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    return squares > 0 ? sum * sum / (n * squares) : 0;
}

static void share_until(struct scene *s, struct scene_flow *f, uint64_t until_us)
{
    weir_event e;
    while (scene_next(s, &e, until_us)) {
        for (unsigned i = 0; i < SHARING; i++) {
            if (f[i].out != 0 && scene_flow_on_event(s, &f[i], &e)) break;
        }
    }
}

/* They begin about half a second apart, by the seed, and are measured from 10 s on. */
static bool fairness_round(unsigned seed, unsigned control, struct bench_series *index,
                           struct bench_series *use)
{
    struct scene s;
    struct scene_flow f[SHARING] = {{.from = 0}};
    double got[SHARING], sum = 0;
    const weir_node_options o = options_of(control);
    uint64_t span = bench.quick ? SCENE_SECOND : 60 * SCENE_SECOND, rtt = 40 * SCENE_MS;
    if (!scene_open(&s, seed + 1, SHARING + 1, &o)) return false;
    scene_share(&s, 10 * MBIT, rtt, 10 * MBIT / 8 * rtt / SCENE_SECOND);
    for (unsigned i = 0; i < SHARING; i++)
        f[i] = (struct scene_flow){.from = i + 1,
                                   .to = SHARING + 1,
                                   .left = WEIR_NONE,
                                   .connection = scene_connect(&s, i + 1, SHARING + 1)};
    for (unsigned i = 0; i < SHARING; i++) {
        scene_flow_start(&s, &f[i]);
        share_until(&s, f, scene_now(&s) + SCENE_SECOND / 2 + seed * 37 * SCENE_MS);
    }
    share_until(&s, f, scene_now(&s) + span / 6);
    for (unsigned i = 0; i < SHARING; i++) got[i] = -(double)f[i].read;
    share_until(&s, f, scene_now(&s) + span);
    for (unsigned i = 0; i < SHARING; i++) sum += got[i] += (double)f[i].read;
    bench_add(index, jain(got, SHARING));
    bench_add(use, sum * 8 / (double)span);
    scene_close(&s);
    return true;
}

static void fairness(void)
{
    for (unsigned control = 0; control < CONTROLS; control++) {
        struct bench_series index = {.count = 0}, use = {.count = 0};
        char name[64];
        for (unsigned i = 0; i < bench.rounds; i++) {
            if (!fairness_round(i, control, &index, &use)) break;
        }
        if (index.count == 0) continue;
        snprintf(name, sizeof name, "fairness: five share 10 Mbit/s: %s", controls[control]);
        bench_report(
            &(struct bench_figure){.figure = name, .unit = "Jain", .must = 0.95, .aim = 0.98},
            &index, NULL);
        snprintf(name, sizeof name, "fairness: what the five get: %s", controls[control]);
        bench_report_number(&(struct bench_figure){.figure = name,
                                                   .unit = "Mbit/s",
                                                   .against = "link of 10 Mbit/s"},
                            &use, 10);
    }
}

/* ---- windows */

/* Round trips from the first byte written until nine tenths of the line's capacity arrive in one.
 * @param window  first windows; 0: the default */
static double trips(unsigned seed, uint64_t window)
{
    struct scene s;
    struct scene_flow f;
    weir_node_options o = options_of(0);
    uint64_t rtt = 100 * SCENE_MS, full = 100 * MBIT / 8 * rtt / SCENE_SECOND;
    unsigned trip = 0;
    o.stream_window_bytes = o.connection_window_bytes = window;
    if (!open_pair(&s, seed, &o, &f, 100 * MBIT, rtt, 0, 0)) bench_die("no world");
    f.left = WEIR_NONE;
    scene_flow_start(&s, &f);
    for (uint64_t before = 0; trip < 100; trip++, before = f.read) {
        flow_until(&s, &f, f.start_us + (trip + 1) * rtt);
        if (f.read - before >= full * 9 / 10) break;
    }
    scene_close(&s);
    return trip + 1;
}

static void windows(void)
{
    struct bench_series grown = {.count = 0}, wide = {.count = 0}, more = {.count = 0};
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&wide, trips(i, 8 * MIB));
        bench_add(&grown, trips(i, 0));
        bench_add(&more, grown.value[i] - wide.value[i]);
    }
    struct bench_figure f = {.figure = "windows: full line, 8 MiB from the start",
                             .unit = "trips",
                             .is_lower_better = true};
    bench_report(&f, &wide, NULL);
    f.figure = "windows: full line of 100 Mbit/s x 100 ms";
    bench_report(&f, &grown, NULL);
    f.figure = "windows: of them for the windows to grow";
    f.must = f.aim = 3;
    bench_report(&f, &more, NULL);
}

int main(int argc, char **argv)
{
    enum { PARTS = 5 };
    static void (*const part[PARTS])(void) = {urgent, bursts, goodput, fairness, windows};
    bool only[PARTS] = {false}, all = true;
    const struct bench_option options[] = {
        {.name = "--urgent", .help = "only the urgent message", .flag = &only[0]},
        {.name = "--bursts", .help = "only bursts", .flag = &only[1]},
        {.name = "--goodput", .help = "only goodput at 1 % loss", .flag = &only[2]},
        {.name = "--fairness", .help = "only five connections on one line", .flag = &only[3]},
        {.name = "--windows", .help = "only how fast windows grow", .flag = &only[4]},
        {.name = NULL}};
    bench_begin(argc, argv,
                "The packet world, where time is virtual and each round is a seed: an urgent\n"
                "message of 100 bytes under bulk (20 Mbit/s, 20 ms, a queue of a quarter of the\n"
                "bandwidth-delay product, 1 % loss); bursts of 1 MiB every 10 s; goodput at 1 %\n"
                "loss; five connections on one line of 10 Mbit/s; how fast windows grow.",
                options, NULL);
    for (int i = 0; i < PARTS; i++) all = all && !only[i];
    for (int i = 0; i < PARTS; i++) {
        if (all || only[i]) part[i]();
    }
    return 0;
}
