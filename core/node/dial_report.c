/* SPDX-License-Identifier: MIT */
/* What a dial met, in words: one line per address, and the one error that tells most. */
#include "node/conns.h"
#include "node/dial_table.h"
#include "node/errors.h"
#include "node/registry.h"
#include "transport/reason.h"
#include <stdio.h>
#include <string.h>

/* Text that is counted past its end, so that a first pass can measure. */
struct text {
    char *at;
    size_t cap, len;
};

static void put(struct text *t, const char *s)
{
    for (; *s != 0; s++, t->len++) {
        if (t->len + 1 < t->cap) t->at[t->len] = *s;
    }
}

static int end_text(struct text *t)
{
    size_t written = t->len + 1 < t->cap ? t->len : t->cap == 0 ? 0 : t->cap - 1;
    if (t->cap > 0) t->at[written] = 0;
    return (int)written;
}

static void put_target(struct text *t, const struct node *node, const struct dial_target *target)
{
    char address[ENDPOINT_TEXT_MAX], after[64];
    (void)endpoint_format(&target->endpoint, address, sizeof address);
    if (t->len > 0) put(t, "\n");
    put(t, address);
    if (target->state == TARGET_WAITING) {
        put(t, ": not tried");
        return;
    }
    uint64_t end_us = target->end_us != 0 ? target->end_us : node->now_us;
    int len = snprintf(after, sizeof after, " after %llu ms",
                       (unsigned long long)((end_us - target->start_us) / 1000));
    if (target->round > 1)
        (void)snprintf(after + len, sizeof after - (size_t)len, ", round %u", target->round);
    put(t, ": ");
    put(t, target->state == TARGET_WON ? "connected"
           : target->said[0] != 0      ? target->said
                                       : "no answer yet");
    put(t, after);
}

static void put_all(struct text *t, const struct node *node, const struct dial *dial)
{
    for (uint32_t i = 0; i < dial->name_count; i++) {
        const struct dial_name *name = &dial->names[i];
        if (!name->is_pending && name->error == 0) continue;
        if (t->len > 0) put(t, "\n");
        put(t, name->name);
        put(t, ": ");
        put(t, name->is_pending ? "looked up, no answer yet" : errors_words(name->error));
    }
    for (uint32_t i = 0; i < dial->target_count; i++) put_target(t, node, &dial->targets[i]);
}

int dial_report(const struct node *node, const struct dial *dial, char *text, uint32_t cap)
{
    struct text t = {.at = text, .cap = cap};
    put_all(&t, node, dial);
    return end_text(&t);
}

void dial_report_keep(struct node *node, const struct dial *dial, struct transport_conn *c)
{
    struct text t = {0};
    int error;
    /* One attempt in memory needs no report: what it says can be made again. A world has very many
     * of these. */
    if (dial->target_count == 1 && dial->name_count == 0 &&
        dial->targets[0].endpoint.family == ENDPOINT_MEMORY)
        return;
    put_all(&t, node, dial);
    struct conn_rare *rare = state_rare(node, c);
    if (rare == NULL) return;
    rare->report = state_alloc(node, t.len + 1, &error);
    if (rare->report == NULL) return;
    rare->report_len = (uint32_t)t.len + 1;
    t = (struct text){.at = rare->report, .cap = rare->report_len};
    put_all(&t, node, dial);
    (void)end_text(&t);
}

int dial_report_of_conn(const struct transport_conn *c, char *text, uint32_t cap)
{
    const struct conn_rare *rare = c->node_data;
    struct text t = {.at = text, .cap = cap};
    struct conn_info info;
    char address[ENDPOINT_TEXT_MAX];
    if (c->role != CONN_DIALLER) return WEIR_E_NOT_FOUND;
    if (rare != NULL && rare->report != NULL) {
        put(&t, rare->report);
        return end_text(&t);
    }
    memset(&info, 0, sizeof info);
    c->transport->ops->conn_info(c, &info);
    (void)endpoint_format(&info.remote, address, sizeof address);
    put(&t, address);
    put(&t, ": connected");
    return end_text(&t);
}

void dial_fill_info(const struct dial *dial, weir_connection_info *info)
{
    info->state = dial->is_over ? 2 : 0;
    info->is_dialled = 1;
    info->reason = dial->reason;
    info->error = dial->error;
    info->closed_by = dial->is_over ? CONN_END_LOCAL : 0;
    info->user = dial->user;
    info->peer.len = dial->expected.len;
    memcpy(info->peer.bytes, dial->expected.bytes, sizeof info->peer.bytes);
}

/* A local close of an attempt is a refusal by our own policy. */
static int error_of(const struct conn_end *end)
{
    if (end->error != 0) return end->error;
    switch (end->reason) {
    case WEIR_REASON_DRAINING: return WEIR_E_DRAINING;
    case WEIR_REASON_FULL:
    case WEIR_REASON_LIMIT: return WEIR_E_LIMIT;
    case WEIR_REASON_IDLE:
    case WEIR_REASON_UNREACHABLE: return WEIR_E_TIMEOUT;
    default: return WEIR_E_REFUSED;
    }
}

