/* SPDX-License-Identifier: MIT */
/* A dial: several addresses of one peer, raced as RFC 8305 (Happy Eyeballs v2) has it; one answer.
 *
 * Families alternate, IPv6 first unless the resolver's IPv4 answer came first. An attempt that has
 * not come up after 250 ms (section 5) gets company; one that fails makes room for the next at
 * once. At most LIMIT_DIAL_PARALLEL run together, LIMIT_DIAL_ADDRESSES are tried in all, and
 * LIMIT_DIAL_TIME ends it. Success is a connection with a proven identity, not an answer from the
 * address. Names are in dial_names.c.
 *
 * An attempt gives up before the dial does (LIMIT_HANDSHAKE_TIME). When all have, and nobody has
 * said more than nothing, those that were silent are raced again: whoever restarts, or whose
 * network was away, is found. What a second round cannot better, such as a refusal or a wrong
 * identity, is the answer at once.
 *
 * A dial has its handle from the start; the winning attempt takes it over. Attempts are connections
 * without a handle: node_data is the dial, or NULL when it is over and the attempt only has to end.
 */
#include "base/assert.h"
#include "node/conns.h"
#include "node/dial_table.h"
#include "node/errors.h"
#include "node/peers.h"
#include <string.h>

enum { ATTEMPT_DELAY_US = 250000, TARGETS_FIRST = 2 };

struct dial *dial_of(void *object)
{
    return state_is_dial(object) ? (struct dial *)((uintptr_t)object & ~(uintptr_t)1) : NULL;
}

static int dialer_open(struct node *node)
{
    int error = 0;
    if (node->dialer != NULL) return 0;
    struct dialer *dialer = state_alloc(node, sizeof *dialer, &error);
    if (dialer == NULL) return error;
    heap_init(&dialer->timers, node->env.mem);
    list_init(&dialer->active);
    list_init(&dialer->failed);
    list_init(&dialer->gone);
    node->dialer = dialer;
    return 0;
}

static void dialer_close(struct node *node)
{
    heap_free(&node->dialer->timers);
    state_release(node, node->dialer, sizeof *node->dialer);
    node->dialer = NULL;
}

struct dial *dial_make(struct node *node, const weir_dial_options *options, int *error)
{
    uint64_t time_us = node->env.limits->value[LIMIT_DIAL_TIME],
             max = node->env.limits->value[LIMIT_DIALS];
    *error = dialer_open(node);
    if (*error != 0) return NULL;
    if (node->dialer->count >= max) {
        const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                           .name = LIMIT_DIALS,
                                           .side = LIMIT_SIDE_LOCAL,
                                           .used = node->dialer->count,
                                           .max = max};
        *error = errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                             "too many dials are under way: wait for their answers");
        return NULL;
    }
    struct dial *dial = state_alloc(node, sizeof *dial, error);
    if (dial == NULL) return NULL;
    if (options != NULL && options->timeout_us != 0) time_us = options->timeout_us;
    dial->user = options == NULL ? 0 : options->user;
    dial->round = 1;
    dial->round_us = dial->next_start_us = node->now_us;
    dial->deadline_us = time_us > UINT64_MAX - node->now_us ? UINT64_MAX : node->now_us + time_us;
    dial->ip6_first = true;
    dial->timer.order = node->dialer->sequence++;
    list_push_back(&node->dialer->active, &dial->link);
    node->dialer->count++;
    return dial;
}

static void attempts_cancel(struct node *node, struct dial *dial)
{
    for (uint32_t i = 0; i < dial->target_count; i++) {
        struct transport_conn *c = dial->targets[i].conn;
        dial->targets[i].conn = NULL;
        if (c == NULL) continue;
        c->node_data = NULL;
        conns_close(node, c, WEIR_REASON_CANCELLED, NULL, 0);
    }
    dial->trying = 0;
}

void dial_destroy(struct node *node, struct dial *dial)
{
    attempts_cancel(node, dial);
    dial_names_cancel(node, dial);
    heap_remove(&node->dialer->timers, &dial->timer);
    list_remove(&dial->link);
    node->dialer->count--;
    state_release(node, dial->targets, dial->target_capacity * sizeof *dial->targets);
    state_release(node, dial->names, dial->name_count * sizeof *dial->names);
    state_release(node, dial, sizeof *dial);
}

/* The one answer of a dial that did not succeed. */
static void finish(struct node *node, struct dial *dial, int error, uint32_t reason)
{
    dial->is_over = true;
    dial->error = error;
    dial->reason = reason;
    attempts_cancel(node, dial);
    dial_names_cancel(node, dial);
    heap_remove(&node->dialer->timers, &dial->timer);
    list_remove(&dial->link);
    list_push_back(&node->dialer->failed, &dial->link);
    metric_inc(node->env.metrics, METRIC_DIALS_FAILED);
}

