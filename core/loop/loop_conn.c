/* SPDX-License-Identifier: MIT */
/* The life of one connection.
 *
 * A dialler's begins with OPEN and is up with ACCEPT; a listener's is up with OPEN, since nothing
 * has to be proved. What ends it leaves as the last message. Node may be done with a connection
 * before that message left, or while the answer to OPEN is still under way; then the record stays
 * in the table, without its streams, until the transport is done too. */
#include "loop/loop_conn.h"
#include "base/assert.h"
#include <string.h>

/* With more streams, looking at all of them costs more than it saves. */
enum { TRIM_STREAMS_MAX = 8 };

static struct loop *loop_of(const struct loop_conn *c)
{
    return (struct loop *)(void *)c->conn.transport;
}

static const struct transport_env *env_of(const struct loop_conn *c)
{
    return c->conn.transport->env;
}

static void move(struct loop_conn *c, enum loop_list list)
{
    list_remove(&c->link);
    c->list = (uint8_t)list;
    list_push_back(&loop_of(c)->lists[list], &c->link);
}

struct loop_conn *loop_conn_make(struct loop *t, enum conn_role role, uint64_t remote,
                                 uint32_t socket)
{
    const struct transport_env *env = t->base.env;
    if (!budget_charge(env->budget, sizeof(struct loop_conn), NULL)) {
        metric_inc(env->metrics, METRIC_LIMIT_REACHED);
        return NULL;
    }
    struct loop_conn *c = mem_alloc(env->mem, sizeof *c);
    if (c != NULL) {
        conn_init(&c->conn, &t->base, role);
        c->remote = remote;
        c->socket = socket;
        if (loop_table_add(t, c)) {
            move(c, LOOP_RESTING);
            return c;
        }
        mem_free(env->mem, c, sizeof *c);
    }
    budget_refund(env->budget, sizeof *c);
    return NULL;
}

void loop_conn_destroy(struct loop_conn *c)
{
    const struct transport_env *env = env_of(c);
    if ((c->flags & LOOP_LISTED) != 0) loop_table_remove(c);
    loop_table_drop_facts(c);
    list_remove(&c->link);
    conn_release(&c->conn);
    budget_refund(env->budget, sizeof *c);
    mem_free(env->mem, c, sizeof *c);
}

void loop_conn_discard(struct loop_conn *c)
{
    WEIR_ASSERT(c->conn.pending == 0);
    loop_conn_destroy(c);
}

/* The list that fits what is to be done. */
static enum loop_list list_for(const struct loop_conn *c)
{
    const unsigned says = LOOP_OPEN | LOOP_ACCEPT | LOOP_READY | LOOP_END;
    const struct conn_streams *st = c->conn.streams;
    if ((c->flags & LOOP_LISTED) == 0) return LOOP_RESTING;
    if ((c->flags & says) != 0) return LOOP_SENDING;
    if (c->conn.state == CONN_CONNECTING || (c->flags & LOOP_WAITS) != 0) return LOOP_DIALLING;
    if (c->conn.state != CONN_UP) return LOOP_RESTING;
    if (streams_want_send(&c->conn)) return LOOP_SENDING;
    return st != NULL && !list_is_empty(&st->touched) ? LOOP_ACTIVE : LOOP_RESTING;
}

void loop_conn_place(struct loop_conn *c)
{
    const struct conn_streams *st = c->conn.streams;
    enum loop_list list = list_for(c);
    if (c->list == list) return;
    move(c, list);
    /* A lane without bytes needs no buffer while nothing happens. */
    if (list == LOOP_RESTING && st != NULL && st->count <= TRIM_STREAMS_MAX) streams_trim(&c->conn);
}

/* Keep what the peer says of itself only where it differs from what we say. */
static int keep_facts(struct loop_conn *c, const struct message_hello *hello)
{
    const struct transport_env *env = env_of(c);
    struct loop_facts said = {.grants = hello->grants};
    struct streams_grants own;
    streams_own_grants(env->limits, &own);
    if (memcmp(&own, &hello->grants, sizeof own) == 0 && strcmp(env->network, hello->network) == 0)
        return 0;
    memcpy(said.network, hello->network, sizeof said.network);
    return loop_table_keep_facts(c, &said) ? 0 : WEIR_E_MEMORY;
}

