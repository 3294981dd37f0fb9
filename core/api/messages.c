/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

enum { URGENCY_MAX = 7, TEXT_MAX = 120 };

/* What both kinds of sending share. */
static int64_t send(weir_node *node, struct node_call *call, const char *protocol,
                    uint32_t urgency_plus1)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (protocol == NULL || (call->data == NULL && call->len > 0))
        return enter_fail(n, WEIR_E_NULL, NULL);
    if (urgency_plus1 > URGENCY_MAX + 1)
        return enter_fail(n, WEIR_E_ARGUMENT, "urgency_plus1 is 0 (the default) or 1 to 8");
    call->key = protocol;
    call->key_len = strlen(protocol);
    return enter_call(n, call);
}

WEIR_API int32_t weir_message_send(weir_node *node, uint64_t connection, const char *protocol,
                                   const void *data, uint32_t len,
                                   const weir_message_options *options)
{
    struct node *n;
    weir_message_options whole;
    struct node_call call = {.kind = NODE_CALL_MESSAGE_SEND,
                             .object = connection,
                             .data = data,
                             .len = len,
                             .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    if (whole.overflow > WEIR_OVERFLOW_MERGE)
        return enter_fail(n, WEIR_E_ARGUMENT, "overflow is 0 or one of WEIR_OVERFLOW_*");
    return (int32_t)send(node, &call, protocol, whole.urgency_plus1);
}

WEIR_API int64_t weir_message_read(weir_node *node, uint64_t object, void *data, uint32_t cap)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_MESSAGE_READ, .object = object, .out = data, .cap = cap};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && cap > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    return enter_call(n, &call);
}

WEIR_API int64_t weir_request_send(weir_node *node, uint64_t connection, const char *protocol,
                                   const void *data, uint32_t len,
                                   const weir_request_options *options)
{
    struct node *n;
    weir_request_options whole;
    struct node_call call = {.kind = NODE_CALL_REQUEST_SEND,
                             .object = connection,
                             .data = data,
                             .len = len,
                             .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    if ((whole.flags & ~(WEIR_MORE | WEIR_CHUNKED)) != 0)
        return enter_fail(n, WEIR_E_ARGUMENT, "a request's flags are WEIR_CHUNKED and WEIR_MORE");
    return send(node, &call, protocol, whole.urgency_plus1);
}

WEIR_API int64_t weir_request_respond(weir_node *node, uint64_t request, const void *data,
                                      uint32_t len, uint32_t flags)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_REQUEST_RESPOND,
                             .object = request,
                             .data = data,
                             .len = len,
                             .flags = flags};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && len > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    if ((flags & ~WEIR_MORE) != 0)
        return enter_fail(n, WEIR_E_ARGUMENT, "the flags of a response are 0 or WEIR_MORE");
    return enter_call(n, &call);
}

WEIR_API int32_t weir_request_refuse(weir_node *node, uint64_t request, uint32_t reason,
                                     uint64_t retry_us, const char *text)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_REQUEST_REFUSE,
                             .object = request,
                             .flags = reason,
                             .number = retry_us,
                             .data = text};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (reason != WEIR_REASON_OVERLOAD) error = enter_reason(n, reason);
    if (error != 0) return error;
    if (text != NULL) call.len = strnlen(text, TEXT_MAX);
    return (int32_t)enter_call(n, &call);
}

WEIR_API int32_t weir_request_cancel(weir_node *node, uint64_t request, uint32_t reason)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == 0) error = enter_failure_reason(n, reason);
    return error != 0 ? error : enter_simple(node, NODE_CALL_REQUEST_CANCEL, request, reason, 0);
}

WEIR_API int32_t weir_request_get_info(weir_node *node, uint64_t request, weir_request_info *info)
{
    struct node *n;
    weir_request_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error == 0) error = node_request_info(n, request, &whole);
    if (error != 0) return enter_fail(n, error, NULL);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}
