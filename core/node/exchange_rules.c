/* SPDX-License-Identifier: MIT */
/* What weir_node_serve says of messages and requests. */
#include "node/exchange.h"
#include <string.h>

enum {
    QUEUE_PER_PEER = 64,
    QUEUE_MAX = 1024,
    DEADLINE_US = 30000000,
    PROGRESS_US = 10000000,
    RETRY_US = 1000000
};

static int fail_too_long(struct node *node, uint64_t asked, uint64_t max, enum limit name,
                         const char *what)
{
    const struct limit_record limit = {.scope = LIMIT_SCOPE_STREAM,
                                       .name = (uint16_t)name,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = asked,
                                       .max = max};
    return errors_fail(node, WEIR_E_ARGUMENT, &limit, NULL, "%s", what);
}

/* What is not chunked waits in its lane until it is whole, so a window must hold it. */
static int size_rules(struct node *node, const weir_serve_options *o, struct exchange_rules *rules)
{
    const uint64_t *v = node->env.limits->value;
    uint64_t longest = v[LIMIT_MESSAGE_BYTES], window = v[LIMIT_STREAM_WINDOW_FIRST];
    uint64_t most = longest < window ? longest : window;
    uint64_t message = o->message_max_bytes == 0 ? most : o->message_max_bytes;
    uint64_t request = o->request_max_bytes;
    if (request == 0) request = o->request_chunked != 0 ? longest : most;
    if (message > most)
        return fail_too_long(node, message, most,
                             most == longest ? LIMIT_MESSAGE_BYTES : LIMIT_STREAM_WINDOW_FIRST,
                             "message_max_bytes is more than a message may have");
    if (request > window && o->request_chunked == 0)
        return fail_too_long(node, request, window, LIMIT_STREAM_WINDOW_FIRST,
                             "request_max_bytes is more than a stream's first window: set "
                             "request_chunked, or raise stream_window_bytes");
    rules->message_max_bytes = (uint32_t)message;
    rules->request_max_bytes = (uint32_t)request;
    rules->response_max_bytes = o->response_max_bytes == 0 ? UINT64_MAX : o->response_max_bytes;
    return 0;
}

int exchanges_rules(struct node *node, const weir_serve_options *o, struct exchange_rules *rules)
{
    memset(rules, 0, sizeof *rules);
    bool needs = (o->kinds & WEIR_KIND_MESSAGE) != 0;
    bool drops = o->overflow == WEIR_OVERFLOW_DROP_NEW || o->overflow == WEIR_OVERFLOW_DROP_OLD;
    if (!drops && (needs || o->overflow != 0))
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "overflow of messages must be given: WEIR_OVERFLOW_DROP_NEW or "
                           "WEIR_OVERFLOW_DROP_OLD");
    if (o->request_chunked > 1)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL, "request_chunked is 0 or 1");
    rules->overflow = (uint8_t)o->overflow;
    rules->request_chunked = o->request_chunked != 0;
    rules->queue_per_peer = o->queue_per_peer == 0 ? QUEUE_PER_PEER : o->queue_per_peer;
    rules->queue_max = o->queue_max == 0 ? QUEUE_MAX : o->queue_max;
    rules->deadline_us = o->deadline_us == 0 ? DEADLINE_US : o->deadline_us;
    rules->progress_us = o->progress_us == 0 ? PROGRESS_US : o->progress_us;
    rules->progress_bytes = o->progress_bytes == 0 ? 1 : o->progress_bytes;
    rules->retry_us = o->retry_us == 0 ? RETRY_US : o->retry_us;
    rules->user = o->user;
    return size_rules(node, o, rules);
}
