/* SPDX-License-Identifier: MIT */
/* Peer ids and addresses as text, and what a node knows of its peers. */
#include "address/address.h"
#include "api/enter.h"
#include "host/fail.h"
#include <string.h>

WEIR_API int32_t weir_peer_parse(const char *text, weir_peer_id *peer)
{
    struct peer_id id;
    if (text == NULL || peer == NULL) return WEIR_E_NULL;
    memset(peer, 0, sizeof *peer);
    int error = peer_id_parse(&id, text, strlen(text));
    if (error == 0) enter_peer_out(&id, peer);
    return error;
}

WEIR_API int32_t weir_peer_format(const weir_peer_id *peer, char *text, uint32_t cap)
{
    struct peer_id id;
    char whole[PEER_ID_TEXT_SIZE];
    if (peer == NULL || text == NULL) return WEIR_E_NULL;
    int error = enter_peer(peer, &id);
    if (error != 0) return error;
    size_t len = peer_id_format(&id, whole);
    return enter_text_out(whole, len, text, cap);
}

WEIR_API int32_t weir_address_normalize(const char *text, char *text_out, uint32_t cap,
                                        weir_error *error)
{
    struct multiaddr parsed;
    struct address_error where = {0, ""};
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (text == NULL || text_out == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    if (cap > 0) text_out[0] = '\0';
    result = address_parse(&parsed, text, strlen(text), 0, 0, &where);
    if (result < 0) {
        fail_with(&facts, result, "not an address: %s (at byte %u)", where.sentence, where.offset);
    } else {
        result = multiaddr_format(&parsed, text_out, cap);
    }
    return facts_end(&facts, error, result);
}

WEIR_API int32_t weir_peer_list(weir_node *node, weir_peer_info *peers, uint32_t cap)
{
    struct node *n;
    struct node_peer_cursor cursor = {0};
    weir_peer_info whole;
    uint32_t size = 0;
    int32_t count = 0;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (cap > 0) {
        error = options_out_check(peers);
        if (error != 0) return enter_fail(n, error, NULL);
        size = peers->size;
    }
    for (; node_peer_next(n, &cursor, &whole); count++) {
        if ((uint32_t)count >= cap) continue;
        /* Elements lie as far apart as the caller compiled them. */
        uint8_t *element = (uint8_t *)peers + (size_t)count * size;
        memcpy(element, &size, sizeof size);
        options_out_write(element, &whole, sizeof whole);
    }
    return count;
}

/* A call about a peer that has no other pointer. */
static int64_t call_peer(weir_node *node, const weir_peer_id *peer, struct node_call *call)
{
    struct node *n;
    struct peer_id id;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = enter_peer(peer, &id);
    if (error != 0) return enter_fail(n, error, NULL);
    call->peer = &id;
    return enter_call(n, call);
}

WEIR_API int32_t weir_peer_get_info(weir_node *node, const weir_peer_id *peer, weir_peer_info *info)
{
    struct node *n;
    struct peer_id id;
    weir_peer_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error == 0) error = enter_peer(peer, &id);
    if (error == 0) error = node_peer_info(n, &id, &whole);
    if (error != 0) return enter_fail(n, error, NULL);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}

WEIR_API int32_t weir_peer_hold(weir_node *node, const weir_peer_id *peer)
{
    struct node_call call = {.kind = NODE_CALL_PEER_HOLD};
    return (int32_t)call_peer(node, peer, &call);
}

WEIR_API int32_t weir_peer_release(weir_node *node, const weir_peer_id *peer)
{
    struct node_call call = {.kind = NODE_CALL_PEER_RELEASE};
    return (int32_t)call_peer(node, peer, &call);
}

WEIR_API int64_t weir_peer_dial(weir_node *node, const weir_peer_id *peer,
                                const weir_dial_options *options)
{
    struct node *n;
    weir_dial_options whole;
    struct node_call call = {.kind = NODE_CALL_PEER_DIAL, .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    return call_peer(node, peer, &call);
}

WEIR_API int32_t weir_peer_add_address(weir_node *node, const weir_peer_id *peer,
                                       const char *address)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_PEER_ADD_ADDRESS, .data = address};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (address == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    call.len = strlen(address);
    return (int32_t)call_peer(node, peer, &call);
}

WEIR_API int32_t weir_peer_hear(weir_node *node, const weir_peer_id *peer, const char *address,
                                const weir_peer_id *from)
{
    struct node *n;
    struct peer_id source;
    struct node_call call = {.kind = NODE_CALL_PEER_HEAR, .data = address, .from = &source};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (address == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    error = enter_peer(from, &source);
    if (error != 0) return enter_fail(n, error, NULL);
    call.len = strlen(address);
    return (int32_t)call_peer(node, peer, &call);
}

WEIR_API int32_t weir_peer_address(weir_node *node, const weir_peer_id *peer, uint32_t i,
                                   char *text, uint32_t cap)
{
    struct node *n;
    struct peer_id id;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = enter_peer(peer, &id);
    if (error == 0 && text == NULL) error = WEIR_E_NULL;
    if (error != 0) return enter_fail(n, error, NULL);
    int result = node_peer_address(n, &id, i, text, cap);
    return result < 0 ? enter_fail(n, result, NULL) : result;
}

static int check_access(struct node *n, uint32_t access)
{
    if (access <= WEIR_ACCESS_REFUSE) return 0;
    return enter_fail(n, WEIR_E_ARGUMENT, "access is one of WEIR_ACCESS_*: 0 to 2");
}

WEIR_API int32_t weir_peer_access(weir_node *node, const weir_peer_id *peer, uint32_t access)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_PEER_ACCESS, .flags = access};
    int error = enter_node(node, &n);
    if (error == 0) error = check_access(n, access);
    return error != 0 ? error : (int32_t)call_peer(node, peer, &call);
}

WEIR_API int32_t weir_network_access(weir_node *node, const char *name, uint32_t access)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == 0) error = check_access(n, access);
    return error != 0 ? error : enter_text(node, NODE_CALL_NETWORK_ACCESS, name, access);
}
