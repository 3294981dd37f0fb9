/* SPDX-License-Identifier: MIT */
#include "node/peers.h"
#include "address/address.h"
#include "address/book.h"
#include "base/assert.h"
#include "base/hash.h"
#include "node/conns.h"
#include "node/dial.h"
#include "node/errors.h"
#include "node/peers_table.h"
#include "node/registry.h"
#include <string.h>

/* For how long an address at which a peer answered is worth trying again. */
static const uint64_t reached_life_us = UINT64_C(7) * 24 * 3600 * 1000000;
static const uint64_t heard_life_us = UINT64_C(3600) * 1000000;

static const void *record_key(const void *value, size_t *len)
{
    const struct peer_record *record = value;
    *len = record->id.len;
    return record->id.bytes;
}

static struct peers *open_table(struct node *node, int *error)
{
    if (peers_table(node) != NULL) return peers_table(node);
    struct node_extras *extras = state_extras_make(node);
    *error = WEIR_E_MEMORY;
    if (extras == NULL) return NULL;
    struct peers *peers = state_alloc(node, sizeof *peers, error);
    if (peers == NULL) return NULL;
    map_init(&peers->records, node->env.mem, node->hash_key, record_key);
    list_init(&peers->networks);
    extras->peers = peers;
    return peers;
}

struct peer_record *peers_record(const struct node *node, const struct peer_id *peer)
{
    const struct peers *peers = peers_table(node);
    return peers == NULL ? NULL : map_get(&peers->records, peer->bytes, peer->len);
}

static struct peer_record *record_make(struct node *node, const struct peer_id *peer, int *error)
{
    struct peer_record *record = peers_record(node, peer);
    if (record != NULL) return record;
    *error = WEIR_E_PEER_ID;
    if (peer->len == 0) return NULL;
    struct peers *peers = open_table(node, error);
    if (peers == NULL) return NULL;
    uint64_t max = node->env.limits->value[LIMIT_BOOK_PEERS];
    if (peers->records.count >= max) {
        const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                           .name = LIMIT_BOOK_PEERS,
                                           .side = LIMIT_SIDE_LOCAL,
                                           .used = peers->records.count,
                                           .max = max};
        *error = errors_fail(node, WEIR_E_LIMIT, &limit, peer,
                             "holds and rules are kept for no more peers: release some");
        return NULL;
    }
    record = state_alloc(node, sizeof *record, error);
    if (record == NULL) return NULL;
    record->id = *peer;
    if (map_add(&peers->records, record)) return record;
    state_release(node, record, sizeof *record);
    *error = WEIR_E_MEMORY;
    return NULL;
}

static void record_sweep(struct node *node, struct peer_record *record)
{
    if (record->holds > 0 || record->keeps > 0 || record->access != WEIR_ACCESS_DEFAULT) return;
    struct map *records = &peers_table(node)->records;
    WEIR_ASSERT(map_remove(records, record->id.bytes, record->id.len) == record);
    state_release(node, record, sizeof *record);
}

void peers_free(struct node *node)
{
    struct peers *peers = peers_table(node);
    struct peer_record *record;
    uint32_t cursor = 0;
    if (peers == NULL) return;
    while ((record = map_next(&peers->records, &cursor)) != NULL)
        state_release(node, record, sizeof *record);
    map_free(&peers->records);
    while (!list_is_empty(&peers->networks)) {
        struct network_rule *rule = list_first(&peers->networks, struct network_rule, link);
        list_remove(&rule->link);
        state_release(node, rule, sizeof *rule);
    }
    if (peers->book != NULL) book_free(peers->book);
    state_release(node, peers->book, sizeof *peers->book);
    state_release(node, peers, sizeof *peers);
    node->extras->peers = NULL;
}

bool peers_is_refused(const struct node *node, const struct peer_id *peer)
{
    const struct peer_record *record = peers_record(node, peer);
    return record != NULL && record->access == WEIR_ACCESS_REFUSE;
}

