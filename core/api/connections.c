/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

WEIR_API int64_t weir_node_dial(weir_node *node, const char *address,
                                const weir_dial_options *options)
{
    struct node *n;
    weir_dial_options whole;
    struct node_call call = {.kind = NODE_CALL_DIAL, .data = address, .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (address == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    call.len = strlen(address);
    return enter_call(n, &call);
}

WEIR_API int32_t weir_connection_get_info(weir_node *node, uint64_t connection,
                                          weir_connection_info *info)
{
    struct node *n;
    weir_connection_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error == 0) error = node_connection_info(n, connection, &whole);
    if (error != 0) return enter_fail(n, error, NULL);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}

WEIR_API int32_t weir_connection_report(weir_node *node, uint64_t connection, char *text,
                                        uint32_t cap)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (text == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    if (cap == 0) return enter_fail(n, WEIR_E_SPACE, NULL);
    int result = node_connection_report(n, connection, text, cap);
    return result < 0 ? enter_fail(n, result, NULL) : result;
}

WEIR_API int32_t weir_connection_observed(weir_node *node, uint64_t connection, char *text,
                                          uint32_t cap)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (text == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    if (cap == 0) return enter_fail(n, WEIR_E_SPACE, NULL);
    int result = node_connection_observed(n, connection, text, cap);
    return result < 0 ? enter_fail(n, result, NULL) : result;
}

WEIR_API int32_t weir_connection_close(weir_node *node, uint64_t connection, uint32_t reason,
                                       const char *text)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_CONNECTION_CLOSE, .object = connection, .flags = reason, .data = text};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = enter_reason(n, reason);
    if (error != 0) return error;
    if (text != NULL) call.len = strlen(text);
    return (int32_t)enter_call(n, &call);
}

WEIR_API int32_t weir_connection_set_user(weir_node *node, uint64_t connection, uint64_t user)
{
    return enter_simple(node, NODE_CALL_CONNECTION_SET_USER, connection, 0, user);
}
