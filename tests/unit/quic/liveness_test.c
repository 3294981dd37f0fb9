/* SPDX-License-Identifier: MIT */
/* Goal: two applications that read what they are told of and wait when they are told to wait always
 * come to an end, whatever the windows, limits, memory, losses, and however they write (MORE, FIN,
 * resets, stops, urgencies). Method: seeded pairs of strict applications: a turn is taken only
 * after an event or a decision of its own, a writer that waits writes again only when told, a
 * stream is opened again only when told. Time that passes without anything to do is a lost
 * wake-up. */
#include "pair.h"
#include "weir.h"

enum { STREAMS_MAX = 512, QUIET_US = 20000000, SEEDS = 120 };

/* What an application knows of a stream. */
struct work {
    struct stream *stream;
    uint64_t total, written;
    bool waits, finished, readable;
    bool resets, stops; /* some time */
};
struct app {
    struct work work[STREAMS_MAX];
    uint32_t count, to_open, opened, removed;
};
struct play {
    struct pair *pair;
    struct app app[2];
    struct rng rng;
    uint32_t loss_percent, bytes_max;
    bool fails; /* now and then an allocation */
};
enum mode { PLENTY, LITTLE_MEMORY, FAILING };

static uint32_t below(struct play *play, uint32_t bound)
{
    return (uint32_t)rng_below(&play->rng, bound);
}

static bool wire(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct play *play = p->context;
    (void)from;
    (void)n;
    (void)bytes;
    (void)len;
    if (!p->side[0].up || !p->side[1].up) return true;
    if (below(play, 20) == 0) p->extra_us = below(play, 30000);
    return below(play, 100) >= play->loss_percent;
}

static struct work *work_of(struct app *app, const struct stream *s)
{
    for (uint32_t i = 0; i < app->count; i++) {
        if (app->work[i].stream == s) return &app->work[i];
    }
    return NULL;
}

static void begin_work(struct play *play, struct app *app, struct stream *s)
{
    assert_true(app->count < STREAMS_MAX);
    app->work[app->count++] =
        (struct work){.stream = s,
                      .total = below(play, 3) == 0 ? below(play, 20) : below(play, play->bytes_max),
                      .resets = below(play, 12) == 0,
                      .stops = below(play, 12) == 0};
}

/* @return whether there were any */
static bool take_events(struct play *play, int i)
{
    struct app *app = &play->app[i];
    struct stream *s;
    bool any = false;
    while ((s = streams_next_dirty(play->pair->side[i].conn)) != NULL) {
        unsigned facts = s->pending;
        s->pending = 0;
        any = true;
        if ((facts & STREAM_PENDING_OPENED) != 0) begin_work(play, app, s);
        struct work *w = work_of(app, s);
        assert_non_null(w);
        if ((facts & STREAM_PENDING_READABLE) != 0) w->readable = s->told_readable = true;
        if ((facts & STREAM_PENDING_WRITABLE) != 0) w->waits = false;
        if ((facts & STREAM_PENDING_OVER) == 0) continue;
        *w = app->work[--app->count];
        app->removed++;
        streams_remove(s);
    }
    return any;
}

static bool may_write(const struct work *w)
{
    return w->stream->has_out && !w->finished && !w->waits && w->stream->out.state == SEND_OPEN;
}

static void write_some(struct play *play, struct work *w)
{
    static const uint8_t bytes[5000];
    uint64_t left = w->total - w->written, now_us = play->pair->now_us;
    size_t len = left == 0 ? 0 : 1 + below(play, (uint32_t)(left < 5000 ? left : 5000));
    bool fin = len == left, more = !fin && below(play, 2) == 0;
    if (w->resets && below(play, 8) == 0) {
        (void)stream_reset(w->stream, 9, now_us);
        w->finished = true;
        return;
    }
    int64_t taken = stream_write(w->stream, bytes, len, more, fin, now_us);
    if (taken == WEIR_E_MEMORY) return;
    w->finished = taken < 0 || (fin && (size_t)taken == len);
    if (taken < 0) return;
    w->written += (uint64_t)taken;
    w->waits = (size_t)taken < len;
    if (below(play, 10) == 0) (void)stream_set_urgency(w->stream, (uint8_t)below(play, 8), now_us);
}

static void read_some(struct play *play, struct work *w)
{
    uint8_t bytes[3000];
    uint64_t now_us = play->pair->now_us;
    w->readable = false;
    if (w->stops && below(play, 3) == 0)
        (void)stream_stop(w->stream, 3, now_us);
    else
        (void)stream_read(w->stream, bytes, 1 + below(play, sizeof bytes), now_us);
}

static bool open_some(struct play *play, int i)
{
    struct app *app = &play->app[i];
    struct transport_conn *c = play->pair->side[i].conn;
    bool any = false;
    while (app->opened < app->to_open && !c->streams->open_blocked[0] &&
           !c->streams->open_blocked[1]) {
        int error;
        struct stream *s =
            streams_open_local(c, below(play, 2) == 0, (uint8_t)below(play, 8), &error);
        if (s == NULL) break;
        app->opened++;
        begin_work(play, app, s);
        any = true;
    }
    return any;
}

