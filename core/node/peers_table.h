/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_PEERS_TABLE_H
#define WEIR_NODE_PEERS_TABLE_H
#include "node/state.h"
#include "transport/network.h"

/** What peers.c keeps; info.c reads it. */
struct peer_record {
    struct peer_id id;
    uint32_t holds; /**< the application's */
    uint32_t keeps; /**< node's own: feeds, fetches. The application does not see them */
    uint8_t access; /**< WEIR_ACCESS_* */
};
struct network_rule {
    struct list link;
    uint8_t access, len;
    char name[NETWORK_NAME_MAX];
};
struct peers {
    struct map records;
    struct book *book; /**< NULL until an address is known */
    struct list networks;
    uint32_t network_count;
};
/** NULL while there is none. */
static inline struct peers *peers_table(const struct node *node)
{
    return state_extras(node)->peers;
}
struct peer_record *peers_record(const struct node *node, const struct peer_id *peer);
#endif
