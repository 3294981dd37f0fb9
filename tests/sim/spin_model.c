/* SPDX-License-Identifier: MIT */
#include "sim/spin.h"

uint32_t below(struct spinner *s, uint32_t bound)
{
    return (uint32_t)rng_below(&s->rng, bound);
}

int64_t spin_allow(struct spinner *s, const char *name, int64_t result, const int32_t *errors)
{
    if (result >= 0) return result;
    s->refused++;
    if (s->is_short && result == WEIR_E_MEMORY) return result;
    for (; *errors != 0; errors++) {
        if (result == *errors) return result;
    }
    fail_msg("%s answers %s, which weir.h does not name", name, weir_error_name((int32_t)result));
    return result;
}
struct thing *thing_find(struct spinner *s, uint64_t node, uint64_t handle)
{
    uint32_t i;

    for (i = s->count[node]; i-- > 0;) {
        if (s->things[node][i].handle == handle) return &s->things[node][i];
    }
    return NULL;
}

static struct thing *thing_add(struct spinner *s, uint64_t node, uint64_t handle,
                               enum thing_kind kind, uint64_t parent)
{
    struct thing *t;

    assert_true(handle > 0 && handle >> 53 == 0);
    assert_null(thing_find(s, node, handle));
    assert_true(s->count[node] < THINGS_MAX);
    t = &s->things[node][s->count[node]++];
    *t = (struct thing){.handle = handle, .parent = parent, .kind = kind};
    return t;
}

static void forget(struct spinner *s, uint64_t node, struct thing *t)
{
    s->old[s->old_count++ % OLD_MAX] = t->handle;
    *t = s->things[node][--s->count[node]];
}

void thing_drop(struct spinner *s, uint32_t node, uint64_t handle)
{
    struct thing *t = thing_find(s, node, handle);

    /* It may have been somebody's of whom nobody was told. */
    if (t != NULL) forget(s, node, t);
}

/* What the node says when it is asked for an object. */
static int32_t ask(weir_node *n, const struct thing *t)
{
    weir_connection_info connection = {.size = sizeof connection};
    weir_stream_info stream = {.size = sizeof stream};
    weir_request_info request = {.size = sizeof request};
    weir_feed_info feed = {.size = sizeof feed};
    weir_fetch_info fetch = {.size = sizeof fetch};
    int32_t result = 0;
    uint64_t parent = t->parent;

    switch (t->kind) {
    case STREAM:
        result = weir_stream_get_info(n, t->handle, &stream);
        parent = stream.connection;
        break;
    case MESSAGE:
    case REQUEST:
        result = weir_request_get_info(n, t->handle, &request);
        parent = request.connection;
        break;
    case FEED:
    case SUBSCRIPTION: result = weir_feed_get_info(n, t->handle, &feed); break;
    case FETCH: result = weir_fetch_get_info(n, t->handle, &fetch); break;
    default: result = weir_connection_get_info(n, t->handle, &connection);
    }
    if (result == 0) assert_int_equal(parent, t->parent);
    return result;
}

/* What ended was readable until now: it is stale from here on. A connection whose PEER_DOWN did not
 * fit into the array has that event before it. A message may go unread, with its connection or for
 * a newer one. What is built out of streams stays longer when its last event filled the array; in
 * the end it must go too (check_quiet). */
static void things_sweep(struct spinner *s)
{
    uint32_t node, i;

    for (node = 1; node <= NODES; node++) {
        for (i = s->count[node]; i-- > 0;) {
            struct thing *t = &s->things[node][i];
            int32_t result = ask(s->sim.nodes[node], t);

            if (!t->is_over && t->kind != MESSAGE) {
                if (result != 0)
                    fail_msg("a thing of kind %d is gone (%s) before its end was told", t->kind,
                             weir_error_name(result));
                continue;
            }
            if (result == 0 && t->kind == CONNECTION && !t->is_down) continue;
            if (result == 0 && t->kind >= MESSAGE) continue;
            if (result != WEIR_E_STALE)
                fail_msg("a thing of kind %d that ended is %s", t->kind, weir_error_name(result));
            forget(s, node, t);
        }
    }
}

static void check_readable(struct spinner *s, const weir_event *e, const struct thing *t)
{
    weir_node *node = s->sim.nodes[e->node];
    weir_connection_info c = {.size = sizeof c};

    if (t != NULL && t->kind != CONNECTION) {
        assert_int_equal(ask(node, t), 0);
        assert_int_equal(t->parent, e->parent);
    } else {
        assert_int_equal(weir_connection_get_info(node, e->object, &c), 0);
        assert_true(c.state == 2 || e->kind != WEIR_EVENT_CONNECTION_CLOSED);
    }
}

/* All that hangs on a connection ends before it, but for answers that came whole. */
static void end_connection(struct spinner *s, const weir_event *e, struct thing *t)
{
    uint32_t i;

    t->is_over = true;
    for (i = 0; i < s->count[e->node]; i++) {
        const struct thing *child = &s->things[e->node][i];

        if (child->parent != e->object || child->is_over) continue;
        if (child->kind == MESSAGE || child->has_answer) continue;
        fail_msg("a thing of kind %d outlives its connection", child->kind);
    }
}

/* Objects of the peer appear under a connection that is up. */
static struct thing *appear(struct spinner *s, const weir_event *e, enum thing_kind kind)
{
    const struct thing *parent = thing_find(s, e->node, e->parent);

    if (thing_find(s, e->node, e->object) != NULL)
        fail_msg("event %u tells of an object that is known", e->kind);
    assert_true(parent != NULL && parent->kind == CONNECTION && !parent->is_over);
    return thing_add(s, e->node, e->object, kind, e->parent);
}