/* @return whether it did anything: then its turn ends, as weir_poll would be called again */
static bool act(struct play *play, int i)
{
    struct app *app = &play->app[i];
    transport_recheck(play->pair->side[i].transport, play->pair->now_us);
    bool any = take_events(play, i);
    for (uint32_t k = 0; k < app->count; k++) {
        struct work *w = &app->work[k];
        if (w->readable) {
            read_some(play, w);
            any = true;
        }
        if (may_write(w) && below(play, 3) != 0) {
            write_some(play, w);
            any = true;
        }
    }
    if (open_some(play, i)) any = true;
    if (any) quic_transport.on_turn(play->pair->side[i].transport, play->pair->now_us);
    pair_send(play->pair, i);
    return any;
}

static bool has_plans(const struct play *play)
{
    for (int i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < play->app[i].count; k++) {
            if (may_write(&play->app[i].work[k])) return true;
        }
    }
    return false;
}

static void run(struct play *play, uint64_t seed)
{
    struct pair *p = play->pair;
    struct app *a = &play->app[0], *b = &play->app[1];
    uint64_t last_us = p->now_us;
    uint32_t total = a->to_open + b->to_open;
    while (a->removed < total || b->removed < total) {
        bool did_a = act(play, 0), did_b = act(play, 1);
        if (did_a || did_b) {
            last_us = p->now_us;
            continue;
        }
        if (p->now_us > last_us + QUIET_US || p->side[0].ended || p->side[1].ended)
            fail_msg("seed %llu stands still: %u and %u of %u streams are over",
                     (unsigned long long)seed, a->removed, b->removed, total);
        if (play->fails && below(play, 30) == 0) p->counter.fail_at = 1 + below(play, 20);
        (void)pair_step(p, p->now_us + (has_plans(play) ? 1 + below(play, 3000) : QUIET_US / 5));
    }
}

static void choose(struct play *play, struct limits *limits, enum mode mode)
{
    uint64_t *v = limits->value, scale = UINT64_C(1) << (2 + below(play, 16));
    limits_derive(limits, mode == LITTLE_MEMORY || below(play, 4) == 0 ? 256u << 10 : 0, 0);
    uint64_t stream = 1 + below(play, (uint32_t)scale),
             whole = 1 + below(play, (uint32_t)scale * 2);
    if (stream > v[LIMIT_STREAM_WINDOW]) stream = v[LIMIT_STREAM_WINDOW];
    if (whole > v[LIMIT_CONNECTION_WINDOW]) whole = v[LIMIT_CONNECTION_WINDOW];
    v[LIMIT_STREAM_WINDOW_FIRST] = stream;
    v[LIMIT_CONNECTION_WINDOW_FIRST] = whole;
    if (below(play, 2) == 0) {
        v[LIMIT_STREAM_WINDOW] = stream;
        v[LIMIT_CONNECTION_WINDOW] = whole;
    }
    if (stream < 300 || whole < 300) play->bytes_max = 400; /* else it takes for ever */
    v[LIMIT_STREAMS_BIDI] = v[LIMIT_STREAMS_UNI] = 1 + below(play, mode == LITTLE_MEMORY ? 120
                                                                   : below(play, 2) == 0 ? 3
                                                                                         : 60);
    v[LIMIT_STREAM_GAPS] = below(play, 3) != 0 ? 1024 : 2 + below(play, 5);
}

static void play_all(enum mode mode)
{
    static struct play play;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct limits limits[2];
        memset(&play, 0, sizeof play);
        rng_init(&play.rng, seed, "liveness", (uint32_t)mode);
        play.bytes_max = 20000;
        play.fails = mode == FAILING;
        play.loss_percent = below(&play, 2) == 0 ? 0 : below(&play, 12);
        for (int i = 0; i < 2; i++) {
            choose(&play, &limits[i], mode);
            play.app[i].to_open = below(&play, mode == LITTLE_MEMORY ? 100 : 40);
        }
        play.pair = pair_new(&limits[0], &limits[1]);
        play.pair->filter = wire;
        play.pair->context = &play;
        pair_connect(play.pair);
        run(&play, seed);
        pair_free(play.pair);
    }
}

static void test_applications_that_wait_are_told_when_to_go_on(void **state)
{
    (void)state;
    play_all(PLENTY);
}

static void test_many_streams_in_little_memory_come_to_an_end(void **state)
{
    (void)state;
    play_all(LITTLE_MEMORY);
}

static void test_failing_allocations_lose_no_wake_up(void **state)
{
    (void)state;
    play_all(FAILING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_applications_that_wait_are_told_when_to_go_on),
        cmocka_unit_test(test_many_streams_in_little_memory_come_to_an_end),
        cmocka_unit_test(test_failing_allocations_lose_no_wake_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
