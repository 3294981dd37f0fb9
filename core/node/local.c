/* SPDX-License-Identifier: MIT */
/* Local streams.
 *
 * They hang on a connection to nobody, of a transport of this file's own, which no list, event or
 * peer ever shows: so streams.c and events.c treat their streams as all others. There is no wire:
 * what the driver has read goes into the receive lane, what it has written is taken out of the
 * send lane as acknowledged, and the window of the send lane follows it, as if the file or the
 * child gave credit. The transport's scheduler is the list of streams about which the driver is to
 * be told.
 *
 * The end of a stream waits for the driver's: until NODE_LOCAL_CLOSED the outgoing lane's FIN or
 * reset counts as not acknowledged, and a file that is read has no end. So STREAM_CLOSED is told
 * when the file is closed and the child has exited, not before. */
#include "node/local.h"
#include "node/local_state.h"
#include "node/streams.h"
#include <string.h>

enum { PATH_MAX_BYTES = 4095 };
/* More than anyone writes: what bounds is the window of each stream and the node's budget. */
#define NO_LIMIT (UINT64_C(1) << 61)

static void op_nothing(struct transport_conn *c, uint64_t now_us)
{
    (void)c, (void)now_us;
}

static void op_stream_changed(struct stream *s, unsigned what, uint64_t now_us)
{
    if ((what & STREAM_CONSUMED) != 0) streams_update_credit(s, 0, now_us);
}

static const uint8_t *op_peer_key(const struct transport_conn *c)
{
    (void)c;
    return NULL;
}

static uint32_t op_datagram_max(const struct transport_conn *c)
{
    (void)c;
    return 0;
}

static const struct transport_ops local_ops = {.name = "local",
                                               .conn_flush = op_nothing,
                                               .stream_changed = op_stream_changed,
                                               .conn_peer_key = op_peer_key,
                                               .datagram_max = op_datagram_max};

bool local_is(const struct stream *s)
{
    return s->conn->transport->ops == &local_ops;
}

static int make(struct node *node)
{
    int error = 0;
    const struct streams_grants own = {.connection_bytes = NO_LIMIT};
    const struct streams_grants far = {.connection_bytes = NO_LIMIT,
                                       .bidi_remote_bytes = local_window(node),
                                       .bidi_count = NO_LIMIT};
    struct node_extras *extras = state_extras_make(node);
    if (extras == NULL) return WEIR_E_MEMORY;
    if (extras->local != NULL) return 0;
    struct local *l = state_alloc(node, sizeof *l, &error);
    if (l == NULL) return error;
    list_init(&l->all);
    transport_init(&l->base, &local_ops, &node->env);
    conn_init(&l->conn, &l->base, CONN_DIALLER);
    l->conn.state = CONN_UP;
    error = streams_open(&l->conn, &own, &far);
    if (error != 0) {
        state_release(node, l, sizeof *l);
        return error;
    }
    /* Files are the application's own doing: the node's budget bounds them, no peer's share. */
    l->conn.streams->budget.max = UINT64_MAX;
    extras->local = l;
    return 0;
}

static int fail_limit(struct node *node, enum limit name, uint64_t used, const char *text)
{
    const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                       .name = (uint16_t)name,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = used,
                                       .max = node->env.limits->value[name]};
    return errors_fail(node, WEIR_E_LIMIT, &limit, NULL, "%s", text);
}

static int check_room(struct node *node, uint32_t kind)
{
    const uint64_t *max = node->env.limits->value;
    const struct local *l = state_extras(node)->local;
    if (l->open >= max[LIMIT_LOCAL_STREAMS])
        return fail_limit(node, LIMIT_LOCAL_STREAMS, l->open,
                          "so many files, children and Unix sockets are open: close some");
    if (kind == NODE_LOCAL_CHILD && l->children >= max[LIMIT_CHILDREN])
        return fail_limit(node, LIMIT_CHILDREN, l->children,
                          "so many children run: wait for one to end");
    return 0;
}