bool peers_may_connect(const struct node *node, const struct peer_id *peer, bool dialled)
{
    const struct peer_record *record = peers_record(node, peer);
    uint8_t access = record == NULL ? WEIR_ACCESS_DEFAULT : record->access;
    if (access == WEIR_ACCESS_DEFAULT) return dialled || !node->refuse_unknown;
    return access == WEIR_ACCESS_ACCEPT;
}

static struct network_rule *network_find(const struct node *node, const char *name, size_t len)
{
    struct peers *peers = peers_table(node);
    if (peers == NULL) return NULL;
    for (struct list *link = peers->networks.next; link != &peers->networks; link = link->next) {
        struct network_rule *rule = list_entry(link, struct network_rule, link);
        if (rule->len == len && memcmp(rule->name, name, len) == 0) return rule;
    }
    return NULL;
}

bool peers_network_may_connect(const struct node *node, const char *network)
{
    const struct network_rule *rule = network_find(node, network, strlen(network));
    if (rule != NULL) return rule->access == WEIR_ACCESS_ACCEPT;
    return strcmp(network, node->env.network) == 0;
}

void peers_apply_hold(struct node *node, struct transport_conn *c)
{
    const struct peer_id peer = conns_peer(c);
    const struct peer_record *record = peers_record(node, &peer);
    if (record == NULL || c->state != CONN_UP) return;
    bool held = record->holds > 0 || record->keeps > 0;
    if ((c->node_flags & CONN_LOSER) != 0) held = false;
    c->transport->ops->conn_hold(c, held, node->now_us);
}

static void apply_hold_all(struct node *node, const struct peer_id *peer)
{
    for (struct transport_conn *c = registry_find(node, peer); c != NULL; c = registry_next(c))
        peers_apply_hold(node, c);
}

static int64_t on_hold(struct node *node, const struct peer_id *peer)
{
    int error = 0;
    struct peer_record *record = record_make(node, peer, &error);
    if (record == NULL) return error;
    if (record->holds == UINT32_MAX) return WEIR_E_LIMIT;
    if (++record->holds == 1) apply_hold_all(node, peer);
    return 0;
}

static int64_t on_release(struct node *node, const struct peer_id *peer)
{
    struct peer_record *record = peers_record(node, peer);
    if (record == NULL || record->holds == 0)
        return errors_fail(node, WEIR_E_STATE, NULL, peer,
                           "that peer is not held: each release undoes one hold");
    if (--record->holds == 0) apply_hold_all(node, peer);
    record_sweep(node, record);
    return 0;
}

static int64_t on_access(struct node *node, const struct peer_id *peer, uint32_t access)
{
    int error = 0;
    if (access > WEIR_ACCESS_REFUSE) return WEIR_E_ARGUMENT;
    struct peer_record *record = peers_record(node, peer);
    if (record == NULL && access == WEIR_ACCESS_DEFAULT) return peer->len == 0 ? WEIR_E_PEER_ID : 0;
    if (record == NULL) record = record_make(node, peer, &error);
    if (record == NULL) return error;
    record->access = (uint8_t)access;
    record_sweep(node, record);
    for (struct transport_conn *c = registry_find(node, peer); c != NULL; c = registry_next(c)) {
        if (!peers_may_connect(node, peer, c->role == CONN_DIALLER))
            conns_close(node, c, WEIR_REASON_REFUSED, NULL, 0);
    }
    if (access == WEIR_ACCESS_REFUSE)
        dial_cancel_peer(node, peer, WEIR_E_REFUSED, WEIR_REASON_REFUSED);
    return 0;
}

