/* SPDX-License-Identifier: MIT */
#include "transport/datagram_queue.h"
#include "base/charged.h"
#include "weir.h"
#include <string.h>

void datagram_queue_init(struct datagram_queue *q)
{
    list_init(&q->items);
    q->count = 0;
}

int datagram_queue_push(struct datagram_queue *q, uint64_t stream, const void *data, size_t len,
                        const struct mem *mem, struct budget *budget)
{
    size_t size = sizeof(struct datagram_item) + len;
    if (size > budget_room(budget)) return WEIR_E_BUDGET;
    struct datagram_item *item = charged_alloc(mem, budget, size);
    if (item == NULL) return WEIR_E_MEMORY;
    item->stream = stream;
    item->len = (uint32_t)len;
    if (len > 0) memcpy(item->bytes, data, len);
    list_push_back(&q->items, &item->link);
    q->count++;
    return 0;
}

struct datagram_item *datagram_queue_first(const struct datagram_queue *q)
{
    return list_first(&q->items, struct datagram_item, link);
}

struct datagram_item *datagram_queue_find(const struct datagram_queue *q, uint64_t stream)
{
    for (struct list *l = q->items.next; l != &q->items; l = l->next) {
        struct datagram_item *item = list_entry(l, struct datagram_item, link);
        if (item->stream == stream) return item;
    }
    return NULL;
}

void datagram_queue_remove(struct datagram_queue *q, struct datagram_item *item,
                           const struct mem *mem, struct budget *budget)
{
    list_remove(&item->link);
    q->count--;
    charged_free(mem, budget, item, sizeof *item + item->len);
}

uint32_t datagram_queue_purge(struct datagram_queue *q, uint64_t stream, const struct mem *mem,
                              struct budget *budget)
{
    uint32_t gone = 0;
    for (struct list *l = q->items.next; l != &q->items;) {
        struct datagram_item *item = list_entry(l, struct datagram_item, link);
        l = l->next;
        if (item->stream != stream) continue;
        datagram_queue_remove(q, item, mem, budget);
        gone++;
    }
    return gone;
}

void datagram_queue_free(struct datagram_queue *q, const struct mem *mem, struct budget *budget)
{
    while (q->count > 0) datagram_queue_remove(q, datagram_queue_first(q), mem, budget);
}
