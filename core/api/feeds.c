/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

enum { URGENCY_MAX = 7 };

WEIR_API int64_t weir_feed_open(weir_node *node, const char *name, const weir_feed_options *options)
{
    struct node *n;
    weir_feed_options whole;
    struct node_call call = {.kind = NODE_CALL_FEED_OPEN, .data = name, .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (name == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    if (whole.urgency_plus1 > URGENCY_MAX + 1)
        return enter_fail(n, WEIR_E_ARGUMENT, "urgency_plus1 is 0 (the default) or 1 to 8");
    call.len = strlen(name);
    return enter_call(n, &call);
}

static int64_t publish(weir_node *node, struct node_call *call)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    bool is_missing =
        (call->key == NULL && call->key_len > 0) || (call->data == NULL && call->len > 0);
    return is_missing ? enter_fail(n, WEIR_E_NULL, NULL) : enter_call(n, call);
}

WEIR_API int64_t weir_feed_publish(weir_node *node, uint64_t feed, const void *key,
                                   uint32_t key_len, const void *data, uint32_t len)
{
    struct node_call call = {.kind = NODE_CALL_FEED_PUBLISH,
                             .object = feed,
                             .key = key,
                             .key_len = key_len,
                             .data = data,
                             .len = len};
    return publish(node, &call);
}

WEIR_API int64_t weir_feed_add(weir_node *node, uint64_t feed, const void *key, uint32_t key_len,
                               int64_t amount)
{
    struct node_call call = {.kind = NODE_CALL_FEED_ADD,
                             .object = feed,
                             .key = key,
                             .key_len = key_len,
                             .number = (uint64_t)amount};
    return publish(node, &call);
}

WEIR_API int32_t weir_feed_close(weir_node *node, uint64_t feed, uint32_t reason)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == 0) error = enter_reason(n, reason);
    return error != 0 ? error : enter_simple(node, NODE_CALL_FEED_CLOSE, feed, reason, 0);
}

WEIR_API int64_t weir_feed_subscribe(weir_node *node, uint64_t connection, const char *name,
                                     uint64_t user)
{
    struct node *n;
    struct node_call call = {
        .kind = NODE_CALL_FEED_SUBSCRIBE, .object = connection, .data = name, .number = user};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (name == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    call.len = strlen(name);
    return enter_call(n, &call);
}

WEIR_API int64_t weir_feed_read(weir_node *node, uint64_t subscription, weir_feed_item *item,
                                void *data, uint32_t cap)
{
    struct node *n;
    weir_feed_item whole = {.size = sizeof whole};
    struct node_call call = {.kind = NODE_CALL_FEED_READ,
                             .object = subscription,
                             .out = data,
                             .cap = cap,
                             .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (data == NULL && cap > 0) return enter_fail(n, WEIR_E_NULL, NULL);
    error = options_out_check(item);
    if (error != 0) return enter_fail(n, error, NULL);
    int64_t len = enter_call(n, &call);
    if (len >= 0) options_out_write(item, &whole, sizeof whole);
    return len;
}

WEIR_API int32_t weir_feed_get_info(weir_node *node, uint64_t feed, weir_feed_info *info)
{
    struct node *n;
    weir_feed_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error == 0) error = node_feed_info(n, feed, &whole);
    if (error != 0) return enter_fail(n, error, NULL);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}