static void fail(struct node *node, struct dial *dial)
{
    char said[DIAL_ANSWER_MAX];
    uint32_t reason;
    int error = dial_report_answer(dial, &reason, said);
    (void)errors_fail(node, error, NULL, dial->expected.len > 0 ? &dial->expected : NULL,
                      "the dial failed: %s", said);
    log_write(node->env.log, node->now_us, LOG_INFO, "a dial failed: %s", said);
    finish(node, dial, error, reason);
}

int dial_target_add(struct node *node, struct dial *dial, const struct endpoint *endpoint,
                    uint8_t provenance)
{
    int error = 0;
    for (uint32_t i = 0; i < dial->target_count; i++) {
        if (endpoint_equal(&dial->targets[i].endpoint, endpoint)) return 0;
    }
    if (dial->target_count >= node->env.limits->value[LIMIT_DIAL_ADDRESSES]) return WEIR_E_LIMIT;
    if (dial->target_count == dial->target_capacity) {
        uint32_t capacity = dial->target_capacity == 0 ? TARGETS_FIRST : dial->target_capacity * 2;
        struct dial_target *targets = state_alloc(node, capacity * sizeof *targets, &error);
        if (targets == NULL) return error;
        if (dial->target_count > 0)
            memcpy(targets, dial->targets, dial->target_count * sizeof *targets);
        state_release(node, dial->targets, dial->target_capacity * sizeof *targets);
        dial->targets = targets;
        dial->target_capacity = capacity;
    }
    struct dial_target *target = &dial->targets[dial->target_count++];
    target->endpoint = *endpoint;
    target->provenance = provenance;
    return 0;
}

int dial_add(struct node *node, struct dial *dial, const struct multiaddr *address,
             uint8_t provenance)
{
    if (address->has_peer) {
        if (dial->expected.len > 0 && !peer_id_equal(&dial->expected, &address->peer))
            return errors_fail(
                node, WEIR_E_PEER_ID, NULL, &address->peer,
                "the addresses of one dial belong to one peer: dial each peer by itself");
        dial->expected = address->peer;
    }
    if (address->host == MULTIADDR_HOST_NONE) return 0;
    if (address->kind != ADDRESS_UDP && address->kind != ADDRESS_MEMORY)
        return errors_fail(node, WEIR_E_ADDRESS, NULL, NULL,
                           "weir has no transport for that kind of address");
    int error = address->host == MULTIADDR_HOST_ENDPOINT
                    ? dial_target_add(node, dial, &address->endpoint, provenance)
                    : dial_name_add(node, dial, address, provenance);
    if (error != WEIR_E_LIMIT) return error;
    const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                       .name = LIMIT_DIAL_ADDRESSES,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = node->env.limits->value[LIMIT_DIAL_ADDRESSES],
                                       .max = node->env.limits->value[LIMIT_DIAL_ADDRESSES]};
    return errors_fail(node, error, &limit, NULL,
                       "one dial tries no more than %llu addresses and as many names",
                       (unsigned long long)limit.max);
}

static void target_fail(const struct node *node, struct dial_target *target, int error,
                        uint32_t reason)
{
    target->state = TARGET_FAILED;
    target->error = error;
    target->reason = reason;
    target->end_us = node->now_us;
    if (target->said[0] == 0)
        memcpy(target->said, errors_words(error), strlen(errors_words(error)) + 1);
}

static int try_target(struct node *node, struct dial *dial, struct dial_target *target)
{
    struct transport_dial wanted = {.remote = target->endpoint, .expected = dial->expected};
    struct transport *t = state_transport(node, target->endpoint.family);
    const struct special_row *row = special_of(&target->endpoint);
    const char *why = NULL;
    /* What was heard is in the book only because peers.c asked who told it, and from where. */
    enum address_provenance provenance =
        target->provenance == ADDRESS_HEARD ? ADDRESS_CONFIGURED : target->provenance;
    if (!special_may_dial(&target->endpoint, provenance, NULL, &why)) {
        size_t len = 0;
        const char *parts[] = {why, row == NULL ? "" : ": ", row == NULL ? "" : row->name};
        for (unsigned i = 0; i < 3; i++) {
            for (const char *at = parts[i]; *at != 0 && len < sizeof target->said - 1; at++)
                target->said[len++] = *at;
        }
        return WEIR_E_ADDRESS;
    }
    if (t == NULL) return WEIR_E_ADDRESS;
    int error = node->driver->dial_socket(node->driver_context, &target->endpoint, &wanted.socket);
    if (error != 0) return error;
    metric_inc(node->env.metrics, METRIC_DIAL_ATTEMPTS);
    error = t->ops->dial(t, &wanted, node->now_us, &target->conn);
    if (error != 0) target->conn = NULL;
    return error;
}

