/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>
/** Intrusive doubly linked list with a sentinel. A link that is in no list has next == NULL, so
 *  that list_is_linked answers without knowing the list; removing an unlinked link does nothing. */
struct list {
    struct list *next, *prev;
};
static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_is_empty(const struct list *l) { return l->next == l; }
static inline bool list_is_linked(const struct list *l) { return l->next != NULL; }
static inline void list_push_back(struct list *l, struct list *item)
{
    item->prev = l->prev;
    item->next = l;
    l->prev->next = item;
    l->prev = item;
}
static inline void list_push_front(struct list *l, struct list *item)
{
    item->next = l->next;
    item->prev = l;
    l->next->prev = item;
    l->next = item;
}
static inline void list_remove(struct list *item)
{
    if (item->next == NULL) return;
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = NULL;
}
#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
#define list_first(l, type, member) (list_is_empty(l) ? NULL : list_entry((l)->next, type, member))
#endif
