/* SPDX-License-Identifier: MIT */
/* The calls that dial: addresses in, a dial out. */
#include "address/address.h"
#include "address/book.h"
#include "base/assert.h"
#include "node/drain.h"
#include "node/dial_table.h"
#include "node/errors.h"
#include "node/events.h"
#include "node/peers.h"
#include "node/registry.h"
#include <string.h>

static int add_text(struct node *node, struct dial *dial, const char *text, size_t len)
{
    struct address_error why = {0};
    struct multiaddr address;
    while (len > 0 && *text == ' ') text++, len--;
    while (len > 0 && text[len - 1] == ' ') len--;
    int error = address_parse(&address, text, len, 0, 0, &why);
    if (error != 0)
        return errors_fail(node, error, NULL, NULL, "\"%.*s\", at byte %u: %s",
                           len > 100 ? 100 : (int)len, text, (unsigned)why.offset, why.sentence);
    return dial_add(node, dial, &address, ADDRESS_CONFIGURED);
}

static int add_texts(struct node *node, struct dial *dial, const char *text, size_t len)
{
    for (;;) {
        const char *comma = memchr(text, ',', len);
        size_t piece = comma == NULL ? len : (size_t)(comma - text);
        int error = add_text(node, dial, text, piece);
        if (error != 0 || comma == NULL) return error;
        text += piece + 1;
        len -= piece + 1;
    }
}

static int add_from_book(struct node *node, struct dial *dial, const struct peer_id *peer)
{
    struct book_address known[BOOK_ADDRESSES_MAX / 4];
    uint32_t count = 0;
    dial->expected = *peer;
    if (peers_book(node) != NULL)
        count =
            book_get(peers_book(node), peer, node->now_us, known, sizeof known / sizeof known[0]);
    for (uint32_t i = 0; i < count; i++) {
        int error = dial_add(node, dial, &known[i].address, known[i].provenance);
        /* Kinds that this version cannot dial may be in the book. */
        if (error != 0 && error != WEIR_E_ADDRESS) return error;
    }
    return 0;
}

static int fill(struct node *node, struct dial *dial, const struct node_call *call)
{
    int error = 0;
    if (call->kind == NODE_CALL_PEER_DIAL) {
        if (call->peer->len == 0) return WEIR_E_PEER_ID;
        error = add_from_book(node, dial, call->peer);
    } else {
        error = add_texts(node, dial, call->data, call->len);
        if (error == 0 && dial->target_count + dial->name_count == 0 && dial->expected.len > 0)
            error = add_from_book(node, dial, &dial->expected);
    }
    return error;
}

static int check_peer(struct node *node, const struct peer_id *peer)
{
    if (peer->len == 0) return 0;
    if (peer_id_equal(peer, &node->key.id))
        return errors_fail(node, WEIR_E_PEER_ID, NULL, peer, "that is this node's own peer id");
    if (peers_is_refused(node, peer))
        return errors_fail(node, WEIR_E_REFUSED, NULL, peer,
                           "this peer is refused: weir_peer_access lets it in again");
    return 0;
}

/* @return a handle of an existing connection, 0, or an error */
static int64_t prepare(struct node *node, struct dial *dial, const struct node_call *call)
{
    int error = fill(node, dial, call);
    if (error == 0) error = check_peer(node, &dial->expected);
    if (error != 0) return error;
    struct transport_conn *c =
        dial->expected.len == 0 ? NULL : registry_find(node, &dial->expected);
    if (c != NULL && c->state == CONN_UP) {
        events_tell_connected(node, c);
        return (int64_t)c->handle;
    }
    if (dial->target_count + dial->name_count == 0)
        return errors_fail(
            node, WEIR_E_NOT_FOUND, NULL, &dial->expected,
            "the book has no address of that peer: give one with weir_peer_add_address");
    return dial_begin(node, dial);
}

int64_t dial_on_call(struct node *node, const struct node_call *call)
{
    int error;
    if (drain_is_on(node))
        return errors_fail(node, WEIR_E_DRAINING, NULL, NULL,
                           "the node is draining: it dials nobody");
    struct dial *dial = dial_make(node, call->options, &error);
    if (dial == NULL) return error;
    int64_t result = prepare(node, dial, call);
    if (result == 0) return (int64_t)dial->handle;
    WEIR_ASSERT(dial->handle == 0);
    dial_destroy(node, dial);
    return result;
}