static void start(struct node *node, struct dial *dial, struct dial_target *target)
{
    target->start_us = node->now_us;
    target->end_us = 0;
    target->said[0] = 0;
    target->round = dial->round;
    dial->last_family = target->endpoint.family;
    int error = try_target(node, dial, target);
    if (error != 0) {
        target_fail(node, target, error, WEIR_REASON_UNREACHABLE);
        return;
    }
    struct transport_conn *c = target->conn;
    c->node_flags = CONN_ATTEMPT;
    c->node_data = dial;
    c->node_index = (uint32_t)(target - dial->targets);
    target->state = TARGET_TRYING;
    dial->trying++;
    dial->next_start_us = node->now_us + ATTEMPT_DELAY_US;
}

/* Not tried in this round, and worth it: in the first all are, later those that were silent. */
static bool is_next(const struct dial *dial, const struct dial_target *target)
{
    if (target->state != TARGET_FAILED || target->round == dial->round)
        return target->state == TARGET_WAITING;
    return target->error == WEIR_E_TIMEOUT || target->error == WEIR_E_UNREACHABLE;
}

/* RFC 8305 section 4: the families take turns. */
static struct dial_target *pick(const struct dial *dial)
{
    bool last_ip6 =
        dial->last_family == ENDPOINT_NONE ? !dial->ip6_first : dial->last_family == ENDPOINT_IP6;
    struct dial_target *other = NULL;
    for (uint32_t i = 0; i < dial->target_count; i++) {
        struct dial_target *target = &dial->targets[i];
        if (!is_next(dial, target)) continue;
        if ((target->endpoint.family == ENDPOINT_IP6) != last_ip6) return target;
        if (other == NULL) other = target;
    }
    return other;
}

/* All have failed: begin again if nobody said more than nothing. A round that took no time would
 * take none the next time. @return whether there is somebody to try */
static bool begin_round(const struct node *node, struct dial *dial)
{
    char said[DIAL_ANSWER_MAX];
    uint32_t reason;
    if (node->now_us - dial->round_us < ATTEMPT_DELAY_US ||
        dial_report_answer(dial, &reason, said) != WEIR_E_TIMEOUT)
        return false;
    dial->round++;
    dial->round_us = dial->next_start_us = node->now_us;
    dial->last_family = ENDPOINT_NONE;
    return pick(dial) != NULL;
}

static void expire(struct node *node, struct dial *dial)
{
    for (uint32_t i = 0; i < dial->target_count; i++) {
        if (dial->targets[i].state == TARGET_TRYING)
            target_fail(node, &dial->targets[i], WEIR_E_TIMEOUT, WEIR_REASON_UNREACHABLE);
    }
    fail(node, dial);
}

/* Start what may start, then set the timer or give up. */
void dial_step(struct node *node, struct dial *dial)
{
    uint64_t parallel = node->env.limits->value[LIMIT_DIAL_PARALLEL];
    struct dial_target *next;
    if (node->now_us >= dial->deadline_us) {
        expire(node, dial);
        return;
    }
    for (;;) {
        while ((next = pick(dial)) != NULL && dial->trying < parallel &&
               node->now_us >= dial->next_start_us)
            start(node, dial, next);
        if (next != NULL || dial->trying > 0 || dial->names_pending > 0) break;
        if (begin_round(node, dial)) continue;
        fail(node, dial);
        return;
    }
    uint64_t when = dial->deadline_us;
    if (next != NULL && dial->trying < parallel && dial->next_start_us < when)
        when = dial->next_start_us;
    /* It is in the heap already, so this takes no memory. */
    WEIR_ASSERT(heap_set(&node->dialer->timers, &dial->timer, when));
}

int dial_begin(struct node *node, struct dial *dial)
{
    if (!heap_set(&node->dialer->timers, &dial->timer, dial->deadline_us)) return WEIR_E_MEMORY;
    dial->handle = handle_add(&node->handles, HANDLE_CONNECTION, (void *)((uintptr_t)dial | 1));
    if (dial->handle == 0) return WEIR_E_MEMORY;
    metric_inc(node->env.metrics, METRIC_DIALS_STARTED);
    dial_names_begin(node, dial);
    dial_step(node, dial);
    return 0;
}