static int network_rule_add(struct node *node, const char *name, size_t len, uint32_t access)
{
    int error = 0;
    struct peers *peers = open_table(node, &error);
    if (peers == NULL) return error;
    uint64_t max = node->env.limits->value[LIMIT_NETWORK_RULES];
    if (peers->network_count >= max) {
        const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                           .name = LIMIT_NETWORK_RULES,
                                           .side = LIMIT_SIDE_LOCAL,
                                           .used = peers->network_count,
                                           .max = max};
        return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                           "there are rules for %u networks, which is the most: set some back to "
                           "WEIR_ACCESS_DEFAULT",
                           (unsigned)max);
    }
    struct network_rule *rule = state_alloc(node, sizeof *rule, &error);
    if (rule == NULL) return error;
    rule->access = (uint8_t)access;
    rule->len = (uint8_t)len;
    if (len > 0) memcpy(rule->name, name, len);
    list_push_back(&peers->networks, &rule->link);
    peers->network_count++;
    return 0;
}

static int64_t on_network(struct node *node, const char *name, size_t len, uint32_t access)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    int error = 0;
    if (access > WEIR_ACCESS_REFUSE) return WEIR_E_ARGUMENT;
    if (!network_name_is_valid(name, len)) return WEIR_E_NAME;
    struct network_rule *rule = network_find(node, name, len);
    if (rule != NULL && access == WEIR_ACCESS_DEFAULT) {
        list_remove(&rule->link);
        state_release(node, rule, sizeof *rule);
        peers_table(node)->network_count--;
    } else if (rule != NULL) {
        rule->access = (uint8_t)access;
    } else if (access != WEIR_ACCESS_DEFAULT) {
        error = network_rule_add(node, name, len, access);
    }
    if (error != 0) return error;
    while ((c = conns_next(node, &cursor)) != NULL) {
        if (c->state == CONN_UP &&
            !peers_network_may_connect(node, c->transport->ops->conn_network(c)))
            conns_close(node, c, WEIR_REASON_NETWORK, NULL, 0);
    }
    return 0;
}

struct book *peers_book(const struct node *node)
{
    return peers_table(node) == NULL ? NULL : peers_table(node)->book;
}

static struct book *open_book(struct node *node, int *error)
{
    struct peers *peers = open_table(node, error);
    if (peers == NULL) return NULL;
    if (peers->book != NULL) return peers->book;
    const struct book_limits limits = {
        .addresses_max = (uint32_t)node->env.limits->value[LIMIT_BOOK_ADDRESSES],
        .peers_max = (uint32_t)node->env.limits->value[LIMIT_BOOK_PEERS]};
    peers->book = state_alloc(node, sizeof *peers->book, error);
    if (peers->book != NULL)
        book_init(peers->book, node->env.mem, &node->budget, node->hash_key, &limits);
    return peers->book;
}

void peers_note_success(struct node *node, const struct peer_id *peer,
                        const struct multiaddr *address)
{
    int error;
    struct book *book = open_book(node, &error);
    if (book == NULL) return;
    (void)book_expire(book, node->now_us, 16);
    (void)book_add(book, peer, address, ADDRESS_DIALLED_BACK, 0, node->now_us,
                   node->now_us + reached_life_us, NULL);
    book_on_success(book, peer, address, node->now_us, 0);
}

void peers_note_failure(struct node *node, const struct peer_id *peer,
                        const struct multiaddr *address)
{
    if (peers_book(node) != NULL) book_on_failure(peers_book(node), peer, address, node->now_us);
}

static int parse_address(struct node *node, const struct node_call *call, struct multiaddr *out)
{
    struct address_error why = {0};
    int error = address_parse(out, call->data, call->len, 0, 0, &why);
    if (call->peer->len == 0) return WEIR_E_PEER_ID;
    if (error != 0)
        return errors_fail(node, error, NULL, call->peer, "\"%.*s\", at byte %u: %s",
                           call->len > 100 ? 100 : (int)call->len, (const char *)call->data,
                           (unsigned)why.offset, why.sentence);
    if (out->has_peer && !peer_id_equal(&out->peer, call->peer))
        return errors_fail(node, WEIR_E_PEER_ID, NULL, &out->peer,
                           "that address names another peer: add it to that one");
    return 0;
}

/* Where the peer is reached that told an address: what is not global is believed only of those that
 * are near themselves. */