static void say_identity(const struct dial *dial, struct dial_target *target,
                         const struct transport_conn *c)
{
    char wanted[PEER_ID_TEXT_SIZE], found[PEER_ID_TEXT_SIZE];
    const struct peer_id peer = conns_peer(c);
    (void)peer_id_format(&dial->expected, wanted);
    (void)peer_id_format(&peer, found);
    /* A dial that expected nobody finds the wrong one in one case only. */
    if (dial->expected.len == 0)
        (void)snprintf(target->said, sizeof target->said, "that is the node itself");
    else if (peer.len == 0 || peer_id_equal(&peer, &dial->expected))
        (void)snprintf(target->said, sizeof target->said, "the peer there is not %s", wanted);
    else
        (void)snprintf(target->said, sizeof target->said, "the peer there is %s, not %s", found,
                       wanted);
}

void dial_report_end(const struct dial *dial, struct dial_target *target,
                     const struct transport_conn *c)
{
    const struct conn_end *end = c->end;
    target->error = end == NULL ? WEIR_E_MEMORY : error_of(end);
    target->reason = end == NULL ? WEIR_REASON_NONE : end->reason;
    if (end == NULL) return;
    if (target->error == WEIR_E_IDENTITY) {
        say_identity(dial, target, c);
        return;
    }
    const char *why = end->reason == WEIR_REASON_NONE ? "" : reason_name(end->reason);
    (void)snprintf(target->said, sizeof target->said, "%s%s%s%s%s%.*s", errors_words(target->error),
                   why[0] != 0 ? " (" : "", why, why[0] != 0 ? ")" : "",
                   end->text_len > 0 ? ", " : "", (int)end->text_len, end->text);
    errors_clean(target->said);
}

/* What says more about the way to the peer comes first. */
static unsigned rank(int error)
{
    static const int order[] = {WEIR_E_IDENTITY,     WEIR_E_REFUSED,     WEIR_E_LIMIT,
                                WEIR_E_DRAINING,     WEIR_E_UNSUPPORTED, WEIR_E_HANDSHAKE,
                                WEIR_E_PROTOCOL,     WEIR_E_PEER_CLOSED, WEIR_E_PERMISSION,
                                WEIR_E_TIMEOUT,      WEIR_E_UNREACHABLE, WEIR_E_SOCKET,
                                WEIR_E_HOST_UNKNOWN, WEIR_E_ADDRESS};
    unsigned i = 0;
    while (i < sizeof order / sizeof order[0] && order[i] != error) i++;
    return i;
}

/* What to do about it; "" when the rest says it. */
static const char *advice(int error)
{
    switch (error) {
    case WEIR_E_HOST_UNKNOWN: return ": check the name";
    case WEIR_E_TIMEOUT: return ": check that it runs and that UDP gets there";
    case WEIR_E_UNREACHABLE: return ": check the network";
    case WEIR_E_IDENTITY: return ": ask for its address anew";
    case WEIR_E_UNSUPPORTED: return ": one side needs a newer weir";
    default: return "";
    }
}

static void say_name(char said[DIAL_ANSWER_MAX], const struct dial_name *name)
{
    (void)snprintf(said, DIAL_ANSWER_MAX, "%.128s: %s%s", name->name, errors_words(name->error),
                   advice(name->error));
}

static void say_target(char said[DIAL_ANSWER_MAX], const struct dial *dial,
                       const struct dial_target *target)
{
    bool is_self = target->error == WEIR_E_IDENTITY && dial->expected.len == 0;
    char address[ENDPOINT_TEXT_MAX];
    (void)endpoint_format(&target->endpoint, address, sizeof address);
    (void)snprintf(said, DIAL_ANSWER_MAX, "%s: %.140s%s", address, target->said,
                   is_self ? "" : advice(target->error));
}

int dial_report_answer(const struct dial *dial, uint32_t *reason, char said[DIAL_ANSWER_MAX])
{
    int error = WEIR_E_TIMEOUT;
    unsigned best = UINT32_MAX;
    *reason = WEIR_REASON_UNREACHABLE;
    (void)snprintf(said, DIAL_ANSWER_MAX, "%s",
                   dial->names_pending > 0 ? "the name server did not answer in time: try again"
                                           : "nothing answered in time");
    for (uint32_t i = 0; i < dial->name_count; i++) {
        const struct dial_name *name = &dial->names[i];
        if (name->is_pending || name->error == 0 || rank(name->error) >= best) continue;
        best = rank(name->error);
        error = name->error;
        say_name(said, name);
    }
    for (uint32_t i = 0; i < dial->target_count; i++) {
        const struct dial_target *target = &dial->targets[i];
        if (target->state != TARGET_FAILED || rank(target->error) >= best) continue;
        best = rank(target->error);
        error = target->error;
        *reason = target->reason;
        say_target(said, dial, target);
    }
    return error;
}