static int check_call(struct node *node, const struct node_call *call)
{
    uint32_t kind = call->flags & 0xff;
    const char *text = call->data;
    if (call->len == 0 || text[0] == '\0')
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "the name of a file or program is empty: give one");
    if (kind == NODE_LOCAL_CHILD) return text[call->len - 1] == '\0' ? 0 : WEIR_E_ARGUMENT;
    if (kind != NODE_LOCAL_FILE && kind != NODE_LOCAL_UNIX) return WEIR_E_ARGUMENT;
    if (call->len > PATH_MAX_BYTES || memchr(text, '\0', call->len) != NULL)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "a path has at most %d bytes, and none of them is zero", PATH_MAX_BYTES);
    return 0;
}

/* @return the stream with its handle and record, or NULL */
static struct stream *open_stream(struct node *node, uint32_t kind, uint32_t flags, int *error)
{
    struct local *l = state_extras(node)->local;
    struct local_stream *r = state_alloc(node, sizeof *r, error);
    if (r == NULL) return NULL;
    struct stream *s = streams_open_local(&l->conn, false, SCHED_URGENCIES / 2, error);
    if (s != NULL) s->handle = handle_add(&node->handles, HANDLE_STREAM, s);
    if (s == NULL || s->handle == 0) {
        if (s != NULL) *error = WEIR_E_MEMORY;
        if (s != NULL) streams_remove(s);
        state_release(node, r, sizeof *r);
        return NULL;
    }
    s->is_opened = true;
    s->node_data = r;
    r->stream = s;
    r->kind = (uint8_t)kind;
    list_push_back(&l->all, &r->link);
    if (kind != NODE_LOCAL_FILE) return s;
    s->has_in = (flags & WEIR_FILE_READ) != 0;
    s->has_out = !s->has_in;
    return s;
}

void local_forget(struct node *node, struct stream *s)
{
    struct local_stream *r = local_record(s);
    if (r->is_starved) state_extras(node)->local->starved--;
    list_remove(&r->link);
    state_release(node, r, sizeof *r);
    s->node_data = NULL;
}

void local_count(struct node *node, uint32_t kind, bool opens)
{
    struct local *l = state_extras(node)->local;
    l->open += opens ? 1u : UINT32_MAX;
    if (kind == NODE_LOCAL_CHILD) l->children += opens ? 1u : UINT32_MAX;
    if (opens) {
        metric_inc(node->env.metrics, METRIC_LOCAL_OPENED);
        metric_inc(node->env.metrics, METRIC_LOCAL_OPEN);
    } else {
        metric_dec(node->env.metrics, METRIC_LOCAL_OPEN);
    }
}

uint32_t local_open_count(const struct node *node)
{
    const struct local *l = state_extras(node)->local;
    return l == NULL ? 0 : l->open;
}

uint64_t local_size(const struct stream *s)
{
    return local_record(s)->size;
}

int64_t local_on_open(struct node *node, const struct node_call *call)
{
    const struct node_driver *driver = node->driver;
    uint32_t kind = call->flags & 0xff, flags = call->flags >> 8;
    uint64_t offset = call->number_out == NULL ? 0 : *call->number_out;
    int error = check_call(node, call);
    if (error == 0 && driver->local_open == NULL) error = WEIR_E_UNSUPPORTED;
    if (error == 0) error = make(node);
    if (error == 0) error = check_room(node, kind);
    if (error != 0) return error;
    struct stream *s = open_stream(node, kind, flags, &error);
    if (s == NULL) return error;
    error = driver->local_open(node->driver_context, kind, flags, call->data, call->len, offset,
                               s->handle);
    if (error != 0) {
        handle_remove(&node->handles, s->handle);
        local_forget(node, s);
        streams_remove(s);
        if (error != WEIR_E_UNSUPPORTED) return error;
        return errors_fail(node, error, NULL, NULL,
                           "a world has files, but neither children nor Unix sockets");
    }
    s->user = call->number;
    node->streams_open++;
    local_count(node, kind, true);
    return (int64_t)s->handle;
}