static bool is_of_kind(const weir_event *e, enum thing_kind kind)
{
    switch (e->kind) {
    case WEIR_EVENT_READABLE:
    case WEIR_EVENT_WRITABLE: return kind == STREAM || kind == REQUEST;
    case WEIR_EVENT_STREAM:
    case WEIR_EVENT_STREAM_RESET:
    case WEIR_EVENT_STREAM_STOPPED:
    case WEIR_EVENT_STREAM_CLOSED:
    case WEIR_EVENT_DATAGRAM: return kind == STREAM;
    case WEIR_EVENT_MESSAGE: return kind == MESSAGE;
    case WEIR_EVENT_REQUEST:
    case WEIR_EVENT_RESPONSE:
    case WEIR_EVENT_REQUEST_CLOSED: return kind == REQUEST;
    case WEIR_EVENT_FEED:
    case WEIR_EVENT_FEED_CLOSED: return kind == SUBSCRIPTION;
    case WEIR_EVENT_FETCH_PART:
    case WEIR_EVENT_FETCH_CLOSED: return kind == FETCH;
    default: return kind == CONNECTION;
    }
}

/* What an event changes of the object that it is about. */
static void change(struct spinner *s, const weir_event *e, struct thing *t)
{
    switch (e->kind) {
    case WEIR_EVENT_CONNECTION_CLOSED: end_connection(s, e, t); break;
    case WEIR_EVENT_STREAM:
        assert_false(t->is_opened);
        t->is_opened = true;
        break;
    case WEIR_EVENT_RESPONSE:
        assert_true(t->is_local && !t->has_answer);
        t->is_over = e->error != 0;
        t->has_answer = e->error == 0 && !t->is_chunked;
        break;
    case WEIR_EVENT_STREAM_CLOSED:
    case WEIR_EVENT_REQUEST_CLOSED:
    case WEIR_EVENT_FEED_CLOSED:
    case WEIR_EVENT_FETCH_CLOSED: t->is_over = true; break;
    default: break;
    }
}

static void on_event(struct spinner *s, const weir_event *e)
{
    struct thing *t = thing_find(s, e->node, e->object);

    s->events++;
    assert_in_range(e->kind, 1, WEIR_EVENT_FETCH_CLOSED);
    s->seen[e->kind]++;
    assert_int_equal(e->reserved, 0);
    assert_true(e->time_us <= sim_now(&s->sim));
    if (e->kind == WEIR_EVENT_DRAINED) return;
    /* Nobody was told of a connection that lost a merge, but its peer goes down with it. */
    if (e->kind == WEIR_EVENT_PEER_DOWN) {
        check_readable(s, e, t);
        assert_true(t == NULL || t->is_over);
        if (t != NULL) t->is_down = true;
        return;
    }
    if (e->kind == WEIR_EVENT_CONNECTED && t == NULL) {
        assert_int_equal(e->amount, 0);
        t = thing_add(s, e->node, e->object, CONNECTION, 0);
    }
    if (e->kind == WEIR_EVENT_STREAM && e->parent != 0) t = appear(s, e, STREAM);
    if (e->kind == WEIR_EVENT_MESSAGE) t = appear(s, e, MESSAGE);
    if (e->kind == WEIR_EVENT_REQUEST) t = appear(s, e, REQUEST);
    if (t == NULL || t->is_over) {
        fail_msg("event %u at node %u is about %s", e->kind, (unsigned)e->node,
                 t == NULL ? "an object that nobody knows" : "an object that ended");
        return;
    }
    assert_true(is_of_kind(e, t->kind));
    check_readable(s, e, t);
    change(s, e, t);
}

/* Let time pass; the array of events has any size. */
void spin_turn(struct spinner *s, uint64_t span_us)
{
    weir_event events[16];
    uint32_t cap = below(s, 3) == 0 ? 1 : 1 + below(s, 16);
    int64_t i, count;

    assert_true(weir_world_run(s->sim.world, sim_now(&s->sim) + span_us) >= 0);
    things_sweep(s);
    count = weir_world_poll(s->sim.world, 0, events, cap);
    assert_true(count >= 0 && count <= cap);
    for (i = 0; i < count; i++) {
        assert_in_range(events[i].node, 1, NODES);
        on_event(s, &events[i]);
    }
}

uint64_t some_handle(struct spinner *s, uint32_t node, enum thing_kind kind)
{
    uint32_t tries, roll = below(s, 20);

    if (roll == 0) return 0;
    if (roll == 1) return rng_u64(&s->rng);
    if (roll == 2) return rng_u64(&s->rng) >> 11;
    if (roll == 3 && s->old_count > 0)
        return s->old[below(s, s->old_count < OLD_MAX ? s->old_count : OLD_MAX)];
    if (roll == 4 && below(s, 4) == 0) node = 1 + below(s, NODES); /* somebody else's */
    if (roll == 5) kind = below(s, THING_KINDS);
    for (tries = 0; tries < 20 && s->count[node] > 0; tries++) {
        const struct thing *t = &s->things[node][below(s, s->count[node])];

        if (t->kind == kind) return t->handle;
    }
    return 1;
}

uint32_t some_reason(struct spinner *s)
{
    return below(s, 8) == 0 ? rng_u32(&s->rng) : 7;
}

struct thing *thing_note(struct spinner *s, uint32_t node, int64_t handle, enum thing_kind kind,
                         uint64_t parent)
{
    struct thing *known;

    if (handle <= 0) return NULL;
    known = thing_find(s, node, (uint64_t)handle);
    if (known == NULL) return thing_add(s, node, (uint64_t)handle, kind, parent);
    /* Only a dial may give what was there already. */
    assert_false(kind != CONNECTION || known->kind != CONNECTION || known->is_over);
    return known;
}
