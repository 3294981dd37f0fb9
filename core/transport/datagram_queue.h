/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_DATAGRAM_QUEUE_H
#define WEIR_TRANSPORT_DATAGRAM_QUEUE_H
#include "base/budget.h"
#include "base/list.h"
#include "base/mem.h"
#include <stddef.h>
#include <stdint.h>

/** Unreliable datagrams of one connection in one direction (RFC 9221), oldest first.
 *
 *  Each belongs to a stream, whose protocol says what it means (docs/wire.md 12.7). Bounded by
 *  count (limits.def, DATAGRAMS_OUT and DATAGRAMS_IN) and, since none is longer than a UDP
 *  datagram, by bytes; all of it is charged. Nothing is allocated while it is empty. */
struct datagram_queue {
    struct list items;         /**< struct datagram_item */
    uint32_t count;
};
struct datagram_item {
    struct list link;
    uint64_t stream;           /**< the stream's id */
    uint32_t len;
    uint8_t bytes[];
};
void datagram_queue_init(struct datagram_queue *q);
/** Copy a datagram to the end. @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY (nothing has changed) */
int datagram_queue_push(struct datagram_queue *q, uint64_t stream, const void *data, size_t len,
                        const struct mem *mem, struct budget *budget);
/** The oldest, or NULL. */
struct datagram_item *datagram_queue_first(const struct datagram_queue *q);
/** The oldest of one stream, or NULL: O(count). */
struct datagram_item *datagram_queue_find(const struct datagram_queue *q, uint64_t stream);
/** Take an item out and free it. */
void datagram_queue_remove(struct datagram_queue *q, struct datagram_item *item,
                           const struct mem *mem, struct budget *budget);
/** Remove all of one stream. @return how many */
uint32_t datagram_queue_purge(struct datagram_queue *q, uint64_t stream, const struct mem *mem,
                              struct budget *budget);
void datagram_queue_free(struct datagram_queue *q, const struct mem *mem, struct budget *budget);
#endif
