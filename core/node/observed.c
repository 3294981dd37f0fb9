/* SPDX-License-Identifier: MIT */
#include "node/observed.h"
#include "node/events.h"
#include "node/stream_head.h"
#include "node/streams.h"
#include <string.h>

static const char protocol_name[] = "weir/observed/1";
enum { NAME_LEN = sizeof protocol_name - 1, URGENCY = 5 };

bool observed_is_name(const struct node *node, const char *name, size_t len)
{
    return !node->observed_off && len == NAME_LEN && memcmp(name, protocol_name, NAME_LEN) == 0;
}

static struct endpoint remote_of(const struct transport_conn *c)
{
    struct conn_info info;
    memset(&info, 0, sizeof info);
    c->transport->ops->conn_info(c, &info);
    return info.remote;
}

void observed_ask(struct node *node, struct transport_conn *c)
{
    int error;
    /* In memory there is nothing between two nodes that could change an address. */
    if (node->observed_off || remote_of(c).family == ENDPOINT_MEMORY) return;
    struct stream *s =
        stream_head_open(c, protocol_name, NAME_LEN, false, URGENCY, node->now_us, &error);
    if (s == NULL) return;
    s->node_flags = STREAM_HIDDEN | STREAM_ASKING;
    (void)stream_write(s, NULL, 0, false, true, node->now_us);
}

void observed_answer(struct node *node, struct stream *s)
{
    char text[ENDPOINT_TEXT_MAX];
    struct endpoint remote = remote_of(s->conn);
    int len = endpoint_format(&remote, text, sizeof text);
    if (!s->has_out || len < 0) {
        streams_refuse(node, s, WEIR_REASON_PROTOCOL_NOT_SERVED);
        return;
    }
    int64_t taken = stream_write(s, text, (size_t)len, false, true, node->now_us);
    if (taken == len) {
        /* Nobody's turn will let go of it. The question leaves with the application's first words
         * instead. */
        stream_release(s, node->now_us);
    } else {
        (void)stream_reset(s, WEIR_REASON_OVERLOAD, node->now_us);
    }
    /* A question has no body: whatever else comes is not read. */
    (void)stream_stop(s, WEIR_REASON_NONE, node->now_us);
    s->conn->transport->ops->conn_flush(s->conn, node->now_us);
}

void observed_on_answer(struct node *node, struct stream *s)
{
    char text[ENDPOINT_TEXT_MAX];
    struct endpoint seen;
    struct conn_rare *rare;
    if (s->conn->state != CONN_UP || s->in.was_reset ||
        receive_lane_readable(&s->in) > sizeof text) {
        s->node_flags = STREAM_HIDDEN;
        (void)stream_reset(s, WEIR_REASON_CANCELLED, node->now_us);
        (void)stream_stop(s, WEIR_REASON_CANCELLED, node->now_us);
        return;
    }
    if (!events_is_end_known(s)) return;
    s->node_flags = STREAM_HIDDEN;
    int64_t len = stream_read(s, text, sizeof text, node->now_us);
    if (len <= 0 || endpoint_parse(&seen, text, (size_t)len) != 0) return;
    rare = state_rare(node, s->conn);
    if (rare == NULL) return;
    rare->observed = seen;
    rare->tell_observed = true;
    events_queue_started(node, s->conn);
}

int node_connection_observed(struct node *node, uint64_t connection, char *text, uint32_t cap)
{
    int error;
    if (node->closed) return WEIR_E_CLOSED;
    void *object = handle_get(&node->handles, connection, HANDLE_CONNECTION, &error);
    if (object == NULL) return error;
    if (state_is_dial(object)) return WEIR_E_NOT_FOUND;
    const struct transport_conn *c = object;
    const struct conn_rare *rare = c->node_data;
    if (rare == NULL || rare->observed.family == ENDPOINT_NONE) return WEIR_E_NOT_FOUND;
    return endpoint_format(&rare->observed, text, cap);
}
