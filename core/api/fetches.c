/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

enum { URGENCY_MAX = 7 };

WEIR_API int64_t weir_fetch_open(weir_node *node, const char *protocol,
                                 const weir_fetch_options *options)
{
    struct node *n;
    weir_fetch_options whole;
    struct node_call call = {.kind = NODE_CALL_FETCH_OPEN, .data = protocol, .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (protocol == NULL || options == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    if (whole.data == NULL && whole.data_len > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    if (whole.urgency_plus1 > URGENCY_MAX + 1)
        return enter_fail(n, WEIR_E_ARGUMENT, "urgency_plus1 is 0 (the default) or 1 to 8");
    call.len = strlen(protocol);
    return enter_call(n, &call);
}

WEIR_API int32_t weir_fetch_add(weir_node *node, uint64_t fetch, uint64_t connection)
{
    return enter_simple(node, NODE_CALL_FETCH_ADD, fetch, 0, connection);
}

WEIR_API int64_t weir_fetch_read(weir_node *node, uint64_t fetch, uint64_t *offset, void *data,
                                 uint32_t cap)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_FETCH_READ,
                             .object = fetch,
                             .out = data,
                             .cap = cap,
                             .number_out = offset};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (offset == NULL || (data == NULL && cap > 0)) return enter_fail(n, WEIR_E_NULL, NULL);
    return enter_call(n, &call);
}

WEIR_API int32_t weir_fetch_reject(weir_node *node, uint64_t fetch, uint64_t offset)
{
    return enter_simple(node, NODE_CALL_FETCH_REJECT, fetch, 0, offset);
}

WEIR_API int32_t weir_fetch_get_info(weir_node *node, uint64_t fetch, weir_fetch_info *info)
{
    struct node *n;
    weir_fetch_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error == 0) error = node_fetch_info(n, fetch, &whole);
    if (error != 0) return enter_fail(n, error, NULL);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}

WEIR_API int32_t weir_fetch_cancel(weir_node *node, uint64_t fetch)
{
    return enter_simple(node, NODE_CALL_FETCH_CANCEL, fetch, 0, 0);
}