int loop_conn_streams(struct loop_conn *c)
{
    struct streams_grants own;
    if (c->conn.streams != NULL) return 0;
    const struct loop_facts *facts = loop_table_facts(c);
    streams_own_grants(env_of(c)->limits, &own);
    return streams_open(&c->conn, &own, facts != NULL ? &facts->grants : &own);
}

void loop_conn_know(struct loop_conn *c, const struct peer_id *peer)
{
    const uint8_t *key = peer_id_key(peer);
    WEIR_ASSERT(key != NULL);
    memcpy(c->peer_key, key, sizeof c->peer_key);
    c->flags |= LOOP_KNOWN;
}

int loop_conn_up(struct loop_conn *c, const struct message_hello *hello)
{
    struct metrics *metrics = env_of(c)->metrics;
    int error = keep_facts(c, hello);
    if (error != 0) return error;
    loop_conn_know(c, &hello->peer);
    c->conn.state = CONN_UP;
    metric_inc(metrics, METRIC_HANDSHAKES_DONE);
    metric_inc(metrics, METRIC_CONNECTIONS_OPENED);
    metric_inc(metrics, METRIC_CONNECTIONS_OPEN);
    conn_mark(&c->conn, CONN_PENDING_UP);
    return 0;
}

void loop_conn_end(struct loop_conn *c, enum conn_end_by by, int error, uint32_t reason,
                   const void *text, size_t text_len, uint64_t now_us)
{
    static const enum metric counters[] = {
        [CONN_END_LOCAL] = METRIC_CONNECTIONS_CLOSED_LOCAL,
        [CONN_END_REMOTE] = METRIC_CONNECTIONS_CLOSED_REMOTE,
        [CONN_END_TIMEOUT] = METRIC_CONNECTIONS_TIMED_OUT,
        [CONN_END_RESET] = METRIC_CONNECTIONS_CLOSED_REMOTE,
        [CONN_END_HANDSHAKE] = METRIC_CONNECTIONS_CLOSED_LOCAL,
    };
    struct metrics *metrics = env_of(c)->metrics;
    if (c->conn.state >= CONN_CLOSING) return;
    if (c->conn.state == CONN_UP) {
        metric_dec(metrics, METRIC_CONNECTIONS_OPEN);
    } else {
        metric_inc(metrics, METRIC_HANDSHAKES_FAILED);
    }
    metric_inc(metrics, counters[by]);
    (void)conn_ended(&c->conn, by, error, reason, text, text_len, now_us);
    /* Nothing that node could wait for follows. */
    c->conn.state = CONN_OVER;
}

void loop_conn_fail(struct loop_conn *c, enum conn_end_by by, int error, uint32_t reason,
                    const char *text, uint64_t now_us)
{
    if (error == WEIR_E_PROTOCOL) metric_inc(env_of(c)->metrics, METRIC_PROTOCOL_VIOLATIONS);
    log_write(env_of(c)->log, now_us, LOG_DEBUG, "closing a connection in memory: %s", text);
    loop_conn_end(c, by, error, reason, text, strlen(text), now_us);
    if ((c->flags & LOOP_ACCEPT) != 0) c->flags |= LOOP_REFUSES;
    c->flags &= (uint16_t) ~(LOOP_OPEN | LOOP_ACCEPT | LOOP_READY);
    if (c->remote_number == 0) {
        loop_conn_drop(c);
        return;
    }
    c->flags |= LOOP_END;
    loop_conn_place(c);
}

void loop_conn_drop(struct loop_conn *c)
{
    WEIR_ASSERT(c->conn.state == CONN_OVER);
    if ((c->flags & LOOP_FREED) != 0) {
        loop_conn_destroy(c);
        return;
    }
    loop_table_remove(c);
    loop_conn_place(c);
}
