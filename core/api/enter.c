/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

int enter_node(const weir_node *handle, struct node **out)
{
    *out = (struct node *)(uintptr_t)handle;
    if (handle == NULL) return WEIR_E_NULL;
    return node_is_closed(*out) ? WEIR_E_CLOSED : 0;
}

int enter_fail(struct node *node, int code, const char *sentence)
{
    weir_error *facts = node_error(node);
    if (facts == NULL) return code; /* no memory for more than the number */
    if (sentence == NULL) sentence = weir_strerror(code);
    size_t len = strlen(sentence);
    if (len > sizeof facts->detail - 1) len = sizeof facts->detail - 1;
    memset(facts, 0, sizeof *facts);
    facts->size = sizeof *facts;
    facts->code = code;
    memcpy(facts->detail, sentence, len);
    return code;
}

int64_t enter_call(struct node *node, const struct node_call *call)
{
    struct node_input in = {.kind = NODE_INPUT_CALL, .call = call};
    in.now_us = node_driver_of(node)->now_us(node_driver_context(node));
    return node_input(node, &in);
}

int enter_reason(struct node *node, uint32_t reason)
{
    if (reason <= ENTER_REASON_MAX) return 0;
    return enter_fail(node, WEIR_E_ARGUMENT,
                      "reasons of the application are below 0x10000000; the rest is weir's");
}

int enter_failure_reason(struct node *node, uint32_t reason)
{
    switch (reason) {
    case WEIR_REASON_OVERLOAD:
    case WEIR_REASON_LIMIT:
    case WEIR_REASON_CANCELLED:
    case WEIR_REASON_TOO_LARGE:
    case WEIR_REASON_TOO_SLOW:
    case WEIR_REASON_DEADLINE:
    case WEIR_REASON_FORMAT:
    case WEIR_REASON_SCRIPT:
    case WEIR_REASON_SCRIPT_LIMIT: return 0;
    default: return enter_reason(node, reason);
    }
}

int enter_peer(const weir_peer_id *given, struct peer_id *id)
{
    if (given == NULL) return WEIR_E_NULL;
    if (given->len > sizeof given->bytes) return WEIR_E_PEER_ID;
    return peer_id_from_bytes(id, given->bytes, given->len);
}

void enter_peer_out(const struct peer_id *id, weir_peer_id *out)
{
    memset(out, 0, sizeof *out);
    out->len = id->len;
    memcpy(out->bytes, id->bytes, id->len);
}

int32_t enter_simple(weir_node *handle, uint32_t kind, uint64_t object, uint32_t flags,
                     uint64_t number)
{
    struct node *node;
    struct node_call call = {.kind = kind, .flags = flags, .object = object, .number = number};
    int error = enter_node(handle, &node);
    return error != 0 ? error : (int32_t)enter_call(node, &call);
}

int32_t enter_text(weir_node *handle, uint32_t kind, const char *text, uint32_t flags)
{
    struct node *node;
    struct node_call call = {.kind = kind, .flags = flags, .data = text};
    int error = enter_node(handle, &node);
    if (error != 0) return error;
    if (text == NULL) return enter_fail(node, WEIR_E_NULL, NULL);
    call.len = strlen(text);
    return (int32_t)enter_call(node, &call);
}

int32_t enter_text_out(const char *text, size_t len, char *out, uint32_t cap)
{
    if (len >= cap) {
        if (cap > 0) out[0] = '\0';
        return WEIR_E_SPACE;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return (int32_t)len;
}