void dial_on_up(struct node *node, struct transport_conn *c)
{
    struct dial *dial = c->node_data;
    struct dial_target *target = &dial->targets[c->node_index];
    struct multiaddr address = multiaddr_of(&target->endpoint);
    target->state = TARGET_WON;
    target->end_us = node->now_us;
    target->conn = NULL;
    c->node_flags = CONN_TOLD;
    c->node_data = NULL;
    c->handle = dial->handle;
    c->user = dial->user;
    state_handle_move(node, dial->handle, c);
    for (uint32_t i = 0; i < dial->target_count; i++) {
        if (dial->targets[i].state != TARGET_TRYING) continue;
        dial->targets[i].end_us = node->now_us;
        memcpy(dial->targets[i].said, "was slower", sizeof "was slower");
    }
    dial_report_keep(node, dial, c);
    const struct peer_id peer = conns_peer(c);
    if (target->endpoint.family != ENDPOINT_MEMORY) peers_note_success(node, &peer, &address);
    dial_destroy(node, dial);
}

void dial_on_attempt_end(struct node *node, struct transport_conn *c)
{
    struct dial *dial = c->node_data;
    if (dial == NULL) return;
    struct dial_target *target = &dial->targets[c->node_index];
    struct multiaddr address = multiaddr_of(&target->endpoint);
    c->node_data = NULL;
    target->conn = NULL;
    dial_report_end(dial, target, c);
    target_fail(node, target, target->error, target->reason);
    if (dial->expected.len > 0) peers_note_failure(node, &dial->expected, &address);
    dial->trying--;
    dial->next_start_us = node->now_us;
    dial_step(node, dial);
}

uint64_t dial_deadline(const struct node *node)
{
    const struct heap_item *first = node->dialer == NULL ? NULL : heap_first(&node->dialer->timers);
    return first == NULL ? UINT64_MAX : first->when;
}

void dial_on_deadline(struct node *node)
{
    while (dial_deadline(node) <= node->now_us) {
        struct heap_item *item = heap_first(&node->dialer->timers);
        dial_step(node, list_entry(item, struct dial, timer));
    }
}

void dial_cancel(struct node *node, struct dial *dial, uint32_t reason)
{
    if (!dial->is_over) finish(node, dial, 0, reason);
}

void dial_cancel_all(struct node *node, int error, uint32_t reason)
{
    if (node->dialer == NULL) return;
    while (!list_is_empty(&node->dialer->active))
        finish(node, list_first(&node->dialer->active, struct dial, link), error, reason);
}

void dial_cancel_peer(struct node *node, const struct peer_id *peer, int error, uint32_t reason)
{
    if (node->dialer == NULL) return;
    struct list *link = node->dialer->active.next, *next;
    for (; link != &node->dialer->active; link = next) {
        struct dial *dial = list_entry(link, struct dial, link);
        next = link->next;
        if (peer_id_equal(&dial->expected, peer)) finish(node, dial, error, reason);
    }
}

void dial_set_user(struct dial *dial, uint64_t user)
{
    dial->user = user;
}

bool dial_has_failed(const struct node *node)
{
    return node->dialer != NULL && !list_is_empty(&node->dialer->failed);
}

bool dial_next_failed(struct node *node, weir_event *event)
{
    if (!dial_has_failed(node)) return false;
    struct dial *dial = list_first(&node->dialer->failed, struct dial, link);
    list_remove(&dial->link);
    list_push_back(&node->dialer->gone, &dial->link);
    *event = (weir_event){.kind = WEIR_EVENT_CONNECTION_CLOSED,
                          .error = dial->error,
                          .object = dial->handle,
                          .user = dial->user,
                          .amount = dial->reason,
                          .time_us = node->now_us,
                          .node = node->number};
    return true;
}

void dial_on_turn(struct node *node)
{
    if (node->dialer == NULL) return;
    while (!list_is_empty(&node->dialer->gone)) {
        struct dial *dial = list_first(&node->dialer->gone, struct dial, link);
        handle_remove(&node->handles, dial->handle);
        dial_destroy(node, dial);
    }
    if (node->dialer->count == 0) dialer_close(node);
}

void dial_free_all(struct node *node)
{
    if (node->dialer == NULL) return;
    struct list *lists[] = {&node->dialer->active, &node->dialer->failed, &node->dialer->gone};
    for (unsigned i = 0; i < 3; i++) {
        while (!list_is_empty(lists[i]))
            dial_destroy(node, list_first(lists[i], struct dial, link));
    }
    dialer_close(node);
}
