/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

enum { URGENCY_MAX = 7 };

WEIR_API int64_t weir_stream_open(weir_node *node, uint64_t connection, const char *protocol,
                                  const weir_stream_options *options)
{
    struct node *n;
    weir_stream_options whole;
    struct node_call call = {
        .kind = NODE_CALL_STREAM_OPEN, .object = connection, .data = protocol, .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (protocol == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    if (whole.urgency_plus1 > URGENCY_MAX + 1) {
        return enter_fail(n, WEIR_E_ARGUMENT, "urgency_plus1 is 0 (the default) or 1 to 8");
    }
    if ((whole.flags & ~WEIR_ONE_WAY) != 0) {
        return enter_fail(n, WEIR_E_ARGUMENT, "a stream's flags are 0 or WEIR_ONE_WAY");
    }
    call.len = strlen(protocol);
    return enter_call(n, &call);
}

WEIR_API int64_t weir_stream_write(weir_node *node, uint64_t stream, const void *data, uint32_t len,
                                   uint32_t flags)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_STREAM_WRITE, .object = stream, .data = data, .len = len, .flags = flags};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && len > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    if ((flags & ~(WEIR_MORE | WEIR_FIN)) != 0) {
        return enter_fail(n, WEIR_E_ARGUMENT, "a write's flags are WEIR_MORE and WEIR_FIN");
    }
    return enter_call(n, &call);
}

WEIR_API int32_t weir_stream_flush(weir_node *node, uint64_t stream)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_STREAM_FLUSH, .object = stream};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = (int)enter_call(n, &call);
    if (error == 0) node_driver_of(n)->flush(node_driver_context(n));
    return error;
}

WEIR_API int64_t weir_stream_peek(weir_node *node, uint64_t stream, const void **data)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_STREAM_PEEK, .object = stream, .out = data, .cap = sizeof *data};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    *data = NULL;
    return enter_call(n, &call);
}

WEIR_API int32_t weir_datagram_send(weir_node *node, uint64_t stream, const void *data,
                                    uint32_t len)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_DATAGRAM_SEND, .object = stream, .data = data, .len = len};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && len > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    return (int32_t)enter_call(n, &call);
}

WEIR_API int64_t weir_datagram_read(weir_node *node, uint64_t stream, void *data, uint32_t cap)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_DATAGRAM_READ, .object = stream, .out = data, .cap = cap};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && cap > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    return enter_call(n, &call);
}

WEIR_API int32_t weir_stream_consume(weir_node *node, uint64_t stream, uint64_t bytes)
{
    return enter_simple(node, NODE_CALL_STREAM_CONSUME, stream, 0, bytes);
}

WEIR_API int64_t weir_stream_read(weir_node *node, uint64_t stream, void *data, uint32_t cap)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_STREAM_READ, .object = stream, .out = data, .cap = cap};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && cap > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    return enter_call(n, &call);
}

WEIR_API int32_t weir_stream_finish(weir_node *node, uint64_t stream)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_STREAM_WRITE, .object = stream, .flags = WEIR_FIN};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = (int)enter_call(n, &call);
    /* A lane that ended in whatever way needs no finish. */
    bool is_over =
        error == WEIR_E_FINISHED || error == WEIR_E_STOPPED || error == WEIR_E_NOT_CONNECTED;
    return is_over ? 0 : error;
}

WEIR_API int32_t weir_stream_reset(weir_node *node, uint64_t stream, uint32_t reason)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == 0) error = enter_failure_reason(n, reason);
    return error != 0 ? error : enter_simple(node, NODE_CALL_STREAM_RESET, stream, reason, 0);
}

WEIR_API int32_t weir_stream_stop(weir_node *node, uint64_t stream, uint32_t reason)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == 0) error = enter_failure_reason(n, reason);
    return error != 0 ? error : enter_simple(node, NODE_CALL_STREAM_STOP, stream, reason, 0);
}

WEIR_API int32_t weir_stream_set_urgency(weir_node *node, uint64_t stream, uint32_t urgency)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (urgency > URGENCY_MAX) {
        return enter_fail(n, WEIR_E_ARGUMENT, "urgency is 0 (first) to 7");
    }
    return enter_simple(node, NODE_CALL_STREAM_SET_URGENCY, stream, urgency, 0);
}

WEIR_API int32_t weir_stream_set_user(weir_node *node, uint64_t stream, uint64_t user)
{
    return enter_simple(node, NODE_CALL_STREAM_SET_USER, stream, 0, user);
}

WEIR_API int32_t weir_stream_get_info(weir_node *node, uint64_t stream, weir_stream_info *info)
{
    struct node *n;
    weir_stream_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error == 0) error = node_stream_info(n, stream, &whole);
    if (error != 0) return enter_fail(n, error, NULL);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}
