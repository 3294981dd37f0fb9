/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_FAKE_NODE_H
#define WEIR_TEST_FAKE_NODE_H
/* A node for the world's tests: all functions of node/node.h, scripted by the test. It writes each
 * input into one diary that all nodes share, so that a test sees their order. Being part of the
 * test program it takes the place of the real engine at the linker.
 *
 * A datagram "ping" is answered with "pong"; one that begins with 'e' makes an event. */
#include "base/assert.h"
#include "node/node.h"
#include <stdio.h>
#include <string.h>

struct node {
    struct node_config config;
    struct key_pair key;
    uint64_t number;
    bool is_closed;
    uint64_t deadline_us;      /* UINT64_MAX: none */
    uint64_t repeat_us;        /* from one deadline to the next; 0: the same instant */
    uint32_t repeats;
    uint32_t socket;
    struct endpoint listens;
    bool deadline_makes_event;
    bool turn_sends;           /* a turn sends "turn" to turn_to */
    struct endpoint turn_to;
    struct {
        struct endpoint to;
        char text[16];
    } outbox[8];
    uint32_t outbox_count;
    weir_event events[8];
    uint32_t events_count;
    struct node_input resolved;
    struct endpoint resolved_first;
};

static char fake_diary[4096];

static void fake_note(const struct node *n, const char *what, uint64_t now_us)
{
    size_t len = strlen(fake_diary);

    snprintf(fake_diary + len, sizeof fake_diary - len, "%s%u:%s@%llu", len > 0 ? " " : "",
             (unsigned)n->number, what, (unsigned long long)now_us);
}

static void fake_send(struct node *n, const struct endpoint *to, const char *text)
{
    WEIR_ASSERT(n->outbox_count < 8);
    n->outbox[n->outbox_count].to = *to;
    snprintf(n->outbox[n->outbox_count].text, sizeof n->outbox[0].text, "%s", text);
    n->outbox_count++;
}

static void fake_event(struct node *n, uint32_t kind, uint64_t amount, uint64_t now_us)
{
    WEIR_ASSERT(n->events_count < 8);
    n->events[n->events_count++] = (weir_event){.kind = kind, .amount = amount, .time_us = now_us};
}

int node_open(const struct node_config *config, struct node **out)
{
    struct node *n = mem_alloc(config->mem, sizeof *n);

    if (n == NULL) return WEIR_E_MEMORY;
    n->config = *config;
    n->key = *config->key;
    n->deadline_us = n->repeat_us = UINT64_MAX;
    *out = n;
    return 0;
}

void node_close(struct node *n)
{
    n->is_closed = true;
}

bool node_is_closed(const struct node *n)
{
    return n->is_closed;
}

void node_free(struct node *n)
{
    n->config.driver->unlisten(n->config.driver_context, n->socket);
    mem_free(n->config.mem, n, sizeof *n);
}

void node_close_connections(struct node *n, uint32_t reason, uint64_t now_us)
{
    (void)n;
    (void)reason;
    (void)now_us;
}

static int64_t fake_listen(struct node *n, const struct node_call *call)
{
    struct endpoint want;

    if (endpoint_parse(&want, call->data, call->len) != 0) return WEIR_E_ADDRESS;
    return n->config.driver->listen(n->config.driver_context, &want, &n->listens, &n->socket, NULL);
}

static void fake_on_datagram(struct node *n, const struct datagram_in *in, uint64_t now_us)
{
    char text[16];

    snprintf(text, sizeof text, "%.*s", (int)in->len, (const char *)in->data);
    fake_note(n, text, now_us);
    if (strcmp(text, "ping") == 0) fake_send(n, &in->remote, "pong");
    if (text[0] == 'e') fake_event(n, WEIR_EVENT_READABLE, in->len, now_us);
    in->data[0] = 'X'; /* An engine may change the bytes in place. */
}

static void fake_on_deadline(struct node *n, uint64_t now_us)
{
    fake_note(n, "deadline", now_us);
    if (n->deadline_makes_event) fake_event(n, WEIR_EVENT_WRITABLE, 0, now_us);
    if (n->repeats > 0) {
        n->repeats--;
        n->deadline_us = now_us + n->repeat_us;
    } else {
        n->deadline_us = UINT64_MAX;
    }
}

/* It has no local streams. */
int64_t node_local_peek(const struct node *n, uint64_t token, const uint8_t **data, bool *fin)
{
    (void)n;
    (void)token;
    *data = NULL;
    *fin = false;
    return WEIR_E_STALE;
}

int64_t node_local_credit(struct node *n, uint64_t token)
{
    (void)n;
    (void)token;
    return WEIR_E_STALE;
}

int64_t node_input(struct node *n, const struct node_input *in)
{
    WEIR_ASSERT(!n->is_closed);
    /* A real engine may ask for the time in the middle of an input. */
    WEIR_ASSERT(n->config.driver->now_us(n->config.driver_context) == in->now_us);
    switch (in->kind) {
    case NODE_INPUT_CALL:
        return fake_listen(n, in->call);
    case NODE_INPUT_DATAGRAM:
        fake_on_datagram(n, in->datagram, in->now_us);
        return 0;
    case NODE_INPUT_DEADLINE:
        fake_on_deadline(n, in->now_us);
        return 0;
    case NODE_INPUT_TURN:
        fake_note(n, "turn", in->now_us);
        if (n->turn_sends) fake_send(n, &n->turn_to, "turn");
        return 0;
    default:
        fake_note(n, "resolved", in->now_us);
        n->resolved = *in;
        if (in->resolved.count > 0) n->resolved_first = in->resolved.addresses[0];
        return 0;
    }
}

bool node_next_datagram(struct node *n, struct datagram_out *out, uint64_t now_us)
{
    uint32_t i;

    (void)now_us;
    if (n->outbox_count == 0) return false;
    out->remote = n->outbox[0].to;
    out->socket = n->socket;
    out->len = out->segment = strlen(n->outbox[0].text);
    WEIR_ASSERT(out->cap >= 1500);
    memcpy(out->data, n->outbox[0].text, out->len);
    for (i = 1; i < n->outbox_count; i++) n->outbox[i - 1] = n->outbox[i];
    n->outbox_count--;
    return true;
}

uint64_t node_deadline(const struct node *n)
{
    return n->deadline_us;
}

uint32_t node_next_events(struct node *n, weir_event *events, uint32_t cap)
{
    uint32_t i, count = n->events_count < cap ? n->events_count : cap;

    for (i = 0; i < count; i++) events[i] = n->events[i];
    for (i = count; i < n->events_count; i++) n->events[i - count] = n->events[i];
    n->events_count -= count;
    return count;
}

bool node_has_events(const struct node *n)
{
    return n->events_count > 0;
}

void *node_driver_context(const struct node *n)
{
    return n->config.driver_context;
}

const struct node_driver *node_driver_of(const struct node *n)
{
    return n->config.driver;
}

struct metrics *node_metrics(struct node *n)
{
    return n->config.metrics;
}

struct log *node_log(struct node *n)
{
    return n->config.log;
}

weir_error *node_error(struct node *n)
{
    (void)n;
    return NULL;
}

uint64_t node_number(const struct node *n)
{
    return n->number;
}

void node_set_number(struct node *n, uint32_t number)
{
    n->number = number;
}

bool node_is_drained(const struct node *n)
{
    (void)n;
    return false;
}

uint64_t node_memory_used(const struct node *n)
{
    (void)n;
    return 0;
}
#endif