static bool may_be_heard(struct node *node, const struct multiaddr *address,
                         const struct peer_id *from, const char **why)
{
    struct transport_conn *c = registry_find(node, from);
    struct conn_info info;
    *why = "the address names a host: what is told by others is an IP address";
    if (address->host != MULTIADDR_HOST_ENDPOINT) return false;
    if (address->kind == ADDRESS_MEMORY) return true; /* a world has no special ranges */
    memset(&info, 0, sizeof info);
    if (c != NULL) c->transport->ops->conn_info(c, &info);
    return special_may_dial(&address->endpoint, ADDRESS_HEARD, c == NULL ? NULL : &info.remote,
                            why);
}

static int64_t on_hear(struct node *node, const struct node_call *call)
{
    struct multiaddr address;
    const char *why;
    int error = parse_address(node, call, &address);
    if (error != 0) return error;
    if (!may_be_heard(node, &address, call->from, &why))
        return errors_fail(node, WEIR_E_ADDRESS, NULL, call->peer, "not taken on hearsay: %s", why);
    struct book *book = open_book(node, &error);
    if (book == NULL) return error;
    uint64_t source = hash_sip13(node->hash_key, call->from->bytes, call->from->len);
    (void)book_expire(book, node->now_us, 16);
    error = book_add(book, call->peer, &address, ADDRESS_HEARD, source, node->now_us,
                     node->now_us + heard_life_us, NULL);
    if (error == WEIR_E_LIMIT)
        return errors_fail(node, error, NULL, call->from,
                           "the book has as many addresses as it takes from that peer, or as it "
                           "takes at all");
    return error < 0 ? error : 0;
}

static int64_t on_add_address(struct node *node, const struct node_call *call)
{
    struct limit_record limit = {0};
    struct multiaddr address;
    int error = parse_address(node, call, &address);
    if (error != 0) return error;
    struct book *book = open_book(node, &error);
    if (book == NULL) return error;
    (void)book_expire(book, node->now_us, 16);
    error = book_add(book, call->peer, &address, ADDRESS_CONFIGURED, 0, node->now_us, BOOK_NEVER,
                     &limit);
    if (error == WEIR_E_BUDGET)
        return errors_fail(node, error, &limit, call->peer,
                           "no budget for another address: close something or raise memory_bytes");
    if (error == WEIR_E_ADDRESS)
        return errors_fail(node, error, NULL, call->peer,
                           "the address says who, but not where: add a host and a port");
    if (error == WEIR_E_LIMIT) {
        limit.name = limit.scope == LIMIT_SCOPE_PEER ? LIMIT_BOOK_ADDRESSES : LIMIT_BOOK_PEERS;
        return errors_fail(node, error, &limit, call->peer,
                           "the book has as many addresses of that peer as it takes: what was "
                           "configured stays");
    }
    return error < 0 ? error : 0;
}

int peers_keep(struct node *node, const struct peer_id *peer, bool keep)
{
    int error = 0;
    struct peer_record *record = keep ? record_make(node, peer, &error) : peers_record(node, peer);
    if (record == NULL) return error;
    WEIR_ASSERT(keep || record->keeps > 0);
    record->keeps = keep ? record->keeps + 1 : record->keeps - 1;
    apply_hold_all(node, peer);
    if (!keep) record_sweep(node, record);
    return 0;
}

int64_t peers_on_call(struct node *node, const struct node_call *call)
{
    switch (call->kind) {
    case NODE_CALL_PEER_ADD_ADDRESS: return on_add_address(node, call);
    case NODE_CALL_PEER_HEAR: return on_hear(node, call);
    case NODE_CALL_PEER_HOLD: return on_hold(node, call->peer);
    case NODE_CALL_PEER_RELEASE: return on_release(node, call->peer);
    case NODE_CALL_PEER_ACCESS: return on_access(node, call->peer, call->flags);
    case NODE_CALL_NETWORK_ACCESS: return on_network(node, call->data, call->len, call->flags);
    default: return WEIR_E_ARGUMENT;
    }
}