void local_give_up(struct node *node, struct stream *s, bool kill)
{
    struct local_stream *r = local_record(s);
    if (r->is_given_up || r->is_over) return;
    r->is_given_up = true;
    node->driver->local_close(node->driver_context, s->handle, kill);
}

void local_on_turn(struct node *node)
{
    if (state_extras(node)->local != NULL) streams_on_turn(&state_extras(node)->local->conn);
}

void local_on_reset(struct node *node, struct stream *s, uint32_t reason)
{
    struct local_stream *r = local_record(s);
    if (r->kind != NODE_LOCAL_CHILD || r->is_over) return;
    local_give_up(node, s, true);
    /* Who kills a child does not read on: its end must come without that. */
    (void)stream_stop(s, reason, node->now_us);
}

/* The stream has bytes, credit, or nobody any more. */
static void tell_driver(struct node *node, struct stream *s)
{
    const struct local_stream *r = local_record(s);
    if (r->is_over || r->is_given_up) return;
    bool out_gone = !s->has_out || s->out.state > SEND_FINISHED;
    bool in_gone = !s->has_in || s->in.stopped;
    if (r->kind == NODE_LOCAL_FILE && out_gone && in_gone)
        local_give_up(node, s, false);
    else
        node->driver->local_wants(node->driver_context, s->handle);
}

static void feed_starved(struct node *node, struct local *l)
{
    uint64_t room = budget_room(&l->conn.streams->budget);
    if (l->starved == 0) return;
    for (struct list *link = l->all.next; link != &l->all; link = link->next) {
        struct local_stream *r = list_entry(link, struct local_stream, link);
        if (!r->is_starved || r->room_bytes > room) continue;
        r->is_starved = false;
        l->starved--;
        tell_driver(node, r->stream);
    }
}

void local_settle(struct node *node)
{
    struct local *l = state_extras(node)->local;
    struct list *link;
    uint8_t urgency;
    if (l == NULL) return;
    struct conn_streams *st = l->conn.streams;
    transport_recheck(&l->base, node->now_us);
    while ((link = sched_next(&st->sched, &urgency)) != NULL) {
        struct stream *s = list_entry(link, struct stream, ready_link);
        sched_remove(&st->sched, link, urgency);
        s->in.credit_pending = s->in.stop_pending = s->out.reset_pending = false;
        tell_driver(node, s);
    }
    st->credit_pending = false;
    feed_starved(node, l);
    if (transport_next_ready(&l->base) == NULL) return;
    l->conn.pending = 0;
    streams_settle(node, &l->conn);
}

void local_end_all(struct node *node, uint32_t reason)
{
    if (state_extras(node)->local == NULL) return;
    for (struct list *link = state_extras(node)->local->all.next;
         link != &state_extras(node)->local->all; link = link->next) {
        struct stream *s = list_entry(link, struct local_stream, link)->stream;
        if (local_record(s)->is_over) continue;
        local_on_reset(node, s, reason);
        if (s->has_out) (void)stream_reset(s, reason, node->now_us);
        if (s->has_in) (void)stream_stop(s, reason, node->now_us);
    }
}

int local_end_error(const struct stream *s)
{
    return local_is(s) ? local_record(s)->error : 0;
}

bool local_end_amount(const struct stream *s, uint32_t *amount)
{
    if (!local_is(s) || local_record(s)->kind != NODE_LOCAL_CHILD || local_record(s)->error != 0)
        return false;
    *amount = local_record(s)->exit_code;
    return true;
}

void local_free(struct node *node)
{
    struct local *l = state_extras(node)->local;
    struct local_stream *r;
    if (l == NULL) return;
    while ((r = list_first(&l->all, struct local_stream, link)) != NULL) {
        struct stream *s = r->stream;
        if (!r->is_over) {
            node->driver->local_close(node->driver_context, s->handle, true);
            local_count(node, r->kind, false);
        }
        local_forget(node, s);
    }
    streams_free(&l->conn);
    state_release(node, l, sizeof *l);
    node->extras->local = NULL;
}
